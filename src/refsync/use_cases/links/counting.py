"""How many of the links in a repository's records hold, by what their hosts said the last time."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from refsync.application import Application
from refsync.hosts.link import links_of
from refsync.hosts.verdict import Verdict
from refsync.sync.reference import ReferenceRepository
from refsync.use_cases.links.kept import kept_of


def link_counts(
    application: Application, reference: ReferenceRepository, records: Mapping[str, Mapping[str, Any]]
) -> dict[Verdict, int]:
    """Count the links whose hosts were asked.

    Args:
        application: the installation.
        reference: the repository.
        records: its records at the tip, by file and name.
    """
    links = [
        link
        for category in reference.files
        for record in records.get(reference.written_file(category) or "", {}).values()
        for link in links_of(record, reference.catalogue[category].links)
    ]
    kept = kept_of(application, links)
    return dict(Counter(verdict for link in links if (verdict := kept.verdict(link))))
