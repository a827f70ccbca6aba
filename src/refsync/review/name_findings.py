"""What is wrong with the names of models."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Protocol

from refsync.documents.names import Twins, look_alikes
from refsync.review.finding import Finding, Rule

_HABIT = 4  # so many times as many others keep to it as do not
_LEAST = 2


class Places(Protocol):
    """Where names stand in a file."""

    def get(self, name: str, /) -> int | None:
        """The line of a name, as far as it is known."""


def faults_of_look_alikes(file: str, names: Iterable[str], lines: Places) -> Iterator[Finding]:
    """Each name that looks like one ahead of it, or is the same."""
    yield from (_twins(file, each, lines.get(each.second)) for each in dict.fromkeys(look_alikes(names)))


def _twins(file: str, twins: Twins, line: int | None) -> Finding:
    if not twins.traits:
        what, mend = "the name is there twice", "readers take the last one: delete the other"
    else:
        other = json.dumps(twins.first, ensure_ascii=False)
        what = f"the name looks like {other}, and differs by {' and '.join(twins.traits)}"
        mend = "delete one of the two, or tell them apart"
    return Finding(Rule.look_alike, file, line, twins.second, what, mend)


def faults_of_names(file: str, records: Mapping[str, Mapping[str, Any]], lines: Places) -> Iterator[Finding]:
    """A record whose ``name`` is not its key, where the file's records have the habit that they are the same."""
    odd = {key: record["name"] for key, record in records.items() if "name" in record and record["name"] != key}
    keeping = sum("name" in record for record in records.values()) - len(odd)
    if keeping < max(_LEAST, _HABIT * (len(odd) - 1)):
        return
    for key, name in odd.items():
        what = f"its name is {json.dumps(name, ensure_ascii=False)}, unlike its key"
        mend = "make the two the same, as other records have them"
        yield Finding(Rule.name_unlike_key, file, lines.get(key), key, what, mend)
