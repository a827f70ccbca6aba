"""Where a new model stands among those that are there."""

from __future__ import annotations

from bisect import bisect
from collections import defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any, Literal, NamedTuple

_SORTED_FROM = 4  # with fewer models an order by name may be chance


class Place(NamedTuple):
    """Where a new model is asked to stand: right after, or right before, another one."""

    side: Literal["after", "before"]
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
    ``order``, if it is among them; else in its place by name where the models are sorted by it; else behind the last.

    Args:
        standing: what is there.
        new: the names to add, in the order given.
        order: names in the order that they have elsewhere.
        places: new name to where it is asked to stand, be it next to another new one.
    """
    compare = comparison([each.name for each in standing if each.is_model])
    asked = [name for name in new if name in places]
    members = _ordered(standing, [name for name in new if name not in places], order)
    ordered = {each.name for each in members}
    for name in new:
        if name not in ordered and name not in asked:
            members.insert(_default_place(members, name, compare), Standing(name, None))
    return _with_asked(members, asked, places, compare)


def comparison(names: Sequence[str]) -> Callable[[str], Any] | None:
    """What the names are sorted by, or ``None`` if they are not."""
    if len(names) >= _SORTED_FROM:
        for compare in (str, str.casefold):
            if all(compare(name) <= compare(after) for name, after in pairwise(names)):
                return compare
    return None


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


def _default_place(members: Sequence[Standing], name: str, compare: Callable[[str], Any] | None) -> int:
    models = [place for place, each in enumerate(members) if each.is_model]
    if not models:
        return len(members)
    if compare is None:
        return models[-1] + 1
    rank = bisect(models, compare(name), key=lambda place: compare(members[place].name))
    return models[rank - 1] + 1 if rank else models[0]


def _with_asked(
    members: list[Standing], asked: Sequence[str], places: Mapping[str, Place], compare: Callable[[str], Any] | None
) -> list[Standing]:
    """Insert each where it is asked to stand; those asked next to the same model keep their order."""
    waiting, stood = list(asked), {each.name for each in members}
    while waiting:
        name = next((each for each in waiting if places[each].model in stood), waiting[0])
        waiting.remove(name)
        at = _asked_place(members, name, places)
        members.insert(_default_place(members, name, compare) if at is None else at, Standing(name, None))
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
