"""What one change alone would make of its file now, or has made of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from refsync.clone.quarantine import quarantined
from refsync.clone.repository import Repository
from refsync.clone.text_diff import text_diff
from refsync.pending_queue.lifecycle import OPEN_STATUSES
from refsync.pending_queue.models import Batch, PendingChangeRecord
from refsync.pending_queue.queue_door import QueueDoor
from refsync.reference.versions import Versions
from refsync.sync.apply import build, observe, stamp_for
from refsync.sync.keeping_rules import plan_within_rules
from refsync.sync.plan import Model
from refsync.sync.publisher import Publisher
from refsync.sync.reference import ReferenceRepository

_NO_BATCH = Batch(number=0, title="a rehearsal", job="none")


@dataclass(frozen=True)
class ChangePreview:
    """A unified diff, empty where nothing is written, and a line for each reason why it is not."""

    diff: str = ""
    refusals: list[str] = field(default_factory=list)


@dataclass
class _Alone:
    """A repository, looked at as if there were no other batch."""

    reference: ReferenceRepository
    queue: QueueDoor
    clone: Repository
    versions: Versions
    tip: str
    awaited: Mapping[Model, int] = field(default_factory=dict)


def preview_change(
    queue: QueueDoor, reference: ReferenceRepository, publisher: Publisher, changes: Sequence[PendingChangeRecord]
) -> ChangePreview:
    """What a change, or both halves of a rename, would make of the newest commit that is known here.

    It is built in quarantine, and nothing is kept. Of one that landed: its commit, compared with its parent.

    Raises:
        RefsyncError: the clone cannot be read.
    """
    with quarantined(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone:
        if landed := changes[0].commit:
            return ChangePreview(text_diff(clone, f"{landed}^", landed))
        if changes[0].status not in OPEN_STATUSES:
            return ChangePreview()
        look = _Alone(reference, queue, clone, Versions(clone.read_blob), publisher.newest(clone, reference))
        plan = plan_within_rules(changes, observe(look, changes), stamp_for(reference))
        commit = build(look, _NO_BATCH, plan, changes)
        refusals = [each.reason for each in plan.conflicts] + [each.hold.reason for each in plan.waiting]
        return ChangePreview(text_diff(clone, look.tip, commit) if commit else "", refusals)
