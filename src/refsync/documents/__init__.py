"""The bytes of a category file: reading, editing, comparing and merging. Pure."""
