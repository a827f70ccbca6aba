"""What has happened: counters per category, provenance per record."""
