"""One change for who reviews it: what it asks for, what it was made from, what is there now, and the file's lines."""

from __future__ import annotations

from typing import Any

from refsync.application import Application
from refsync.documents.field_paths import split_path
from refsync.pending_queue.diffs import critical_fields, field_changes
from refsync.pending_queue.lifecycle import OPEN_STATUSES
from refsync.pending_queue.models import AuditOperation
from refsync.use_cases.answer import Answer


class AskedField(Answer):
    """A field that a change is about, by its dotted path.

    ``was`` is its value in the record that the change was made from, ``now`` the one in the reference;
    ``has_moved`` says that others have changed it, or a part of it, in between.
    """

    field_path: str
    change_type: str
    was: Any
    now: Any
    proposed: Any
    critical: bool
    has_moved: bool


class MovedField(Answer):
    """A field that others have changed since a change was made, which it leaves alone."""

    field_path: str
    change_type: str
    was: Any
    now: Any


class Comparison(Answer):
    """A change, field by field; ``moved`` is empty of one that has ended, which the reference has gone on from."""

    change_id: int
    base_known: bool
    asked: list[AskedField]
    moved: list[MovedField]

    @property
    def is_critical(self) -> bool:
        """Whether a field that a reviewer must not miss is among them."""
        return any(field.critical for field in self.asked)

    @property
    def has_moved(self) -> bool:
        """Whether others have changed the record since."""
        return bool(self.moved) or any(field.has_moved for field in self.asked)


class Preview(Answer):
    """The unified diff that a change alone would make of its file, empty where it would not land, and why it would not.

    Of one that has landed: that of its commit, which may hold others' too.
    """

    change_id: int
    diff: str
    refusals: list[str]


def compare_fields(application: Application, change_id: int) -> Comparison:
    """What a change asks for, beside what it was made from and what is there now.

    Raises:
        ChangeNotFoundError: there is none with this id.
        UnknownCategoryError: no repository holds its category.
        DocumentError: the file at the tip cannot be read.
    """
    change = application.queue.show_change(change_id)
    tips = application.tips()
    current, stamps = tips.record(change.category, change.model_name), tips.repository_of(change.category).stamps
    made_from = change.base if change.base_known else current
    proposed = None if change.operation is AuditOperation.DELETE else change.payload
    config = application.config
    critical = critical_fields(config.catalogue[change.category], config.critical_fields().get(change.category))
    asked = field_changes(made_from, proposed, critical=critical, stamps=stamps)
    since = field_changes(made_from, current, stamps=stamps) if change.status in OPEN_STATUSES else []
    moved = {split_path(each["field_path"]): each for each in since}
    fields = [_asked(each, moved) for each in asked]
    touched = {split_path(each.field_path) for each in fields}
    return Comparison(
        change_id=change.change_id,
        base_known=change.base_known,
        asked=fields,
        moved=[
            MovedField(
                field_path=each["field_path"],
                change_type=each["change_type"],
                was=each["old_value"],
                now=each["new_value"],
            )
            for path, each in moved.items()
            if path not in touched
        ],
    )


def show_lines(application: Application, change_id: int) -> Preview:
    """What a change makes of its file, line by line; it is built for that, and nothing is kept.

    Raises:
        ChangeNotFoundError: there is none with this id.
        RefsyncError: its clone cannot be read.
    """
    from refsync.sync.change_preview import preview_change  # all of a pass's planning, which nothing else here needs

    change = application.queue.show_change(change_id)
    half = None if change.lands_with is None else application.queue.get_change(change.lands_with)
    reference = application.tips().repository_of(change.category)
    publisher = application.publishers()[reference.name]
    found = preview_change(application.queue, reference, publisher, [change, half] if half else [change])
    return Preview(change_id=change_id, diff=found.diff, refusals=found.refusals)


def _asked(field: dict[str, Any], moved: dict[tuple[str, ...], dict[str, Any]]) -> AskedField:
    path = split_path(field["field_path"])
    same = moved.get(path)
    return AskedField(
        field_path=field["field_path"],
        change_type=field["change_type"],
        was=field["old_value"],
        now=same["new_value"] if same else field["old_value"],
        proposed=field["new_value"],
        critical=field["critical"],
        has_moved=any(path[: len(other)] == other or other[: len(path)] == path for other in moved),
    )
