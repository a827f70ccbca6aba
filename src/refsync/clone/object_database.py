"""Git's objects, read and written in this process by GitPython's object database: it starts no git and reads no config.

What is read is believed for its id only, so that a short or wrong read is impossible. gitdb forces nothing to disk, so
what is written is written here.
"""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import BinaryIO

from git.db import GitDB
from gitdb.db import PackedDB
from gitdb.db.ref import ReferenceDB
from gitdb.util import hex_to_bin, mman

from refsync.clone.objects import GitObject, header_of, object_id
from refsync.durable import flush_folder, make_folder
from refsync.durable_steps import durable_step
from refsync.regular_files import LARGEST_FILE_BYTES
from refsync.scratch import scratch_file

_TEMPORARY = "tmp_obj_"
"""Git, too, clears away what has such a name, one day."""
_in_use = threading.Lock()
"""Gitdb's mappings are those of the whole process, and it guards them by nothing."""


class ObjectDatabase:
    """Reads the objects of one clone, until it is closed."""

    def __init__(self, objects: Path) -> None:
        """Read from this folder, ``.git/objects``, and those that it borrows from."""
        self._database = GitDB(str(objects))

    def read(self, id: str) -> GitObject | None:
        """The object of an id; ``None`` where git has to be asked: it is not there, or damaged."""
        with _in_use:
            try:
                return self._verified(id)
            except Exception:  # gone meanwhile, say: gitdb has no one error for what it cannot read
                return self._verified_anew(id)

    def _verified_anew(self, id: str) -> GitObject | None:
        """Once more, with the packs that have appeared since."""
        try:
            self._database.update_cache(force=True)
            return self._verified(id)
        except Exception:  # git says why
            return None

    def _verified(self, id: str) -> GitObject | None:
        stream = self._database.stream(hex_to_bin(id))
        if stream.size > LARGEST_FILE_BYTES:
            return None  # git says how large it is
        kind, content = stream.type.decode(), stream.read()
        return GitObject(kind, id, content) if object_id(kind, content) == id else None

    def close(self) -> None:
        """Free descriptors and mappings."""
        with _in_use:
            for packs in _packs_of(self._database):
                for entity in packs.entities():
                    entity.close()
            mman.collect()


def _packs_of(database: GitDB | ReferenceDB) -> Iterator[PackedDB]:
    for each in database.databases():
        if isinstance(each, PackedDB):
            yield each
        elif isinstance(each, (GitDB, ReferenceDB)):
            yield from _packs_of(each)


@durable_step("store objects")
def store_durably(objects: Path, new: Iterable[GitObject]) -> None:
    """Write loose objects, on the disk with their names when this ends.

    Raises:
        OSError: they cannot be written; those that are whole stay.
    """
    folders: set[Path] = set()
    with ExitStack() as opened:
        written: list[tuple[BinaryIO, Path]] = []
        for each in new:
            place = objects / each.id[:2] / each.id[2:]
            folders |= _make_room(objects, place)
            if not (place.exists() and _is_kept(place)):
                written.append((opened.enter_context(_written(objects, each)), place))
        for file, _ in written:  # all at once, then all by name: to flush one has most disks bring the others along
            os.fsync(file.fileno())
        for file, place in written:
            os.rename(file.name, place)
    for folder in folders:
        flush_folder(folder)


def _make_room(objects: Path, place: Path) -> set[Path]:
    """See that there is a folder for an object; returns the folders whose names have to be on the disk with it."""
    if place.parent.is_dir():
        return {place.parent, objects} if place.exists() else {place.parent}
    make_folder(place.parent, flush=False)
    return {place.parent, objects}


@contextmanager
def _written(objects: Path, new: GitObject) -> Iterator[BinaryIO]:
    """A file with an object, to be flushed and renamed; gone at the end if it was not."""
    with scratch_file(objects / _TEMPORARY, 0o400 | (objects.stat().st_mode & 0o444)) as file:
        squeeze = zlib.compressobj(zlib.Z_BEST_SPEED)
        for part in (header_of(new.kind, new.content), new.content):
            file.write(squeeze.compress(part))
        file.write(squeeze.flush())
        file.flush()
        yield file


def _is_kept(place: Path) -> bool:
    """Of an object that is there: let no clearing away take it for old, and have it on the disk, whoever wrote it.

    ``False`` where it is another user's, who alone may do that: it is written anew, as git does then.
    """
    try:
        os.utime(place)
        with place.open("rb") as file:
            os.fsync(file.fileno())
    except PermissionError:
        return False
    return True
