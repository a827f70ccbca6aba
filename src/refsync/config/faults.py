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
