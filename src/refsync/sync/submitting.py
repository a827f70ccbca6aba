"""What a submission is made from: the record at the tip of the target branch, or an open change's."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace

from refsync.categories import CategoryName, not_held
from refsync.clone.repository import Repository
from refsync.documents.names import folded
from refsync.documents.values import same_value
from refsync.errors import DocumentError, ModelNotFoundError, PayloadError, RequestError
from refsync.pending_queue.models import (
    AuditOperation,
    PendingChangeStatus,
    PendingQueueFilter,
    Submission,
)
from refsync.pending_queue.payloads import check_model_name, check_old_name, check_payload
from refsync.pending_queue.placement import asked_file
from refsync.pending_queue.queue_door import QueueDoor
from refsync.pending_queue.renames import RENAMED_FROM
from refsync.reference.judges import judge_of
from refsync.reference.kinds import CategoryFiles, bases_of, kind_of, records_at
from refsync.reference.versions import Versions
from refsync.reference.view import View, at_commit
from refsync.rules.judge import Judge
from refsync.sync.keeping_rules import remark_on_rules
from refsync.sync.planned_models import Record
from refsync.sync.reference import ReferenceRepository
from refsync.sync.submitted_names import (
    check_place,
    remark_on_models,
    remark_on_name,
    remark_on_stamps,
)

_OPEN = {PendingChangeStatus.PENDING, PendingChangeStatus.APPROVED, PendingChangeStatus.APPLYING}


class ReferenceTips:
    """The records at the tip of each repository's target branch, each file read once."""

    def __init__(self, repositories: Sequence[ReferenceRepository]) -> None:
        self._repositories = repositories
        self._views: dict[CategoryName, View] = {}
        self._files: dict[CategoryName, CategoryFiles | None] = {}
        self._records: dict[CategoryName, Mapping[str, Record]] = {}
        self._bases: dict[CategoryName, Mapping[str, str]] = {}
        self._looks: dict[CategoryName, Mapping[str, str]] = {}
        self._judges: dict[CategoryName, Judge] = {}

    def repository_of(self, category: CategoryName) -> ReferenceRepository:
        """The repository that holds a category.

        Raises:
            UnknownCategoryError: none does.
        """
        for each in self._repositories:
            if each.written_file(category):
                return each
        raise not_held(category, (name for each in self._repositories for name in each.files))

    def records(self, category: CategoryName) -> Mapping[str, Record]:
        """The category's records, empty where its file does not exist yet; read-only.

        Raises:
            UnknownCategoryError: no repository holds the category.
            CloneError: the clone cannot be read.
            DocumentError: the file at the tip cannot be read.
        """
        if category not in self._records:
            self._records[category] = self._read(category)
        return self._records[category]

    def record(self, category: CategoryName, model: str) -> Record | None:
        """One record as it is at the tip, ``None`` where there is none; read-only."""
        return self.records(category).get(model)

    def bases(self, category: CategoryName) -> Mapping[str, str]:
        """The variants that the category's models may have -> the model's name; raises as :meth:`records` does."""
        if category not in self._bases:
            described = self.repository_of(category).catalogue[category]
            self._bases[category] = bases_of(described, self.records(category))
        return self._bases[category]

    def looks(self, category: CategoryName) -> Mapping[str, str]:
        """What look-alikes have in common -> the model's name; raises as :meth:`records` does."""
        if category not in self._looks:
            self._looks[category] = {folded(name): name for name in self.records(category)}
        return self._looks[category]

    def has_variants(self, category: CategoryName) -> bool:
        """Whether the category's models have records for other backends beside their own."""
        return self.repository_of(category).catalogue[category].has_variants

    def completes(self, category: CategoryName) -> bool:
        """Whether what is asked for may not be all that its files will hold, or more than they can."""
        described = self.repository_of(category).catalogue[category]
        return described.has_variants or described.is_own

    def is_derived(self, category: CategoryName) -> bool:
        """Whether the category's file is made from a table."""
        return category in self.repository_of(category).tables

    def judge(self, category: CategoryName) -> Judge | None:
        """The category's rules, ``None`` where it has none; raises as :meth:`records` does."""
        rules = self.repository_of(category).rules.get(category)
        if rules is not None and category not in self._judges:
            described = self.repository_of(category).catalogue[category]
            view = self._view(category)
            self._judges[category] = judge_of(rules, described, self.records(category), view.version)
        return self._judges.get(category)

    def files(self, category: CategoryName) -> CategoryFiles | None:
        """The category's files; ``None`` while they cannot be read, for which a change of it waits."""
        if category not in self._files:
            try:
                if not self.is_derived(category):
                    self.records(category)
                self._files[category] = self.repository_of(category).open(category, self._view(category))
            except DocumentError:
                self._files[category] = None
        return self._files[category]

    def under(self, category: CategoryName, old: str, new: str) -> Record:
        """The record of a model as it is under another name; beside a table that cannot be read, by the document."""
        files = self.files(category)
        if files is None:
            reference = self.repository_of(category)
            described, path = reference.catalogue[category], reference.written_file(category) or ""
            files = kind_of(described, path).open(self._view(category), described, path)
        return files.under(old, new)

    def _read(self, category: CategoryName) -> Mapping[str, Record]:
        reference = self.repository_of(category)
        path = reference.written_file(category)
        assert path is not None
        try:
            return records_at(self._view(category), reference.catalogue[category], path)
        except DocumentError as problem:
            where = f"{problem.reason} (in {path} at the tip of {reference.name})"
            raise DocumentError(where, line=problem.line, column=problem.column) from None

    def _view(self, category: CategoryName) -> View:
        """The category's files at the tip."""
        if category not in self._views:
            reference = self.repository_of(category)
            with Repository(reference.path, reference.branch, timeout_seconds=reference.timeout_seconds) as clone:
                view = at_commit(clone, clone.tip(), Versions(clone.read_blob))
                self._views[category] = view.held(reference.read_paths(category))
        return self._views[category]


