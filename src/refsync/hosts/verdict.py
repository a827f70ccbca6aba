"""What a host says of a file, and what that says of the link."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple

from refsync.hosts.link import Link


class Standing(StrEnum):
    """Whether a host has a file."""

    there = "there"
    gone = "gone"
    login_needed = "login_needed"
    unknown = "unknown"


class Found(NamedTuple):
    """What a host says of a file; ``None`` where it says nothing.

    ``why`` is a sentence on what is unknown; ``elsewhere`` another place of the same file; ``wait_seconds`` how long
    the host asks not to be asked.
    """

    standing: Standing
    sha256: str | None = None
    size: int | None = None
    why: str | None = None
    elsewhere: str | None = None
    wait_seconds: float | None = None


class Verdict(StrEnum):
    """What is true of a link."""

    good = "good"
    gone = "gone"
    login_needed = "login_needed"
    changed = "changed"
    unknown = "unknown"


def judge(link: Link, found: Found) -> Verdict:
    """A file that is there is ``changed`` where its hash, or else its size, is not what the record says.

    >>> judge(Link("https://example.org/f", sha256="a" * 64), Found(Standing.there, sha256="b" * 64)).value
    'changed'
    """
    if found.standing is not Standing.there:
        return Verdict(found.standing.value)
    differs = [said != held for said, held in ((link.sha256, found.sha256), (link.size, found.size)) if said and held]
    return Verdict.changed if any(differs) else Verdict.good
