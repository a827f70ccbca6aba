"""By what a file is known again without reading it, and from when on that can be believed."""

from __future__ import annotations

import os
import time

Identity = tuple[int, ...]

_YOUNG_NS = 100_000_000


def stat_identity(found: os.stat_result) -> Identity:
    """What differs once a file was written, replaced or touched."""
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns


def is_young(identity: Identity) -> bool:
    """Whether it changed so short a time ago that it may change again without another identity.

    Clocks of files are coarse.
    """
    return time.time_ns() - max(identity[-2:]) <= _YOUNG_NS
