"""One pass: look at the world, do what is missing. Running it twice is harmless."""

from __future__ import annotations

import random
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace

from loguru import logger

from refsync.clone.git_locks import clear_left_behind
from refsync.clone.preflight import check_ready
from refsync.clone.recovery import finish_interrupted_landing
from refsync.clone.refs import forget_built
from refsync.clone.repository import Repository
from refsync.collecting import without_collecting
from refsync.errors import MendedUnseenError, RefsyncError, TemporaryError, told
from refsync.pending_queue.daemon_door import DaemonDoor
from refsync.pending_queue.holds import Hold, HoldKind
from refsync.pending_queue.lifecycle import IN_WORK_STATES
from refsync.pending_queue.models import Agenda, Batch, BatchState, RepositoryNote
from refsync.reference.versions import Versions
from refsync.sync.reference import (
    HeldBatch,
    PassReport,
    ReferenceRepository,
    RepositoryReport,
)
from refsync.sync.sealing import holder_of, seal_when_due
from refsync.sync.turn import Pass, Turn

_WAITING = (BatchState.sealed, BatchState.held)
_NOTE_SECONDS = 10.0
"""How old the time of the last pass may become in what is noted, while passes have nothing else to tell."""
_REST_SECONDS = 300.0
"""For how long what was read is kept for the next batch; a daemon at rest is small."""
_OVER_UNSEEN = (TemporaryError, MendedUnseenError, OSError)
"""What may be over without a sign."""


def reconcile(work: Pass) -> PassReport:
    """Seal what is due, then bring every repository up to date; one that fails does not stop the others.

    The caller holds the pass lock. Where several processes share the queue, a repository is brought on by one at a
    time, and followed by all.

    Raises:
        Exception: a bug, after the other repositories had their turn; expected failures are in the report.
    """
    report = PassReport()
    agenda = _seal_and_route(work, report)
    report.unserved = _unserved_batches(work, agenda)
    bugs: list[Exception] = []
    for reference in _in_order(work):
        if work.stopping():
            break
        outcome = RepositoryReport(reference.name)
        report.repositories.append(outcome)
        try:
            with without_collecting():  # what a turn has read is large, and gone with it
                _reconcile_repository(work, reference, outcome, agenda)
        except (RefsyncError, OSError) as problem:
            outcome.problem = told(problem)
            outcome.temporary = isinstance(problem, _OVER_UNSEEN)
        except Exception as bug:
            outcome.problem = f"a bug in refsync: {bug!r}"
            bugs.append(bug)
        if not work.publishes or outcome.is_elsewhere:
            continue  # it is for who works on it to say how that goes
        try:
            _note(work, outcome, agenda.notes.get(reference.name))
        except RefsyncError as problem:  # the store is busy, say: the other repositories have their turn all the same
            outcome.problem, outcome.temporary = outcome.problem or str(problem), True
        except Exception as bug:
            bugs.append(bug)
    work.cache.forget_unused(_REST_SECONDS)
    names = [reference.name for reference in work.repositories]
    report.repositories.sort(key=lambda outcome: names.index(outcome.name))
    if bugs:
        raise bugs[0]
    return report


def _in_order(work: Pass) -> list[ReferenceRepository]:
    """The config's order; any other where several processes share the work, so that each begins elsewhere."""
    repositories = list(work.repositories)
    if work.lease_of is not None:
        random.shuffle(repositories)
    return repositories


def _seal_and_route(work: Pass, report: PassReport) -> Agenda:
    """Give every batch whose time has come its repository; what there is to do then."""
    agenda = work.queue.agenda()
    if not work.publishes:
        return agenda
    sealed, report.settles_in = seal_when_due(work.queue, agenda.open_batch, work.repositories, work.apply)
    report.sealed = [batch.number for batch in sealed]
    fixed = [batch for batch in agenda.batches if batch.state is not BatchState.open]
    if any(batch.repository is None for batch in fixed):
        work.queue.route_batches(lambda category: holder_of(work.repositories, category))
        return work.queue.agenda()
    return replace(agenda, batches=[*fixed, *sealed])


def _unserved_batches(work: Pass, agenda: Agenda) -> list[HeldBatch]:
    served = {reference.name for reference in work.repositories}
    return [
        HeldBatch.of(batch, batch.hold or _gone_repository(batch))
        for batch in agenda.batches
        if batch.state in _WAITING and batch.repository not in served
    ]


def _gone_repository(batch: Batch) -> Hold:
    told = f"the config has no repository {batch.repository!r} (any more)"
    return Hold(kind=HoldKind.unserved, reason=told, about=batch.repository)


def _note(work: Pass, outcome: RepositoryReport, before: RepositoryNote | None) -> None:
    """Keep for ``status`` what this pass saw."""
    now = time.time()
    begins_to_fail = _begins_to_fail(work, outcome, before)
    if outcome.problem is None and (outcome.landed or _was_noted_just_now(before, now)):  # a landing notes itself
        return
    work.queue.note_repository(
        outcome.name,
        last_pass_at=now,
        last_good_pass_at=None if outcome.problem else now,
        last_error=outcome.problem,
        last_error_at=now if outcome.problem else None,
        begins_to_fail=begins_to_fail,
    )


def _begins_to_fail(work: Pass, outcome: RepositoryReport, before: RepositoryNote | None) -> bool:
    """Whether passes fail from now on: by what is noted, and, where another process does well, by what this one saw."""
    failed_here, is_failing = outcome.name in work.failing, outcome.problem is not None
    (work.failing.add if is_failing else work.failing.discard)(outcome.name)
    failed = before is not None and (before.last_error_at or 0.0) > (before.last_good_pass_at or 0.0)
    return is_failing and not failed_here and not failed


