"""The files of metadata, and what stands beside them: backups, temporaries, copies of corrupt ones."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from loguru import logger

FileState = tuple[int, int, int, int]


def stat_of(path: Path) -> os.stat_result | None:
    """What the system says of a file; ``None`` where there is none."""
    try:
        return path.stat()
    except FileNotFoundError:
        return None


def state_of_file(path: Path) -> FileState | None:
    """By which a file is known again; ``None`` where there is none."""
    stat = stat_of(path)
    return None if stat is None else file_state(stat)


def file_state(stat: os.stat_result) -> FileState:
    """What differs once a file was written or replaced."""
    return (stat.st_size, stat.st_ino, stat.st_mtime_ns, stat.st_ctime_ns)


def siblings(path: Path, mark: str) -> list[Path]:
    """The files beside this one that are named after it, with or without its suffix, and bear the mark."""
    stem = f"{path.stem}."
    try:
        names = sorted(os.listdir(path.parent))
    except FileNotFoundError:
        return []
    return [path.with_name(name) for name in names if name.startswith(stem) and mark in name]


def set_aside(path: Path) -> None:
    """Keep a corrupt file under another name; a copy, so that its own name is never missing."""
    stat = stat_of(path)
    if stat is not None:
        aside = path.with_name(f"{path.name}.corrupt.{stat.st_mtime_ns}")
        shutil.copy2(path, aside)
        logger.error("{} cannot be read and is being replaced; its content is kept in {}", path, aside)


def remove_leftovers(path: Path) -> None:
    """Remove what a crash left: whoever writes holds the lock, so a temporary is nobody's."""
    for leftover in (*siblings(path, ".bak"), *siblings(path, ".tmp.")):
        leftover.unlink(missing_ok=True)
        logger.info("removed {}, which a crash had left beside {}", leftover, path.name)
