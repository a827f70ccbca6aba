"""Calls of the queue that lost a race in the database, done again: the whole transaction was taken back."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterator
from functools import wraps
from types import FunctionType
from typing import Any, TypeVar

from refsync.errors import LostRaceError

_Class = TypeVar("_Class", bound=type)
_TIMES = 5
_FIRST_PAUSE_SECONDS = 0.02


def done_again(door: _Class) -> _Class:
    """Have each public call of a class done again where it lost a race: such a call is one transaction.

    One that was handed an iterator is not, for what that has given it gives once.
    """
    for name, function in list(vars(door).items()):
        if isinstance(function, FunctionType) and not name.startswith("_"):
            setattr(door, name, _done_again(function))
    return door


def _done_again(call: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(call)
    def calling(*arguments: Any, **named: Any) -> Any:
        for pause in _pauses((*arguments, *named.values())):
            try:
                return call(*arguments, **named)
            except LostRaceError:
                time.sleep(pause)
        return call(*arguments, **named)

    return calling


def _pauses(arguments: tuple[Any, ...]) -> Iterator[float]:
    """How long to wait, in seconds, before each other try: longer each time, and not as long as others do."""
    if not any(isinstance(each, Iterator) for each in arguments):
        for number in range(_TIMES - 1):
            yield _FIRST_PAUSE_SECONDS * 2**number * random.uniform(0.5, 1.0)
