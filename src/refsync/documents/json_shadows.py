"""Drop the members that nobody reads: those whose key stands in their object again."""

from __future__ import annotations

from refsync.documents.encoding import decode
from refsync.documents.json_document import read_document
from refsync.documents.json_edit import without_items
from refsync.documents.json_text import Container, every_container, scan_document
from refsync.documents.shape import ROOT, Shape


def without_shadowed(data: bytes, shape: Shape = ROOT) -> bytes:
    """The file without each member that a later one of the same key shadows, and every other byte as it was.

    Raises:
        DocumentError: see ``read_records``.
    """
    if not read_document(data, shape).has_doubles:
        return data
    mark, text = decode(data)
    while (found := _shadowed(text)) is not None:
        text = without_items(text, *found)
    return (mark + text).encode()


def _shadowed(text: str) -> tuple[Container, set[int]] | None:
    """The first object with a key twice, and the places in it of the members that count for nothing."""
    for _, container in every_container(text, scan_document(text).start):
        last = {item.key: place for place, item in enumerate(container.items)}
        shadowed = {
            place for place, item in enumerate(container.items) if item.key is not None and last[item.key] != place
        }
        if shadowed:
            return container, shadowed
    return None
