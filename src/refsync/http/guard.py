"""Around every request: it ends in time, and a bug is answered and logged once."""

from __future__ import annotations

import asyncio
from collections import Counter

from loguru import logger
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from refsync.http.failures import refusal


class Guard:
    """An ASGI application around another one.

    Args:
        app: what answers.
        seconds: how long an answer may take.
        answered: counts the answers by their status.
    """

    def __init__(self, app: ASGIApp, seconds: float, answered: Counter[int]) -> None:
        self._app = app
        self._answered = answered
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        begun = False

        async def sending(message: Message) -> None:
            nonlocal begun
            begun = True
            if message["type"] == "http.response.start":
                self._answered[message["status"]] += 1
            await send(message)

        where = f"{scope['method']} {scope['path']}"
        try:
            async with asyncio.timeout(self._seconds):
                await self._app(scope, receive, sending)
            return
        except TimeoutError:
            logger.warning("{}: given up after {:g} seconds", where, self._seconds)
            failure = refusal(503, f"no answer within {self._seconds:g} seconds; try again")
        except Exception as bug:
            logger.opt(exception=bug).error("{}: a bug in refsync: {!r}", where, bug)
            failure = refusal(500, "a bug in refsync, which its log tells more of")
        if not begun:
            await failure(scope, receive, sending)
