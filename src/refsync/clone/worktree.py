"""Bringing branch, files and index forward together, under git's own lock.

While ``.git/index.lock`` exists, a person's git waits or refuses, so that nobody can commit an index that
does not belong to the branch. The lock is a hard link to ``.git/refsync-landing``, a journal that says what
is being landed and is locked by the living process: after a crash the next pass knows its own lock again
and finishes or forgets the landing.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import shutil
import stat
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from refsync.clone.repository import Repository
from refsync.durable import flush_folder
from refsync.errors import GitBusyError, LocalEditsError

JOURNAL = "refsync-landing"
_STAGED_INDEX = "refsync-index"
_STAGED_FILE = "refsync-file"
_LOCK_PATIENCE_SECONDS = 1.0
_LOCK_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class IndexLock:
    """The proof that this process holds ``.git/index.lock``; see :func:`index_locked`."""

    repository: Repository
    journal: BinaryIO


@dataclass(frozen=True)
class _Landing:
    """What moves branch, files and index from one commit to another asks for this: it is made under the lock only."""

    repository: Repository
    old: str
    new: str


@dataclass(frozen=True)
class _Difference:
    path: str
    old_blob: str
    new_blob: str
    new_mode: str

    @property
    def removed(self) -> bool:
        return self.new_mode == "000000"


def local_edits(repository: Repository, paths: Sequence[str]) -> list[str]:
    """Those of the paths whose file or index entry is not what the checked-out commit has.

    An untracked or ignored file at a path counts: a landing would overwrite it. So does one, or a symbolic
    link, where a folder of the path should be: a landing would fail on it, or write behind the link.
    """
    if not paths:
        return []
    obstructed = [path for path in paths if _is_obstructed(repository, path)]
    status = repository.run(
        "status",
        "--porcelain=v1",
        "-z",
        "--no-renames",
        "--untracked-files=all",
        "--ignored=matching",
        "--ignore-submodules=all",
        "--",
        *paths,
    )
    edited = [entry[3:] for entry in status.output.decode(errors="surrogateescape").split("\0") if entry]
    return list(dict.fromkeys([*obstructed, *edited]))


def _is_obstructed(repository: Repository, path: str) -> bool:
    folders = [repository.path / folder for folder in PurePosixPath(path).parents if folder.name]
    return any(folder.is_symlink() or (folder.exists() and not folder.is_dir()) for folder in folders)


@contextlib.contextmanager
def index_locked(repository: Repository) -> Iterator[IndexLock]:
    """Hold ``.git/index.lock``: meanwhile a person's git waits or refuses, and nobody commits.

    Raises:
        GitBusyError: somebody else holds the lock, or an interrupted landing has to be finished first.
    """
    with _new_journal(repository) as journal:
        lock = IndexLock(repository, journal)
        try:
            _link_lock(repository)
            yield lock
        except BaseException:
            if not _is_half_done(lock):  # else the next pass finishes the landing
                _release(repository)
            raise
        _release(repository)


def land(lock: IndexLock, *, old: str, new: str, reason: str) -> None:
    """Move the target branch from ``old`` to ``new``, and the clone's files and index with it.

    Args:
        lock: of a clone whose work tree shows the target branch.
        old: the commit that the branch is expected at.
        new: the commit to bring it to; contains ``old``.
        reason: one line for the reflog.

    Raises:
        LocalEditsError: a person's uncommitted work is in a file that would change; nothing was moved.
        BranchMovedError: the branch is no longer at ``old``; nothing was moved.
    """
    repository = lock.repository
    differences = _differences(repository, old, new)
    if edited := local_edits(repository, [difference.path for difference in differences]):
        raise LocalEditsError(
            f"{repository.path}: {', '.join(edited)} has local edits; commit them, or undo them with: "
            f"git -C {repository.path} checkout HEAD -- {' '.join(edited)}"
        )
    landing = _Landing(repository, old, new)
    _note(lock.journal, landing)
    repository.move_branch(old=old, new=new, reason=reason)
    _bring_forward(landing, differences)
    _note(lock.journal, None)


def finish_interrupted_landing(repository: Repository) -> str | None:
    """After a crash: finish a landing whose branch had moved, forget one whose branch had not.

    Returns:
        The commit whose landing was finished, ``None`` where there was nothing to finish.

    Raises:
        GitBusyError: another living process is landing.
    """
    try:
        journal = (repository.git_directory / JOURNAL).open("r+b")
    except FileNotFoundError:
        return None
    with journal:
        _claim(journal, repository)
        landing = _noted(journal, repository)
        if landing and not _is_ours(repository):
            landing = _taken_again(landing)
        finished = _finish(landing) if landing else None
        _release(repository)
        return finished


def _taken_again(landing: _Landing) -> _Landing | None:
    """The same under a new lock, where a person removed ours as git advises; ``None`` if they have gone on since."""
    if landing.repository.tip() != landing.new:
        return None
    _link_lock(landing.repository)
    return landing


def _finish(landing: _Landing) -> str | None:
    repository = landing.repository
    if not repository.contains(landing.new, repository.tip()):
        return None
    differences = _differences(repository, landing.old, landing.new)
    untouched = [item for item in differences if _blob_of_file(repository, item.path) == item.old_blob]
    _bring_forward(landing, differences, files=untouched)
    return landing.new


@contextlib.contextmanager
def _new_journal(repository: Repository) -> Iterator[BinaryIO]:
    """The file that becomes ``index.lock``, locked itself until this process leaves the block or dies."""
    try:
        journal = (repository.git_directory / JOURNAL).open("x+b")
    except FileExistsError:
        raise GitBusyError(f"{repository.path}: an interrupted landing has to be finished first; sync again") from None
    with journal:
        _claim(journal, repository)
        yield journal


def _note(journal: BinaryIO, landing: _Landing | None) -> None:
    """Write down what is being landed, before anything moves; ``None`` when all has moved."""
    journal.seek(0)
    journal.truncate()
    if landing:
        journal.write(json.dumps({"old": landing.old, "new": landing.new}).encode())
    journal.flush()
    os.fsync(journal.fileno())


def _noted(journal: BinaryIO, repository: Repository) -> _Landing | None:
    """What is being landed; ``None`` where nothing moved yet, or all has."""
    journal.seek(0)
    try:
        noted = json.loads(journal.read())
    except ValueError:
        return None
    return _Landing(repository, noted["old"], noted["new"])


def _is_half_done(lock: IndexLock) -> bool:
    """Whether the branch has moved: git may have moved it even where it was interrupted or timed out."""
    landing = _noted(lock.journal, lock.repository)
    return landing is not None and lock.repository.contains(landing.new, lock.repository.tip())


def _claim(journal: BinaryIO, repository: Repository) -> None:
    try:
        fcntl.flock(journal, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise GitBusyError(f"{repository.path}: another refsync is landing a commit there") from None


def _link_lock(repository: Repository) -> None:
    """Take ``index.lock`` as git does, waiting briefly for a person's git to let go of it."""
    lock = repository.git_directory / "index.lock"
    deadline = time.monotonic() + _LOCK_PATIENCE_SECONDS
    while True:
        try:
            os.link(repository.git_directory / JOURNAL, lock)
            return
        except FileExistsError:
            if time.monotonic() > deadline:
                raise GitBusyError(
                    f"{repository.path}: another git command holds {lock}; if none is running, remove that file"
                ) from None
            time.sleep(_LOCK_POLL_SECONDS)


