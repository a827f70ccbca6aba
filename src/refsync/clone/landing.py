"""Bringing branch, files and index forward together, under git's own lock.

While ``.git/index.lock`` exists, a person's git waits or refuses, so that nobody can commit an index that does not
belong to the branch. What can fail for good is done before the branch moves (:mod:`refsync.clone.staging`), and what
moves is written down before (:mod:`refsync.clone.journal`), so that a later pass can go on or go back
(:mod:`refsync.clone.recovery`). Between the moves only files are renamed.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Iterator, Sequence
from pathlib import Path

from refsync.clone.branch_move import branch_move, move_at_once
from refsync.clone.differences import Difference, differences, without_content
from refsync.clone.edits import local_edits
from refsync.clone.git_locks import clear_dead_locks
from refsync.clone.journal import (
    IndexLock,
    Landing,
    PlannedFile,
    flush_note,
    identity_of,
    let_go,
    link_lock,
    new_journal,
    new_name,
    note,
    read_note,
    release,
)
from refsync.clone.objects import blob_id
from refsync.clone.ref_files import flush_name_of
from refsync.clone.repository import Repository
from refsync.clone.sparse import show_too
from refsync.clone.staging import (
    finish_index,
    plan_files,
    refusing,
    remove_staged,
    stage_file,
    stage_files,
    stage_index,
)
from refsync.commands import git_command
from refsync.durable import flush_folder, make_folder
from refsync.durable_steps import durable_step
from refsync.errors import (
    CloneError,
    GitCommandError,
    LandingRefusedError,
    LocalEditsError,
    ObjectLostError,
    RefsyncError,
)
from refsync.file_patterns import means

SUBMODULE = "160000"


@contextlib.contextmanager
def index_locked(repository: Repository) -> Iterator[IndexLock]:
    """Hold ``.git/index.lock``: meanwhile a person's git waits or refuses, and nobody commits.

    Raises:
        GitBusyError: somebody else holds the lock, or an interrupted landing has to be finished first.
        CloneError: the file system has no hard links.
    """
    with new_journal(repository) as journal:
        try:
            link_lock(repository)
            yield IndexLock(repository, journal)
        finally:
            if read_note(journal).landing is None:
                release(repository)
            else:  # half done, and for the next pass to bring to an end
                let_go(repository)


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
        LandingRefusedError: a file cannot be written; nothing was moved.
        CloneError: the clone is a partial one and lacks a file's content; nothing was moved.
        BranchMovedError: the branch is no longer at ``old``; nothing was moved.
        ObjectLostError: the commit is not there any more; nothing was moved.
    """
    repository = lock.repository
    with branch_move(repository, old=old, new=new, reason=reason) as move:
        found = _landable(repository, old, new, wanted)
        landing = planned_landing(repository, old, new, wanted, found)
        note(lock.journal, landing)
        flush_note(lock.journal, repository)
        try:
            move.prepare()
            stage(repository, landing, found)
            move.commit()
        except BaseException:
            move.give_up()
            clear_dead_locks(repository, landing.locks)
            if has_moved(repository, landing):
                _end(lock, landing)
            else:
                undo(repository, landing)
                note(lock.journal, None)
            raise
    _end(lock, landing)


def _landable(repository: Repository, old: str, new: str, wanted: Collection[str]) -> list[Difference]:
    """What will change, none of which a person has edited."""
    try:
        found = differences(repository, old, new, wanted)
    except GitCommandError:
        if repository.has(new):
            raise
        raise ObjectLostError(f"{repository.path}: git has lost the commit {new[:12]}, which was to land") from None
    _refuse_local_edits(repository, found)
    _refuse_missing_content(repository, found, old, new)
    return found


def _end(lock: IndexLock, landing: Landing) -> None:
    try:
        bring_to_an_end(lock.repository, landing)
    except LandingRefusedError:
        note(lock.journal, None)
        raise
    note(lock.journal, None)


def planned_landing(
    repository: Repository, old: str, new: str, wanted: Collection[str], found: Sequence[Difference]
) -> Landing:
    """What is going to be staged and moved, under which names.

    Raises:
        LandingRefusedError: a file cannot go where it should.
    """
    return Landing(
        old,
        new,
        tuple(sorted(wanted)),
        plan_files(repository, found),
        index=new_name().removeprefix("."),
        index_found=identity_of(repository.git_directory / "index"),
        locks=(f"{repository.ref}.lock", "HEAD.lock", "packed-refs.lock"),
    )


def stage(repository: Repository, landing: Landing, found: Sequence[Difference]) -> None:
    """Make ready all that will be moved; see :mod:`refsync.clone.staging`."""
    stage_index(repository, landing, found)
    stage_files(repository, landing.files)
    with refusing(repository, "the sparse patterns"):
        shown = (means(file.path, landing.wanted) for file in landing.files if file.staged)
        show_too(repository, dict.fromkeys(path for path in shown if path))


def has_moved(repository: Repository, landing: Landing) -> bool:
    """Whether the branch has moved: git may have moved it even where it was interrupted or timed out."""
    tip = repository.tip()
    return tip != landing.old and repository.contains(landing.new, tip)  # a rewritten branch may go back


