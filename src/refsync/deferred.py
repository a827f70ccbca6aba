"""Models of data that cost nothing until they are used."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Deferred(BaseModel):
    """A model whose validator is built when it is first needed: a command uses few of those that it imports."""

    model_config = ConfigDict(defer_build=True)
