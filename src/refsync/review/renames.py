"""Which models that came are models that went, under another name."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from refsync.pending_queue.diffs import field_changes

Record = dict[str, Any]
_Leaves = Mapping[str, str]
"""The fields of a record by their dotted paths, each as JSON text."""

_NEARLY = 0.8
_LEAST_FIELDS = 4  # fewer are alike by chance
_MOST_PAIRS = 40_000  # beyond, only records that are the same are looked for

_OWN_NAME = "the name of the record"


def renames(gone: Mapping[str, Record], come: Mapping[str, Record]) -> dict[str, str]:
    """New name to old, of every record that went to another name unchanged or nearly so.

    What holds the record's own name may change with it. Where several could be the same one, none is called renamed.

    >>> renames({"old": {"name": "old", "x": 1}, "other": {"x": 2}}, {"new": {"name": "new", "x": 1}})
    {'new': 'old'}
    """
    old, new = ({name: _leaves(name, record) for name, record in records.items()} for records in (gone, come))
    found = dict(_same(old, new))
    left = {name: leaves for name, leaves in new.items() if name not in found}
    lost = {name: leaves for name, leaves in old.items() if name not in found.values()}
    return found | dict(_alike(lost, left)) if len(left) * len(lost) <= _MOST_PAIRS else found


def _leaves(name: str, record: Record) -> _Leaves:
    own = json.dumps(name)
    texts = ((each["field_path"], json.dumps(each["new_value"])) for each in field_changes(None, record))
    return {path: _OWN_NAME if text == own else text for path, text in texts}


def _same(old: Mapping[str, _Leaves], new: Mapping[str, _Leaves]) -> Iterator[tuple[str, str]]:
    contents = [{name: frozenset(each.items()) for name, each in some.items()} for some in (old, new)]
    counts = [Counter(each.values()) for each in contents]
    names = {content: name for name, content in contents[0].items()}
    for name, content in contents[1].items():
        told = any(text != _OWN_NAME for _, text in content)
        if told and counts[0][content] == counts[1][content] == 1:
            yield name, names[content]


def _alike(old: Mapping[str, _Leaves], new: Mapping[str, _Leaves]) -> Iterator[tuple[str, str]]:
    """The pairs that are each other's one best."""
    pairs = [(a, b) for a in old for b in new if _likeness(old[a], new[b]) >= _NEARLY]
    goes, comes = Counter(a for a, _ in pairs), Counter(b for _, b in pairs)
    yield from ((b, a) for a, b in pairs if goes[a] == comes[b] == 1)


def _likeness(old: _Leaves, new: _Leaves) -> float:
    """Which part of the fields is the same; 0 for too few."""
    most = max(len(old), len(new))
    if min(len(old), len(new)) < max(_LEAST_FIELDS, _NEARLY * most):
        return 0
    same = sum(text != _OWN_NAME and new.get(path) == text for path, text in old.items())
    named = sum(text == _OWN_NAME == new.get(path) for path, text in old.items())
    return (same + named) / most if same >= _LEAST_FIELDS - 1 else 0
