"""Versions of category files: each read and parsed once, whoever asks, and known by its blob's id."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from functools import cached_property, partial
from itertools import groupby
from typing import Any, TypeVar, cast
from weakref import ref

from refsync.clone.objects import GitObject, blob_id
from refsync.documents.json_document import Document, Record, read_document, read_records
from refsync.documents.json_versions import JsonVersion, document_of, follow_version, read_version, version_of
from refsync.documents.shape import ROOT, Shape
from refsync.errors import DocumentError

T = TypeVar("T")

_MANY = 8
"""From so many blobs on a stream is quicker than to ask for each."""
KEPT_BYTES = 16 * 1024 * 1024
"""Of files; what is parsed of them takes several times as much memory."""


class Version:
    """One version of a file: its bytes, and what they say, each parsed when it is first asked for.

    What is asked for is shared by all who ask, so it is read-only. Everything but ``content`` raises DocumentError for
    bytes that cannot be read.
    """

    def __init__(
        self, content: bytes, id: str | None = None, *, editable: bool = True, made_from: Version | None = None
    ) -> None:
        """Of these bytes.

        Args:
            content: of the file.
            id: of the blob that they are, where it is known.
            editable: of one that is never edited, records can be had in half the time.
            made_from: the version of which this one is an edit: while somebody keeps it, only what differs is read.
        """
        self.content = content
        self._id = id
        self._editable = editable
        self._made_from = made_from and ref(made_from)  # else each would keep all that were ever before it
        self._parsed: dict[object, tuple[tuple[Version, ...], Any]] = {}
        self._followed: dict[Shape, JsonVersion | None] = {}

    @cached_property
    def blob(self) -> GitObject:
        """The bytes as git keeps them."""
        return GitObject("blob", self._id or blob_id(self.content), self.content)

    def document(self, shape: Shape = ROOT) -> Document:
        """A JSON document as it can be edited."""
        return self._once(partial(self._document, shape), (read_document, shape))

    def models(self, shape: Shape = ROOT) -> Mapping[str, Record]:
        """The models of a JSON document that can be edited; one that is nested too deeply by what stands for it."""
        followed = self._follow(shape)
        return self.document(shape).records if followed is None else followed.records

    def records(self, shape: Shape = ROOT) -> Mapping[str, Record]:
        """The models of a JSON document."""
        if not self._editable:
            return self._once(lambda content: read_records(content, shape=shape), (read_records, shape))
        followed = self._follow(shape)
        return self.document(shape).readable_records if followed is None else followed.records

    def records_as_written(self, shape: Shape = ROOT) -> Mapping[str, Record]:
        """The models of a JSON document, each number with its text, so that they can be written back as they were."""
        return self._once(lambda content: read_records(content, as_written=True, shape=shape), ("as written", shape))

    def records_after(self, before: Version | None, shape: Shape = ROOT) -> Mapping[str, Record]:
        """The same as ``records``, read by what differs from the version before this one, if this is never edited."""
        return self.records(shape) if self._editable else self._after(before, shape).records

    def parsed(self, parse: Callable[[bytes], T], known_by: object = None, *beside: Version) -> T:
        """What a function makes of the bytes, once for the function, or for what it is known by.

        Of what is made with other versions ``beside`` it, that with the last ones is kept.
        """
        return self._once(parse, known_by or parse, *beside)

    def _document(self, shape: Shape, content: bytes) -> Document:
        followed = self._follow(shape)
        return (followed and document_of(followed, content)) or read_document(content, shape)

    def _follow(self, shape: Shape) -> JsonVersion | None:
        """What it says, read by what differs from the version that it was made from."""
        if shape not in self._followed:
            made_from = self._made_from and self._made_from()
            before = made_from and made_from._to_follow(shape)
            self._followed[shape] = follow_version(self.content, before) if before else None
        return self._followed[shape]

    def _to_follow(self, shape: Shape) -> JsonVersion | None:
        try:
            return self._follow(shape) or version_of(self.document(shape))
        except DocumentError:
            return None

    def _after(self, before: Version | None, shape: Shape) -> JsonVersion:
        known = before._after(None, shape) if before else None
        return self._once(lambda content: read_version(content, known, shape), (read_version, shape))

    def _once(self, parse: Callable[[bytes], T], known_by: object, *beside: Version) -> T:
        if known_by not in self._parsed or self._parsed[known_by][0] != beside:
            try:
                self._parsed[known_by] = beside, parse(self.content)
            except DocumentError as fault:
                self._parsed[known_by] = beside, fault
        found = self._parsed[known_by][1]
        if isinstance(found, DocumentError):
            raise found.with_traceback(None)  # it would grow with each time that it is raised
        return cast(T, found)


class VersionCache:
    """The versions that were asked for last, of whatever clones, for as long as whoever made it keeps it."""

    def __init__(self, kept_bytes: int = KEPT_BYTES) -> None:
        """Keep as much of files, the last one in any case."""
        self._kept_bytes = kept_bytes
        self._kept: OrderedDict[str, Version] = OrderedDict()
        self._bytes = 0
        self._used_at = time.monotonic()

    def __contains__(self, blob: str) -> bool:
        return blob in self._kept

    def __getitem__(self, blob: str) -> Version:
        self._used_at = time.monotonic()
        self._kept.move_to_end(blob)
        return self._kept[blob]

    def add(self, blob: str, version: Version) -> None:
        """Keep one that is not kept."""
        self._kept[blob] = version
        self._bytes += len(version.content)
        while self._bytes > self._kept_bytes and len(self._kept) > 1:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.content)

    def forget_unused(self, seconds: float) -> None:
        """Let go of all if none was asked for in so many seconds: what rests shall be small."""
        if time.monotonic() - self._used_at > seconds:
            self._kept.clear()
            self._bytes = 0


class Versions:
    """The versions of a clone's files."""

    def __init__(
        self, read_blob: Callable[[str], bytes], *, editable: bool = True, cache: VersionCache | None = None
    ) -> None:
        """Read those of a clone.

        Args:
            read_blob: gives the bytes of a blob by its id.
            editable: that of :class:`Version`.
            cache: where they are kept; of all who share it ``editable`` is the same.
        """
        self._read_blob = read_blob
        self._editable = editable
        self._cache = VersionCache() if cache is None else cache

    def of(self, blob: str) -> Version:
        """The version with this id.

        Raises:
            GitCommandError: the object is missing or damaged.
        """
        if blob not in self._cache:
            self._keep(blob, self._read_blob(blob))
        return self._cache[blob]

    def read_ahead(
        self, blobs: Iterable[str], read_blobs: Callable[[Iterable[str]], Generator[tuple[str, bytes]]]
    ) -> None:
        """Read those of many blobs that are not kept by one stream, and not one by one."""
        missing = [blob for blob in blobs if blob not in self._cache]
        if len(missing) < _MANY:
            return
        with closing(read_blobs(missing)) as coming:
            for blob, content in coming:
                self._keep(blob, content)

    def add(self, content: bytes, made_from: Version | None = None) -> Version:
        """The version of bytes that are about to be written; ``made_from`` as for :class:`Version`."""
        blob = blob_id(content)
        if blob not in self._cache:
            self._keep(blob, content, made_from)
        return self._cache[blob]

    def _keep(self, blob: str, content: bytes, made_from: Version | None = None) -> None:
        self._cache.add(blob, Version(content, blob, editable=self._editable, made_from=made_from))


@contextmanager
def versions_in_order(
    blobs: Iterable[str],
    read_blobs: Callable[[Iterable[str]], Generator[tuple[str, bytes]]],
    read_blob: Callable[[str], bytes],
) -> Iterator[Versions]:
    """The versions of a history, never to be edited, which are asked for in this order: one stream reads ahead.

    Each is kept until the next is asked for. Another one may be asked for in between.

    Args:
        blobs: their ids; one that comes again at once is one.
        read_blobs: gives the bytes of those that are there, each with its id.
        read_blob: of one by its id; it says why one cannot be read.
    """
    wanted = [blob for blob, _ in groupby(blobs)]
    known = frozenset(wanted)  # who looks for another one in the stream has it all behind him
    with closing(read_blobs(wanted)) as coming:

        def read(blob: str) -> bytes:
            met = next((content for id, content in coming if id == blob), None) if blob in known else None
            return read_blob(blob) if met is None else met

        yield Versions(read, editable=False, cache=VersionCache(0))
