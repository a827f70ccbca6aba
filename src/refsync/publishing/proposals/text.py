"""What a batch's pull request says, from its changes and the commit that proposes them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from refsync.categories import CategoryName
from refsync.pending_queue.models import Batch, PendingChangeRecord
from refsync.publishing.proposals.proposed import ProposalLook
from refsync.publishing.proposals.settings import ProposalSettings
from refsync.reference.view import View, at_commit
from refsync.review.proposal import Overlap, ProposedChange, render_body, render_title
from refsync.sync.reference import ReferenceRepository

CriticalFields = Mapping[CategoryName, tuple[str, ...]]


def title_of(batch: Batch) -> str:
    """The title of the batch's pull request."""
    return render_title(batch.title, batch=batch.number)


def body_of(turn: ProposalLook, batch: Batch) -> str:
    """The body of the batch's pull request, from the commit that was built for it and its parent."""
    assert batch.base_commit
    assert batch.commit
    assert batch.job
    near = batch.proposal.overlaps if batch.proposal else []
    overlaps = [Overlap(each.number, each.author, tuple(each.models)) for each in near]
    return render(
        turn.reference,
        turn.queue.open_changes(batch.number),
        at_commit(turn.clone, batch.base_commit, turn.versions),
        at_commit(turn.clone, batch.commit, turn.versions),
        job=batch.job,
        batch=batch.number,
        critical=critical_fields(turn.settings),
        longest=turn.memory.facts.longest_body,
        overlaps=overlaps,
    )


def critical_fields(settings: ProposalSettings) -> CriticalFields:
    """By category, the fields that a reviewer must not miss."""
    return settings.pull_requests.critical_fields if settings.pull_requests else {}


def render(
    reference: ReferenceRepository,
    changes: Sequence[PendingChangeRecord],
    before: View,
    after: View,
    *,
    job: str,
    batch: int,
    critical: CriticalFields,
    longest: int,
    overlaps: Sequence[Overlap] = (),
) -> str:
    """The body for changes that lead from one state of the files to another."""
    return render_body(
        [_proposed(reference, change, before, after, critical) for change in changes],
        job=job,
        batch=batch,
        others=overlaps,
        max_length=longest,
    )


def _proposed(
    reference: ReferenceRepository,
    change: PendingChangeRecord,
    before: View,
    after: View,
    critical: CriticalFields,
) -> ProposedChange:
    return ProposedChange(
        change_id=change.change_id,
        operation=str(change.operation),
        category=change.category,
        model=change.model_name,
        requested_by=change.requested_username,
        before=reference.record(before, change.category, change.model_name),
        after=reference.record(after, change.category, change.model_name),
        related=tuple(change.related_models or ()),
        notes=change.notes,
        critical_fields=tuple(critical.get(change.category, ())),
    )
