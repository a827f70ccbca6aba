"""Refs as git keeps them in files: one each, or all in ``packed-refs``. No git is started to read them."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

_ID = re.compile(r"[0-9a-f]{40}")
_POINTS_TO = "ref: "


def pointed_to_by_head(git_directory: Path) -> str | None:
    """The full name of the branch that ``HEAD`` shows; ``None`` where it is detached, or names none."""
    try:
        head = os.fsdecode((git_directory / "HEAD").read_bytes()).strip()
    except FileNotFoundError:
        return None
    return head.removeprefix(_POINTS_TO).strip() if head.startswith(_POINTS_TO) else None


def read_ref(common_directory: Path, ref: str) -> str | None:
    """The id that a ref (its full name) stands at; ``None`` where there is none, or one that only git understands."""
    try:
        found = os.fsdecode((common_directory / ref).read_bytes()).strip()
    except (FileNotFoundError, IsADirectoryError, NotADirectoryError):
        return dict(_packed(common_directory)).get(ref)
    return found if _ID.fullmatch(found) else None


def refs_under(common_directory: Path, prefix: str) -> list[str]:
    """The names of all refs below a prefix that ends with a slash."""
    packed = (name for name, _ in _packed(common_directory) if name.startswith(prefix))
    return sorted({*_loose(common_directory, prefix), *packed})


def _loose(common_directory: Path, prefix: str) -> Iterator[str]:
    for path in (common_directory / prefix).rglob("*"):
        if path.is_file() and not path.name.endswith(".lock"):
            yield str(path.relative_to(common_directory))


def _packed(common_directory: Path) -> Iterator[tuple[str, str]]:
    """Names and ids; a line of another kind is a comment, or tells what a tag points to."""
    try:
        lines = (common_directory / "packed-refs").read_bytes().splitlines()
    except FileNotFoundError:
        return
    for line in lines:
        id, _, name = os.fsdecode(line).partition(" ")
        if _ID.fullmatch(id) and name:
            yield name, id
