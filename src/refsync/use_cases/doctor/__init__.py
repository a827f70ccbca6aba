"""What is wrong with an installation, and the command that mends it: one file for each thing that is looked at.

Nothing is changed by looking. To add a check: a kind in ``checks.py``, a generator of checks in the file of what it
looks at, and its line in ``examination.py``.
"""
