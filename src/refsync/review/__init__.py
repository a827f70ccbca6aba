"""What people did to a reference: which models changed, what is wrong with a file, who gave a field its value."""
