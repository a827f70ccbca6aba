"""Records as a new document has them: four spaces, ASCII escapes. What was written once is not written again.

Of the records that a table makes, three in a row say the same but for their names, and most say what they said before.
"""

from __future__ import annotations

import marshal
from collections.abc import Iterable
from functools import partial
from json.encoder import encode_basestring_ascii
from typing import Any

from refsync.dumping import dump

Record = dict[str, Any]

_INDENT = "    "
_dump = partial(dump, indent=4, ensure_ascii=True, allow_nan=False)


class RecordTexts:
    """Records as members of a document; a text is kept for the next one that says the same behind its first field."""

    def __init__(self) -> None:
        self._rests: dict[bytes, str] = {}

    def member(self, name: str, record: Record) -> str:
        """The text of a record under its name."""
        return f"{_INDENT}{encode_basestring_ascii(name)}: {self._written(record)}"

    def _written(self, record: Record) -> str:
        if len(record) < 2:
            return _indented(_dump(record))
        (field, value), *rest = record.items()
        first = encode_basestring_ascii(value) if isinstance(value, str) else _indented(_indented(_dump(value)))
        return f"{{\n{_INDENT}{_INDENT}{encode_basestring_ascii(field)}: {first},{self._rest(rest)}"

    def _rest(self, fields: list[tuple[str, Any]]) -> str:
        """The text of a record behind the comma of its first field."""
        try:
            key = marshal.dumps(fields, 2)
        except ValueError:  # a number that carries a text, say
            return _indented(_dump(dict(fields)))[1:]
        if key not in self._rests:
            self._rests[key] = _indented(_dump(dict(fields)))[1:]
        return self._rests[key]


def document_text(members: Iterable[str]) -> str:
    """The text of a document of these members."""
    joined = ",\n".join(members)
    return f"{{\n{joined}\n}}\n" if joined else "{}\n"


def _indented(text: str) -> str:
    """The text of a value, one step further in: no string of JSON has a line break in it."""
    return text.replace("\n", f"\n{_INDENT}")
