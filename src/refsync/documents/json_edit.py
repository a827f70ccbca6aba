"""Change members of a JSON object in its text; what is not changed is copied as it stands."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Any, NamedTuple

from refsync.documents.alignment import aligned
from refsync.documents.field_order import FieldOrder
from refsync.documents.json_style import Style, style_near, style_of_document, style_of_scalars
from refsync.documents.json_text import (
    Container,
    Item,
    Path,
    Slot,
    Spacing,
    breaks,
    indentation,
    last_line,
    scan,
    scan_document,
    scan_first,
    spacing,
)
from refsync.documents.model_places import Place, Standing, with_new
from refsync.documents.shape import ROOT, Shape
from refsync.documents.values import is_record, same_value

Record = dict[str, Any]

_NOWHERE: Mapping[str, Place] = {}
_UNNAMED: Mapping[str, str] = {}


def replace_members(
    text: str,
    document: Container,
    records: Mapping[str, Record],
    edits: Mapping[str, Record | None],
    order: Sequence[str] = (),
    places: Mapping[str, Place] = _NOWHERE,
    renames: Mapping[str, str] = _UNNAMED,
    shape: Shape = ROOT,
    alike: Iterable[Record] = (),
) -> str:
    """The text of a document after edits; ``None`` removes a member.

    Args:
        text: valid JSON of the shape; no member that is edited or renamed is there twice.
        document: where in the text the members are.
        records: the objects that it holds. Its other members are kept as they stand.
        edits: name to record.
        order: names; a new one that is among them stands behind the nearest one ahead of it.
        places: new name to where it is asked to stand.
        renames: name to the name that its member shall have; edits name it by that one.
        shape: what the members are known by.
        alike: records of other files whose fields have the same order.
    """
    now = {renames.get(name, name): record for name, record in records.items()} if renames else records
    renamed = {new: shape.named(records[old], new) for old, new in renames.items()}
    edits = {name: record for name, record in (renamed | dict(edits)).items() if not same_value(now.get(name), record)}
    if not edits and not renames:
        return text
    scalars = style_of_scalars(text, document)
    shown = document if document.items else scan_document(text)
    editor = _Editor(
        text, FieldOrder([*records.values(), *alike]), scalars, lambda: style_of_document(text, shown, scalars)
    )

    def write(entry: _Entry, line: str | None) -> str:
        if entry.old is None or entry.value is not document.items[entry.old].value:
            return editor.write_member(document.items, entry, line)
        return editor.keep_member(document.items[entry.old], entry.key)

    if not renames and all(record is not None and name in records for name, record in edits.items()):
        whole = document._replace(start=0, end=len(text))
        return _with_new_values(text, whole, _entries_of(edits, document.items, shape), write)
    names = [(shape.name(item, place), item.value) for place, item in enumerate(document.items)]
    standing = [
        Standing(renames.get(name, name), place, shape.is_model(name, value))
        for place, (name, value) in enumerate(names)
    ]
    wanted = with_new(standing, _new(edits, standing), order, places)
    entries = _document_entries(document.items, wanted, edits, shape)
    rebuilt = editor.rebuild(document, entries, write)
    return text[: document.start] + rebuilt + text[document.end :]


def without_items(text: str, container: Container, places: Collection[int]) -> str:
    """The text of a document in which a container lacks the items at these places."""
    entries = [_Entry(place, item.key, item.value) for place, item in enumerate(container.items) if place not in places]

    def write(entry: _Entry, line: str | None) -> str:
        item = container.items[entry.old or 0]
        return text[item.start : item.end]

    rebuilt = _rebuild(text, container, spacing(text, container), entries, "", write)
    return text[: container.start] + rebuilt + text[container.end :]


@dataclass(frozen=True)
class _Editor:
    """A text, with what is needed to write values into it in its own way; most of that is learnt when it is needed."""

    text: str
    order: FieldOrder
    scalars: Style
    learn: Callable[[], Style]

    @cached_property
    def style(self) -> Style:
        """How objects and lists are written around here."""
        return self.learn()

    def rewrite(self, item: Item, value: Any, path: Path, line: str | None) -> str:
        """The text of an item's value after a change; ``line`` is that of ``Style.write``."""
        old = item.value
        if same_value(old, value):
            return self.text[item.value_start : item.end]
        if isinstance(old, dict) and isinstance(value, dict) and old and value:
            if old.keys() == value.keys():
                return self._with_other_values(item, value, path)
            return self._rebuild_value(item, self._members(old, value, path), path)
        if isinstance(old, list) and isinstance(value, list) and old and value:
            return self._rebuild_value(item, _elements(old, value), path)
        return self._written(value, path, line)

    def _written(self, value: Any, path: Path, line: str | None) -> str:
        if value and isinstance(value, dict | list):
            return self.style.write(value, path, line, self.order)
        return self.scalars.quote(value)

    def _rebuild_value(self, item: Item, entries: Sequence[_Entry], path: Path) -> str:
        container = scan(self.text, item.value_start, item.value)
        return self.rebuild(container, entries, partial(self._write_entry, container.items, path))

    def _with_other_values(self, item: Item, new: Record, path: Path) -> str:
        """The text of an object that keeps its keys; nothing is looked for behind the last value that changes."""
        fields = enumerate(item.value.items())
        entries = [_Entry(place, key, new[key]) for place, (key, old) in fields if new[key] is not old]
        container = scan_first(self.text, item, (entries[-1].old or 0) + 1)
        return _with_new_values(self.text, container, entries, partial(self._write_entry, container.items, path))

    def rebuild(self, container: Container, entries: Sequence[_Entry], write: Write) -> str:
        """The text of a container that shall have these entries."""
        if [entry.old for entry in entries] == list(range(len(container.items))):
            return _with_new_values(self.text, container, entries, write)
        around, gap = spacing(self.text, container), self.style.gap
        if not container.items:
            around, gap = _spacing_of_empty(self.text, container, around, self.style)
        return _rebuild(self.text, container, around, entries, gap, write)

    def write_member(self, members: Sequence[Item], entry: _Entry, line: str | None) -> str:
        """The text of a whole model, in the style of those around it."""
        if entry.old is not None:
            item = members[entry.old]
            near = replace(self, learn=lambda: style_near(self.text, _around(members, entry.near), self.style))
            return self._key(item, entry.key) + near.rewrite(item, entry.value, (), line)
        samples = _around(members, entry.near)
        editor = replace(self, learn=lambda: style_near(self.text, samples, self.style))
        if samples:  # indented like the neighbour, whose first line may be off
            line = last_line(spacing(self.text, scan(self.text, samples[0].value_start)).closing) or line
        written = editor.style.write(entry.value, (), line, self.order)
        return written if entry.key is None else self.style.member(entry.key, written)

    def keep_member(self, item: Item, name: str | None) -> str:
        """The text of a whole model that keeps all but, at most, its name."""
        return self._key(item, name) + self.text[item.value_start : item.end]

    def _key(self, item: Item, name: str | None) -> str:
        """What stands ahead of the value, with the name that it shall have."""
        if item.key == name:
            return self.text[item.start : item.value_start]
        return self.scalars.quote(name) + self.text[item.key_end : item.value_start]

    def _write_entry(self, items: Sequence[Item], path: Path, entry: _Entry, line: str | None) -> str:
        path = (*path, entry.key)
        if entry.old is not None:
            item = items[entry.old]
            return self.text[item.start : item.value_start] + self.rewrite(item, entry.value, path, line)
        written = self._written(entry.value, path, line)
        return written if entry.key is None else self.style.member(entry.key, written)

    def _members(self, old: Record, new: Record, path: Path) -> list[_Entry]:
        """The old fields in their order, the new ones in their places."""
        keys = self.order.with_new(path, [key for key in old if key in new], list(new))
        places = {key: place for place, key in enumerate(old)}
        return [_Entry(places.get(key), key, new[key]) for key in keys]


