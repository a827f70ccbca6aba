"""What a submission is made from: the record at the tip of the target branch, or an open change's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from refsync.categories import MODEL_REFERENCE_CATEGORY
from refsync.clone.repository import Repository
from refsync.documents.json_document import read_records
from refsync.errors import DocumentError, RequestError, UnknownCategoryError
from refsync.pending_queue.models import (
    AuditOperation,
    PendingChangeStatus,
    PendingQueueFilter,
    Submission,
)
from refsync.pending_queue.service import PendingQueueService
from refsync.sync.apply import content_at
from refsync.sync.plan import Record
from refsync.sync.reference import ReferenceRepository

_OPEN = {PendingChangeStatus.PENDING, PendingChangeStatus.APPROVED, PendingChangeStatus.APPLYING}


class ReferenceTips:
    """The records at the tip of each repository's target branch, each file read once."""

    def __init__(self, repositories: Sequence[ReferenceRepository]) -> None:
        self._repositories = repositories
        self._records: dict[MODEL_REFERENCE_CATEGORY, Mapping[str, Record]] = {}

    def repository_of(self, category: MODEL_REFERENCE_CATEGORY) -> ReferenceRepository:
        """The repository that holds a category.

        Raises:
            UnknownCategoryError: none does.
        """
        for each in self._repositories:
            if each.written_file(category):
                return each
        held = sorted(name for each in self._repositories for name in each.files)
        raise UnknownCategoryError(
            f"no repository of the config holds {category}; held are: {', '.join(held) or 'none'}"
        )

    def records(self, category: MODEL_REFERENCE_CATEGORY) -> Mapping[str, Record]:
        """The category's records, empty where its file does not exist yet; read-only.

        Raises:
            UnknownCategoryError: no repository holds the category.
            CloneError: the clone cannot be read.
            DocumentError: the file at the tip cannot be read.
        """
        if category not in self._records:
            self._records[category] = self._read(category)
        return self._records[category]

    def record(self, category: MODEL_REFERENCE_CATEGORY, model: str) -> Record | None:
        """One record as it is at the tip, ``None`` where there is none; read-only."""
        return self.records(category).get(model)

    def _read(self, category: MODEL_REFERENCE_CATEGORY) -> Mapping[str, Record]:
        reference = self.repository_of(category)
        path = reference.written_file(category)
        assert path is not None
        try:
            with Repository(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone:
                content = content_at(clone, clone.tip(), path)
            return {} if content is None else read_records(content)
        except DocumentError as problem:
            where = f"{problem.reason} (in {path} at the tip of {reference.name})"
            raise DocumentError(where, line=problem.line, column=problem.column) from None


def submissions_with_base(
    queue: PendingQueueService, tips: ReferenceTips, submissions: Iterable[Submission]
) -> Iterator[Submission]:
    """Give each submission the record that it is made from, refusing at once what cannot work.

    That record is the one at the tip; for a model that is not there yet, what the newest open change, or an
    earlier one of these submissions, makes of it.

    Raises:
        RequestError: an update or delete of a model that neither exists nor is about to.
        UnknownCategoryError: no repository holds the category.
    """
    announced: dict[tuple[MODEL_REFERENCE_CATEGORY, str], Record | None] = {}
    for each in submissions:
        base, known = _base(queue, tips, each, announced)
        announced[each.category, each.model_name] = each.payload
        yield replace(each, base=base, base_known=known)


def _base(
    queue: PendingQueueService,
    tips: ReferenceTips,
    submission: Submission,
    announced: Mapping[tuple[MODEL_REFERENCE_CATEGORY, str], Record | None],
) -> tuple[Record | None, bool]:
    category, model = submission.category, submission.model_name
    try:
        current = tips.record(category, model)
    except DocumentError:
        return None, False  # unknown while the file cannot be read; the change waits for it anyway
    if current is not None or submission.operation == AuditOperation.CREATE:
        return current, True
    known = (category, model) in announced
    coming = announced[category, model] if known else _coming(queue, category, model)
    if coming is None:
        raise RequestError(
            f"{category} {model!r} does not exist, and no open change creates it, so there is nothing to "
            f"{submission.operation}; see: refsync queue list --category {category}"
        )
    return coming, True


def _coming(queue: PendingQueueService, category: MODEL_REFERENCE_CATEGORY, model: str) -> Record | None:
    """What the newest open change makes of the model, ``None`` where that is nothing."""
    page = queue.list_changes(queue_filter=PendingQueueFilter(statuses=_OPEN, categories={category}, model_name=model))
    about = [change for change in page.items if change.model_name == model]
    return about[-1].payload if about and about[-1].operation != AuditOperation.DELETE else None
