"""Python's search for cycles, put off while what is made has none."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def without_collecting() -> Iterator[None]:
    """Meanwhile Python looks for no cycles: JSON has none, and the search takes as long as to decode a large text.

    It looks through all that was made meanwhile once this ends, so that large things are better gone by then.
    """
    if not gc.isenabled():  # whoever disabled it enables it, be it another thread
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
