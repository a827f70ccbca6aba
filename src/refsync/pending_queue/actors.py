"""Who acts on the queue."""

from __future__ import annotations

from dataclasses import dataclass

SYSTEM = "system"
"""The provider that vouches for the operating system's users."""


@dataclass(frozen=True)
class Actor:
    """Who acts: the identity given, with who vouches for it, and the person of the operating system behind it."""

    id: str
    username: str
    os_user: str | None = None
    provider: str = SYSTEM


REFSYNC = Actor("refsync", "refsync")
"""refsync itself, where no person decided."""
