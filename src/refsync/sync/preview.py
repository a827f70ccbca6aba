"""What a pass would commit now, without changing anything."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from time import time

from refsync.clone.repository import Repository
from refsync.clone.text_diff import text_diff
from refsync.errors import RefsyncError
from refsync.pending_queue.models import Batch, BatchState, PendingChangeRecord
from refsync.pending_queue.service import PendingQueueService
from refsync.reference.versions import Version, Versions
from refsync.reference.view import View, at_commit
from refsync.sync.apply import batch_message, edited_files, observe, stamp_for
from refsync.sync.plan import BatchPlan, Model, Refusal, plan_batch
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
class _Ahead:
    """What the commits shown so far would leave behind: files, models that later batches wait for, proposals."""

    written: dict[str, Version] = field(default_factory=dict)
    awaited: dict[Model, int] = field(default_factory=dict)
    proposed: int = 0

    def await_models(self, batch: Batch, changes: Iterable[PendingChangeRecord]) -> None:
        for change in changes:
            self.awaited.setdefault((change.category, change.model_name), batch.number)


def preview(
    queue: PendingQueueService,
    repositories: Sequence[ReferenceRepository],
    publishers: Mapping[str, Publisher],
    apply: ApplySettings,
) -> list[PlannedCommit]:
    """The commits that a pass would make now, each on top of the one before where that lands at once.

    Nothing is fetched: a clone with a remote is as it was when that was asked last. What people review is left out.
    """
    batches = [
        batch
        for batch in queue.batches_in_turn(_UNLANDED)
        if batch.state != BatchState.open or seconds_until_due(batch, apply, time()) == 0
    ]
    return [
        planned
        for reference in repositories
        for planned in _preview_repository(queue, reference, publishers[reference.name], batches)
    ]


def _preview_repository(
    queue: PendingQueueService, reference: ReferenceRepository, publisher: Publisher, batches: Sequence[Batch]
) -> Iterator[PlannedCommit]:
    ahead = _Ahead()
    work = []
    for batch in batches:
        if changes := _changes(queue, reference, batch):
            if batch.state == BatchState.proposed or batch.waits_for_people:
                ahead.await_models(batch, changes)
            else:
                work.append((batch, changes))
    try:
        with Repository(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone:
            clone.preflight()
            versions = Versions(clone.read_blob)
            at_tip = at_commit(clone, publisher.newest(clone, reference), versions)
            for batch, changes in work:
                queued = publisher.why_not_yet(queue, reference, batch, more=ahead.proposed)
                yield _plan_commit(clone, reference, publisher, batch, changes, at_tip, versions, ahead, queued)
    except RefsyncError as problem:
        if work:
            yield _planned(reference, publisher, work[0][0], problem=str(problem))


def _changes(queue: PendingQueueService, reference: ReferenceRepository, batch: Batch) -> list[PendingChangeRecord]:
    """The batch's open changes that belong to the repository: an open batch may hold some for several."""
    if batch.repository not in (None, reference.name):
        return []
    return [change for change in queue.open_changes(batch.number) if reference.written_file(change.category)]


def _plan_commit(
    clone: Repository,
    reference: ReferenceRepository,
    publisher: Publisher,
    batch: Batch,
    changes: Sequence[PendingChangeRecord],
    at_tip: View,
    versions: Versions,
    ahead: _Ahead,
    queued: str | None,
) -> PlannedCommit:
    """Plan one batch on top of what the ones before leave behind; adds what it leaves."""
    proposes = not publisher.lands

    before = at_tip.with_files(dict(ahead.written))
    plan = plan_batch(changes, observe(clone, reference, before, changes, ahead.awaited), stamp_for(reference))
    files = edited_files(reference, before, plan, versions)
    ahead.await_models(batch, _unlanded(changes, plan, proposes=proposes and bool(files)))
    if not files or (proposes and queued):
        return _planned(reference, publisher, batch, plan, queued=queued if files else None)
    kept = [each for each in changes if each.change_id in {*plan.written, *plan.done}]
    request = publisher.request_text(reference, batch, kept, before, before.with_files(files))
    if proposes:
        ahead.proposed += 1
    diff = text_diff({path: (before.content(path), after.content) for path, after in files.items()})
    if not proposes:
        ahead.written.update(files)
    return _planned(
        reference, publisher, batch, plan, message=_message(batch, changes, plan), diff=diff, pull_request=request
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


def _message(batch: Batch, changes: Sequence[PendingChangeRecord], plan: BatchPlan) -> str:
    sealed = batch if batch.job else batch.model_copy(update={"job": _NO_TOKEN_YET})
    return batch_message(sealed, [each for each in changes if each.change_id in plan.written])