class _Entry(NamedTuple):
    """An item of a container as it shall be.

    ``old`` is the place of the item that it was, ``None`` for a new one; ``near`` that of the item it takes after.
    """

    old: int | None
    key: str | None
    value: Any
    near: int = 0


Write = Callable[[_Entry, str | None], str]
"""Gives the text of an entry; the second argument is the ``line`` of ``Style.write``."""

_NO_SLOT = Slot("", "", "")


def _new(edits: Mapping[str, Record | None], standing: Sequence[Standing]) -> list[str]:
    present = {each.name for each in standing}
    return [name for name, record in edits.items() if record is not None and name not in present]


def _entries_of(edits: Mapping[str, Record | None], items: Sequence[Item], shape: Shape) -> list[_Entry]:
    """The entries of members that get another value, where none comes, goes or moves."""
    names = ((shape.name_of(item.key, item.value), place) for place, item in enumerate(items))
    return [
        _Entry(place, shape.key(name), edits[name], place)
        for name, place in names
        if name is not None and name in edits
    ]


def _document_entries(
    items: Sequence[Item], standing: Sequence[Standing], edits: Mapping[str, Record | None], shape: Shape
) -> list[_Entry]:
    entries, near = [], 0
    for name, old, _ in standing:
        near = near if old is None else old
        value = edits[name] if name in edits or old is None else items[old].value
        if name not in edits or value is not None:  # a member that is no record may well be null
            entries.append(_Entry(old, shape.key(name), value, near))
    return entries


