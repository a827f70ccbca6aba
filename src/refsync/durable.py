"""A small file that a power cut leaves old or new, never empty and never missing."""

from __future__ import annotations

import contextlib
import os
import secrets
import threading
from pathlib import Path

from refsync.durable_steps import durable_step


@durable_step("replace a small file")
def write_durably(path: Path, text: str) -> None:
    """Put the text in place of the file by one rename, data and folder forced to disk.

    Raises:
        OSError: it cannot be written; the old file is intact and no temporary is left.
    """
    temporary = path.with_name(f"{path.name}.tmp.{os.getpid()}.{threading.get_ident()}.{secrets.token_hex(4)}")
    try:
        with open(temporary, "w", encoding="utf-8") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        raise
    flush_folder(path.parent)


def flush_folder(folder: Path) -> None:
    """Force to disk which names a folder holds."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
