"""Records filled with what a host told; each value is noted under what it was told."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from copy import deepcopy
from typing import Any, NamedTuple

from refsync.documents.field_order import FieldOrder
from refsync.documents.field_paths import split_path
from refsync.documents.json_text import Path
from refsync.documents.values import same_value
from refsync.hosts.description import Description, FileTold, Told
from refsync.hosts.link import Record, is_beside, values_at
from refsync.link_fields import LinkFields

NEIGHBOURS = "the same in all others"
"""The key of a value that all other records have."""
_ALIKE_FROM = 5  # with fewer records it may be chance


class CannotFillError(Exception):
    """A record has something else where the links of others are; the text says where."""


class Filled(NamedTuple):
    """A record, what each filled field was told under, and the fields that all others have and it lacks."""

    record: dict[str, Any]
    sources: dict[str, str]
    lacking: list[str]


def new_record(
    given: Record, description: Description, fields: LinkFields, neighbours: Sequence[Record], name: str
) -> Filled:
    """A record of a model with this name, like its neighbours, in their order.

    Args:
        given: fields that are known already, and stay.
        description: what the host told.
        fields: where records keep links.
        neighbours: the other records.
        name: what the model is called.

    Raises:
        CannotFillError: what is given has something else where links are.
    """
    record, sources = deepcopy(dict(given)), {}
    told = {**description.model, "name": Told(name, description.model["name"].key)}
    for field, each in told.items():
        if field not in record and (value := _as_in(neighbours, field, each)) is not None:
            record[field], sources[field] = value, each.key
    sources |= _put_file(record, fields, description.file, 0, 0)
    sources |= _put_constants(record, fields, neighbours)
    order = FieldOrder(neighbours)
    lacking = [field for field in _common(neighbours) if field not in record]
    return Filled(_ordered(record, order, ()), sources, lacking)


def edited_record(record: Record, description: Description, fields: LinkFields) -> Filled | None:
    """A record whose file is another one now; ``None`` where nobody can tell which of its files.

    Raises:
        CannotFillError: the record has something else where links are.
    """
    if fields.url.count("[]") > 1:
        return None
    edited, name = deepcopy(dict(record)), description.file.name.value
    names, urls = list(values_at(record, fields.name)), list(values_at(record, fields.url))
    files, hashes = list(values_at(record, fields.file)), list(values_at(record, fields.sha256))
    place = _only_place(urls, lambda at: at < len(names) and names[at] == name)
    if place is None:
        return None
    old = names[place] if place < len(names) else None
    hashed = _only_place(hashes or files, lambda at: at < len(files) and files[at] in (old, name))
    return Filled(edited, _put_file(edited, fields, description.file, place, hashed or 0), [])


def _only_place(values: Sequence[Any], is_meant: Any) -> int | None:
    meant = [place for place in range(len(values)) if is_meant(place)]
    if len(meant) == 1:
        return meant[0]
    return 0 if len(values) == 1 else None


def _as_in(neighbours: Sequence[Record], field: str, told: Told) -> Any:
    """A told value as records have it: ``None`` where none has the field, or has values of this kind in it."""
    if not neighbours:
        return told.known_as[0] if told.known_as else told.value
    present = [record[field] for record in neighbours if field in record]
    if told.known_as:
        return next((word for word in (told.value, *told.known_as) if word in present), None)
    return told.value if any(type(each) is type(told.value) for each in present) else None


def _put_file(record: dict[str, Any], fields: LinkFields, file: FileTold, place: int, hashed: int) -> dict[str, str]:
    """Put what is told of a file where it belongs; gives what it was told under, by path."""
    beside = is_beside(fields.sha256, fields.url)
    placed: list[tuple[str, int, Told | None]] = [
        (fields.url, place, file.url),
        (fields.name, place, file.name),
        (fields.file, hashed, file.name),
        (fields.sha256, place if beside else hashed, file.sha256),
    ]
    if is_beside(fields.size, fields.url) or len(list(values_at(record, fields.url))) <= 1:
        placed.append((fields.size, place, file.size))
    return {_put(record, path, at, told.value): told.key for path, at, told in placed if path and told is not None}


def _put(record: dict[str, Any], path: str, place: int, value: Any) -> str:
    """Set a field, of the element at this place of its list; gives its path as it is shown."""
    at: Any = record
    shown: list[str] = []
    *steps, last = split_path(path)
    for step in steps:
        name = step.removesuffix("[]")
        at = _inner(at, name, {} if step == name else [], shown)
        shown.append(name if step == name else f"{name}[{place}]")
        if step != name:
            at.extend({} for _ in range(place + 1 - len(at)))
            at = at[place]
    _inner(at, last, value, shown)
    at[last] = value
    return ".".join((*shown, last))


def _inner(at: Any, name: str, missing: Any, shown: Sequence[str]) -> Any:
    """What stands under a name, put there where it is missing."""
    if not isinstance(at, dict):
        raise CannotFillError(f"{'.'.join(shown)} is no object")
    inner = at.setdefault(name, missing)
    if isinstance(missing, dict | list) and type(inner) is not type(missing):
        raise CannotFillError(f"{'.'.join((*shown, name))} is no {'object' if isinstance(missing, dict) else 'list'}")
    return inner


def _put_constants(record: dict[str, Any], fields: LinkFields, neighbours: Sequence[Record]) -> dict[str, str]:
    """Fill in what is the same in all neighbours: of the record, and of what stands beside its file."""
    if len(neighbours) < _ALIKE_FROM:
        return {}
    found = {}
    for path in dict.fromkeys(("", *(path.rpartition(".")[0] for path in (fields.url, fields.sha256) if path))):
        objects = [each for other in neighbours for each in _objects(other, path)]
        for own in _objects(record, path):
            for name, value in _constants(objects):
                if name not in own:
                    own[name] = deepcopy(value)
                    found[f"{path.replace('[]', '[0]')}.{name}".lstrip(".")] = NEIGHBOURS
    return found


def _objects(record: Record, path: str) -> Iterator[dict[str, Any]]:
    found: Iterable[Any] = [record]
    if path:
        within, _, last = path.rpartition(".")
        lists = values_at(record, f"{within}.{last.removesuffix('[]')}".lstrip("."))
        found = (each for value in lists for each in (value if isinstance(value, list) else [value]))
    return (each for each in found if isinstance(each, dict))


def _constants(objects: Sequence[Record]) -> Iterator[tuple[str, Any]]:
    for name in _common(objects):
        first = objects[0][name]
        if all(same_value(each[name], first) for each in objects):
            yield name, first


def _common(records: Sequence[Record]) -> list[str]:
    """The fields that all have."""
    counts = Counter(field for record in records for field in record)
    return [field for field, count in counts.items() if count == len(records)]


def _ordered(value: Any, order: FieldOrder, path: Path) -> Any:
    if isinstance(value, Mapping):
        keys = order.with_new(path, (), list(value))
        return {key: _ordered(value[key], order, (*path, key)) for key in keys}
    if isinstance(value, list):
        return [_ordered(each, order, (*path, None)) for each in value]
    return value
