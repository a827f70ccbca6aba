"""Which of a category's files a new model is asked to go to, where it has several; kept with the request's metadata."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KEY = "to_file"


def to_file(request_metadata: Mapping[str, Any] | None, path: str) -> dict[str, Any]:
    """The metadata of a request, with the file that is asked for, relative to the clone."""
    return {**(request_metadata or {}), _KEY: path}


def asked_file(request_metadata: Mapping[str, Any] | None) -> str | None:
    """The file that is asked for, relative to the clone; ``None`` where nobody asked for one."""
    asked = (request_metadata or {}).get(_KEY)
    return asked if isinstance(asked, str) else None
