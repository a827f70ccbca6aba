"""What hosts say of the links that changed records of any clone bring, as findings of a check; nothing is kept."""

from __future__ import annotations

from collections.abc import Callable

from refsync.config.settings import ProbeSettings
from refsync.hosts.asking import Asking
from refsync.reference.snapshot import Snapshot
from refsync.review.conventions import Conventions
from refsync.review.finding import Finding
from refsync.review.link_findings import link_finding, new_links
from refsync.use_cases.links.asking import prober_of


def findings_of_hosts(
    head: Snapshot,
    before: Snapshot | None,
    conventions: Conventions,
    settings: ProbeSettings,
    progress: Callable[[int, int], None] | None,
) -> list[Finding]:
    """Ask about the links that records have and did not have before.

    Args:
        head: what is checked.
        before: what the files were before; ``None`` for nothing.
        conventions: what holds in the clone.
        settings: how hosts are asked.
        progress: told of how many links were asked about, and how many there are.
    """
    places = list(new_links(head, before, conventions))
    links = dict.fromkeys(place.link for place in places)
    asking = Asking(allows_private=settings.allow_private, most=lambda host: settings.most_a_day)
    answers = {}
    for probed in prober_of(settings, asking).probe(links):
        answers[probed.link] = probed
        if progress is not None:
            progress(len(answers), len(links))
    found = (link_finding(place, answers[place.link]) for place in places)
    return [each for each in found if each is not None]
