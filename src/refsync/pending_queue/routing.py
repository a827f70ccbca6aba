"""Which repository a batch belongs to."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from refsync.categories import CategoryName
from refsync.pending_queue.holds import Hold, HoldKind

RepositoryOf = Callable[[CategoryName], str | None]
"""Name of the repository that holds a category; ``None`` where none does."""


def by_repository(
    members: Sequence[tuple[int, str]], repository_of: RepositoryOf
) -> dict[str | None, list[tuple[int, str]]]:
    """The changes by repository, in the order of its first change; those of none come last."""
    parts: dict[str | None, list[tuple[int, str]]] = {}
    for change_id, name in members:
        repository = repository_of(CategoryName(name))
        parts.setdefault(repository, []).append((change_id, name))
    unserved = parts.pop(None, None)
    return parts if unserved is None else {**parts, None: unserved}


def unserved(members: Sequence[tuple[int, str]]) -> Hold:
    """What changes wait for that no repository holds."""
    names = ", ".join(dict.fromkeys(name for _, name in members))
    return Hold(kind=HoldKind.unserved, reason=f"no repository of the config holds {names}")
