"""What is wrong with the links that changed records bring, as their hosts have it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from refsync.categories import CategoryDescriptor, is_table
from refsync.documents.shape import shape_of
from refsync.hosts.link import Link, links_brought
from refsync.hosts.probing import Probed
from refsync.hosts.verdict import Verdict
from refsync.reference.snapshot import Snapshot
from refsync.review.category_files import category_files
from refsync.review.conventions import Conventions
from refsync.review.file_findings import Lines, is_readable
from refsync.review.finding import Finding, Rule


@dataclass(frozen=True)
class NewLink:
    """A link that a record has and did not have before, and where the record stands."""

    file: str
    line: int | None
    model: str
    link: Link


def new_links(head: Snapshot, before: Snapshot | None, conventions: Conventions) -> Iterator[NewLink]:
    """The links of a snapshot's records that their records did not have in another one."""
    for file in category_files(head.files, conventions):
        category = conventions.catalogue[file.category]
        if category.links is not None and head.has_file(file.path) and not is_table(file.path):
            yield from _new_in_file(head, before, file.path, category)


def _new_in_file(head: Snapshot, before: Snapshot | None, path: str, category: CategoryDescriptor) -> Iterator[NewLink]:
    shape, fields = shape_of(category, path), category.links
    version = head.version(path)
    old = None if before is None else before.find_version(path)
    if version is old or not is_readable(version, shape):
        return
    known = old.records(shape) if old is not None and is_readable(old, shape) else {}
    lines = Lines(version.content, shape)
    for model, record in version.records(shape).items():
        for link in links_brought(record, known.get(model, {}), fields):
            yield NewLink(path, lines.get(model), model, link)


def link_finding(place: NewLink, probed: Probed) -> Finding | None:
    """What is wrong with a link, ``None`` for nothing."""
    link, found = probed.link, probed.found
    match probed.verdict:
        case Verdict.good:
            return None
        case Verdict.gone:
            rule, what = Rule.link_gone, f"{link.url} is gone"
            mend = f"the same file is at {found.elsewhere}" if found.elsewhere else "link to a file that is there"
        case Verdict.changed:
            rule, what = Rule.link_changed, f"{link.url} is another file: {_told(link, probed)}"
            mend = "correct the record, or link to the file that it means"
        case Verdict.login_needed:
            rule, what, mend = (
                Rule.link_unsure,
                f"{link.url} is there only for those who log in",
                "see that workers may",
            )
        case Verdict.unknown:
            rule, what, mend = Rule.link_unsure, f"{link.url} is unknown: {found.why}", "look for yourself"
    return Finding(rule, place.file, place.line, place.model, what, mend)


def _told(link: Link, probed: Probed) -> str:
    found = probed.found
    if link.sha256 and found.sha256 and link.sha256 != found.sha256:
        return f"sha256 {found.sha256}, not {link.sha256}"
    return f"{found.size} bytes, not {link.size}"
