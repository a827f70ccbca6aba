"""What git's index holds, read by GitPython."""

from __future__ import annotations

import io
import struct
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from git.index.typ import IndexEntry

_LONGEST = 1 << 17
"""In bytes, some 1,500 files: git reads a longer one quicker."""


def read_index(index: Path) -> dict[str, IndexEntry] | None:
    """The entries of an index by their paths; none where there is no index.

    Returns:
        ``None`` where git has to be asked: it is long, in the middle of a merge, or of a kind that GitPython does not
        know (compressed, split, or with folders).
    """
    from git.index.fun import read_cache

    try:
        if index.stat().st_size > _LONGEST:
            return None
        _, entries, _, _ = read_cache(io.BytesIO(index.read_bytes()))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AssertionError, struct.error):
        return None
    if any(stage for _, stage in entries):
        return None
    return {str(path): entry for (path, _), entry in entries.items()}
