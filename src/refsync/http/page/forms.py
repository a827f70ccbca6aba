"""What a form brings: words by name, urlencoded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import parse_qs

from fastapi import Request

from refsync.http.bodies import bytes_of
from refsync.http.failures import DoorError
from refsync.pending_queue.payloads import MAX_PAYLOAD_BYTES

_ENCODED = "application/x-www-form-urlencoded"
_LONGEST_OF_A_BYTE = 3  # %7B
_MOST_FIELDS = 2000


@dataclass(frozen=True)
class Form:
    """The words of a form; one that is not there is empty."""

    words: Mapping[str, list[str]]

    def text(self, name: str) -> str:
        """One of them, its lines ended as everywhere here."""
        return self.words.get(name, [""])[0].replace("\r\n", "\n")

    def numbers(self, name: str) -> list[int]:
        """Those that are numbers.

        Raises:
            DoorError: one is none.
        """
        given = self.words.get(name, [])
        if not all(each.isascii() and each.isdecimal() and len(each) < 20 for each in given):
            raise DoorError(400, f"{name}: expected numbers")
        return list(map(int, given))


NOTHING_TYPED = Form({})


async def form_in(request: Request) -> Form:
    """The form that a request brings.

    Raises:
        DoorError: it is none, too large, or too slow.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != _ENCODED:
        raise DoorError(415, f"expected a form, {_ENCODED}")
    body = await bytes_of(request, _LONGEST_OF_A_BYTE * MAX_PAYLOAD_BYTES)
    try:
        return Form(parse_qs(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=_MOST_FIELDS))
    except ValueError:
        raise DoorError(400, "the form is not UTF-8, or has too many fields") from None
