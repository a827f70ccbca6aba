"""What a command ends with, where it is not done (0) and not wrong usage (2)."""

EXIT_REFUSED = 1
EXIT_BUG = 3
EXIT_INTERRUPTED = 130
