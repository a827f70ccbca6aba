"""Git's door for drivers that merge files: git's own one for text, and how a clone is told to call another."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path

from refsync.clone.process import run_git
from refsync.file_patterns import is_pattern

_SIDES = ("ours", "base", "theirs")
_MOST_CONFLICTS = 127  # so many git tells by its exit code
_PLAIN = re.compile(r"[\w./+*-]+")


def merge_text(base: Path, ours: Path, theirs: Path) -> int:
    """Merge three versions of a file as git merges text, into ``ours``; the number of conflicts, which stand marked."""
    labels = [word for side in _SIDES for word in ("-L", side)]
    versions = (str(each.absolute()) for each in (ours, base, theirs))
    return run_git(Path.cwd(), "merge-file", *labels, *versions, accept=range(_MOST_CONFLICTS + 1)).code


def name_driver(clone: Path, name: str, told: str, command_line: str) -> None:
    """Tell a clone's own config what a merge driver is called, and how git calls it."""
    run_git(clone, "config", "--local", f"merge.{name}.name", told)
    run_git(clone, "config", "--local", f"merge.{name}.driver", command_line)


def give_files_to_driver(clone: Path, name: str, files: Collection[str]) -> list[str]:
    """Add the lines to ``.gitattributes`` that have a driver merge these files; gives those that were not there."""
    path = clone / ".gitattributes"
    text = path.read_text(encoding="utf-8", errors="surrogateescape") if path.exists() else ""
    lines = [f"{_pattern(file)} merge={name}" for file in files]
    added = [line for line in lines if line not in text.splitlines()]
    if added:
        ahead = text if not text or text.endswith("\n") else f"{text}\n"
        path.write_text(ahead + "".join(f"{line}\n" for line in added), encoding="utf-8", errors="surrogateescape")
    return added


def _pattern(file: str) -> str:
    """What means just this file, or what a pattern means, from the root of the clone."""
    special = r"([\\?\[])" if is_pattern(file) else r"([\\*?\[])"
    escaped = re.sub(special, r"\\\1", f"/{file}")
    if _PLAIN.fullmatch(escaped):
        return escaped
    return '"' + escaped.replace("\\", "\\\\").replace('"', '\\"') + '"'
