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
from pathlib import Path

from refsync.clone.repository import Repository
from refsync.errors import GitBusyError, LocalEditsError

JOURNAL = "refsync-landing"
_STAGED_INDEX = "refsync-index"
_STAGED_FILE = "refsync-file"
_LOCK_PATIENCE_SECONDS = 1.0
_LOCK_POLL_SECONDS = 0.02


@dataclass(frozen=True)
class IndexLock:
    """The proof that this process holds ``.git/index.lock``; what moves branch, files or index asks for it."""

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

    An untracked or ignored file at a path counts: a landing would overwrite it.
    """
    if not paths:
        return []
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
    return [entry[3:] for entry in status.output.decode(errors="surrogateescape").split("\0") if entry]


def land(repository: Repository, *, old: str, new: str, reason: str) -> None:
    """Move the target branch from ``old`` to ``new``, and the clone's files and index with it.

    Args:
        repository: a clone whose work tree shows the target branch.
        old: the commit that the branch is expected at.
        new: the commit to bring it to; contains ``old``.
        reason: one line for the reflog.

    Raises:
        LocalEditsError: a person's uncommitted work is in a file that would change; nothing was moved.
        BranchMovedError: the branch is no longer at ``old``; nothing was moved.
        GitBusyError: somebody else holds the lock; nothing was moved.
    """
    with _journal(repository, old, new) as lock:
        try:
            _link_lock(repository)
            differences = _differences(repository, old, new)
            if edited := local_edits(repository, [difference.path for difference in differences]):
                raise LocalEditsError(
                    f"{repository.path}: {', '.join(edited)} has local edits; commit them, or undo them with: "
                    f"git -C {repository.path} checkout HEAD -- {' '.join(edited)}"
                )
            repository.move_branch(old=old, new=new, reason=reason)
        except BaseException:
            _release(repository)
            raise
        # From here on a failure leaves lock and journal behind: the next pass finishes the landing.
        _bring_forward(lock, differences)
        _release(repository)


def finish_interrupted_landing(repository: Repository) -> str | None:
    """After a crash: finish a landing whose branch had moved, forget one whose branch had not.

    Returns:
        The commit whose landing was finished, ``None`` where there was nothing to finish.

    Raises:
        GitBusyError: another living process is landing.
    """
    journal = repository.git_directory / JOURNAL
    try:
        handle = journal.open("r+b")
    except FileNotFoundError:
        return None
    with handle:
        _claim(handle.fileno(), repository)
        if not _is_ours(repository):
            journal.unlink(missing_ok=True)
            return None
        noted = json.loads(handle.read())
        finished = _finish(IndexLock(repository, noted["old"], noted["new"]))
        _release(repository)
        return finished


def _finish(lock: IndexLock) -> str | None:
    repository = lock.repository
    if not repository.contains(lock.new, repository.tip()):
        return None
    differences = _differences(repository, lock.old, lock.new)
    untouched = [item for item in differences if _blob_of_file(repository, item.path) == item.old_blob]
    _bring_forward(lock, differences, files=untouched)
    return lock.new


@contextlib.contextmanager
def _journal(repository: Repository, old: str, new: str) -> Iterator[IndexLock]:
    """Note what is being landed; the note is locked until this process leaves the block or dies."""
    try:
        handle = (repository.git_directory / JOURNAL).open("x+b")
    except FileExistsError:
        raise GitBusyError(f"{repository.path}: an interrupted landing has to be finished first; sync again") from None
    with handle:
        _claim(handle.fileno(), repository)
        handle.write(json.dumps({"old": old, "new": new, "pid": os.getpid()}).encode())
        handle.flush()
        os.fsync(handle.fileno())
        yield IndexLock(repository, old, new)


def _claim(descriptor: int, repository: Repository) -> None:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
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
    for name in (_STAGED_INDEX, _STAGED_FILE, JOURNAL):
        (repository.git_directory / name).unlink(missing_ok=True)


def _differences(repository: Repository, old: str, new: str) -> list[_Difference]:
    raw = repository.run("diff-tree", "-r", "-z", "--no-renames", "--no-abbrev", old, new).output
    tokens = raw.decode(errors="surrogateescape").split("\0")
    found = []
    for entry, path in zip(tokens[0::2], tokens[1::2], strict=False):
        _, new_mode, old_blob, new_blob, _ = entry.lstrip(":").split(" ")
        found.append(_Difference(path, old_blob, new_blob, new_mode))
    return found


def _bring_forward(
    lock: IndexLock, differences: Sequence[_Difference], files: Sequence[_Difference] | None = None
) -> None:
    """Replace the files (all that differ, unless told which), then the index."""
    for difference in differences if files is None else files:
        _replace_file(lock, difference)
    _replace_index(lock, differences)


def _replace_file(lock: IndexLock, difference: _Difference) -> None:
    """One atomic rename, so that a reader sees the old file or the new one; the file's mode stays."""
    target = lock.repository.path / difference.path
    if difference.removed:
        target.unlink(missing_ok=True)
        return
    # Through git's filters, so that a clone with converted line ends stays clean.
    content = lock.repository.run("cat-file", "--filters", f"{lock.new}:{difference.path}").output
    mode = stat.S_IMODE(target.stat().st_mode) if target.exists() else int(difference.new_mode[-3:], 8)
    target.parent.mkdir(parents=True, exist_ok=True)
    staged = _staging_place(lock.repository, target)
    try:
        _write_durably(staged, content, mode)
        staged.replace(target)
    finally:
        staged.unlink(missing_ok=True)
    _flush_folder(target.parent)


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


def _flush_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _replace_index(lock: IndexLock, differences: Sequence[_Difference]) -> None:
    """Change the landed paths' entries in a copy, and rename the copy over the index: what else is staged stays."""
    repository = lock.repository
    index = repository.git_directory / "index"
    staged = repository.git_directory / _STAGED_INDEX
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
    _flush_folder(index.parent)


def _blob_of_file(repository: Repository, path: str) -> str:
    """The blob id that git would give the file as it is; zeros where there is none."""
    if not (repository.path / path).is_file():
        return "0" * 40
    return repository.run("hash-object", "--", path).output.decode().strip()
