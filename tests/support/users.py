"""Other users of the machine, as whom only root can work."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

NOBODY = 65534
only_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be two users")


def let_others_through(path: Path) -> None:
    """Let every user come to a path, though pytest's folders are for one alone."""
    for folder in path.parents:
        if folder.stat().st_uid == os.geteuid():
            folder.chmod(folder.stat().st_mode | 0o011)


def become_nobody() -> None:
    """Be another user from now on, with a group but no rights."""
    os.setgroups([])
    os.setgid(NOBODY)
    os.setuid(NOBODY)