def _is_ours(repository: Repository) -> bool:
    try:
        return os.path.samefile(repository.git_directory / "index.lock", repository.git_directory / JOURNAL)
    except FileNotFoundError:
        return False


def _release(repository: Repository) -> None:
    """Let go; the journal last, so that a crash in between still knows the lock as ours."""
    if _is_ours(repository):
        (repository.git_directory / "index.lock").unlink()
    staged = repository.git_directory / _STAGED_INDEX
    for path in (_lock_of(staged), staged, repository.git_directory / _STAGED_FILE, repository.git_directory / JOURNAL):
        path.unlink(missing_ok=True)


def _lock_of(index: Path) -> Path:
    return index.with_name(f"{index.name}.lock")


def _differences(repository: Repository, old: str, new: str) -> list[_Difference]:
    raw = repository.run("diff-tree", "-r", "-z", "--no-renames", "--no-abbrev", old, new).output
    tokens = raw.decode(errors="surrogateescape").split("\0")
    found = []
    for entry, path in zip(tokens[0::2], tokens[1::2], strict=False):
        _, new_mode, old_blob, new_blob, _ = entry.lstrip(":").split(" ")
        found.append(_Difference(path, old_blob, new_blob, new_mode))
    return found


def _bring_forward(
    landing: _Landing, differences: Sequence[_Difference], files: Sequence[_Difference] | None = None
) -> None:
    """Replace the files (all that differ, unless told which), then the index."""
    for difference in differences if files is None else files:
        _replace_file(landing, difference)
    _replace_index(landing, differences)


