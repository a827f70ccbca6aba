"""A batch and the tip of the target branch -> one commit in the object database."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from copy import deepcopy

from refsync.categories import CategoryName
from refsync.clone.commits import BatchCommit, ChangeLine, Person, build_commit, render_message
from refsync.clone.edits import local_edits
from refsync.clone.repository import Repository
from refsync.documents.values import same_value
from refsync.errors import DocumentError
from refsync.file_patterns import means
from refsync.metadata.models import OperationType
from refsync.pending_queue.models import Batch, PendingChangeRecord
from refsync.pending_queue.renames import RENAMED_FROM
from refsync.reference.judges import judge_of
from refsync.reference.kinds import CategoryFiles
from refsync.reference.versions import Version
from refsync.reference.view import View, at_commit
from refsync.rules.judge import Judge
from refsync.sync.look import Look
from refsync.sync.plan import BatchPlan, Observed
from refsync.sync.planned_models import Record, Stamp
from refsync.sync.reference import ReferenceRepository


def observe(look: Look, changes: Iterable[PendingChangeRecord]) -> Observed:
    """Find what the plan for these changes needs: the files they touch, at the tip and in the work tree."""
    reference, view = look.reference, at_commit(look.clone, look.tip, look.versions)
    touched: dict[CategoryName, set[str]] = {}
    for change in changes:
        if reference.written_file(change.category) is not None:
            touched.setdefault(change.category, set()).add(change.model_name)
    files = {category: reference.edited_paths(category)[0] for category in touched}
    edited = _edited_documents(look.clone, reference, touched)  # first: what stands in the work tree is read once
    opened = {files[category]: _opened(reference, view, category, names) for category, names in touched.items()}
    return Observed(
        files=files,
        opened=opened,
        edited=edited,
        awaited=look.awaited,
        stamps=reference.stamps,
        judges=_judges(reference, view, opened),
    )


def _opened(
    reference: ReferenceRepository, view: View, category: CategoryName, touched: Collection[str]
) -> CategoryFiles | DocumentError:
    try:
        files = reference.open(category, view)
        files.check_editable(touched)
        return files
    except DocumentError as problem:
        return problem


def _judges(
    reference: ReferenceRepository, view: View, opened: Mapping[str, CategoryFiles | DocumentError]
) -> dict[str, Judge]:
    judges = {}
    for category, rules in reference.rules.items():
        path = reference.written_file(category) or ""
        files = opened.get(path)
        if rules.refuses and files is not None and not isinstance(files, DocumentError):
            judges[path] = judge_of(rules, reference.catalogue[category], files.records, view.version)
    return judges


def _edited_documents(
    clone: Repository, reference: ReferenceRepository, categories: Iterable[CategoryName]
) -> frozenset[str]:
    """The documents with local edits, in themselves or in the table that they are made from."""
    owners = {
        path: paths[0] for category in categories for paths in [reference.edited_paths(category)] for path in paths
    }
    found = (means(path, owners) for path in local_edits(clone, sorted(owners)))
    return frozenset(owners[each] for each in found if each is not None)


def _edited_files(look: Look, plan: BatchPlan) -> dict[str, Version | None]:
    """The new version of each file that the plan edits, known to ``versions``; files whose bytes stay are left out.

    ``None`` is a file that goes.
    """
    reference, versions, view = look.reference, look.versions, at_commit(look.clone, look.tip, look.versions)
    categories = {reference.written_file(category): category for category in reference.files}
    edited: dict[str, Version | None] = {}
    for path, edits in plan.edits.items():
        files = reference.open(categories[path], view)
        after = files.edited(edits, places=plan.places.get(path), renames=plan.renames.get(path))
        written = {
            name: None if content is None else versions.add(content, made_from=view.version(name))
            for name, content in after.items()
            if content != view.content(name)
        }
        _check_edit(path, edits, reference.open(categories[path], view.with_files(written)))
        edited |= written
    return edited


def _check_edit(path: str, edits: Mapping[str, Record | None], files: CategoryFiles) -> None:
    """Read back what is about to be committed: a fault of ours must not reach a reference that thousands read."""
    try:
        files.check_editable(())
    except DocumentError as fault:
        raise AssertionError(f"{path}: what is made of it could not be edited again: {fault}") from fault
    records = files.records
    for model, record in edits.items():
        if not same_value(records.get(model), record):
            raise AssertionError(f"{path}: the edit of {model!r} does not read back as it was meant")


def build(look: Look, batch: Batch, plan: BatchPlan, changes: Sequence[PendingChangeRecord]) -> str | None:
    """Build the batch's commit on the tip; ``None`` where nothing would change."""
    clone, reference, tip = look.clone, look.reference, look.tip
    edited = _edited_files(look, plan)
    if not edited:
        return None
    files = {path: None if version is None else version.blob for path, version in edited.items()}
    written = set(plan.written)
    message = _message(batch, [change for change in changes if change.change_id in written])
    earlier = batch.commit if batch.base_commit == tip else None
    return build_commit(clone, tip, files, message=message, author=reference.author, earlier=earlier)


def _message(batch: Batch, changes: Sequence[PendingChangeRecord]) -> str:
    """The commit message of a batch with these changes."""
    requesters = (Person(change.requested_by, change.requested_username) for change in changes)
    approvers = (Person(change.approved_by or "", change.approved_username or "") for change in changes)
    return render_message(
        BatchCommit(
            title=batch.title,
            job=batch.job or "",
            batch=batch.number,
            changes=tuple(map(_change_line, changes)),
            requested_by=tuple(dict.fromkeys(requesters)),
            approved_by=tuple(dict.fromkeys(approvers)),
            request_ids=tuple(filter(None, map(_request_id, changes))),
        )
    )


def _change_line(change: PendingChangeRecord) -> ChangeLine:
    related = tuple(change.related_models or ())
    before = (change.request_metadata or {}).get(RENAMED_FROM) if change.lands_with else None
    return ChangeLine(
        change.change_id, str(change.operation), change.category, change.model_name, related, renamed_from=before
    )


def _request_id(change: PendingChangeRecord) -> str | None:
    """What the caller traces the change by, if it is text."""
    request_id = (change.request_metadata or {}).get("request_id")
    return request_id if isinstance(request_id, str) else None


def stamp_for(reference: ReferenceRepository) -> Stamp | None:
    """What writes provenance into the records of a repository, ``None`` where it wants none.

    Times are those of the approval, so that building a batch again gives the same bytes.
    """
    if not reference.stamp_records:
        return None
    records = reference.metadata.model_metadata

    def stamp(change: PendingChangeRecord, wanted: Record, current: Record | None) -> Record:
        stamped = deepcopy(wanted)  # a handler of the operator's own may change what is in it
        records.stamp(
            stamped,
            existing=deepcopy(current),
            operation=OperationType(change.operation.value),
            at=change.approved_at or change.requested_at,
            by=change.requested_username,
            context={"model_name": change.model_name, "category": change.category},
        )
        return stamped

    return stamp
