"""The links in a record, with what the record says of the files behind them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

Record = Mapping[str, Any]

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


class LinkFields(NamedTuple):
    """Where records of a category keep their links: dotted paths, ``[]`` behind each list.

    Attributes:
        url: the files' URLs.
        name: their names, beside the URLs.
        file: names again, where hashes are told.
        sha256: the hash of each of these.
        size: the size in bytes of all files together.
    """

    url: str
    name: str = ""
    file: str = ""
    sha256: str = ""
    size: str = ""


HORDE = LinkFields(
    url="config.download[].file_url",
    name="config.download[].file_name",
    file="config.files[].path",
    sha256="config.files[].sha256sum",
    size="size_on_disk_bytes",
)
"""Where the references of the AI Horde keep them."""


@dataclass(frozen=True)
class Link:
    """A URL, and what the record says of the file: ``None`` where it says nothing."""

    url: str
    sha256: str | None = None
    size: int | None = None


def links_of(record: Record, fields: LinkFields = HORDE) -> list[Link]:
    """The links of a record, in its order.

    A file's hash is that of the file of its name, or, of a record with one link and one hash, that one. The size of a
    record counts for its link where it has only one, and names only one file.
    """
    urls, names, files = (list(_values(record, path)) for path in (fields.url, fields.name, fields.file))
    hashes = [_sha256(value) for value in _values(record, fields.sha256)]
    named = {name: sha256 for name, sha256 in zip(files, hashes, strict=False) if isinstance(name, str)}
    known = [each for each in hashes if each]
    size = next((value for value in _values(record, fields.size) if _is_size(value)), None)
    links = []
    for place, url in enumerate(urls):
        if not isinstance(url, str) or not url:
            continue
        name = names[place] if place < len(names) else None
        sha256 = named.get(name) if isinstance(name, str) else None
        if sha256 is None and len(urls) == len(known) == 1:
            sha256 = known[0]
        links.append(Link(url, sha256, size if len(urls) == 1 and len(files) <= 1 else None))
    return links


def _values(record: Record, path: str) -> Iterator[Any]:
    """The value at a path, one for each element of its lists; ``None`` in an element that lacks it."""
    return _at(record, path.split(".")) if path else iter(())


def _at(value: Any, steps: list[str]) -> Iterator[Any]:
    if not steps:
        yield value
        return
    step, rest = steps[0], steps[1:]
    inner = value.get(step.removesuffix("[]")) if isinstance(value, dict) else None
    if not step.endswith("[]"):
        yield from _at(inner, rest)
    elif isinstance(inner, list):
        for each in inner:
            yield from _at(each, rest)


def _sha256(value: Any) -> str | None:
    return value.lower() if isinstance(value, str) and _SHA256.fullmatch(value) else None


def _is_size(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value > 0
