"""The text of a file's bytes."""

from __future__ import annotations

from refsync.errors import DocumentError

BYTE_ORDER_MARK = "\ufeff"


def decode(data: bytes) -> tuple[str, str]:
    """The byte order mark of a UTF-8 file, or nothing, and the text behind it.

    Raises:
        DocumentError: not UTF-8, with the line and column of the first byte that isn't.
    """
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        line_start = data.rfind(b"\n", 0, error.start) + 1
        column = len(data[line_start : error.start].decode()) + 1
        raise DocumentError("not UTF-8", line=data.count(b"\n", 0, error.start) + 1, column=column) from None
    mark = BYTE_ORDER_MARK if text.startswith(BYTE_ORDER_MARK) else ""
    return mark, text.removeprefix(mark)
