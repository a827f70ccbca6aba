"""What a check finds."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Finding:
    """Something to mend; ``line`` is not a part of what it is, since others' edits move it."""

    file: str
    line: int | None = field(compare=False)
    model: str | None
    what: str
    mend: str
