"""What stands twice in a category file: a model, or a key within one."""

from __future__ import annotations

import json

from refsync.documents.json_decoders import STRICT_READER, DuplicateKeyError
from refsync.documents.json_faults import fault_at, line_of, shown
from refsync.documents.json_text import Item, every_container, shadowing
from refsync.documents.shape import Shape
from refsync.errors import DocumentError


def all_doubles(text: str, shape: Shape) -> dict[str, DocumentError]:
    """The members that are there twice, or have a key twice within, each with the second of the two keys."""
    found = doubled_names(text, shape)
    for place, item in enumerate(shape.locate(text).items):
        name = shape.name(item, place)
        if name not in found and (double := _double_within(text, item)) is not None:
            found[name] = fault_at(text, double.start, f"the key {shown(json.dumps(double.key))} is there twice")
    return found


def doubled_names(text: str, shape: Shape) -> dict[str, DocumentError]:
    """The members that are there twice, each with the second of the two."""
    found: dict[str, DocumentError] = {}
    seen: dict[str, Item] = {}
    for place, item in enumerate(shape.locate(text).items):
        name = shape.name(item, place)
        if (first := seen.setdefault(name, item)) is not item and name not in found:
            what = f"the key {shown(json.dumps(name))} is there twice"
            if shape.field is not None:
                what += f", in line {line_of(text, first.start)}, too"
            found[name] = fault_at(text, item.start, what)
    return found


def _double_within(text: str, item: Item) -> Item | None:
    """The first key in a member's value that its object has already."""
    try:
        STRICT_READER.raw_decode(text, item.value_start)
    except DuplicateKeyError:
        found = (each for _, container in every_container(text, item.value_start) for each in shadowing(container))
        return next(found)
    return None
