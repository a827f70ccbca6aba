"""What a person has changed in the work tree or the index and not committed."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Sequence
from pathlib import PurePosixPath

from refsync.clone.index_entries import Index
from refsync.clone.objects import TreeFile
from refsync.clone.ref_files import pointed_to_by_head
from refsync.clone.repository import Repository
from refsync.errors import DocumentError
from refsync.file_patterns import folder_of, is_pattern, starred

_PATHS_AT_ONCE = 1000
_REGULAR = "100"


def local_edits(repository: Repository, paths: Sequence[str], *, leaving: Collection[str] = ()) -> list[str]:
    """Those of the paths, or of what a pattern means, whose file or index entry is not what the checked-out commit has.

    An untracked or ignored file at a path counts: a landing would overwrite it. So does one, or a symbolic
    link, where a folder of the path should be: a landing would fail on it, or write behind the link. Those
    ``leaving`` make way before. A file with exactly the bytes of the commit is not edited, whatever attributes
    would make of it.
    """
    branch, index = pointed_to_by_head(repository.git_directory), repository.index.read()
    head = repository.commit_of(branch) if branch else None
    meant = (_meant(repository, head, index, path) if is_pattern(path) else [path] for path in paths)
    paths = [each for those in meant for each in those]
    in_the_way = {folder for folder in set(map(folder_of, paths)) if _is_obstructed(repository, folder, leaving)}
    obstructed = [path for path in paths if folder_of(path) in in_the_way]
    edited: list[str] = []
    doubtful = _not_clearly_as_committed(repository, head, index, paths)
    for start in range(0, len(doubtful), _PATHS_AT_ONCE):
        status = repository.run(
            "status",
            "--porcelain=v2",
            "-z",
            "--no-renames",
            "--untracked-files=all",
            "--ignored=matching",
            "--ignore-submodules=all",
            "--",
            *doubtful[start : start + _PATHS_AT_ONCE],
        )
        entries = filter(None, status.output.decode(errors="surrogateescape").split("\0"))
        edited += [path for entry in entries if (path := _edited_path(repository, entry))]
    return list(dict.fromkeys([*obstructed, *edited]))


def _meant(repository: Repository, head: str | None, index: Index | None, pattern: str) -> list[str]:
    """The files that a pattern means, in the commit, the index or the work tree."""
    folder = folder_of(pattern)
    names = os.listdir(repository.path / folder) if (repository.path / folder).is_dir() else ()
    there = (f"{folder}/{name}".lstrip("/") for name in names)
    indexed = index.entries if index else ()
    found = {path for path in (*there, *indexed) if starred(pattern, path) is not None}
    with contextlib.suppress(DocumentError):
        found |= repository.files_meant(head, pattern).keys() if head else set()
    return sorted(found)


def _not_clearly_as_committed(
    repository: Repository, head: str | None, index: Index | None, paths: Sequence[str]
) -> list[str]:
    """Those of the paths of which git has to be asked: file, index and commit are not the same byte for byte."""
    if head is None or index is None:
        return list(paths)
    return [path for path in paths if not _is_as_committed(repository, head, index, path)]


def _is_as_committed(repository: Repository, head: str, index: Index, path: str) -> bool:
    try:
        committed, entry = repository.file_at(head, path), index.entries.get(path)
    except DocumentError:
        return False
    if committed is None or entry is None:
        return committed is None and entry is None and not os.path.lexists(repository.path / path)
    told = entry.mode == committed.mode and entry.blob == committed.blob and not entry.skip_worktree
    return told and committed.is_regular and _is_there(repository, index, path, committed)


def _is_there(repository: Repository, index: Index, path: str, committed: TreeFile) -> bool:
    try:
        found = os.lstat(f"{repository.path}/{path}")
        if not stat.S_ISREG(found.st_mode) or bool(found.st_mode & 0o100) != bool(committed.mode & 0o100):
            return False
        return index.knows(path, found) or repository.work_files.blob_of(repository.path / path) == committed.blob
    except OSError:
        return False


def _edited_path(repository: Repository, entry: str) -> str | None:
    """The path that an entry of git's status is about; ``None`` where git only thinks that it is edited."""
    kind = entry[0]
    if kind in "?!":
        return entry[2:]
    if kind == "u":
        return entry.split(" ", 10)[10]
    _, codes, _, _, mode, mode_there, _, blob, path = entry.split(" ", 8)
    same_mode = mode == mode_there and mode.startswith(_REGULAR)
    return None if codes == ".M" and same_mode and _blob_there(repository, path) == blob else path


def _blob_there(repository: Repository, path: str) -> str | None:
    try:
        return repository.work_files.blob_of(repository.path / path)
    except OSError:
        return None


def _is_obstructed(repository: Repository, folder: str, leaving: Collection[str]) -> bool:
    """Whether something else stands where a folder, or one above it, should be."""
    parents = [part for part in map(str, (PurePosixPath(folder), *PurePosixPath(folder).parents)) if part != "."]
    folders = [repository.path / part for part in parents if part not in leaving]
    return any(os.path.islink(each) or (os.path.exists(each) and not os.path.isdir(each)) for each in folders)
