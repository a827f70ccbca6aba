"""The files of a commit, written beside the places where they will stand, and the index that belongs to them.

They come from blobs as they are: no filter, line end or other attribute is asked. All that can fail for good fails
here, before anything moves.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import time
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

from refsync.clone.differences import Difference
from refsync.clone.index_entries import Index
from refsync.clone.index_file import Blob, with_blobs, with_doubts, with_stats
from refsync.clone.journal import Landing, PlannedFile, identity_of, new_name
from refsync.clone.repository import Repository
from refsync.durable import flush_folder
from refsync.durable_steps import durable_step
from refsync.errors import LandingRefusedError
from refsync.plain_text import shortened
from refsync.scratch import made_mode

_OFFLINE = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}
"""Under git's lock nothing is fetched: a partial clone would do so by itself. The first is for git before 2.44."""
_RACE_NS = 2_000_000_000


def plan_files(repository: Repository, differences: Sequence[Difference]) -> tuple[PlannedFile, ...]:
    """What a landing has to do in the work tree: what it removes first, since a folder may go where a file was.

    Raises:
        LandingRefusedError: something stands where a file should go, or its name is too long.
    """
    shown = [each for each in differences if not each.hidden]
    leaving = {each.path for each in shown if each.removed or each.is_folder}
    return tuple(_planned(repository, each, leaving) for each in sorted(shown, key=lambda each: not each.removed))


def _planned(repository: Repository, difference: Difference, leaving: Collection[str]) -> PlannedFile:
    target = repository.path / difference.path
    with refusing(repository, difference.path):
        found = identity_of(target)
    file = PlannedFile(difference.path, difference.new_mode, difference.new_blob, found=found)
    if found is not None and _is_folder(target):
        _refuse_folder(repository, difference, leaving)
        file = replace(file, found=None)
    folder = _folder_for(repository, target)
    if file.found is not None:
        stays = repository.path if difference.removed else folder  # the folder may have to go, too
        file = replace(file, kept=str((stays / new_name()).relative_to(repository.path)))
    if difference.removed or difference.is_folder:
        return file
    return replace(file, staged=str((folder / new_name()).relative_to(repository.path)))


def _refuse_folder(repository: Repository, difference: Difference, leaving: Collection[str]) -> None:
    """A folder makes way for a file only if nothing is left in it, and stays as it is for a submodule."""
    target = repository.path / difference.path
    if difference.is_folder or difference.removed:
        return
    inside = (str(each.relative_to(repository.path)) for each in target.rglob("*") if not _is_folder(each))
    if left := next((each for each in inside if each not in leaving), None):
        raise LandingRefusedError(
            f"{repository.path}: {difference.path} comes where a folder stands that holds {left}; move that away"
        )


def _folder_for(repository: Repository, target: Path) -> Path:
    """Where a file is staged: in its folder; as long as there is none, in the nearest one above."""
    folder = target.parent
    while folder != repository.path and not _is_folder(folder):
        folder = folder.parent
    return folder


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


@durable_step("stage the files")
def stage_files(repository: Repository, files: Iterable[PlannedFile]) -> None:
    """Write the new files, whole, under names of their own, and keep a link to the old ones.

    Raises:
        LandingRefusedError: one of them cannot be written.
        GitCommandError: its content is missing.
    """
    for file in files:
        if file.staged:
            stage_file(repository, file)
    for file in files:
        if file.kept:
            with refusing(repository, file.path):
                _keep(repository.path / file.path, repository.path / file.kept)
    for folder in {(repository.path / name).parent for file in files for name in (file.staged, file.kept) if name}:
        flush_folder(folder)


def stage_file(repository: Repository, file: PlannedFile) -> None:
    """Write one new file, and force it to disk.

    Raises:
        LandingRefusedError: it cannot be written.
        GitCommandError: its content is missing.
    """
    assert file.staged
    content = repository.read_blob(file.blob)
    staged, target = repository.path / file.staged, repository.path / file.path
    with refusing(repository, file.path):
        if file.mode == "120000":
            staged.symlink_to(os.fsdecode(content))
            return
        descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        with os.fdopen(descriptor, "wb") as written:
            os.fchmod(descriptor, _mode(target, staged.parent, executable=file.mode == "100755"))
            written.write(content)
            written.flush()
            if b"\r" in content:
                _set_back(descriptor)
            os.fsync(descriptor)


def _set_back(descriptor: int) -> None:
    """Let git believe its index that a file is not edited: in the second of the change it would look, with attributes.

    Those may make other line ends of it, and then it would be told as edited for ever.
    """
    then = time.time_ns() - _RACE_NS
    os.utime(descriptor, ns=(then, then))


