"""What the reference holds at a commit or in the work tree."""
