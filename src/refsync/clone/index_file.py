"""Git's index, byte by byte: where its entries are, and changing which blobs they have, and what they tell of files.

``git update-index`` could do that only by comparing contents, and would then ask attributes: a file that stands in the
commit with CRLF and is marked ``text`` would seem to be edited for ever.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import NamedTuple

DAMAGED = (ValueError, IndexError, struct.error)
_HEADER = struct.Struct(">4sII")
_TIMES_AND_PLACE = struct.Struct(">6I")
_MODE = struct.Struct(">I")
_OWNER_AND_SIZE = struct.Struct(">3I")
_SIZE = struct.Struct(">I")
_STAT_LENGTH, _FIXED_LENGTH, _CHECKSUM_LENGTH = 40, 62, 20
_EXTENDED, _STAGE, _NAME_LENGTH = 0x4000, 0x3000, 0x0FFF
_WORD = 0xFFFFFFFF


class Blob(NamedTuple):
    """What an entry is about: git's octal mode (``0o100644``) and the blob's id."""

    mode: int
    id: str


class IndexEntry(NamedTuple):
    """What an index says of a path.

    ``looked_at`` is the file as git saw it when it was known to be the blob, see :func:`as_looked_at`;
    ``skip_worktree``: the work tree of a sparse clone leaves it out.
    """

    mode: int
    blob: str
    looked_at: tuple[int, ...]
    skip_worktree: bool


class Entry(NamedTuple):
    """Where an entry stands in an index, its path, its flags, and where it ends."""

    position: int
    path: bytes
    flags: int
    end: int

    @property
    def stage(self) -> int:
        """Which side of a merge it is of; 0 outside of one."""
        return self.flags & _STAGE

    @property
    def has_more_flags(self) -> bool:
        """Whether it has flags that not every version of an index knows."""
        return bool(self.flags & _EXTENDED)


def with_stats(index: bytes, stats: Mapping[bytes, os.stat_result]) -> bytes:
    """The index with what the file system says of these files in their entries.

    An index that keeps its entries elsewhere (a split one) comes back as it is: git looks at the files itself then.

    Args:
        index: the content of git's index file.
        stats: by path, what ``lstat`` says.
    """
    told = bytearray(index)
    for entry in entries_of(index):
        if entry.stage == 0 and entry.path in stats:
            _tell(told, entry.position, stats[entry.path])
    return bytes(told[:-_CHECKSUM_LENGTH]) + _checksum(index, told[:-_CHECKSUM_LENGTH])


def with_doubts(index: bytes, paths: Collection[bytes]) -> bytes:
    """The index, whose entries of these paths have no size any more: git looks at such a file again.

    So does git itself where a file may have changed after its entry was written without a sign, which only the time of
    the index has told so far.

    Args:
        index: the content of git's index file, of a kind that is known.
        paths: of the entries.
    """
    if not paths:
        return index
    doubted = bytearray(index)
    for entry in entries_of(index):
        if entry.path in paths:
            _SIZE.pack_into(doubted, entry.position + _STAT_LENGTH - _SIZE.size, 0)
    return bytes(doubted[:-_CHECKSUM_LENGTH]) + _checksum(index, doubted[:-_CHECKSUM_LENGTH])


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
        entries = list(entries_of(index))
    except DAMAGED:
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
    index[position + _STAT_LENGTH : position + _FIXED_LENGTH - 2] = bytes.fromhex(blob.id)


def _has_entries_only(index: bytes, entries: Sequence[Entry]) -> bool:
    """Whether nothing stands behind the entries but notes on whole folders, and all is as it was written."""
    is_whole = index[-_CHECKSUM_LENGTH:] == _checksum(index, index[:-_CHECKSUM_LENGTH])
    return is_whole and extensions_of(index, entries) in ([], [b"TREE"])


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


def entries_of(index: bytes) -> Iterator[Entry]:
    """The entries in their order; none of an index of an unknown kind. One of ``DAMAGED`` comes of a damaged one."""
    if not is_known(index):
        return
    _, version, count = _HEADER.unpack_from(index)
    position, path = _HEADER.size, b""
    for _ in range(count):
        flags = int.from_bytes(index[position + _FIXED_LENGTH - 2 : position + _FIXED_LENGTH])
        name = position + _FIXED_LENGTH + (2 if flags & _EXTENDED else 0)
        if version == 4:
            cut, name = _number(index, name)
            kept = path[: len(path) - cut]
        else:
            kept = b""
        end = index.index(b"\0", name)
        path = kept + index[name:end]
        after = end + 1 if version == 4 else position + (end - position) // 8 * 8 + 8
        yield Entry(position, path, flags, after)
        position = after


def is_known(index: bytes) -> bool:
    """Whether it is of a kind whose entries can be read here."""
    if len(index) < _HEADER.size:
        return False
    signature, version, _ = _HEADER.unpack_from(index)
    return signature == b"DIRC" and version in (2, 3, 4)


def extensions_of(index: bytes, entries: Sequence[Entry]) -> list[bytes] | None:
    """What stands behind all its entries, by its names; ``None`` of a damaged one."""
    names: list[bytes] = []
    position, end = _end_of(entries), len(index) - _CHECKSUM_LENGTH
    while position < end:
        names.append(index[position : position + 4])
        position += 8 + int.from_bytes(index[position + 4 : position + 8])
    return names if position == end else None


def _end_of(entries: Sequence[Entry]) -> int:
    return entries[-1].end if entries else _HEADER.size


def _number(index: bytes, position: int) -> tuple[int, int]:
    """A number of variable length, as git writes it, and where it ends."""
    value = index[position] & 0x7F
    while index[position] & 0x80:
        position += 1
        value = ((value + 1) << 7) | (index[position] & 0x7F)
    return value, position + 1
