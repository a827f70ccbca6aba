"""What a pass would commit now, without changing anything."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from time import time

from refsync.clone.process import run_git
from refsync.clone.repository import Repository
from refsync.errors import RefsyncError
from refsync.pending_queue.models import Batch, BatchState, PendingChangeRecord, PendingChangeStatus
from refsync.pending_queue.service import PendingQueueService
from refsync.sync.apply import Read, batch_message, edited_files, observe, reader, stamp_for
from refsync.sync.plan import Model, Refusal, plan_batch
from refsync.sync.reference import ApplySettings, ReferenceRepository
from refsync.sync.sealing import oldest_first, seconds_until_due


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


def preview(
    queue: PendingQueueService, repositories: Sequence[ReferenceRepository], apply: ApplySettings
) -> list[PlannedCommit]:
    """The commits that a pass would make now, each on top of the one before."""
    batches = [
        batch
        for batch in oldest_first(queue.list_batches((BatchState.open, BatchState.sealed, BatchState.held)))
        if batch.state != BatchState.open or seconds_until_due(batch, apply, time()) == 0
    ]
    return [planned for reference in repositories for planned in _preview_repository(queue, reference, batches)]


def _preview_repository(
    queue: PendingQueueService, reference: ReferenceRepository, batches: Sequence[Batch]
) -> Iterator[PlannedCommit]:
    work = [(batch, changes) for batch in batches if (changes := _changes(queue, reference, batch))]
    try:
        with Repository(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone:
            clone.preflight()
            at_tip = reader(clone, clone.tip())
            written: dict[str, bytes] = {}
            awaited: dict[Model, int] = {}
            for batch, changes in work:
                yield _plan_commit(clone, reference, batch, changes, at_tip, written, awaited)
    except RefsyncError as problem:
        if work:
            yield PlannedCommit(reference.name, reference.branch, work[0][0].number, problem=str(problem))


def _changes(queue: PendingQueueService, reference: ReferenceRepository, batch: Batch) -> list[PendingChangeRecord]:
    """The batch's open changes that belong to the repository: an open batch may hold some for several."""
    if batch.repository not in (None, reference.name):
        return []
    waiting = (PendingChangeStatus.APPROVED, PendingChangeStatus.APPLYING)
    return [
        change
        for change in queue.changes_of_batch(batch.number)
        if change.status in waiting and reference.written_file(change.category)
    ]


def _plan_commit(
    clone: Repository,
    reference: ReferenceRepository,
    batch: Batch,
    changes: Sequence[PendingChangeRecord],
    at_tip: Read,
    written: dict[str, bytes],
    awaited: dict[Model, int],
) -> PlannedCommit:
    """Plan one batch on top of what the ones before wrote; adds what it writes and what it leaves waiting."""

    def read(path: str) -> bytes | None:
        return written[path] if path in written else at_tip(path)

    plan = plan_batch(changes, observe(clone, reference, read, changes, awaited), stamp_for(reference))
    files = edited_files(reference, read, plan)
    diff = _diff({path: (read(path), after) for path, after in files.items()})
    written.update(files)
    sealed = batch if batch.job else batch.model_copy(update={"job": "(given when the batch is sealed)"})
    waiting = {refusal.change_id for refusal in plan.waiting}
    for change in changes:
        if change.change_id in waiting:
            awaited.setdefault((change.category, change.model_name), batch.number)
    return PlannedCommit(
        repository=reference.name,
        branch=reference.branch,
        batch=batch.number,
        message=batch_message(sealed, [each for each in changes if each.change_id in plan.written]) if diff else "",
        diff=diff,
        rejected=plan.conflicts,
        waiting=plan.waiting,
    )


def _diff(files: Mapping[str, tuple[bytes | None, bytes]]) -> str:
    """What git shows for these versions of files (``None``: not there), made outside the clone."""
    with TemporaryDirectory(prefix="refsync-") as folder:
        return "".join(_diff_of_file(Path(folder), path, *files[path]) for path in sorted(files))


def _diff_of_file(folder: Path, path: str, before: bytes | None, after: bytes) -> str:
    for side, content in (("a", before), ("b", after)):
        if content is not None:
            (folder / side / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / side / path).write_bytes(content)
    if before is None:
        return _git_diff(folder / "b", "--src-prefix=a/", "--dst-prefix=b/", "/dev/null", path)
    return _git_diff(folder, "--no-prefix", f"a/{path}", f"b/{path}")


def _git_diff(folder: Path, *arguments: str) -> str:
    shown = run_git(folder, "diff", "--no-index", "--no-color", "--no-ext-diff", *arguments, accept=(0, 1))
    return shown.output.decode(errors="replace")