def submissions_with_base(
    queue: QueueDoor, tips: ReferenceTips, submissions: Iterable[Submission]
) -> Iterator[Submission]:
    """Give each submission the record that it is made from, refusing at once what cannot work, and what is noticed.

    Unless it names one itself, that record is the one at the tip; for a model that is not there yet, what the newest
    open change, or an earlier one of these submissions, makes of it.

    Raises:
        RequestError: an update or delete of a model that neither exists nor is about to; a place that cannot be had; a
            name that would take another model's variant.
        BrokenRulesError: a record breaks rules of its category.
        UnknownCategoryError: no repository holds the category.
    """
    announced: dict[tuple[CategoryName, str], Record | None] = {}
    looks: dict[CategoryName, dict[str, str]] = defaultdict(dict)
    for given in submissions:
        each = _completed(tips, given)
        base, known = _base(queue, tips, each, announced)
        announced[each.category, each.model_name] = each.payload
        is_given = each.base_known or each.base is not None
        found = each if is_given else _with_kept_base(each, base, known)
        noticed = [
            *remark_on_models(given, found, has_variants=tips.has_variants(found.category)),
            *_noticed(queue, tips, found, base, announced, looks[each.category]),
            *_judged(tips, found),
        ]
        yield replace(found, remarks=(*found.remarks, *noticed))


def _with_kept_base(submission: Submission, base: Record | None, known: bool) -> Submission:
    """With its base; without one that the queue cannot keep, so that a record can be deleted whatever it holds."""
    try:
        kept = base if base is None else check_payload(base, what="base")
    except PayloadError as problem:
        if submission.operation != AuditOperation.DELETE:
            raise
        remark = f"what others change in the record meanwhile cannot be told, for it cannot be kept ({problem})"
        return replace(submission, remarks=(*submission.remarks, remark))
    return replace(submission, base=kept, base_known=known)


