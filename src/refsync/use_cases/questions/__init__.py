"""The use cases that can be asked through the door as well as here, as data.

The door makes its routes of them, the command line asks them here or there, and neither knows more of one than this.
"""