def _replace_file(landing: _Landing, difference: _Difference) -> None:
    """One atomic rename, so that a reader sees the old file or the new one; the file's mode stays."""
    target = landing.repository.path / difference.path
    if difference.removed:
        target.unlink(missing_ok=True)
        return
    # Through git's filters, so that a clone with converted line ends stays clean.
    content = landing.repository.run("cat-file", "--filters", f"{landing.new}:{difference.path}").output
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else int(difference.new_mode[-3:], 8)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = _staging_place(landing.repository, target)
    try:
        _write_durably(staged, content, mode)
        staged.replace(target)
    finally:
        staged.unlink(missing_ok=True)
    flush_folder(target.parent)


def _staging_place(repository: Repository, target: Path) -> Path:
    """Inside ``.git``, where no watcher and no ``git status`` sees it, unless that is another file system."""
    if repository.git_directory.stat().st_dev == target.parent.stat().st_dev:
        return repository.git_directory / _STAGED_FILE
    return target.with_name(f".{target.name}.refsync")


def _write_durably(path: Path, content: bytes, mode: int) -> None:
    with path.open("wb") as handle:
        os.fchmod(handle.fileno(), mode)
        handle.write(content)
        handle.flush()
        os.fsync(handle.fileno())


def _flush_file(path: Path) -> None:
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def _replace_index(landing: _Landing, differences: Sequence[_Difference]) -> None:
    """Change the landed paths' entries in a copy, and rename the copy over the index: what else is staged stays."""
    repository = landing.repository
    index = repository.git_directory / "index"
    staged = repository.git_directory / _STAGED_INDEX
    _lock_of(staged).unlink(missing_ok=True)  # git's, if it was killed here before
    shutil.copyfile(index, staged)
    shutil.copymode(index, staged)
    environment = {"GIT_INDEX_FILE": str(staged)}
    entries = "".join(f"{item.new_mode} {item.new_blob}\t{item.path}\0" for item in differences)
    repository.run(
        "update-index", "-z", "--index-info", stdin=entries.encode(errors="surrogateescape"), environment=environment
    )
    # Exit code 1 says that a person has local edits elsewhere, which is theirs to know.
    repository.run("update-index", "-q", "--refresh", environment=environment, accept=(0, 1))
    _flush_file(staged)
    staged.replace(index)
    flush_folder(index.parent)


def _blob_of_file(repository: Repository, path: str) -> str:
    """The blob id that git would give the file as it is; zeros where there is none."""
    if not (repository.path / path).is_file():
        return "0" * 40
    return repository.run("hash-object", "--", path).output.decode().strip()
