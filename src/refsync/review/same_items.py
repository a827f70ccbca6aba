"""Which items of an object or a list are which in a later version of its text, keys that stand twice included."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from refsync.documents.alignment import LIST_KEYS, aligned
from refsync.documents.json_text import Item, Path

_NAMING_KEYS: Mapping[Path, str] = {tuple(path.split(".")): key for path, key in LIST_KEYS.items()}

Texts = tuple[str, str]
Items = tuple[Sequence[Item], Sequence[Item]]


def same_items(texts: Texts, items: Items, path: Path) -> dict[int, int]:
    """The places of the items that are in both, old to new, in the new order.

    Args:
        texts: the old and the new text.
        items: those of the container in each of them.
        path: where in a record it stands.
    """
    old, new = items
    if not old or not new:
        return {}
    if old[0].key is None:
        before, after = ([item.value for item in each] for each in items)
        pairs = aligned(before, after, _NAMING_KEYS.get(path))
        return {a: b for a, b in pairs if a is not None and b is not None}
    places = tuple(map(_places_by_key, items))
    rivals = ((places[0].get(key, []), come) for key, come in places[1].items())
    found = (pair for each in rivals for pair in _same_members(texts, items, each))
    return dict(sorted(found, key=lambda pair: pair[1]))


def effective(items: Sequence[Item]) -> set[int]:
    """The places of the items that readers take: of a key that is there twice the last."""
    if items and items[0].key is not None:
        return set({item.key: place for place, item in enumerate(items)}.values())
    return set(range(len(items)))


def unexplained(items: Items, pairs: Mapping[int, int]) -> Iterator[tuple[Item, bool]]:
    """The members of one version whose coming or going no model tells, each with whether it came.

    The other version has their key, too, or no reader sees them.
    """
    paired = set(pairs), set(pairs.values())
    for side, other in ((0, 1), (1, 0)):
        known, seen = {item.key for item in items[other]}, effective(items[side])
        for place, item in enumerate(items[side]):
            alone = item.key is not None and place not in paired[side]
            if alone and (item.key in known or place not in seen):
                yield item, side == 1


def _places_by_key(items: Sequence[Item]) -> dict[str | None, list[int]]:
    places: dict[str | None, list[int]] = {}
    for place, item in enumerate(items):
        places.setdefault(item.key, []).append(place)
    return places


def _same_members(texts: Texts, items: Items, places: tuple[list[int], list[int]]) -> Iterator[tuple[int, int]]:
    """The members of one key: in their order if none came or went.

    Else those with the same text, and others in pairs from the last one on, which readers take.
    """
    old, new = (each[::-1] for each in places)
    if len(old) == len(new):
        yield from zip(old, new, strict=True)
        return
    written = [
        [_text(text, some[at]) for at in each] for text, some, each in zip(texts, items, (old, new), strict=True)
    ]
    yield from ((old[a], new[b]) for a, b in aligned(written[0], written[1]) if a is not None and b is not None)


def _text(text: str, item: Item) -> str:
    return text[item.value_start : item.end]
