"""The page's cookies: who looks, and what is to be told once on the next screen."""

from __future__ import annotations

import base64
import binascii
import re

from fastapi import Request, Response

from refsync.http.identity.gate import caller_of
from refsync.http.page.sessions import DAY_SECONDS, Seal

SESSION = "refsync_session"
LOGIN = "refsync_login"
"""Who looks at the form to log in: not the session, which is there and unsent where a link of another site led here."""
_TOLD = "refsync_told"
_TOLD_SECONDS = 60
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")
_MOST_TOLD = 1000


def set_session(request: Request, response: Response, session: str) -> None:
    """Have the browser keep a session's id."""
    _set(request, response, SESSION, session, int(DAY_SECONDS))


def set_login(request: Request, response: Response, visitor: str) -> None:
    """Have the browser keep who looks at the form."""
    _set(request, response, LOGIN, visitor, int(DAY_SECONDS))


def end_session(request: Request, response: Response) -> None:
    """Have the browser forget it."""
    _set(request, response, SESSION, "", 0)


def tell_next(request: Request, response: Response, seal: Seal, text: str) -> None:
    """Have the next screen say something, which nobody but us can have it say."""
    text = text[:_MOST_TOLD]
    packed = base64.urlsafe_b64encode(text.encode("utf-8", "backslashreplace")).decode()
    _set(request, response, _TOLD, f"{packed}.{seal.of('told', packed)}", _TOLD_SECONDS)


def told(request: Request, response: Response, seal: Seal) -> str | None:
    """What this screen is to say; it says it once."""
    packed, _, signature = request.cookies.get(_TOLD, "").partition(".")
    if not packed:
        return None
    _set(request, response, _TOLD, "", 0)
    if not seal.holds("told", packed, signature):
        return None
    try:
        return base64.urlsafe_b64decode(packed).decode()
    except (binascii.Error, ValueError):
        return None


def _set(request: Request, response: Response, name: str, value: str, seconds: int) -> None:
    response.set_cookie(
        name, value, max_age=seconds, path="/", httponly=True, samesite="strict", secure=_travels(request)
    )


def _travels(request: Request) -> bool:
    """Whether it leaves the browser's machine, and so goes by TLS or not at all; a Unix socket is some proxy's."""
    host = re.sub(r":\d+$", "", request.headers.get("host", ""))
    is_here = host in _LOOPBACK and caller_of(request).peer.uid is None
    return not is_here or request.headers.get("x-forwarded-proto") == "https"
