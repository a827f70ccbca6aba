"""Answers: JSON with numbers as people wrote them, told apart by what they hold, and packed where that is asked for."""

from __future__ import annotations

import gzip
import hashlib
import re
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from fastapi import Request, Response
from pydantic import BaseModel, RootModel

from refsync.dumping import dump
from refsync.pending_queue.models import PendingChangeRecord
from refsync.plain_text import json_escaped
from refsync.use_cases.answer import Sparse

JSON = "application/json"
PUBLIC = "public, no-cache"
"""Keep it, and ask before each use whether it is still so."""
PRIVATE = "private, no-store"
_SPARSE = (PendingChangeRecord, Sparse)
_LEAST_PACKED_BYTES = 1024


@dataclass(frozen=True)
class Content:
    """What many ask for: its bytes, made ready once."""

    body: bytes

    @cached_property
    def tag(self) -> str:
        """The id that git gives a blob of these bytes."""
        return hashlib.sha1(b"blob %d\0" % len(self.body) + self.body, usedforsecurity=False).hexdigest()

    @cached_property
    def packed(self) -> bytes | None:
        """The same, smaller; ``None`` where that is not worth it."""
        if len(self.body) < _LEAST_PACKED_BYTES:
            return None
        packed = gzip.compress(self.body, mtime=0)
        return packed if len(packed) < len(self.body) else None


def json_body(document: BaseModel | Any) -> bytes:
    """An answer as JSON, each number with the text that was written for it."""
    return json_escaped(dump(_plain(document))).encode("utf-8", "backslashreplace")


def _plain(value: Any) -> Any:
    """Plain data; of the ecosystem's own records the fields that hold something, and all of everything else."""
    if isinstance(value, RootModel):
        return _plain(value.root)
    if isinstance(value, BaseModel):
        kept = {name for name, field in type(value).model_fields.items() if not field.exclude}
        fields = {name: _plain(each) for name, each in value if name in kept}
        return (
            {name: each for name, each in fields.items() if each is not None} if isinstance(value, _SPARSE) else fields
        )
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    return [_plain(each) for each in value] if isinstance(value, list | tuple) else value


def answer(document: BaseModel | Any, status: int = 200) -> Response:
    """One answer for who asked, kept by nobody on the way."""
    return Response(json_body(document), status, {"Cache-Control": PRIVATE}, JSON)


def document(answered: BaseModel) -> Response:
    """The document that ``--json`` prints."""
    body = json_escaped(dump(answered.model_dump())).encode("utf-8", "backslashreplace")
    return Response(body, 200, {"Cache-Control": PRIVATE}, JSON)


def conditional(request: Request, content: Content, media_type: str = JSON) -> Response:
    """Content that may be kept, or 304 for who has it already."""
    headers = {"ETag": f'"{content.tag}"', "Cache-Control": PUBLIC, "Vary": "Accept-Encoding"}
    packed = content.packed if _takes_gzip(request) else None
    if packed is not None:  # another run of bytes that says the same: a weak tag
        headers["ETag"] = f'W/"{content.tag}"'
    if content.tag in _known_tags(request):
        return Response(None, 304, headers)
    if packed is None:
        return Response(content.body, 200, headers, media_type)
    return Response(packed, 200, headers | {"Content-Encoding": "gzip"}, media_type)


def _known_tags(request: Request) -> list[str]:
    given = ",".join(request.headers.getlist("if-none-match"))
    return re.findall(r'"([0-9a-f]{40})"', given)


def _takes_gzip(request: Request) -> bool:
    given = ",".join(request.headers.getlist("accept-encoding")).lower()
    accepted = (re.fullmatch(r"\s*(gzip|\*)\s*(?:;\s*q=([0-9.]+)\s*)?", each) for each in given.split(","))
    return any(match and (match[2] is None or match[2].strip("0.") != "") for match in accepted)
