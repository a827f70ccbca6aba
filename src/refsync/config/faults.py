"""Mistakes in the config that show only when several keys are seen together."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple


class Fault(NamedTuple):
    """A mistake that shows only when several keys are seen together; ``key`` starts where the check stands."""

    key: tuple[int | str, ...]
    reason: str


class FaultsError(ValueError):
    """Several faults at once; pydantic hands it on as it is."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = faults
        super().__init__("; ".join(fault.reason for fault in faults))


def only_one(table: object, keys: Sequence[str], named: str) -> str | None:
    """The one of these keys of a table that has a value; raises FaultsError where several name a place."""
    given = [key for key in keys if getattr(table, key)]
    if len(given) > 1:
        raise FaultsError([Fault((given[1],), f"{given[0]} is given too; name one place {named}")])
    return given[0] if given else None
