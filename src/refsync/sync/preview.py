"""What a pass would commit now, without changing anything."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import time

from refsync.clone.preflight import check_ready
from refsync.clone.quarantine import quarantined
from refsync.clone.repository import Repository
from refsync.clone.text_diff import text_diff
from refsync.errors import RefsyncError
from refsync.pending_queue.holds import Hold, HoldKind
from refsync.pending_queue.models import Batch, BatchState, PendingChangeRecord
from refsync.pending_queue.queue_door import QueueDoor
from refsync.reference.versions import Versions
from refsync.reference.view import at_commit
from refsync.sync.apply import build, observe, stamp_for
from refsync.sync.deletions import hold_for_deletions
from refsync.sync.keeping_rules import plan_within_rules
from refsync.sync.plan import BatchPlan, Model, Refusal, Waiting
from refsync.sync.publisher import Publisher, PullRequestText
from refsync.sync.reference import ApplySettings, ReferenceRepository
from refsync.sync.sealing import seconds_until_due

_NO_TOKEN_YET = "(given when the batch is sealed)"
_UNLANDED = (BatchState.open, BatchState.sealed, BatchState.held, BatchState.proposed)


@dataclass(frozen=True)
class PlannedCommit:
    """One commit that a pass would make; ``diff`` is a unified diff, empty where nothing would be written."""

    repository: str
    branch: str
    batch: int
    message: str = ""
    diff: str = ""
    rejected: list[Refusal] = field(default_factory=list)
    waiting: list[Refusal] = field(default_factory=list)
    problem: str | None = None
    unchecked: list[str] = field(default_factory=list)
    """The operator's own checks, which run only before the commit is published."""
    publish: str = "local"
    """The mode of the repository."""
    remote: str | None = None
    """Where it would be pushed to; ``None`` where it lands in the clone alone."""
    proposal: str | None = None
    """The branch that people would review; before the batch is sealed ``TOKEN`` stands for a part of its token."""
    pull_request: PullRequestText | None = None
    queued: str | None = None
    """Why it would wait for its place among the open pull requests."""


@dataclass
class _Rehearsal:
    """A repository's turn in which nothing is delivered: a batch lands by moving this tip, in a quarantined clone."""

    reference: ReferenceRepository
    publisher: Publisher
    queue: QueueDoor
    clone: Repository
    versions: Versions
    tip: str
    awaited: dict[Model, int] = field(default_factory=dict)
    proposed: int = 0

    def await_models(self, batch: Batch, changes: Iterable[PendingChangeRecord]) -> None:
        """Let later batches that touch the same models wait for this one."""
        for change in changes:
            self.awaited.setdefault((change.category, change.model_name), batch.number)


def preview(
    queue: QueueDoor,
    repositories: Sequence[ReferenceRepository],
    publishers: Mapping[str, Publisher],
    apply: ApplySettings,
) -> list[PlannedCommit]:
    """The commits that a pass would make now, each on top of the one before where that lands at once.

    They are made, in quarantine. Nothing is fetched: a clone with a remote is as it was when that was asked last.
    What people review is left out.
    """
    batches = [
        batch
        for batch in queue.batches_in_turn(_UNLANDED)
        if batch.state != BatchState.open or seconds_until_due(batch, apply, time()) == 0
    ]
    return [
        planned
        for reference in repositories
        for planned in _rehearse(queue, reference, publishers[reference.name], batches)
    ]


