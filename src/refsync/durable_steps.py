"""The durable steps: what a process does that outlives it, each by a name.

Whoever writes such a function says so, above it: ``@durable_step("move the branch")``. The function stays what it is,
and calling it costs nothing more. Tests that cut a process off in the middle name a step and not a function, so that
code can move, and a sweep learns from :func:`durable_steps` which there are (of the modules that are imported) and,
by watching which of this code runs, which of them some work comes to, in which order (``tests/support/dying.py``).

A step may be a part of another, as "place a file" is one of "place the files". A generator cannot be one.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import CodeType, FunctionType, MappingProxyType
from typing import TypeVar

Function = TypeVar("Function", bound=Callable[..., object])

_steps: dict[str, CodeType] = {}


def durable_step(name: str) -> Callable[[Function], Function]:
    """Name the step that a function is; the name is unique and says what is done: ``"move the branch"``."""

    def named(function: Function) -> Function:
        assert isinstance(function, FunctionType)
        assert name not in _steps, f"two durable steps are called {name!r}"
        _steps[name] = function.__code__
        return function

    return named


def durable_steps() -> Mapping[str, CodeType]:
    """The code of every step, by its name."""
    return MappingProxyType(_steps)