def _around(members: Sequence[Item], near: int) -> list[Item]:
    """The three nearest members that show a style, nearest first."""
    places = sorted(range(max(0, near - 2), min(len(members), near + 3)), key=lambda place: abs(place - near))
    return [members[place] for place in places if members[place].value and is_record(members[place].value)][:3]


def _spacing_of_empty(text: str, container: Container, around: Spacing, style: Style) -> tuple[Spacing, str]:
    """For an object without members: each new one goes on a line of its own, the closing bracket below."""
    newline = ("\r\n" if "\r\n" in text else "\n") + indentation(text, container.start)
    closing = around.closing if breaks(around.closing) else newline
    return Spacing("", [], closing), newline + style.unit


def _elements(old: Sequence[Any], new: Sequence[Any]) -> list[_Entry]:
    """The elements of a list: those that stay keep their text, the others are changed in pairs."""
    return [_Entry(before, None, new[after]) for before, after in aligned(old, new) if after is not None]


def _with_new_values(text: str, container: Container, entries: Sequence[_Entry], write: Write) -> str:
    """The text of a container of which no item comes, goes or moves: all that stands between them stays.

    The entries are those of all items, or of some in their order.
    """
    parts: list[str] = []
    at = container.start
    for entry in entries:
        assert entry.old is not None
        item = container.items[entry.old]
        if entry.value is not item.value or entry.key != item.key:
            parts += text[at : item.start], write(entry, last_line(text[item.separator_end : item.start]))
            at = item.end
    return "".join([*parts, text[at : container.end]])


def _rebuild(
    text: str, container: Container, around: Spacing, entries: Sequence[_Entry], gap: str, write: Write
) -> str:
    """The text of a container that shall have these entries."""
    parts = [text[container.start], around.head]
    befores = _befores(around.slots, [entry.old for entry in entries], gap)
    for place, (entry, before) in enumerate(zip(entries, befores, strict=True)):
        slot = _NO_SLOT if entry.old is None else around.slots[entry.old]
        comma = "," if place + 1 < len(entries) else ""
        parts += before, write(entry, last_line(before)), slot.trail, comma, slot.rest
    return "".join([*parts, around.closing, text[container.end - 1]])


def _befores(slots: Sequence[Slot], kept: Sequence[int | None], gap: str) -> list[str]:
    """The white space in front of each item of a container as it shall be.

    Args:
        slots: those of the items that are there now.
        kept: the items to be, each as the place that it has now, ``None`` for a new one.
        gap: what stands between two items where no others show it.
    """
    befores: list[str] = []
    last = -1  # the nearest item ahead that stays
    for place, (old, following) in enumerate(zip(kept, _following(kept), strict=True)):
        if old is None:
            befores.append(_before_new(slots, place, last, following, gap))
        else:
            befores.append(_before_kept(slots, place, last, old, gap))
            last = old
    return befores


def _following(kept: Sequence[int | None]) -> list[int | None]:
    """For each place the nearest item behind that stays."""
    following: list[int | None] = []
    nearest = None
    for old in reversed(kept):
        following.append(nearest)
        nearest = nearest if old is None else old
    return following[::-1]


def _before_kept(slots: Sequence[Slot], place: int, last: int, old: int, gap: str) -> str:
    own = slots[old].before
    if breaks(own):
        return own
    if place == 0:
        return slots[0].before
    if old == 0:  # it was the first and is no more
        return _first_gap(slots, gap)
    # the line that it stood on may have begun with an item that goes
    return next((slot.before for slot in reversed(slots[last + 1 : old]) if breaks(slot.before)), own)


def _before_new(slots: Sequence[Slot], place: int, last: int, following: int | None, gap: str) -> str:
    if place == 0 and slots:
        return slots[0].before
    if following and not breaks(slots[following].before):
        return slots[following].before
    around = [slots[each].before for each in (last, last - 1) if each > 0 or (each == 0 and breaks(slots[0].before))]
    return min(around, key=_line_count, default=_first_gap(slots, gap))  # no blank lines if they are an exception


def _first_gap(slots: Sequence[Slot], gap: str) -> str:
    """What stands between the first two items, as far as the present ones show it."""
    if len(slots) > 1:
        return slots[1].before
    return slots[0].before if slots and breaks(slots[0].before) else gap


def _line_count(gap: str) -> int:
    return len(gap.splitlines())
