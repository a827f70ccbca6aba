"""Many models of a category that go at once: held before they land, told where others have landed it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from loguru import logger

from refsync.categories import CanonicalFormat, CategoryName
from refsync.documents.operations import OperationKind
from refsync.errors import DocumentError
from refsync.metadata.recorder import LandedOperation, RecordedLanding
from refsync.pending_queue.daemon_door import DaemonDoor
from refsync.pending_queue.holds import Hold, HoldKind
from refsync.pending_queue.repository_note import MassDeletion, tell
from refsync.sync.reference import ReferenceRepository

if TYPE_CHECKING:
    from refsync.sync.plan import BatchPlan, Observed


def hold_for_deletions(reference: ReferenceRepository, plan: BatchPlan, observed: Observed) -> Hold | None:
    """Why a batch has to be confirmed before it lands; ``None`` where it deletes no more than it may.

    A renamed model is none that is deleted, and the variants of a model are none of their own.
    """
    for category, path in observed.files.items():
        files = observed.opened[path]
        edits, renamed = plan.edits.get(path, {}), plan.renames.get(path, {})
        if isinstance(files, DocumentError) or all(record is not None for record in edits.values()):
            continue
        models = files.records.keys() - files.owners(files.records).keys()
        deleted = sum(name in models and record is None and name not in renamed for name, record in edits.items())
        if _is_too_much(reference, deleted, len(models)):
            told = f"it deletes {deleted} of the {len(models)} models of {category}, more than [guard] lets go at once"
            return Hold(kind=HoldKind.mass_deletion, reason=told, about=category)
    return None


def note_mass_deletions(
    queue: DaemonDoor, reference: ReferenceRepository, recorded: RecordedLanding
) -> list[MassDeletion]:
    """What others have landed that would have been held, logged and noted; of a whole history nothing is told."""
    if recorded.refolded or not (found := list(_mass_deletions(reference, recorded.operations))):
        return []
    ours = {batch.commit for batch in queue.list_batches()}
    theirs = [each for each in found if each.commit not in ours]
    for each in theirs:
        logger.warning("{repository}: {told}", repository=reference.name, told=tell(each))
        queue.note_repository(reference.name, mass_deletion=each)
    return theirs


def _mass_deletions(reference: ReferenceRepository, operations: Sequence[LandedOperation]) -> Iterator[MassDeletion]:
    by_file: dict[tuple[CanonicalFormat, CategoryName], list[LandedOperation]] = {}
    for each in operations:
        by_file.setdefault((each.format, each.category), []).append(each)
    for (form, category), those in by_file.items():
        deleted = _counted(those, "delete")
        limit = reference.deletions.count if reference.deletions else None
        if limit is None or max(deleted.values(), default=0) <= limit:
            continue
        stored = reference.metadata.stored_metadata(form, category)
        models, created = (stored.total_models or 0) if stored else 0, _counted(those, "create")
        for commit in reversed(dict.fromkeys(each.commit for each in those)):
            models += deleted[commit] - created[commit]  # as it was before the commit
            if _is_too_much(reference, deleted[commit], models):
                yield MassDeletion(commit=commit, category=category, deleted=deleted[commit], models=models)


def _counted(operations: Sequence[LandedOperation], kind: OperationKind) -> Counter[str]:
    return Counter(each.commit for each in operations if each.operation.kind == kind)


def _is_too_much(reference: ReferenceRepository, deleted: int, models: int) -> bool:
    limit = reference.deletions
    return limit is not None and deleted > limit.count and deleted > limit.share * models