def _noticed(
    queue: QueueDoor,
    tips: ReferenceTips,
    submission: Submission,
    base: Record | None,
    announced: Mapping[tuple[CategoryName, str], Record | None],
    coming: dict[str, str],
) -> list[str]:
    """See that its place can be had; what is worth a remark of its name and its stamps.

    ``coming`` has the looks of the new names so far, and is given this one's.
    """
    category, name = submission.category, submission.model_name
    try:
        files, looks = tips.files(category), tips.looks(category)
        names = tips.records(category) if files is None else files.models
    except DocumentError:
        return []  # the change waits for the file to be mended

    def is_coming(model: str) -> bool:
        if (category, model) in announced:
            return announced[category, model] is not None
        return model in names or coming_record(queue, category, model) is not None

    check_place(submission, is_coming, names)
    if submission.operation == AuditOperation.DELETE:
        return []
    remarks = list(remark_on_stamps(submission.payload, base, tips.repository_of(category).stamps))
    if files is not None and submission.payload is not None:
        remarks += files.remarks(name, submission.payload)
    if submission.operation == AuditOperation.CREATE:
        remarks += remark_on_name(name, (coming, looks))
        coming.setdefault(folded(name), name)
    elif base is not None and submission.payload is not None and same_value(base, submission.payload):
        remarks.append("the record is so already, so that nothing would be written; the order of keys takes no part")
    return remarks


def _judged(tips: ReferenceTips, submission: Submission) -> list[str]:
    """What is to be told of the category's rules, as far as its file can be read.

    Raises:
        BrokenRulesError: the record breaks some that the record at the tip keeps, and that is refused.
    """
    try:
        judge = tips.judge(submission.category)
    except DocumentError:
        return []  # the change waits for the file to be mended
    return [] if judge is None else list(remark_on_rules(submission, judge))


def _completed(tips: ReferenceTips, submission: Submission) -> Submission:
    """With its record as its files will hold it; of a text model the base model, with its variants beside it.

    Raises:
        PayloadError: the files cannot hold the record; the text names the field.
    """
    asked = asked_file(submission.request_metadata)
    if asked is not None and submission.operation != AuditOperation.CREATE:
        raise RequestError(f"only a new model is given a file; {submission.operation} leaves it where it is")
    if asked is None and not tips.completes(submission.category):
        return submission
    if (files := tips.files(submission.category)) is None:
        return submission
    name, payload = files.base_of(_asked_name(submission)), submission.payload
    replaced = (submission.request_metadata or {}).get(RENAMED_FROM)
    if submission.operation == AuditOperation.CREATE:
        files.check_new(name, replaced)
    if payload is not None and submission.operation != AuditOperation.DELETE:
        payload = files.complete(name, check_payload(payload))
    if submission.operation == AuditOperation.CREATE and replaced is None:
        files.home(name, asked, (submission.after or submission.before) is not None)
    return replace(submission, model_name=name, payload=payload, related_models=files.related(name) or None)


def _asked_name(submission: Submission) -> str:
    if submission.operation == AuditOperation.DELETE:
        return check_old_name(submission.model_name)
    return check_model_name(submission.model_name)


def _base(
    queue: QueueDoor,
    tips: ReferenceTips,
    submission: Submission,
    announced: Mapping[tuple[CategoryName, str], Record | None],
) -> tuple[Record | None, bool]:
    category, model = submission.category, submission.model_name
    try:
        current = tips.record(category, model)
    except DocumentError:
        return None, False  # unknown while the file cannot be read; the change waits for it anyway
    if current is not None or submission.operation == AuditOperation.CREATE:
        return current, True
    known = (category, model) in announced
    coming = announced[category, model] if known else coming_record(queue, category, model)
    if coming is None:
        raise ModelNotFoundError(
            f"{category} {model!r} does not exist, and no open change creates it, so there is nothing to "
            f"{submission.operation}; see: refsync queue list --category {category}"
        )
    return coming, True


def coming_record(queue: QueueDoor, category: CategoryName, model: str) -> Record | None:
    """What the newest open change makes of the model, ``None`` where that is nothing."""
    page = queue.list_changes(queue_filter=PendingQueueFilter(statuses=_OPEN, categories={category}, model_name=model))
    about = [change for change in page.items if change.model_name == model]
    return about[-1].payload if about and about[-1].operation != AuditOperation.DELETE else None
