"""Reading the reference: the backend interface, the cache and the clone behind it."""
