"""Where in a JSON file its records are, and what they are known by."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cache, lru_cache
from typing import Any, Self

from refsync.categories import CategoryDescriptor
from refsync.documents.json_text import Container, Item, scan_document, scan_value, scan_whole
from refsync.documents.values import is_record
from refsync.errors import DocumentError
from refsync.file_patterns import starred

_WORDS = re.compile(r"(?P<path>[^\[\]]*)(?:\[(?P<field>[^\[\]]+)\])?")
_MANY = 100_000
"""Shapes of files that hold one record each: to know one again is much less work than to compare it."""


@dataclass(frozen=True)
class Shape:
    """Where a file's records are.

    Attributes:
        path: the keys from the root of the file to the object or list that holds them.
        field: of a list: the field by which an element is known; ``None`` for an object, whose keys are the names.
        ignored: names of members that are no models though they are objects.
    """

    path: tuple[str, ...] = ()
    field: str | None = None
    ignored: frozenset[str] = frozenset()

    @classmethod
    def parse(cls, text: str, ignored: Iterable[str] = ()) -> Self:
        """The shape that is written as a dotted path, with ``[field]`` behind it for a list.

        >>> Shape.parse("a.b"), Shape.parse("[id]").field
        (Shape(path=('a', 'b'), field=None, ignored=frozenset()), 'id')

        Raises:
            ValueError: it is not written so.
        """
        words = _WORDS.fullmatch(text)
        path = tuple(words["path"].split(".")) if words and words["path"] else ()
        if words is None or not all(path):
            raise ValueError('must be a dotted path such as "models", with the key of a list behind it: "models[id]"')
        return cls(path, words["field"], frozenset(ignored))

    def __str__(self) -> str:
        """As it is written."""
        return ".".join(self.path) + (f"[{self.field}]" if self.field else "")

    @property
    def is_root_object(self) -> bool:
        """Whether the records are the members of the file's one object."""
        return not self.path and self.field is None

    def members(self, root: Any) -> dict[str, Any]:
        """What stands where the records are, by its name; an element of a list without a name by its place, as ``[3]``.

        Raises:
            DocumentError: there is no such object or list.
        """
        holder = root
        for key in self.path:
            holder = holder.get(key) if isinstance(holder, dict) else None
        if self.field is None:
            if not isinstance(holder, dict):
                raise DocumentError(f"no object at {self}" if self.path else "not an object of models")
            return holder
        if not isinstance(holder, list):
            raise DocumentError(f"no list at {'.'.join(self.path)}" if self.path else "not a list of models")
        return {self._name_in_list(element) or _nameless(place): element for place, element in enumerate(holder)}

    def around(self, root: Any) -> dict[str, Any]:
        """What stands in a file around the records, ``None`` in their place; nothing where they are all that it is."""
        if not self.path:
            return {}
        whole: dict[str, Any] = dict(root)
        inner = whole
        for key in self.path[:-1]:
            inner[key] = inner = dict(inner[key])
        inner[self.path[-1]] = None
        return whole

    def has_doubles(self, root: Any, members: Mapping[str, Any]) -> bool:
        """Whether a name is there twice in a list, of which ``members`` are the elements by name."""
        for key in self.path:
            root = root[key]
        return self.field is not None and len(root) > len(members)

    def is_model(self, name: str, value: Any) -> bool:
        """Whether a member of this name is a model."""
        return is_record(value) and name not in self.ignored and (self.field is None or value.get(self.field) == name)

    def locate(self, text: str) -> Container:
        """The object or list that holds the records, in a text in which ``members`` has found it."""
        container = scan_document(text)
        for key in self.path:
            item = next(item for item in reversed(container.items) if item.key == key)
            container = scan_value(text, item)
        return container

    def name_of(self, key: str | None, value: Any) -> str | None:
        """What a member is known by: its key, or what an element of a list says; ``None`` where that says nothing."""
        return key if self.field is None else self._name_in_list(value)

    def name(self, item: Item, place: int) -> str:
        """The name of an item that stands where the records are."""
        name = self.name_of(item.key, item.value)
        return _nameless(place) if name is None else name

    def key(self, name: str) -> str | None:
        """The key that an item of a name stands behind: none in a list."""
        return name if self.field is None else None

    def named(self, record: dict[str, Any], name: str) -> dict[str, Any]:
        """A record under a name; in a list it is the record that says it."""
        return record if self.field is None else record | {self.field: name}

    def whole(self, records: Mapping[str, Any]) -> Any:
        """The value of a file that holds just these."""
        value: Any = dict(records) if self.field is None else list(records.values())
        for key in reversed(self.path):
            value = {key: value}
        return value

    def _name_in_list(self, element: Any) -> str | None:
        name = element.get(self.field) if isinstance(element, dict) else None
        return name if isinstance(name, str) and name else None


@dataclass(frozen=True)
class RecordShape(Shape):
    """The whole file is one record, known by its ``field``, or else by the name that the file itself has.

    Attributes:
        model: that name.
    """

    model: str = ""

    @property
    def is_root_object(self) -> bool:
        """No: its members are fields."""
        return False

    def members(self, root: Any) -> dict[str, Any]:
        """The one record.

        Raises:
            DocumentError: the file holds no object.
        """
        if not isinstance(root, dict):
            raise DocumentError("not an object, as a record is")
        return {self.name_of(self.model, root) or _nameless(0): root}

    def has_doubles(self, root: Any, members: Mapping[str, Any]) -> bool:
        """No: there is one."""
        return False

    def is_model(self, name: str, value: Any) -> bool:
        """Whether the file is a model: one that has a name."""
        return super().is_model(name, value) and name == (self.name_of(self.model, value) or None)

    def locate(self, text: str) -> Container:
        """The file itself, as its only item."""
        return scan_whole(text, self.key(self.model))

    def whole(self, records: Mapping[str, Any]) -> Any:
        """The one record."""
        return next(iter(records.values()), {})


ROOT = Shape()
"""The records are the members of the file's one object: the usual shape."""


def shape_of(category: CategoryDescriptor, path: str = "") -> Shape:
    """Where in a JSON file of a category its records are; without one in whatever file of it."""
    if category.record_files:
        name = starred(category.v2_file, path) if category.key is None else None
        return _of_record(category.key, category.ignored, name or "")
    return ROOT if category.has_usual_shape else _parsed(category.records, category.ignored)


@cache
def _parsed(text: str, ignored: tuple[str, ...]) -> Shape:
    return Shape.parse(text, ignored)


@lru_cache(_MANY)
def _of_record(field: str | None, ignored: tuple[str, ...], model: str) -> RecordShape:
    return RecordShape(field=field, ignored=frozenset(ignored), model=model)


def _nameless(place: int) -> str:
    return f"[{place}]"
