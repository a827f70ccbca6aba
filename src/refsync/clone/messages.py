"""What commits say, as UTF-8; what is no text in it is replaced."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from refsync.clone.repository import Repository


class Signed(NamedTuple):
    """A commit's message, and its committer as ``name <address>``."""

    committer: str
    message: str


def message_of(clone: Repository, commit: str) -> str:
    """A commit's message."""
    return _logged(clone, "-1", "--format=%B", commit)


def signed_message_of(clone: Repository, commit: str) -> Signed:
    """A commit's message, and who committed it."""
    committer, _, message = _logged(clone, "-1", "--format=%cn <%ce>%n%B", commit).partition("\n")
    return Signed(committer, message)


def merged_messages(clone: Repository, commit: str) -> Iterator[str]:
    """The messages of what a merge commit brought by its second parent, newest first; none of any other commit."""
    between = f"{commit}^1..{commit}^2"
    log = clone.run("log", "-z", "--format=%B", "--encoding=UTF-8", between, "--", accept=(0, 128))
    if not log.code:
        yield from log.output.decode(errors="replace").split("\0")


def _logged(clone: Repository, *arguments: str) -> str:
    return clone.run("log", "--encoding=UTF-8", *arguments).output.decode(errors="replace")