def _was_noted_just_now(note: RepositoryNote | None, now: float) -> bool:
    """Whether the time was told already, which is all that there is to tell: such a pass writes nothing."""
    if note is None or note.last_pass_at is None or (note.last_error_at or 0.0) >= note.last_pass_at:
        return False
    return 0 <= now - note.last_pass_at < _NOTE_SECONDS


def _reconcile_repository(
    work: Pass, reference: ReferenceRepository, outcome: RepositoryReport, agenda: Agenda
) -> None:
    with (
        _claimed(work, reference, outcome, agenda) as (queue, found),
        Repository(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone,
    ):
        batches = _batches_of(reference, found) if found else []
        turn = Turn(work, queue, reference, clone, outcome, batches, Versions(clone.read_blob, cache=work.cache))
        _follow(turn, agenda.notes.get(reference.name), is_shared=work.lease_of is not None)
        if found:
            _bring_on(turn, is_settled=_settle(turn, found.reserved))
            if work.tells_commits:
                from refsync.sync.foreign import tell_foreign_commits  # it loads what compares models

                note = found.notes.get(reference.name)
                tell_foreign_commits(turn, note.told_commit if note else None)
        forget_built(clone, lambda: (batch.job for batch in queue.list_batches(IN_WORK_STATES) if batch.job))


@contextmanager
def _claimed(
    work: Pass, reference: ReferenceRepository, outcome: RepositoryReport, agenda: Agenda
) -> Iterator[tuple[DaemonDoor, Agenda | None]]:
    """The queue for a repository's turn, and what there is to do then; ``None`` where it is only to be followed."""
    if not work.publishes:
        yield work.queue, None
    elif work.lease_of is None:
        yield work.queue, agenda
    elif not (_batches_of(reference, agenda) or work.publishers[reference.name].looks_after or work.tells_commits):
        yield work.queue, None
    else:
        with work.lease_of(reference.name) as lease:
            outcome.is_elsewhere = lease is None
            queue = work.queue.under(lease) if lease else work.queue
            yield queue, queue.agenda() if lease else None  # others may have gone on since the pass began


def _batches_of(reference: ReferenceRepository, agenda: Agenda) -> list[Batch]:
    return [batch for batch in agenda.batches if batch.repository == reference.name]


def _follow(turn: Turn, note: RepositoryNote | None, *, is_shared: bool) -> None:
    """See that the clone is fit, bring it to what its target branch is known to be, and count that."""
    clone, work = turn.clone, turn.work
    clear_left_behind(clone)
    unreachable = _ask_news(turn, anew=is_shared and _is_behind(turn, note))
    check_ready(clone)
    if finished := finish_interrupted_landing(clone):
        logger.warning("{}: finished the interrupted landing of {}", turn.reference.name, finished[:12])
    turn.take_tip(clone.tip(), work.progress)
    if unreachable:
        raise unreachable
    if turn.publisher.remote is not None:  # else the clone is where it was just looked at
        turn.catch_up(work.progress)


def _is_behind(turn: Turn, note: RepositoryNote | None) -> bool:
    """Whether others may have published since this process asked last: they work on it in turns, or tell of it."""
    landed = note.last_landed_commit if note else None
    return bool(turn.batches) or (landed is not None and not turn.clone.contains(landed, turn.clone.tip()))


def _ask_news(turn: Turn, *, anew: bool) -> RefsyncError | None:
    """Why there is no news, if that fails: what has landed already is recorded all the same."""
    try:
        turn.publisher.ask_news(turn, anew=anew)
    except RefsyncError as failure:
        return failure
    return None


def _bring_on(turn: Turn, *, is_settled: bool) -> None:
    """Give every batch of the repository its turn."""
    turn.publisher.follow(turn)
    if turn.batches:
        _advance_all(turn, is_settled=is_settled)
    if not turn.work.stopping():
        turn.publisher.tend(turn)


def _advance_all(turn: Turn, *, is_settled: bool) -> None:
    from refsync.sync.advance import advance  # slow, and nothing to a pass that has nothing to do

    was_proposed = any(batch.state is BatchState.proposed for batch in turn.batches)
    for batch in _waiting_batches(turn, anew=is_settled or was_proposed):
        if turn.work.stopping():
            return
        if not batch.waits_for_people:
            advance(turn, batch)


def _waiting_batches(turn: Turn, *, anew: bool) -> Iterator[Batch]:
    """The repository's sealed and held batches, oldest first; one split off meanwhile has its turn too.

    They are as the pass has found them, or asked for ``anew``: where they may have moved since, and where one comes
    behind another one.
    """
    waiting = _waiting_now(turn) if anew else [batch for batch in turn.batches if batch.state in _WAITING]
    seen: set[int] = set()
    while batch := next((batch for batch in waiting if batch.number not in seen), None):
        seen.add(batch.number)
        yield batch
        if turn.split_off or len(waiting) > 1:
            waiting = _waiting_now(turn)


def _waiting_now(turn: Turn) -> list[Batch]:
    return [batch for batch in turn.queue.batches_in_turn(_WAITING) if batch.repository == turn.reference.name]


def _settle(turn: Turn, reserved: Collection[int]) -> bool:
    """Finish or release what an earlier process left in the middle: it had a commit built, or changes reserved."""
    left = [
        batch
        for batch in turn.batches
        if batch.state in _WAITING and (batch.commit is not None or batch.number in reserved)
    ]
    for batch in left:
        turn.settle(batch, turn.tip)
    return bool(left)
