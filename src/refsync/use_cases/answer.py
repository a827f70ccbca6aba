"""What the answers have in common."""

from __future__ import annotations

from typing import Annotated, Generic, TypeVar

from pydantic import ConfigDict, RootModel, SkipValidation

from refsync.deferred import Deferred

Text = Annotated[str, SkipValidation]
"""A file's or a branch's name, or what is said of one, which need not be Unicode."""


class Answer(Deferred):
    """An answer; its JSON is what ``--json`` prints. Times are Unix seconds, ``None`` stands where there is nothing."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=False)


class Sparse(Answer):
    """An answer in the ecosystem's own shape, in which a field stands only where there is something."""


T = TypeVar("T")


class AnswerOf(RootModel[T], Generic[T]):
    """An answer that is one value without a name, such as a list; deferred as the others are."""

    model_config = ConfigDict(defer_build=True)