def _mode(target: Path, folder: Path, *, executable: bool) -> int:
    """Who may read and write stays as it is, a group for one; whether it is executable is the commit's to say."""
    if target.is_symlink() or not target.is_file():
        return made_mode(folder, executable=executable)
    mode = stat.S_IMODE(target.stat().st_mode) & ~0o111
    return mode | ((mode & 0o444) >> 2 if executable else 0)


def _keep(target: Path, kept: Path) -> None:
    try:
        os.link(target, kept, follow_symlinks=False)
    except PermissionError:  # the kernel may forbid links to the files of others
        shutil.copy2(target, kept, follow_symlinks=False)


@durable_step("stage the index")
def stage_index(repository: Repository, landing: Landing, differences: Sequence[Difference]) -> None:
    """Change the landed paths' entries in a copy of the index: what else is staged stays.

    Raises:
        LandingRefusedError: it cannot be written.
        GitCommandError: git takes one of the paths for none.
    """
    index, staged = repository.git_directory / "index", repository.git_directory / landing.index
    with refusing(repository, "the index"):
        content, known = _content(index), repository.index.read()
        changed = _changed_in_place(content, differences) if content and known else None
        if changed and known:
            _write_index(with_doubts(changed, _in_doubt(repository, known)), staged, like=index)
        elif content is not None:
            _write_index(content, staged, like=index)
            times = index.stat()
            os.utime(staged, ns=(times.st_atime_ns, times.st_mtime_ns))  # by which git knows what it has to look at
    if changed:
        return
    environment = {"GIT_INDEX_FILE": str(staged)} | _OFFLINE
    removed_first = sorted(differences, key=lambda item: not item.removed)  # a folder may go where a file was
    entries = _lines(f"{item.new_mode} {item.new_blob}\t{item.path}" for item in removed_first)
    hidden = _lines(item.path for item in differences if item.hidden and not item.removed)
    repository.run("update-index", "-z", "--index-info", stdin=entries, environment=environment)
    if hidden:
        repository.run("update-index", "-z", "--skip-worktree", "--stdin", stdin=hidden, environment=environment)


def _in_doubt(repository: Repository, index: Index) -> frozenset[bytes]:
    """The paths of which an index that is written now has to say that git should look again."""
    doubted = (
        path
        for path, entry in index.in_doubt()
        if not repository.work_files.is_still(repository.path / path, entry.blob)
    )
    return frozenset(map(os.fsencode, doubted))


def _changed_in_place(index: bytes, differences: Sequence[Difference]) -> bytes | None:
    """The index with the new blobs, ``None`` where only git knows how."""
    if any(each.removed or each.is_folder or each.hidden for each in differences):
        return None
    return with_blobs(
        index, {os.fsencode(each.path): Blob(int(each.new_mode, 8), each.new_blob) for each in differences}
    )


@durable_step("tell the index of the files")
def finish_index(repository: Repository, landing: Landing) -> None:
    """Tell the staged index of the files that have been put in place, and force it to disk."""
    staged = repository.git_directory / landing.index
    placed = {os.fsencode(file.path): repository.path / file.path for file in landing.files if file.staged}
    stats = {path: file.lstat() for path, file in placed.items() if os.path.lexists(file)}
    told = with_stats(staged.read_bytes(), stats)
    with staged.open("r+b") as index:
        index.write(told)
        index.flush()
        os.fsync(index.fileno())


@durable_step("remove what was staged")
def remove_staged(repository: Repository, landing: Landing) -> None:
    """Remove what was staged and kept and is not in place."""
    names = [name for file in landing.files for name in (file.staged, file.kept) if name]
    index = repository.git_directory / landing.index
    for path in [*(repository.path / name for name in names), *([index, lock_of(index)] if landing.index else [])]:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError):
            path.unlink()


def lock_of(index: Path) -> Path:
    """The lock that git takes to write this index."""
    return index.with_name(f"{index.name}.lock")


@contextlib.contextmanager
def refusing(repository: Repository, what: str) -> Iterator[None]:
    """Tell what the file system refuses meanwhile as a refusal of the landing."""
    try:
        yield
    except OSError as problem:
        raise LandingRefusedError(
            f"{repository.path}: {shortened(what)} cannot be written: {problem.strerror}; mend that, and refsync goes "
            "on by itself"
        ) from None


def _content(index: Path) -> bytes | None:
    try:
        return index.read_bytes()
    except FileNotFoundError:
        return None


def _write_index(content: bytes, staged: Path, *, like: Path) -> None:
    descriptor = os.open(staged, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as written:
        os.fchmod(descriptor, stat.S_IMODE(like.stat().st_mode))
        written.write(content)


def _lines(texts: Iterable[str]) -> bytes:
    """Lines for a git command that takes them with ``-z``."""
    return "".join(f"{text}\0" for text in texts).encode(errors="surrogateescape")
