"""The file of a backup: a tar archive that begins with a list of what is in it, each with its size and checksum.

::

    manifest.json                         the list, and what it was made from
    refsync.toml                          the config, for people; it is never put back
    queue.db                              the store, where it is a file
    repositories/NAME/meta/...            a repository's metadata
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import tarfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from pydantic import BaseModel, ValidationError

from refsync.durable import flush_folder
from refsync.errors import RequestError

FORMAT = 1
MANIFEST = "manifest.json"
STORE = "queue.db"
CONFIG = "refsync.toml"
REPOSITORIES = "repositories"
_NAME = re.compile(r"queue\.db|refsync\.toml|repositories/(?!\.)[^/\0]+/meta/(?:(?:legacy|v2)/)?(?!\.)[^/\0]+\.json")
_LONGEST_MANIFEST = 1 << 24
_CHUNK = 1 << 20
_MODE = 0o600


class Packed(BaseModel):
    """A file in the archive."""

    name: str
    size: int
    sha256: str


class Manifest(BaseModel):
    """What an archive holds; ``store_version``, ``changes`` and ``batches`` are ``None`` where it has no store."""

    format: int = FORMAT
    made_at: float
    refsync: str
    store_version: str | None
    changes: int | None
    batches: int | None
    repositories: list[str]
    files: list[Packed]


def packed(folder: Path) -> list[Packed]:
    """The list of every file under a folder."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file())
    return [Packed(name=str(path.relative_to(folder)), size=path.stat().st_size, sha256=_sum(path)) for path in paths]


def write_archive(folder: Path, manifest: Manifest, target: Path) -> None:
    """Write an archive of the listed files under a folder to a new file, flushed."""
    with open(target, "xb", opener=lambda path, flags: os.open(path, flags, _MODE)) as file:
        os.fchmod(file.fileno(), _MODE)
        with tarfile.open(fileobj=file, mode="w") as archive:
            listed = manifest.model_dump_json(indent=2).encode()
            archive.addfile(_member(MANIFEST, len(listed)), io.BytesIO(listed))
            for each in manifest.files:
                with (folder / each.name).open("rb") as content:
                    archive.addfile(_member(each.name, each.size), content)
        file.flush()
        os.fsync(file.fileno())


def read_manifest(file: Path) -> Manifest:
    """What an archive says that it holds.

    Raises:
        RequestError: it is no backup, or one that a newer refsync has made.
        OSError: it cannot be read.
    """
    with file.open("rb") as opened:
        try:
            with tarfile.open(fileobj=opened, mode="r:") as archive:
                return _manifest(file, archive)
        except (tarfile.TarError, EOFError) as error:
            raise _damaged(file, str(error)) from None


def unpack(file: Path, folder: Path) -> Manifest:
    """Put what an archive holds into a folder, flushed, and compare all of it with the list.

    Raises:
        RequestError: it is no backup, a damaged one, or one that a newer refsync has made.
        OSError: it cannot be read, or the folder not be written.
    """
    with file.open("rb") as opened:
        try:
            with tarfile.open(fileobj=opened, mode="r:") as archive:
                manifest = _manifest(file, archive)
                _unpack_all(file, archive, manifest.files, folder)
        except (tarfile.TarError, EOFError) as error:
            raise _damaged(file, str(error)) from None
    for place in (folder, *(path for path in folder.rglob("*") if path.is_dir())):
        flush_folder(place)
    return manifest


def _manifest(file: Path, archive: tarfile.TarFile) -> Manifest:
    first = archive.next()
    if first is None or first.name != MANIFEST or not first.isreg() or first.size > _LONGEST_MANIFEST:
        raise _damaged(file, f"it does not begin with {MANIFEST}")
    try:
        content = _content(archive, first).read()
        found = json.loads(content)["format"]
        if isinstance(found, int) and found > FORMAT:
            raise RequestError(f"{file} is a backup of format {found}, this refsync knows {FORMAT}: upgrade refsync")
        manifest = Manifest.model_validate_json(content)
    except (ValidationError, ValueError, KeyError, TypeError, RecursionError) as error:
        if isinstance(error, RequestError):
            raise
        raise _damaged(file, f"its {MANIFEST} cannot be understood") from None
    if strange := [each.name for each in manifest.files if not _NAME.fullmatch(each.name)]:
        raise _damaged(file, f"it holds {strange[0]!r}, which has no place here")
    return manifest


def _unpack_all(file: Path, archive: tarfile.TarFile, listed: Sequence[Packed], folder: Path) -> None:
    left = {each.name: each for each in listed}
    while member := archive.next():
        each = left.pop(member.name, None)
        if each is None or not member.isreg() or member.size != each.size:
            raise _damaged(file, f"{member.name!r} is not what its list says")
        target = folder / each.name
        target.parent.mkdir(parents=True, exist_ok=True)
        if _copied(_content(archive, member), target) != each.sha256:
            raise _damaged(file, f"{member.name!r} does not have its checksum")
    if left:
        raise _damaged(file, f"{min(left)!r} is missing")


def _content(archive: tarfile.TarFile, member: tarfile.TarInfo) -> IO[bytes]:
    content = archive.extractfile(member)
    assert content is not None  # of a regular file there is one
    return content


def _copied(content: IO[bytes], target: Path) -> str:
    """Copy to a new file, flushed; gives the checksum."""
    digest = hashlib.sha256()
    with open(target, "xb") as file:
        while chunk := content.read(_CHUNK):
            digest.update(chunk)
            file.write(chunk)
        file.flush()
        os.fsync(file.fileno())
    return digest.hexdigest()


def _member(name: str, size: int) -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.size, member.mode, member.mtime = size, _MODE, int(time.time())
    return member


def _sum(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _damaged(file: Path, why: str) -> RequestError:
    return RequestError(f"{file} is no backup of refsync, or a damaged one: {why}; take another one")
