"""Telling git's index that the files just put in place are those of its entries.

``git update-index`` could do so only by comparing contents, and would then ask attributes: a file that stands in the
commit with CRLF and is marked ``text`` would seem to be edited for ever.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

_HEADER = struct.Struct(">4sII")
_TIMES_AND_PLACE = struct.Struct(">6I")
_OWNER_AND_SIZE = struct.Struct(">3I")
_STAT_LENGTH, _FIXED_LENGTH, _CHECKSUM_LENGTH = 40, 62, 20
_EXTENDED, _STAGE = 0x4000, 0x3000
_WORD = 0xFFFFFFFF


class _Entry(NamedTuple):
    position: int
    path: bytes
    stage: int


def with_stats(index: bytes, stats: Mapping[bytes, os.stat_result]) -> bytes:
    """The index with what the file system says of these files in their entries.

    An index that keeps its entries elsewhere (a split one) comes back as it is: git looks at the files itself then.

    Args:
        index: the content of git's index file.
        stats: by path, what ``lstat`` says.
    """
    told = bytearray(index)
    for entry in _entries(index):
        if entry.stage == 0 and entry.path in stats:
            _tell(told, entry.position, stats[entry.path])
    content, checksum = told[:-_CHECKSUM_LENGTH], told[-_CHECKSUM_LENGTH:]
    if any(checksum):  # a setting of git's leaves it out
        checksum = bytearray(hashlib.sha1(content, usedforsecurity=False).digest())
    return bytes(content + checksum)


def _tell(index: bytearray, position: int, stat: os.stat_result) -> None:
    times = (stat.st_ctime_ns, stat.st_mtime_ns)
    seconds = [part for time in times for part in (time // 10**9, time % 10**9)]
    place = [number & _WORD for number in (*seconds, stat.st_dev, stat.st_ino)]
    _TIMES_AND_PLACE.pack_into(index, position, *place)
    owner = [number & _WORD for number in (stat.st_uid, stat.st_gid, stat.st_size)]
    _OWNER_AND_SIZE.pack_into(index, position + _STAT_LENGTH - _OWNER_AND_SIZE.size, *owner)


def _entries(index: bytes) -> Iterator[_Entry]:
    """The entries in their order; none of an index of an unknown kind."""
    if len(index) < _HEADER.size:
        return
    signature, version, count = _HEADER.unpack_from(index)
    if signature != b"DIRC" or version not in (2, 3, 4):
        return
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
        yield _Entry(position, path, flags & _STAGE)
        position = end + 1 if version == 4 else position + (end - position) // 8 * 8 + 8


def _number(index: bytes, position: int) -> tuple[int, int]:
    """A number of variable length, as git writes it, and where it ends."""
    value = index[position] & 0x7F
    while index[position] & 0x80:
        position += 1
        value = ((value + 1) << 7) | (index[position] & 0x7F)
    return value, position + 1
