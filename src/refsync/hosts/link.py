"""The links in a record, with what the record says of the files behind them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from refsync.documents.field_paths import split_path
from refsync.link_fields import LinkFields

Record = Mapping[str, Any]

_SHA256 = re.compile(r"[0-9a-fA-F]{64}")


@dataclass(frozen=True)
class Link:
    """A URL, and what the record says of the file: ``None`` where it says nothing."""

    url: str
    sha256: str | None = None
    size: int | None = None

    @property
    def key(self) -> str:
        """What is the same of all links about which a host says the same: a digest of URL and hash."""
        asked = f"{self.url}\0{self.sha256 or ''}"
        return hashlib.sha256(asked.encode("utf-8", "surrogatepass")).hexdigest()

    @property
    def host(self) -> str:
        """The name of its host, empty where it has none."""
        try:
            return urlsplit(self.url).hostname or ""
        except ValueError:
            return ""


def links_of(record: Record, fields: LinkFields | None) -> list[Link]:
    """The links of a record, in its order; none of a category without ``fields``.

    A file's hash is the one beside its URL, or that of the file of its name, or, of a record with one link and one
    hash, that one. A size that is not beside a URL counts for the link of a record with only one, which names only one
    file.
    """
    if fields is None:
        return []
    urls, names, files = (list(values_at(record, path)) for path in (fields.url, fields.name, fields.file))
    hashes = [_sha256(value) for value in values_at(record, fields.sha256)]
    sizes = [_size(value) for value in values_at(record, fields.size)]
    named = {name: sha256 for name, sha256 in zip(files, hashes, strict=False) if isinstance(name, str)}
    links = []
    for place, url in enumerate(urls):
        if not isinstance(url, str) or not url:
            continue
        sha256, size = _at_place(hashes, place), _at_place(sizes, place)
        if not is_beside(fields.sha256, fields.url):
            sha256 = named.get(name) if isinstance(name := _at_place(names, place), str) else None
            sha256 = sha256 or _only(urls, [each for each in hashes if each])
        if not is_beside(fields.size, fields.url):
            size = _only(urls, [each for each in sizes if each][:1]) if len(files) <= 1 else None
        links.append(Link(url, sha256, size))
    return links


def links_brought(record: Record, before: Record, fields: LinkFields | None) -> list[Link]:
    """The links of a record that are not in the one before it."""
    had = links_of(before, fields)
    return [link for link in links_of(record, fields) if link not in had]


def is_beside(path: str, other: str) -> bool:
    """Whether two fields are of the same objects of a list.

    >>> is_beside("files[].size", "files[].url"), is_beside("size", "files[].url")
    (True, False)
    """
    return "[]" in other and path.rpartition("[]")[0] == other.rpartition("[]")[0]


def _at_place(values: Sequence[Any], place: int) -> Any:
    return values[place] if place < len(values) else None


def _only(urls: Sequence[Any], values: Sequence[Any]) -> Any:
    return values[0] if len(urls) == len(values) == 1 else None


def values_at(record: Record, path: str) -> Iterator[Any]:
    """The value at a path, one for each element of its lists; ``None`` in an element that lacks it."""
    return _at(record, split_path(path)) if path else iter(())


def _at(value: Any, steps: Sequence[str]) -> Iterator[Any]:
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


def _size(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
