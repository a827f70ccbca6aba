"""The order that the fields of a file's records have in common."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from refsync.documents.json_text import Path

Ranks = Mapping[str, int]


class FieldOrder:
    """Where fields stand in the records of a file; each path is looked at when it is first asked for."""

    def __init__(self, records: Iterable[Mapping[str, Any]]) -> None:
        self._records = list(records)
        self._ranks: dict[Path, Ranks] = {}

    def sort(self, path: Path, keys: Iterable[str]) -> list[str]:
        """The keys as the file's objects at this path order them; unknown ones last, as given."""
        ranks = self._ranks_at(path)
        return sorted(keys, key=lambda key: ranks.get(key, len(ranks)))

    def place(self, path: Path, present: Sequence[str], key: str) -> int:
        """Where to insert a key among the present ones: next to the one it follows in the file's other objects."""
        ranks = self._ranks_at(path)
        if key not in ranks:
            return len(present)
        ahead = [other for other in present if ranks.get(other, len(ranks)) < ranks[key]]
        return present.index(max(ahead, key=ranks.__getitem__)) + 1 if ahead else 0

    def _ranks_at(self, path: Path) -> Ranks:
        if path not in self._ranks:
            order = common_order(tuple(found) for found in _objects_at(self._records, path))
            self._ranks[path] = {key: rank for rank, key in enumerate(order)}
        return self._ranks[path]


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
