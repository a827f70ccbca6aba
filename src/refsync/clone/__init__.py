"""The repository on disk; the only code that knows git."""
