"""Refs as git keeps them: in a file each, or all in ``packed-refs``. No git is started for them."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from refsync.durable import flush_folder, make_folder

_ID = re.compile(r"[0-9a-f]{40}")
_POINTS_TO = "ref: "


def pointed_to_by_head(git_directory: Path) -> str | None:
    """The full name of the branch that ``HEAD`` shows; ``None`` where it is detached, or names none."""
    try:
        head = os.fsdecode((git_directory / "HEAD").read_bytes()).strip()
    except FileNotFoundError:
        return None
    return head.removeprefix(_POINTS_TO).strip() if head.startswith(_POINTS_TO) else None


def read_ref(common_directory: Path, ref: str) -> str | None:
    """The id that a ref (its full name) stands at; ``None`` where there is none, or one that only git understands."""
    try:
        found = os.fsdecode((common_directory / ref).read_bytes()).strip()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return dict(_packed(common_directory, ref)).get(ref)
    except OSError:  # git says better why
        return None
    return found if _ID.fullmatch(found) else None


def is_empty(file: Path) -> bool:
    """Whether the file of a ref is there and has nothing in it, as a power cut leaves it."""
    try:
        return file.stat().st_size == 0
    except OSError:
        return False


def last_of_reflog(log: Path) -> str | None:
    """The commit that a ref was brought to last, as its log tells."""
    try:
        lines = log.read_bytes().splitlines()
    except OSError:
        return None
    words = lines[-1].split(b" ", 2) if lines else []
    return words[1].decode(errors="replace") if len(words) > 2 else None


def write_ref(common_directory: Path, ref: str, id: str) -> None:
    """Let a ref stand at an id, in the way of git: under the lock that its own commands take, too.

    Raises:
        OSError: somebody else holds the lock, or it cannot be written.
    """
    file = common_directory / ref
    with _locked(file) as lock:
        lock.write(f"{id}\n".encode())
        lock.flush()
        os.fsync(lock.fileno())
        os.replace(lock.name, file)
    flush_folder(file.parent)


def flush_name_of(common_directory: Path, ref: str) -> None:
    """Have on the disk where a ref stands that git has written: git itself forces the file there, not its name."""
    folder = (common_directory / ref).parent
    while folder != common_directory / "refs":
        if folder.is_dir():  # else it is packed
            flush_folder(folder)
        folder = folder.parent


def delete_ref(common_directory: Path, ref: str) -> bool:
    """Delete a ref that is a file; ``False`` where it is packed: only git can take it out of there.

    Raises:
        OSError: as above.
    """
    file = common_directory / ref
    with _locked(file):
        if ref in dict(_packed(common_directory, ref)):
            return False
        file.unlink(missing_ok=True)
    return True  # not forced to disk: a ref that comes back after a power cut is deleted again


@contextlib.contextmanager
def _locked(file: Path) -> Iterator[BinaryIO]:
    """Hold the lock that git takes to write this ref; it is a file that may become the ref's."""
    path = file.with_name(f"{file.name}.lock")
    make_folder(path.parent)
    with open(path, "xb") as lock:
        try:
            os.fchmod(lock.fileno(), 0o600 | (file.parent.stat().st_mode & 0o666))
            yield lock
        finally:
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(path.stat(), os.fstat(lock.fileno())):  # else it is the next one's by now
                    path.unlink()


def refs_under(common_directory: Path, prefix: str) -> list[str]:
    """The names of all refs below a prefix that ends with a slash."""
    packed = (name for name, _ in _packed(common_directory, prefix))
    return sorted({*_loose(common_directory, prefix), *packed})


def _loose(common_directory: Path, prefix: str) -> Iterator[str]:
    for folder, _, names in os.walk(common_directory / prefix):
        for path in (os.path.join(folder, name) for name in names if not name.endswith(".lock")):
            if os.path.isfile(path):
                yield os.path.relpath(path, common_directory)


def _packed(common_directory: Path, prefix: str) -> Iterator[tuple[str, str]]:
    """Names that begin so, and ids; a line of another kind is a comment, or tells what a tag points to."""
    try:
        content = os.fsdecode((common_directory / "packed-refs").read_bytes())
    except FileNotFoundError:
        return
    for line in content.split("\n") if f" {prefix}" in content else ():
        id, _, name = line.partition(" ")
        if name.startswith(prefix) and _ID.fullmatch(id):
            yield name, id
