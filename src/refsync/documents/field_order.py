"""The order that the fields of a file's records have in common."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Any

from refsync.documents.json_text import Path

Ranks = Mapping[str, int]
Rank = Callable[[str], Any]
"""What the keys of an object are ordered by; ``None`` for one that may stand anywhere."""

_OF_ONE_MIND = 0.95  # of the neighbouring keys in the file's objects, so many are in an order that it keeps to
_SORTED_FROM = 3  # with fewer keys an order by name may be chance
_PAIRS_FROM = 4


class FieldOrder:
    """Where fields stand in the records of a file; each path is looked at when it is first asked for."""

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        self._records = list(records)
        self._ranks: dict[Path, Ranks] = {}
        self._rank: dict[Path, Rank] = {}

    def sort(self, path: Path, keys: Iterable[str]) -> list[str]:
        """The keys as the file's objects at this path order them; unknown ones last, as given."""
        ranks = self._ranks_at(path)
        return sorted(keys, key=lambda key: ranks.get(key, len(ranks)))

    def with_new(self, path: Path, present: Iterable[str], given: Sequence[str]) -> list[str]:
        """The present keys of an object in their order, with those that are new among them.

        A new key stands by its name where the file's objects at this path are sorted; next to the one it follows in
        them, where they are of one mind; else where the given order has it.

        Args:
            path: where in a record the object stands.
            present: the keys that it has already.
            given: all keys that it shall have, in the order of who hands them in.
        """
        keys = list(present)
        known = set(keys)
        if known.issuperset(given):
            return keys
        rank = self._rank_of(path)
        ranked = {key: place for key in (*keys, *given) if (place := rank(key)) is not None}
        for key in sorted((key for key in ranked if key not in known), key=ranked.__getitem__):
            ahead = [other for other in keys if other in ranked and ranked[other] < ranked[key]] if known else keys[-1:]
            keys.insert(keys.index(max(ahead, key=ranked.__getitem__)) + 1 if ahead else 0, key)
        return interleaved(keys, given)

    def _ranks_at(self, path: Path) -> Ranks:
        if path not in self._ranks:
            order = common_order(self._sequences(path))
            self._ranks[path] = {key: rank for rank, key in enumerate(order)}
        return self._ranks[path]

    def _rank_of(self, path: Path) -> Rank:
        if path not in self._rank:
            self._rank[path] = _rank(Counter(self._sequences(path)), self._ranks_at(path))
        return self._rank[path]

    def _sequences(self, path: Path) -> Iterator[tuple[str, ...]]:
        return (tuple(found) for found in _objects_at(self._records, path))


def _rank(counted: Mapping[tuple[str, ...], int], ranks: Ranks) -> Rank:
    pairs: Counter[tuple[str, str]] = Counter()
    for keys, count in counted.items():
        pairs.update(dict.fromkeys(pairwise(keys), count))
    orders: list[Rank] = [ranks.get]
    if len(ranks) >= _SORTED_FROM and pairs.total() >= _PAIRS_FROM:
        orders = [str, str.casefold, *orders]
    for order in orders:
        kept = sum(count for (key, after), count in pairs.items() if order(key) < order(after))
        if kept >= _OF_ONE_MIND * pairs.total():
            return order
    return lambda key: None


def interleaved(present: Iterable[str], given: Sequence[str]) -> list[str]:
    """Keys in their order, with the others that are given among them.

    One that is given behind all that are present stands last, the others right behind the one given ahead of them.
    """
    keys = list(present)
    known = set(keys)
    if known.issuperset(given):
        return keys
    last = max((at for at, key in enumerate(given) if key in known), default=-1)
    for at, key in enumerate(given):
        if key in known:
            continue
        if at > last:
            keys.append(key)
        else:
            keys.insert(keys.index(given[at - 1]) + 1 if at else _first_index(keys, given), key)
        known.add(key)
    return keys


def _first_index(keys: Sequence[str], given: Sequence[str]) -> int:
    known = set(keys)
    return keys.index(next(key for key in given if key in known))


def common_order(sequences: Iterable[tuple[str, ...]]) -> list[str]:
    """One order of all keys that agrees with every sequence, or with the most where they disagree.

    Keys whose order no sequence tells stand as they first came.
    """
    counted = Counter(sequences)
    first_seen = {key: place for place, key in enumerate(dict.fromkeys(key for keys in counted for key in keys))}
    followers = _followers(counted)
    against = Counter(dict.fromkeys(first_seen, 0))  # how much says that another key comes first
    for following in followers.values():
        against.update(following)
    waiting = [(against[key], place, key) for key, place in first_seen.items()]
    heapq.heapify(waiting)
    order: dict[str, None] = {}
    while waiting:
        weight, _, key = heapq.heappop(waiting)
        if key in order or weight != against[key]:
            continue  # an older entry of a key that has moved up since
        order[key] = None
        for follower, count in followers[key].items():
            against[follower] -= count
            heapq.heappush(waiting, (against[follower], first_seen[follower], follower))
    return list(order)


def _followers(counted: Mapping[tuple[str, ...], int]) -> dict[str, Counter[str]]:
    """For each key those that come right after it, and how often."""
    followers: dict[str, Counter[str]] = defaultdict(Counter)
    for keys, count in counted.items():
        for key, follower in pairwise(keys):
            followers[key][follower] += count
    return followers


def _objects_at(records: Sequence[Any], path: Path) -> list[dict[str, Any]]:
    found: list[Any] = list(records)
    for step in path:
        if step is None:
            found = [element for value in found if isinstance(value, list) for element in value]
        else:
            found = [value[step] for value in found if isinstance(value, dict) and step in value]
    return [value for value in found if isinstance(value, dict)]
