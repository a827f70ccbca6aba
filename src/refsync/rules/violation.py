"""Rules that a record breaks, and the ratchet: which of them the record before it kept.

The law: of two versions of a record the new one answers for the rules that it breaks and the old one kept, each known
by its place and its rule. Who changes another field, moves an element of a list, or mends one of several, breaks
nothing new.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from refsync.documents.field_paths import Place, join_path
from refsync.dumping import dump
from refsync.plain_text import cut, one_line

_LONGEST = 160  # characters of one violation in a sentence
_LONGEST_VALUE = 40
_MOST = 5


@dataclass(frozen=True)
class Violation:
    """A rule that a record breaks.

    Attributes:
        place: the field; that of the record itself is empty.
        rule: which rule; two at one place have two names.
        what: why, without the place.
        value: what the rule is broken by.
        ways: where the rule asks for one of several ways, what stands in the way of each.
        told_by: the violation within it that tells people more.
    """

    place: Place
    rule: str
    what: str
    value: Any = None
    ways: tuple[tuple[Violation, ...], ...] = ()
    told_by: Violation | None = None

    @property
    def shown(self) -> Violation:
        """The one that people are told of."""
        return self if self.told_by is None else self.told_by.shown

    @property
    def field_path(self) -> str:
        """The dotted path of the field that people are told of; empty for the record itself."""
        return join_path(list(map(str, self.shown.place)))

    def __str__(self) -> str:
        """As one line."""
        path, what = self.field_path, self.shown.what
        return cut(one_line(f"{path}: {what}" if path else what), _LONGEST)


def news(before: Iterable[Violation], after: Iterable[Violation]) -> list[Violation]:
    """The violations of a new record that the old one did not have.

    An old one explains one new one: that of the same value, wherever it stands in its list now; else that of the same
    place. A rule with several ways is broken anew where each of them is farther away than it was.
    """
    old, left = list(before), list(after)
    for known_by in (_value, _place):
        old, left = _unexplained(old, left, known_by)
    return left


def _unexplained(
    old: Iterable[Violation], new: Iterable[Violation], known_by: Callable[[Violation], Hashable]
) -> tuple[list[Violation], list[Violation]]:
    """Those that explain nothing, and those that nothing explains."""
    waiting: dict[Hashable, list[Violation]] = defaultdict(list)
    for each in old:
        waiting[known_by(each)].append(each)
    left = []
    for each in new:
        candidates = waiting[known_by(each)]
        if candidates and not _is_farther(candidates[0], each):
            candidates.pop(0)
        else:
            left.append(each)
    return [each for candidates in waiting.values() for each in candidates], left


def _value(violation: Violation) -> Hashable:
    anywhere = tuple(None if isinstance(key, int) else key for key in violation.place)
    return anywhere, violation.rule, json.dumps(violation.value, sort_keys=True)


def _place(violation: Violation) -> Hashable:
    return violation.place, violation.rule


def _is_farther(old: Violation, new: Violation) -> bool:
    """Whether no way is left on which the new record breaks only what the old one broke."""
    return bool(new.ways) and not any(not news(was, now) for was, now in zip(old.ways, new.ways, strict=False))


def told(violations: Sequence[Violation]) -> str:
    """Some violations as one line: the first of many."""
    shown = "; ".join(map(str, violations[:_MOST]))
    return shown if len(violations) <= _MOST else f"{shown}; and {len(violations) - _MOST} more"


def shown_value(value: Any) -> str:
    """A value in a sentence: as JSON, with the text that its number has; what holds others is not shown."""
    return "it" if isinstance(value, dict | list) else cut(dump(value), _LONGEST_VALUE)
