"""What every route works with: the parts of the installation, and what is kept between requests."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, cast

from fastapi import Depends, Request

from refsync.application import Application
from refsync.categories import CanonicalFormat, CategoryName
from refsync.dumping import load
from refsync.http.answers import Content, json_body
from refsync.http.identity.gate import Gate
from refsync.use_cases.reading import read_category


@dataclass
class ServedCategory:
    """One state of a category, with what was made ready of it."""

    records: Mapping[str, Any]
    content: Content
    _as_written: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, records: Mapping[str, Any]) -> ServedCategory:
        """Take the bytes that the records were read from, where they stand in one file."""
        source = getattr(records, "source", None)
        return cls(records, Content(json_body(records) if source is None else source))

    def record(self, name: str) -> Any:
        """One record, its numbers as they were written; ``None`` where there is no such model."""
        if name not in self.records:
            return None
        if self._as_written is None:
            self._as_written = load(self.content.body.decode("utf-8-sig"))
        return self._as_written[name]


@dataclass
class Door:
    """One per process."""

    application: Application
    gate: Gate
    answered: Counter[int] = field(default_factory=Counter)
    """How many requests, by the status of the answer."""
    _served: dict[tuple[CategoryName, CanonicalFormat], ServedCategory] = field(default_factory=dict)

    def named(self, category: str) -> CategoryName:
        """The category of this name.

        Raises:
            UnknownCategoryError: there is none.
        """
        return self.application.config.catalogue.parse(category)

    def category(self, category: CategoryName, format: CanonicalFormat) -> ServedCategory:
        """A category as it is now; raises as ``read_category`` does."""
        records = read_category(self.application, category, format)
        served = self._served.get((category, format))
        if served is None or served.records is not records:
            served = self._served[category, format] = ServedCategory.of(records)
        return served


async def door_of(request: Request) -> Door:
    """The door that the request came through; asynchronous, or it would cost each request a thread."""
    return cast(Door, request.app.state.door)


TheDoor = Annotated[Door, Depends(door_of)]
