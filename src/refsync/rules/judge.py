"""The rules of a category in one state of the reference, and what edits of it break anew."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Protocol

from refsync.documents.field_paths import Place, values_at
from refsync.rules.category_rules import CategoryRules, Record, plain_violations
from refsync.rules.violation import Violation, news

_LONGEST_NAMES = 3


Edits = Mapping[str, Record | None]


class RecordSchema(Protocol):
    """What a schema asks of a record."""

    def violations(self, name: str, record: Record) -> list[Violation]:
        """What of it a record breaks."""
        ...


@dataclass(frozen=True)
class Judge:
    """The rules, and the models that are there.

    Attributes:
        rules: what the config says.
        schema: the schema that it names, as far as there is one that can be used.
        fault: why there is none, one line.
        models: the records by name, without those of variants.
    """

    rules: CategoryRules
    schema: RecordSchema | None
    fault: str | None
    models: Mapping[str, Record]

    def broken(self, edits: Edits, old_names: Mapping[str, str]) -> dict[str, list[Violation]]:
        """The rules that edits break and the records before kept, by model; in which order they are does not matter.

        Args:
            edits: the new record of each model that is edited, ``None`` of one that goes.
            old_names: for a model that is renamed the name that it had.
        """
        now = self._holders_after(edits)
        broken = {
            name: self._broken(name, record, old_names, now) for name, record in edits.items() if record is not None
        }
        return {name: violations for name, violations in broken.items() if violations}

    def broken_in_order(self, edits: Edits, old_names: Mapping[str, str]) -> dict[str, list[Violation]]:
        """The same, but that of edits which only stand in each other's way the first ones break nothing."""
        found = self.broken(edits, old_names)
        kept = {name: record for name, record in edits.items() if name not in found}
        for name in list(found):
            kept[name] = record = edits[name]
            assert record is not None  # what goes breaks nothing
            found[name] = self._broken(name, record, old_names, self._holders_after(kept))
            if found[name]:
                del kept[name]
        return {name: violations for name, violations in found.items() if violations}

    def _broken(self, name: str, record: Record, old_names: Mapping[str, str], now: _Holders) -> list[Violation]:
        old = old_names.get(name, name)
        before = self._violations(old, self.models[old], self._holders) if old in self.models else ()
        return news(before, self._violations(name, record, now))

    def _holders_after(self, edits: Edits) -> _Holders:
        written = {name: record for name, record in edits.items() if record is not None}
        return _Holders(self.rules.unique, written, self._holders, edits.keys())

    @cached_property
    def _holders(self) -> _Holders:
        return _Holders(self.rules.unique, self.models)

    def _violations(self, name: str, record: Record, holders: _Holders) -> Iterator[Violation]:
        yield from plain_violations(self.rules, record)
        for path in self.rules.unique:
            yield from holders.doubles(path, name, record)
        if self.schema is not None:
            yield from self.schema.violations(name, record)


class _Holders:
    """Which models hold which values, of fields that have to be unique."""

    def __init__(
        self,
        paths: Collection[str],
        models: Mapping[str, Record],
        below: _Holders | None = None,
        replaced: Collection[str] = (),
    ) -> None:
        """Of some models, over others of which some are replaced."""
        self._below = below
        self._replaced = set(replaced)
        self._names: dict[tuple[str, str], set[str]] = {}
        for path in paths:
            for name, record in models.items():
                for _, _, key in _unique_values(record, path):
                    self._names.setdefault((path, key), set()).add(name)

    def doubles(self, path: str, name: str, record: Record) -> Iterator[Violation]:
        """The values of a record that another model has, too."""
        for place, value, key in _unique_values(record, path):
            if others := self._holding(path, key) - {name}:
                shown = ", ".join(map(repr, sorted(others)[:_LONGEST_NAMES]))
                more = f" and {len(others) - _LONGEST_NAMES} more" if len(others) > _LONGEST_NAMES else ""
                yield Violation(place, "unique", f"{key} is that of {shown}{more}, too", value)

    def _holding(self, path: str, key: str) -> set[str]:
        below = self._below._holding(path, key) - self._replaced if self._below else set()
        return below | self._names.get((path, key), set())


def _unique_values(record: Record, path: str) -> Iterator[tuple[Place, Any, str]]:
    """The texts and numbers at a path, each with its place and as JSON; a text without anything is none."""
    for place, value in values_at(record, path):
        if value and isinstance(value, str | int | float) and not isinstance(value, bool):
            yield place, value, json.dumps(value, ensure_ascii=False)
