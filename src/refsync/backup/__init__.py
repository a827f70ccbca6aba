"""One file of what git cannot give back, and the way back: the queue's store and the metadata."""

from pathlib import Path

UNPACKING, STAGED, DONE = ".restore-unpacking", ".restore", ".restore-done"
"""The folders of a restore in the state directory, one after the other."""


def is_restoring(state: Path) -> bool:
    """Whether a state directory is being restored, or a restore was cut off there."""
    return any((state / name).exists() for name in (UNPACKING, STAGED, DONE))
