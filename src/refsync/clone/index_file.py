"""Git's index, byte by byte: where its entries are, and changing which blobs they have, and what they tell of files.

``git update-index`` could do that only by comparing contents, and would then ask attributes: a file that stands in the
commit with CRLF and is marked ``text`` would seem to be edited for ever.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

_DAMAGED = (ValueError, IndexError, struct.error)
_HEADER = struct.Struct(">4sII")
_TIMES_AND_PLACE = struct.Struct(">6I")
_MODE = struct.Struct(">I")
_OWNER_AND_SIZE = struct.Struct(">3I")
_SIZE = struct.Struct(">I")
_FIXED = struct.Struct(">10I20sH")
_STAT_LENGTH, _SIZE_AT, _CHECKSUM_LENGTH = 40, 36, 20
_EXTENDED, _STAGE, _NAME_LENGTH, _SKIP_WORKTREE = 0x4000, 0x3000, 0x0FFF, 0x40
_WORD = 0xFFFFFFFF


class Blob(NamedTuple):
    """What an entry is about: git's octal mode (``0o100644``) and the blob's id."""

    mode: int
    id: str


class IndexEntry(NamedTuple):
    """What is said of a path.

    ``told`` is of the file that was seen to be the blob, as of :func:`told_of`;
    ``skip_worktree``: the work tree of a sparse clone leaves it out.
    """

    mode: int
    blob: str
    told: tuple[int, ...]
    skip_worktree: bool


class _Entry(NamedTuple):
    position: int
    path: bytes
    flags: int
    end: int

    @property
    def stage(self) -> int:
        return self.flags & _STAGE


def read_entries(index: bytes) -> dict[str, IndexEntry] | None:
    """The entries by their paths.

    Args:
        index: the content of git's index file.

    Returns:
        ``None`` where git has to be asked: it is damaged, in the middle of a merge, or of a kind that has other entries
        than one for each file (split, or with folders).
    """
    try:
        entries = list(_entries(index))
        read = {os.fsdecode(entry.path): _read(index, entry) for entry in entries}
    except _DAMAGED:
        return None
    extensions = _extensions(index, entries)
    if not _is_known(index) or extensions is None or not all(name[:1].isupper() for name in extensions):
        return None  # an extension in lower case has to be understood
    return None if any(entry.stage for entry in entries) else read


def _read(index: bytes, entry: _Entry) -> IndexEntry:
    *times_and_place, mode, user, group, size, blob, _ = _FIXED.unpack_from(index, entry.position)
    skips = entry.flags & _EXTENDED and index[entry.position + _FIXED.size] & _SKIP_WORKTREE
    return IndexEntry(mode, blob.hex(), (*times_and_place, user, group, size), bool(skips))


def with_stats(index: bytes, stats: Mapping[bytes, os.stat_result]) -> bytes:
    """The index with what the file system says of these files in their entries.

    An index that keeps its entries elsewhere (a split one) comes back as it is: git looks at the files itself then.

    Args:
        index: the content of git's index file.
        stats: by path, what ``lstat`` says.
    """
    return _changed(index, stats, lambda told, entry: _tell(told, entry.position, stats[entry.path]))


def with_doubts(index: bytes, paths: Collection[bytes]) -> bytes:
    """The index, whose entries of these paths have no size any more: git looks at such a file again.

    So does git itself where a file may have changed after its entry was written without a sign, which only the time of
    the index has told so far.

    Args:
        index: the content of git's index file, of a kind that is known.
        paths: of the entries.
    """
    return _changed(index, paths, lambda told, entry: _SIZE.pack_into(told, entry.position + _SIZE_AT, 0))


def _changed(index: bytes, paths: Collection[bytes], change: Callable[[bytearray, _Entry], None]) -> bytes:
    """The index with the entries of these paths changed in place; outside of a merge each has one."""
    if not paths:
        return index
    changed = bytearray(index)
    for entry in _entries(index):
        if entry.stage == 0 and entry.path in paths:
            change(changed, entry)
    return bytes(changed[:-_CHECKSUM_LENGTH]) + _checksum(index, changed[:-_CHECKSUM_LENGTH])


def with_blobs(index: bytes, blobs: Mapping[bytes, Blob]) -> bytes | None:
    """The index with other blobs in entries that it has, of which nothing is told about their files.

    Git's notes on whole folders (``TREE``) are left out: it makes them anew when it needs them.

    Args:
        index: the content of git's index file.
        blobs: by path.

    Returns:
        ``None`` where only git can do it: a path has no entry, or a marked one, or the index is damaged, or more than
        entries stands in it.
    """
    try:
        entries = list(_entries(index))
    except _DAMAGED:
        return None
    plain = {entry.path: entry.position for entry in entries if not entry.flags & ~_NAME_LENGTH}
    if not blobs.keys() <= plain.keys() or not _has_entries_only(index, entries):
        return None
    changed = bytearray(index[: _end_of(entries)])
    for path, blob in blobs.items():
        _change(changed, plain[path], blob)
    return bytes(changed) + _checksum(index, changed)


def _change(index: bytearray, position: int, blob: Blob) -> None:
    index[position : position + _STAT_LENGTH] = bytes(_STAT_LENGTH)
    _MODE.pack_into(index, position + _TIMES_AND_PLACE.size, blob.mode)
    index[position + _STAT_LENGTH : position + _FIXED.size - 2] = bytes.fromhex(blob.id)


def _has_entries_only(index: bytes, entries: Sequence[_Entry]) -> bool:
    """Whether nothing stands behind the entries but notes on whole folders, and all is as it was written."""
    is_whole = index[-_CHECKSUM_LENGTH:] == _checksum(index, index[:-_CHECKSUM_LENGTH])
    return is_whole and _extensions(index, entries) in ([], [b"TREE"])


def _checksum(before: bytes, content: bytes | bytearray) -> bytes:
    """What stands at the end of an index with this content, if it is made of another one."""
    there = before[-_CHECKSUM_LENGTH:]  # a setting of git's leaves it out
    return hashlib.sha1(content, usedforsecurity=False).digest() if any(there) else there


def _tell(index: bytearray, position: int, stat: os.stat_result) -> None:
    told = told_of(stat)
    _TIMES_AND_PLACE.pack_into(index, position, *told[:6])
    _OWNER_AND_SIZE.pack_into(index, position + _STAT_LENGTH - _OWNER_AND_SIZE.size, *told[6:])


def told_of(stat: os.stat_result) -> tuple[int, ...]:
    """What an entry tells of its file, by its ``lstat``: times of inode and content, device, inode, owners, size."""
    times = [part for time in (stat.st_ctime_ns, stat.st_mtime_ns) for part in divmod(time, 10**9)]
    found = (*times, stat.st_dev, stat.st_ino, stat.st_uid, stat.st_gid, stat.st_size)
    return tuple([number & _WORD for number in found])


def _entries(index: bytes) -> Iterator[_Entry]:
    """The entries in their order; none of an index of an unknown kind. One of ``_DAMAGED`` comes of a damaged one."""
    if not _is_known(index):
        return
    _, version, count = _HEADER.unpack_from(index)
    position, path = _HEADER.size, b""
    for _ in range(count):
        flags = int.from_bytes(index[position + _FIXED.size - 2 : position + _FIXED.size])
        name = position + _FIXED.size + (2 if flags & _EXTENDED else 0)
        if version == 4:
            cut, name = _number(index, name)
            kept = path[: len(path) - cut]
        else:
            kept = b""
        end = index.index(b"\0", name)
        path = kept + index[name:end]
        after = end + 1 if version == 4 else position + (end - position) // 8 * 8 + 8
        yield _Entry(position, path, flags, after)
        position = after


def _is_known(index: bytes) -> bool:
    """Whether it is of a kind whose entries can be read here."""
    if len(index) < _HEADER.size:
        return False
    signature, version, _ = _HEADER.unpack_from(index)
    return signature == b"DIRC" and version in (2, 3, 4)


def _extensions(index: bytes, entries: Sequence[_Entry]) -> list[bytes] | None:
    """What stands behind all its entries, by its names; ``None`` of a damaged one."""
    names: list[bytes] = []
    position, end = _end_of(entries), len(index) - _CHECKSUM_LENGTH
    while position < end:
        names.append(index[position : position + 4])
        position += 8 + int.from_bytes(index[position + 4 : position + 8])
    return names if position == end else None


def _end_of(entries: Sequence[_Entry]) -> int:
    return entries[-1].end if entries else _HEADER.size


def _number(index: bytes, position: int) -> tuple[int, int]:
    """A number of variable length, as git writes it, and where it ends."""
    value = index[position] & 0x7F
    while index[position] & 0x80:
        position += 1
        value = ((value + 1) << 7) | (index[position] & 0x7F)
    return value, position + 1
