"""Pull requests, wherever they are kept: the protocol, and one file for each forge."""
