"""Who has logged in, for as long as this process lives: a random id in a cookie, and the key that it stands for."""

from __future__ import annotations

import hmac
import secrets
import time
from collections import OrderedDict
from collections.abc import Callable

DAY_SECONDS = 24 * 3600.0
_MOST = 10_000


class Sessions:
    """The keys of those who logged in within a day; of too many the oldest are forgotten.

    Whose a key is, is asked with each request: a session ends with its token.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._begun: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def begin(self, key: str) -> str:
        """Begin one; gives its id."""
        session = new_id()
        self._begun[session] = self._clock(), key
        if len(self._begun) > _MOST:
            self._begun.popitem(last=False)
        return session

    def key_of(self, session: str) -> str | None:
        """The key that somebody logged in by; ``None`` where there is no such session any more."""
        begun, key = self._begun.get(session, (0.0, None))
        if key is not None and self._clock() - begun >= DAY_SECONDS:
            self.end(session)
            return None
        return key

    def end(self, session: str) -> None:
        """Forget one."""
        self._begun.pop(session, None)


def new_id() -> str:
    """An id that nobody guesses."""
    return secrets.token_urlsafe(32)


class Seal:
    """Signs what a browser brings back, with a secret of this process."""

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def of(self, purpose: str, text: str) -> str:
        """The signature of a text for one purpose."""
        return hmac.digest(self._secret, f"{purpose}\0{text}".encode("utf-8", "surrogatepass"), "sha256").hex()

    def holds(self, purpose: str, text: str, signature: str) -> bool:
        """Whether a text was signed here for this purpose."""
        return hmac.compare_digest(self.of(purpose, text).encode(), signature.encode("utf-8", "surrogatepass"))
