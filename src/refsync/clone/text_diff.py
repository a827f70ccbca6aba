"""What git shows of two commits that differ."""

from __future__ import annotations

from refsync.clone.repository import Repository

_AS_IT_IS = ("--no-color", "--no-ext-diff", "--no-textconv", "--text")
"""Whatever the attributes of the clone say of a file."""


def text_diff(clone: Repository, old: str, new: str) -> str:
    """The unified diff that leads from one commit, or tree, to another; bytes that are no UTF-8 are replaced."""
    shown = clone.run("diff-tree", "-p", "-r", *_AS_IT_IS, old, new)
    return shown.output.decode(errors="replace")
