"""What a clone shows: where its work tree begins, and which branch is checked out."""

from __future__ import annotations

import os
from pathlib import Path

from refsync.clone.repository import Repository


def work_tree_root(clone: Repository) -> Path:
    """The folder where its work tree begins."""
    return Path(os.fsdecode(clone.run("rev-parse", "--show-toplevel").output.rstrip(b"\n")))


def checked_out_branch(clone: Repository) -> str | None:
    """The branch that is checked out; ``None`` where HEAD is detached."""
    found = clone.run("symbolic-ref", "-q", "--short", "HEAD", accept=(0, 1)).output
    return found.decode(errors="surrogateescape").strip() or None
