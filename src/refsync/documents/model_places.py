"""Where a new model stands among those that are there."""

from __future__ import annotations

import re
from bisect import bisect
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import pairwise, takewhile
from typing import Any, Literal, NamedTuple

_SORTED_FROM = 4  # with fewer models an order by name may be chance
_STRAYS = 50  # one neighbour in so many may be out of order in a file that is kept sorted
_FAMILY_FROM = 3  # characters: so much have the names of a family in common at least
_GROUPED = 0.8  # of the models with a family so many stand beside it; in public registries it is either this or a third
_WORD = re.compile(r"[^\W\d_]+|\d+|[\W_]+")
_PUNCTUATION = str.maketrans({mark: chr(1 + rank) for rank, mark in enumerate("_-,;:!?.'\"()[]{}@*/\\&#%`^+<=>|~$")})

PlaceByName = Callable[[Sequence[str], str], int]
"""Gives the index at which a name goes among others."""


class Place(NamedTuple):
    """Where a new model is asked to stand: right after, or right before, another one; or in a file of several."""

    side: Literal["after", "before", "in"]
    model: str


class Standing(NamedTuple):
    """A member of a document as it shall be: ``old`` is the place that it has now, ``None`` for a new one."""

    name: str
    old: int | None
    is_model: bool = True


def with_new(
    standing: Sequence[Standing], new: Iterable[str], order: Sequence[str], places: Mapping[str, Place]
) -> list[Standing]:
    """The members with the new models among them.

    A new model stands where ``places`` asks, if that model is there; else behind the nearest one ahead of it in
    ``order``, if it is among them; else in its place by name.

    Args:
        standing: what is there.
        new: the names to add, in the order given.
        order: names in the order that they have elsewhere.
        places: new name to where it is asked to stand, be it next to another new one.
    """
    by_name = place_by_name([each.name for each in standing if each.is_model])
    asked = [name for name in new if name in places]
    members = _ordered(standing, [name for name in new if name not in places], order)
    ordered = {each.name for each in members}
    for name in new:
        if name not in ordered and name not in asked:
            members.insert(_default_place(members, name, by_name), Standing(name, None))
    return _with_asked(members, asked, places, by_name)


def place_by_name(names: Sequence[str]) -> PlaceByName:
    """How the models of a file are ordered by their names, as what finds the place of a new one among them.

    In a file that is kept sorted (be it with a few strays) that is its sorted place; in one where models of a family
    stand together, behind the last of its own; else behind the last model.
    """
    compare = _comparison(names)
    if compare is not None:
        return lambda present, name: bisect(present, compare(name), key=compare)
    return _behind_family if _is_grouped(names) else lambda present, name: len(present)


def order_for_new(present: Sequence[str], elsewhere: Sequence[str]) -> Sequence[str]:
    """The names of another version of a file, as the ``order`` that its new models go by; none where a rule says it.

    In a file that is kept sorted they go to their sorted places; what was added behind all others goes to the end.
    """
    if _comparison(present) is not None:
        return ()
    known = set(present)
    last = max((place for place, name in enumerate(elsewhere) if name in known), default=-1)
    return elsewhere[: last + 1]


def _comparison(names: Sequence[str]) -> Callable[[str], Any] | None:
    """What the names are sorted by, or ``None`` if they are not."""
    if len(names) >= _SORTED_FROM:
        for compare in (str, str.casefold, _as_line):
            strays = sum(compare(name) > compare(after) for name, after in pairwise(names))
            if strays * _STRAYS <= len(names):
                return compare
    return None


def _as_line(name: str) -> str:
    """For comparing names as an editor sorts lines: punctuation, figures, letters; the comma is a part of the line."""
    return f"{name},".casefold().translate(_PUNCTUATION)


def _behind_family(present: Sequence[str], name: str) -> int:
    own = _words(name)
    alike = [_alike(own, _words(other)) for other in present]
    nearest = max(alike, default=0)
    return len(present) - alike[::-1].index(nearest) if nearest >= _FAMILY_FROM else len(present)


def _is_grouped(names: Sequence[str]) -> bool:
    """Whether nearly all models that have a family stand beside one of it, the nearest relative by name."""
    words = [_words(name) for name in names]
    nearest = [0] * len(names)
    for one, other in pairwise(sorted(range(len(names)), key=words.__getitem__)):
        alike = _alike(words[one], words[other])
        nearest[one], nearest[other] = max(nearest[one], alike), max(nearest[other], alike)
    related = [place for place, alike in enumerate(nearest) if alike >= _FAMILY_FROM]
    beside = [
        place
        for place in related
        if any(_alike(words[place], other) >= nearest[place] for other in _beside(words, place))
    ]
    return len(related) >= _SORTED_FROM and len(beside) >= _GROUPED * len(related)


def _beside(words: Sequence[list[str]], place: int) -> list[list[str]]:
    return [words[near] for near in (place - 1, place + 1) if 0 <= near < len(words)]


def _words(name: str) -> list[str]:
    return _WORD.findall(name.casefold())


def _alike(one: Sequence[str], other: Sequence[str]) -> int:
    """How many characters of whole words two names begin with in common."""
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return sum(len(word) for word, _ in same)


def _ordered(standing: Sequence[Standing], new: Collection[str], order: Sequence[str]) -> list[Standing]:
    """With the new ones that the order tells, each behind the nearest one ahead of it."""
    present, nearest = {each.name for each in standing}, None
    followers: dict[str | None, list[Standing]] = defaultdict(list)
    for name in order:
        if name in present:
            nearest = name
        elif name in new:
            followers[nearest].append(Standing(name, None))
    return followers[None] + [one for each in standing for one in (each, *followers.pop(each.name, ()))]


def _default_place(members: Sequence[Standing], name: str, by_name: PlaceByName) -> int:
    models = [place for place, each in enumerate(members) if each.is_model]
    if not models:
        return len(members)
    rank = by_name([members[place].name for place in models], name)
    return models[rank - 1] + 1 if rank else models[0]


def _with_asked(
    members: list[Standing], asked: Sequence[str], places: Mapping[str, Place], by_name: PlaceByName
) -> list[Standing]:
    """Insert each where it is asked to stand; those asked next to the same model keep their order."""
    waiting, stood = list(asked), {each.name for each in members}
    while waiting:
        name = next((each for each in waiting if places[each].model in stood), waiting[0])
        waiting.remove(name)
        at = _asked_place(members, name, places)
        members.insert(_default_place(members, name, by_name) if at is None else at, Standing(name, None))
        stood.add(name)
    return members


def _asked_place(members: Sequence[Standing], name: str, places: Mapping[str, Place]) -> int | None:
    side, model = places[name]
    at = next((place for place, each in enumerate(members) if each.name == model), None)
    if at is None or side == "before":
        return at
    at += 1
    while at < len(members) and places.get(members[at].name) == (side, model) and members[at].old is None:
        at += 1
    return at
