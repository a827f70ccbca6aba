"""What is said of links, a line each."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

from refsync.cli.output import counted, shown_age

if TYPE_CHECKING:
    from refsync.hosts.verdict import Verdict
    from refsync.use_cases.links.kept import LinkAnswer

_SHOWN_HASH = 12


def told(link: LinkAnswer) -> str:
    """What is true of one."""
    match link.verdict:
        case None:
            return "not asked yet"
        case "good":
            return "good"
        case "gone":
            return "gone" if link.elsewhere is None else f"gone; the same file is at {link.elsewhere}"
        case "login_needed":
            return "there only for those who log in"
        case "unknown":
            return f"unknown, {link.why}"
        case _:
            return "; ".join(_differing(link))


def dated(link: LinkAnswer) -> str:
    """The same, and when its host was asked."""
    return told(link) if link.checked_at is None else f"{told(link)} ({shown_age(link.checked_at)})"


def _differing(link: LinkAnswer) -> Iterable[str]:
    if link.sha256 and link.said_sha256 and link.sha256 != link.said_sha256:
        yield f"sha256 is {link.sha256[:_SHOWN_HASH]}…, the record says {link.said_sha256[:_SHOWN_HASH]}…"
    if link.size and link.said_size and link.size != link.said_size:
        yield f"it has {link.size} bytes, the record says {link.said_size}"


def summary(links: Iterable[LinkAnswer]) -> str:
    """How many there are, and of each kind."""
    counts = Counter(link.verdict for link in links)
    return f"{counted(counts.total(), 'link')}{': ' if counts else ''}{counts_told(counts)}"


def counts_told(counts: Mapping[Verdict, int] | Mapping[Verdict | None, int]) -> str:
    """How many there are of each kind, the most first."""
    told = Counter(
        {"not asked yet" if kind is None else kind.replace("_", " "): count for kind, count in counts.items()}
    )
    return ", ".join(f"{count} {kind}" for kind, count in told.most_common())
