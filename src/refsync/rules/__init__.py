"""What a category's records have to be like, and which of it a new record breaks that the old one kept."""
