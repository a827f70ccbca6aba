"""What the answers have in common."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Answer(BaseModel):
    """An answer; its JSON is what ``--json`` prints. Times are Unix seconds, ``None`` stands where there is nothing."""

    model_config = ConfigDict(frozen=True, arbitrary_types_allowed=False)
