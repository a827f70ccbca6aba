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
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from refsync.clone.placing import flush_file, path_lines, remove_file, remove_staged_files, replace_file, stage_files
from refsync.clone.repository import Repository
from refsync.clone.sparse import hidden_paths, show_too
from refsync.commands import git_command
from refsync.durable import flush_folder
from refsync.errors import CloneError, GitBusyError, LocalEditsError

JOURNAL = "refsync-landing"
_STAGED_INDEX = "refsync-index"
_OFFLINE = {"GIT_ALLOW_PROTOCOL": "none", "GIT_NO_LAZY_FETCH": "1"}
"""Under git's lock nothing is fetched: a partial clone would do so by itself. The first is for git before 2.44."""
_ABSENT = "000000"
_PATHS_AT_ONCE = 1000
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
    wanted: frozenset[str] = frozenset()


@dataclass(frozen=True)
class _Difference:
    """A path in which two commits differ; ``hidden``: the work tree of a sparse clone leaves it out."""

    path: str
    old_blob: str
    new_blob: str
    new_mode: str
    hidden: bool = False

    @property
    def removed(self) -> bool:
        return self.new_mode == _ABSENT


def local_edits(repository: Repository, paths: Sequence[str], *, leaving: Collection[str] = ()) -> list[str]:
    """Those of the paths whose file or index entry is not what the checked-out commit has.

    An untracked or ignored file at a path counts: a landing would overwrite it. So does one, or a symbolic
    link, where a folder of the path should be: a landing would fail on it, or write behind the link. Those
    ``leaving`` make way before.
    """
    obstructed = [path for path in paths if _is_obstructed(repository, path, leaving)]
    edited: list[str] = []
    for start in range(0, len(paths), _PATHS_AT_ONCE):
        status = repository.run(
            "status",
            "--porcelain=v1",
            "-z",
            "--no-renames",
            "--untracked-files=all",
            "--ignored=matching",
            "--ignore-submodules=all",
            "--",
            *paths[start : start + _PATHS_AT_ONCE],
        )
        edited += [entry[3:] for entry in status.output.decode(errors="surrogateescape").split("\0") if entry]
    return list(dict.fromkeys([*obstructed, *edited]))


def _is_obstructed(repository: Repository, path: str, leaving: Collection[str]) -> bool:
    parents = [str(folder) for folder in PurePosixPath(path).parents if folder.name and str(folder) not in leaving]
    folders = [repository.path / folder for folder in parents]
    return any(folder.is_symlink() or (folder.exists() and not folder.is_dir()) for folder in folders)


def missing_contents(repository: Repository, *, old: str, new: str, wanted: Collection[str] = ()) -> list[str]:
    """The paths that landing ``new`` would write and whose content a partial clone does not hold yet.

    :func:`land` refuses then, so they have to be fetched before the lock is taken.
    """
    return _without_content(_Landing(repository, old, new, frozenset(wanted)))


def _without_content(landing: _Landing, differences: Iterable[_Difference] | None = None) -> list[str]:
    if not landing.repository.is_partial:
        return []
    shown = [each for each in differences or _differences(landing) if not each.hidden]
    listed = landing.repository.run(
        "rev-list", "--objects", "--missing=print", f"{landing.new}^{{tree}}", f"^{landing.old}^{{tree}}"
    ).output.decode(errors="replace")
    missing = {line[1:] for line in listed.splitlines() if line.startswith("?")}
    return [each.path for each in shown if each.new_blob in missing]


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


def land(lock: IndexLock, *, old: str, new: str, reason: str, wanted: Collection[str] = ()) -> None:
    """Move the target branch from ``old`` to ``new``, and the clone's files and index with it.

    Args:
        lock: of a clone whose work tree shows the target branch.
        old: the commit that the branch is expected at.
        new: the commit to bring it to, whether or not it contains ``old``.
        reason: one line for the reflog.
        wanted: paths that the work tree shall show even if the clone is sparse and its patterns leave them out.

    Raises:
        LocalEditsError: a person's uncommitted work is in a file that would change; nothing was moved.
        CloneError: the clone is a partial one and lacks a file's content; nothing was moved.
        BranchMovedError: the branch is no longer at ``old``; nothing was moved.
    """
    repository = lock.repository
    landing = _Landing(repository, old, new, frozenset(wanted))
    differences = _differences(landing)
    _refuse_local_edits(landing, differences)
    if missing := _without_content(landing, differences):
        raise CloneError(
            f"{repository.path}: the clone is a partial one and lacks the new content of {', '.join(missing)}; fetch "
            f"it with: {git_command(repository.path, 'diff', '--numstat', old, new, '--', *missing)}"
        )
    _note(lock.journal, landing)
    repository.move_branch(old=old, new=new, reason=reason)
    _bring_forward(landing, differences)
    _note(lock.journal, None)


