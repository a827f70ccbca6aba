"""The repository on disk; the only code that knows git."""

import os

# GitPython would refuse to be imported where git is missing; the first command says so in one line.
os.environ.setdefault("GIT_PYTHON_REFRESH", "quiet")
