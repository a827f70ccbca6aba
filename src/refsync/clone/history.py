"""What landed: the first-parent history of the target branch."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from typing import Literal

from refsync.file_patterns import means

HistoryRelation = Literal["same", "ahead", "aside", "rewritten"]
"""How a commit stands to a later one: the same; on its first-parent chain; contained in it by another
parent only; or not contained at all."""

ABSENT = "0" * 40
LOG_FORMAT = "%H%x00%P%x00%ct%x00%cn <%ce>%x00%an <%ae>%x00%B"
FIRST_PARENT_LOG = (
    "log",
    "--first-parent",
    "--diff-merges=first-parent",
    "--raw",
    "--root",
    "--no-abbrev",
    "--no-renames",
    "--no-show-signature",
    "--encoding=UTF-8",
    "--reverse",
    "-z",
    f"--format=tformat:{LOG_FORMAT}",
)
"""What git is told to give what :func:`parse_log` reads, oldest first."""
_FIELDS = 6
_YEAR_10000 = 253_402_214_400  # a day early, for the clocks that are ahead
_TOO_LONG = 20


@dataclass(frozen=True)
class FileChange:
    """One path that a commit changed against its first parent.

    ``old_blob`` and ``new_blob`` are object ids, ``None`` where the file is absent; ``new_mode`` is git's
    octal mode (``"100644"``), ``None`` where the file is absent.
    """

    path: str
    old_blob: str | None
    new_blob: str | None
    new_mode: str | None = "100644"


@dataclass(frozen=True)
class LandedCommit:
    """A commit of the target branch's first-parent chain; ``merged`` are the other parents of a merge.

    ``committed_at`` is in Unix seconds; 0 where the commit has no date, or one that no calendar has.
    """

    sha: str
    parent: str | None
    committed_at: int
    committer: str
    author: str
    message: str
    files: tuple[FileChange, ...]
    merged: tuple[str, ...] = ()

    def only(self, paths: Collection[str]) -> LandedCommit:
        """The same with no other files than these paths, and patterns, mean."""
        return replace(self, files=tuple(file for file in self.files if means(file.path, paths)))


def parse_log(output: bytes) -> Iterator[LandedCommit]:
    """The commits of a log as ``FIRST_PARENT_LOG`` asks for it, in its order."""
    tokens = output.split(b"\0")
    position = 0
    while position + _FIELDS <= len(tokens):
        sha, parents, committed_at, committer, author, message = map(_text, tokens[position : position + _FIELDS])
        position += _FIELDS
        files: list[FileChange] = []
        while position < len(tokens) and tokens[position].lstrip(b"\n").startswith(b":"):
            files.append(_file_change(tokens[position].decode(), tokens[position + 1].decode(errors="surrogateescape")))
            position += 2
        parent, *merged = parents.split(" ")
        at = seconds(committed_at)
        yield LandedCommit(sha, parent or None, at, committer, author, message, tuple(files), tuple(merged))


def _text(written: bytes) -> str:
    """What people wrote, in whatever encoding; it is read only."""
    return written.decode(errors="replace")


def seconds(date: str) -> int:
    """A commit's date; git prints nothing of one that it cannot read, and shows one that is out of reach as 1970."""
    found = int(date) if date.isdecimal() and len(date) < _TOO_LONG else 0
    return found if found < _YEAR_10000 else 0


def _file_change(raw: str, path: str) -> FileChange:
    _, new_mode, old_blob, new_blob, _ = raw.lstrip("\n:").split(" ")
    absent = new_blob == ABSENT
    return FileChange(
        path, None if old_blob == ABSENT else old_blob, None if absent else new_blob, None if absent else new_mode
    )