def _rehearse(
    queue: QueueDoor, reference: ReferenceRepository, publisher: Publisher, batches: Sequence[Batch]
) -> Iterator[PlannedCommit]:
    with_changes = [(batch, changes) for batch in batches if (changes := _changes(queue, reference, batch))]
    in_review = [each for each in with_changes if _is_in_review(each[0])]
    work = [each for each in with_changes if not _is_in_review(each[0])]
    if not work:
        return
    try:
        with quarantined(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone:
            check_ready(clone)
            tip = publisher.newest(clone, reference)
            rehearsal = _Rehearsal(reference, publisher, queue, clone, Versions(clone.read_blob), tip)
            for batch, changes in in_review:
                rehearsal.await_models(batch, changes)
            for batch, changes in work:
                yield _commit(rehearsal, batch, changes)
    except RefsyncError as problem:
        yield _planned(reference, publisher, work[0][0], problem=str(problem))


def _is_in_review(batch: Batch) -> bool:
    return batch.state == BatchState.proposed or batch.waits_for_people


def _changes(queue: QueueDoor, reference: ReferenceRepository, batch: Batch) -> list[PendingChangeRecord]:
    """The batch's open changes that belong to the repository: an open batch may hold some for several."""
    if batch.repository not in (None, reference.name):
        return []
    return [change for change in queue.open_changes(batch.number) if reference.written_file(change.category)]


def _commit(rehearsal: _Rehearsal, batch: Batch, changes: Sequence[PendingChangeRecord]) -> PlannedCommit:
    """Make one batch's commit on top of what the ones before leave behind."""
    reference, publisher, clone, tip = rehearsal.reference, rehearsal.publisher, rehearsal.clone, rehearsal.tip
    queued = publisher.why_not_yet(rehearsal.queue, reference, batch, more=rehearsal.proposed)
    unallowed = {each.change_id: each for each in rehearsal.queue.unallowed_in(batch.number)}
    changes = [change for change in changes if change.change_id not in unallowed]
    observed = observe(rehearsal, changes)
    plan = plan_within_rules(changes, observed, stamp_for(reference))
    for each in unallowed.values():
        if each.rejected:
            plan.conflicts.append(Refusal(each.change_id, each.reason))
        else:
            plan.waiting.append(Waiting(each.change_id, Hold(kind=HoldKind.other, reason=each.reason)))
    if not batch.is_confirmed and (too_many := hold_for_deletions(reference, plan, observed)):
        rehearsal.await_models(batch, changes)
        return _planned(reference, publisher, batch, plan, problem=too_many.reason)
    sealed = batch if batch.job else batch.model_copy(update={"job": _NO_TOKEN_YET})
    commit = build(rehearsal, sealed, plan, changes)
    proposes = not publisher.lands and commit is not None
    rehearsal.await_models(batch, _unlanded(changes, plan, proposes=proposes))
    if commit is None or (proposes and queued):
        return _planned(reference, publisher, batch, plan, queued=queued if commit else None)
    if proposes:
        rehearsal.proposed += 1
    else:
        rehearsal.tip = commit
    kept = [each for each in changes if each.change_id in {*plan.written, *plan.done}]
    made = clone.commit(commit)
    assert made is not None
    before, after = (at_commit(clone, each, rehearsal.versions) for each in (tip, commit))
    return _planned(
        reference,
        publisher,
        batch,
        plan,
        message=made.message,
        diff=text_diff(clone, tip, commit),
        pull_request=publisher.request_text(reference, batch, kept, before, after),
    )


def _unlanded(
    changes: Iterable[PendingChangeRecord], plan: BatchPlan, *, proposes: bool
) -> Iterator[PendingChangeRecord]:
    """The changes that later batches of the same models wait for."""
    waiting = {each.change_id for each in plan.waiting}
    conflicts = {refusal.change_id for refusal in plan.conflicts}
    for change in changes:
        if change.change_id in waiting or (proposes and change.change_id not in conflicts):
            yield change


def _planned(
    reference: ReferenceRepository,
    publisher: Publisher,
    batch: Batch,
    plan: BatchPlan | None = None,
    *,
    message: str = "",
    diff: str = "",
    problem: str | None = None,
    queued: str | None = None,
    pull_request: PullRequestText | None = None,
) -> PlannedCommit:
    return PlannedCommit(
        repository=reference.name,
        branch=reference.branch,
        batch=batch.number,
        message=message,
        diff=diff,
        rejected=plan.conflicts if plan else [],
        waiting=[Refusal(each.change_id, each.hold.reason) for each in plan.waiting] if plan else [],
        problem=problem,
        unchecked=[shlex.join(command) for command in reference.check.commands] if reference.check and diff else [],
        publish=publisher.mode,
        remote=publisher.remote,
        proposal=publisher.branch_for(batch),
        pull_request=pull_request,
        queued=queued,
    )
