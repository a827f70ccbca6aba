"""The door from outside: where it is and who one is there, and questions asked of it."""
