"""What a batch's pull request says, from its changes and the commit that proposes them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from refsync.clone.repository import Repository
from refsync.documents.json_document import read_records
from refsync.errors import DocumentError
from refsync.pending_queue.models import Batch, PendingChangeRecord
from refsync.review.proposal import MAX_LENGTH, Overlap, ProposedChange, render_body, render_title
from refsync.sync.apply import Read, reader
from refsync.sync.reference import ReferenceRepository

Record = dict[str, Any]
Records = Mapping[str, Record]


def title_of(batch: Batch) -> str:
    """The title of the batch's pull request."""
    return render_title(batch.title, batch=batch.number)


def body_of(
    clone: Repository, reference: ReferenceRepository, batch: Batch, changes: Sequence[PendingChangeRecord]
) -> str:
    """The body of the batch's pull request, from the commit that was built for it and its parent."""
    assert batch.base_commit
    assert batch.commit
    assert batch.job
    near = batch.proposal.overlaps if batch.proposal else []
    overlaps = [Overlap(each.number, each.author, tuple(each.models)) for each in near]
    before, after = reader(clone, batch.base_commit), reader(clone, batch.commit)
    return render(reference, changes, before, after, job=batch.job, batch=batch.number, overlaps=overlaps)


def render(
    reference: ReferenceRepository,
    changes: Sequence[PendingChangeRecord],
    before: Read,
    after: Read,
    *,
    job: str,
    batch: int,
    overlaps: Sequence[Overlap] = (),
) -> str:
    """The body for changes that lead from one state of the files to another."""
    requests = reference.publish.pull_requests if reference.publish else None
    records_before, records_after = _records(reference, before), _records(reference, after)
    return render_body(
        [_proposed(reference, change, records_before, records_after) for change in changes],
        job=job,
        batch=batch,
        others=overlaps,
        max_length=requests.longest_body if requests else MAX_LENGTH,
    )


def _proposed(
    reference: ReferenceRepository,
    change: PendingChangeRecord,
    before: Callable[[str], Records],
    after: Callable[[str], Records],
) -> ProposedChange:
    path = reference.written_file(change.category) or ""
    requests = reference.publish.pull_requests if reference.publish else None
    return ProposedChange(
        change_id=change.change_id,
        operation=str(change.operation),
        category=change.category.value,
        model=change.model_name,
        requested_by=change.requested_username,
        before=before(path).get(change.model_name),
        after=after(path).get(change.model_name),
        related=tuple(change.related_models or ()),
        notes=change.notes,
        critical_fields=tuple(requests.critical_fields.get(change.category, ())) if requests else (),
    )


def _records(reference: ReferenceRepository, read: Read) -> Callable[[str], Records]:
    """The records of a file, each read once."""
    known: dict[str, Records] = {}

    def records(path: str) -> Records:
        if path not in known:
            try:
                known[path] = read_records(read(path) or b"{}")
            except DocumentError:
                known[path] = {}
        return known[path]

    return records
