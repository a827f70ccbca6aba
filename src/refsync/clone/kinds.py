"""Which kinds of repositories refsync can read."""

from __future__ import annotations

import re
from pathlib import Path

from refsync.commands import git_command
from refsync.errors import CloneError

_EXTENSION = re.compile(rb'^\s*(objectformat|refstorage)\s*=\s*"?(\w+)', re.IGNORECASE | re.MULTILINE)
_KNOWN = {b"objectformat": b"sha1", b"refstorage": b"files"}


def check_kind(path: Path, common_directory: Path) -> None:
    """See that a clone keeps its objects by SHA-1, all of them within reach, and its refs in files.

    Args:
        path: the clone, for the text.
        common_directory: its ``.git`` folder that holds the config.

    Raises:
        CloneError: it does otherwise.
    """
    try:
        config = (common_directory / "config").read_bytes()
    except FileNotFoundError:
        config = b""
    except PermissionError as problem:
        raise CloneError(f"{problem.filename}: {problem.strerror}; refsync must be able to read the clone") from None
    for name, value in _EXTENSION.findall(config):
        if value.lower() == _KNOWN[name.lower()]:
            continue
        if name.lower() == b"objectformat":
            raise CloneError(
                f"{path}: its objects have names by {value.decode().upper()}, which refsync cannot read; serve a clone "
                "of a repository of SHA-1"
            )
        raise CloneError(
            f"{path}: its refs are kept as {value.decode()!r}, which refsync cannot read; change that: "
            f"{git_command(path, 'refs', 'migrate', '--ref-format=files')}"
        )
    _check_borrowed(path, common_directory / "objects")


def _check_borrowed(path: Path, objects: Path) -> None:
    """See that the repositories are there whose objects a clone borrows, as ``git clone --shared`` has it."""
    alternates = objects / "info" / "alternates"
    try:
        lines = alternates.read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        borrowed = objects / line.decode(errors="surrogateescape").strip()
        if line.strip() and not line.startswith((b"#", b'"')) and not borrowed.is_dir():
            raise CloneError(
                f"{path}: it borrows the objects of {borrowed}, which is gone; bring that back, or correct the path "
                f"in {alternates}"
            )
