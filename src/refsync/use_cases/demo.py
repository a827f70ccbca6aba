"""What the demo's person does in the clone, with git's own commands."""

from __future__ import annotations

from pathlib import Path

from refsync.clone.process import run_git


def git_by_hand(clone: Path, *arguments: str) -> str:
    """Run a person's git command in a clone, and give what it says.

    Raises:
        GitCommandError: it fails.
    """
    return run_git(clone, *arguments).output.decode(errors="replace")