def _refuse_local_edits(landing: _Landing, differences: Sequence[_Difference]) -> None:
    path = landing.repository.path
    shown = [difference.path for difference in differences if not difference.hidden]
    leaving = {difference.path for difference in differences if difference.removed}
    if edited := local_edits(landing.repository, shown, leaving=leaving):
        raise LocalEditsError(
            f"{path}: {', '.join(edited)} has local edits; commit them, or undo them with: "
            f"{git_command(path, 'checkout', 'HEAD', '--', *edited)}"
        )


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
    if not _has_moved(landing):
        return None
    differences = _differences(landing)
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
        noted = {"old": landing.old, "new": landing.new, "wanted": sorted(landing.wanted)}
        journal.write(json.dumps(noted).encode())
    journal.flush()
    os.fsync(journal.fileno())


def _noted(journal: BinaryIO, repository: Repository) -> _Landing | None:
    """What is being landed; ``None`` where nothing moved yet, or all has."""
    journal.seek(0)
    try:
        noted = json.loads(journal.read())
    except ValueError:
        return None
    return _Landing(repository, noted["old"], noted["new"], frozenset(noted.get("wanted", ())))


def _is_half_done(lock: IndexLock) -> bool:
    landing = _noted(lock.journal, lock.repository)
    return landing is not None and _has_moved(landing)


def _has_moved(landing: _Landing) -> bool:
    """Whether the branch has moved: git may have moved it even where it was interrupted or timed out."""
    tip = landing.repository.tip()
    return tip != landing.old and landing.repository.contains(landing.new, tip)  # a rewritten branch may go back


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
    remove_staged_files(repository)
    staged = repository.git_directory / _STAGED_INDEX
    for path in (_lock_of(staged), staged, repository.git_directory / JOURNAL):
        path.unlink(missing_ok=True)


def _lock_of(index: Path) -> Path:
    return index.with_name(f"{index.name}.lock")


def _differences(landing: _Landing) -> list[_Difference]:
    compared = ("diff-tree", "-r", "-z", "--no-renames", "--no-abbrev", landing.old, landing.new)
    tokens = landing.repository.run(*compared).output.decode(errors="surrogateescape").split("\0")
    entries, paths = tokens[0:-1:2], tokens[1::2]
    hidden = hidden_paths(landing.repository, paths, landing.wanted)
    found = []
    for entry, path in zip(entries, paths, strict=True):
        _, new_mode, old_blob, new_blob, _ = entry.lstrip(":").split(" ")
        found.append(_Difference(path, old_blob, new_blob, new_mode, path in hidden))
    return found


def _bring_forward(
    landing: _Landing, differences: Sequence[_Difference], files: Sequence[_Difference] | None = None
) -> None:
    """Replace the files (all that differ, unless told which), then the index."""
    shown = [each for each in (differences if files is None else files) if not each.hidden]
    show_too(landing.repository, [each.path for each in shown if each.path in landing.wanted and not each.removed])
    index = _stage_index(landing, differences)
    _replace_files(landing, shown, index)
    _replace_index(landing, index)


def _replace_files(landing: _Landing, shown: Sequence[_Difference], index: Mapping[str, str]) -> None:
    """Remove first, since a folder may go where a file was; then put in place what git has written elsewhere."""
    repository = landing.repository
    for difference in shown:
        if difference.removed:
            remove_file(repository, difference.path)
    written = [difference for difference in shown if not difference.removed]
    stage_files(repository, [difference.path for difference in written], index)
    for difference in written:
        replace_file(repository, difference.path, difference.new_mode)
    for folder in {(repository.path / difference.path).parent for difference in shown}:
        if folder.is_dir():
            flush_folder(folder)


def _stage_index(landing: _Landing, differences: Sequence[_Difference]) -> dict[str, str]:
    """Change the landed paths' entries in a copy of the index, and say how git finds it: what else is staged stays."""
    repository = landing.repository
    index = repository.git_directory / "index"
    staged = repository.git_directory / _STAGED_INDEX
    _lock_of(staged).unlink(missing_ok=True)  # git's, if it was killed here before
    shutil.copyfile(index, staged)
    shutil.copymode(index, staged)
    environment = {"GIT_INDEX_FILE": str(staged)} | _OFFLINE
    removed_first = sorted(differences, key=lambda item: not item.removed)  # a folder may go where a file was
    entries = path_lines(f"{item.new_mode} {item.new_blob}\t{item.path}" for item in removed_first)
    hidden = path_lines(item.path for item in differences if item.hidden and not item.removed)
    repository.run("update-index", "-z", "--index-info", stdin=entries, environment=environment)
    if hidden:
        repository.run("update-index", "-z", "--skip-worktree", "--stdin", stdin=hidden, environment=environment)
    return environment


def _replace_index(landing: _Landing, environment: Mapping[str, str]) -> None:
    repository = landing.repository
    staged = repository.git_directory / _STAGED_INDEX
    # Exit code 1 says that a person has local edits elsewhere, which is theirs to know.
    repository.run("update-index", "-q", "--refresh", environment=environment, accept=(0, 1))
    flush_file(staged)
    staged.replace(repository.git_directory / "index")
    flush_folder(repository.git_directory)


def _blob_of_file(repository: Repository, path: str) -> str:
    """The blob id that git would give the file as it is; zeros where there is none."""
    file = repository.path / path
    if file.is_symlink():
        return repository.run("hash-object", "--stdin", stdin=os.fsencode(os.readlink(file))).output.decode().strip()
    if not file.is_file():
        return "0" * 40
    return repository.run("hash-object", "--", path).output.decode().strip()