@durable_step("let files and index follow")
def bring_to_an_end(repository: Repository, landing: Landing) -> None:
    """The branch has moved: let files and index follow, or, where they cannot, move it back.

    Raises:
        LandingRefusedError: it was moved back, and nothing is left of the landing.
        CloneError: it can go neither way; the journal stays.
        OSError: all is in place, but cannot be forced to disk; the journal stays.
    """
    try:
        place_files(repository, landing)
        place_index(repository, landing)
    except OSError as problem:
        _go_back(repository, landing, problem)
        raise LandingRefusedError(
            f"{repository.path}: {_what(problem)} cannot be written: {problem.strerror}; mend that, and refsync goes "
            "on by itself"
        ) from None
    _flush_names(repository, landing)
    remove_staged(repository, landing)


def _flush_names(repository: Repository, landing: Landing) -> None:
    """Have all names that have changed on the disk; one after the other, which costs little more than one."""
    for folder in {repository.git_directory, *((repository.path / file.path).parent for file in landing.files)}:
        if folder.is_dir():
            flush_folder(folder)
    flush_name_of(repository.common_directory, repository.ref)


def _go_back(repository: Repository, landing: Landing, problem: OSError) -> None:
    try:
        move_at_once(repository, old=landing.new, new=landing.old, reason="refsync: its files cannot be written")
        undo(repository, landing)
    except (OSError, RefsyncError) as worse:
        raise CloneError(
            f"{repository.path}: the landing of {landing.new[:12]} is half done: {_what(problem)}: "
            f"{problem.strerror}, and it cannot be taken back ({worse}); mend that, and refsync goes on by itself"
        ) from None


def _what(problem: OSError) -> str:
    """The file that could not be moved or written: of a rename, where it should go."""
    return str(problem.filename2 or problem.filename or "a file")


@durable_step("place the files")
def place_files(repository: Repository, landing: Landing) -> None:
    """Put the new files in place of the old ones, each by one rename; what a person has changed since stays."""
    for file in landing.files:
        target = repository.path / file.path
        if file.staged:
            _place(repository, file, target)
        elif identity_of(target) == file.found or _is_folder(target):
            _make_way(repository, target)
            if file.mode == SUBMODULE:
                make_folder(target)


@durable_step("place a file")
def _place(repository: Repository, file: PlannedFile, target: Path) -> None:
    assert file.staged
    staged = repository.path / file.staged
    untouched = _is_folder(target) or identity_of(target) == file.found
    if not untouched:
        return
    if not os.path.lexists(staged):  # somebody has tidied up since a crash
        stage_file(repository, file)
    if _is_folder(target):
        _make_way(repository, target)
    make_folder(target.parent)
    staged.replace(target)


def _make_way(repository: Repository, target: Path) -> None:
    """Remove a file, and the folders that it leaves empty, as git does; a folder only if it holds nothing."""
    if _is_folder(target):
        for folder in sorted((each for each in target.rglob("*") if _is_folder(each)), reverse=True):
            folder.rmdir()
        with contextlib.suppress(OSError):
            target.rmdir()
    else:
        target.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        for folder in target.parents:
            if folder == repository.path:
                return
            folder.rmdir()


def _is_folder(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


@durable_step("place the index")
def place_index(repository: Repository, landing: Landing) -> None:
    """Put the staged index in place; it is told of the files before."""
    finish_index(repository, landing)
    (repository.git_directory / landing.index).replace(repository.git_directory / "index")


@durable_step("undo a landing")
def undo(repository: Repository, landing: Landing) -> None:
    """Put the old files back where they were replaced, and remove all that was staged."""
    for file in reversed(landing.files):
        _put_back(repository, file)
    remove_staged(repository, landing)


def _put_back(repository: Repository, file: PlannedFile) -> None:
    target = repository.path / file.path
    if identity_of(target) == file.found or not _is_placed(repository, file, target):
        return
    if _is_folder(target) or file.kept is None:
        _make_way(repository, target)
    if file.kept:
        make_folder(target.parent)
        (repository.path / file.kept).replace(target)
        flush_folder(target.parent)


def _is_placed(repository: Repository, file: PlannedFile, target: Path) -> bool:
    """Whether what stands there is the landing's, and not what a person has put there since."""
    if file.kept and not os.path.lexists(repository.path / file.kept):
        return False
    if not file.staged:
        return _is_folder(target) if file.mode == SUBMODULE else not os.path.lexists(target)
    if os.path.lexists(repository.path / file.staged):
        return False
    if target.is_symlink():
        return blob_id(os.fsencode(os.readlink(target))) == file.blob
    return target.is_file() and blob_id(target.read_bytes()) == file.blob


def _refuse_local_edits(repository: Repository, found: Sequence[Difference]) -> None:
    shown = [difference.path for difference in found if not difference.hidden]
    leaving = {difference.path for difference in found if difference.removed}
    if edited := local_edits(repository, shown, leaving=leaving):
        raise LocalEditsError(
            f"{repository.path}: {', '.join(edited)} has local edits; commit them, or undo them with: "
            f"{git_command(repository.path, 'checkout', 'HEAD', '--', *edited)}"
        )


def _refuse_missing_content(repository: Repository, found: Sequence[Difference], old: str, new: str) -> None:
    if missing := without_content(repository, found, old=old, new=new):
        raise CloneError(
            f"{repository.path}: the clone is a partial one and lacks the new content of {', '.join(missing)}; fetch "
            f"it with: {git_command(repository.path, 'diff', '--numstat', old, new, '--', *missing)}"
        )
