"""Whether the links in records hold, of what has landed and of changes; records made from what a host says of a URL."""
