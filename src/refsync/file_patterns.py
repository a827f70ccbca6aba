"""Paths in which one ``*`` stands for the name of a file: where the files of a category are that has many."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from functools import cache
from pathlib import Path


def is_pattern(path: str) -> bool:
    """Whether a path stands for many files.

    >>> is_pattern("models/*.json"), is_pattern("models.json")
    (True, False)
    """
    return "*" in path


def folder_of(path: str) -> str:
    """The folder that a path, or a pattern's files, stand in; ``""`` for the root."""
    return path.rpartition("/")[0]


def starred(pattern: str, path: str) -> str | None:
    """What the ``*`` of a pattern stands for in a path; ``None`` where the pattern does not mean it.

    >>> starred("models/*.json", "models/gpt.json"), starred("models/*.json", "models/old/gpt.json")
    ('gpt', None)
    >>> starred("data/models*.json", "data/models.json")
    ''
    """
    found = _meaning(pattern).fullmatch(path)
    return found[1] if found else None


@cache
def _meaning(pattern: str) -> re.Pattern[str]:
    """What the paths are like that a pattern means: no file is hidden."""
    ahead, _, behind = pattern.partition("*")
    folder = ahead[: ahead.rfind("/") + 1]
    return re.compile(rf"{re.escape(folder)}(?!\.){re.escape(ahead[len(folder) :])}([^/]*){re.escape(behind)}")


def named(pattern: str, name: str) -> str:
    """The path in which the ``*`` stands for a name."""
    return pattern.replace("*", name, 1)


def means(path: str, paths: Collection[str]) -> str | None:
    """Which of these paths and patterns means a file; ``None`` where none does."""
    if path in paths:
        return path
    return next((each for each in paths if is_pattern(each) and starred(each, path) is not None), None)


def pattern_of(file: Path, patterns: Iterable[Path]) -> Path | None:
    """Which of these patterns means a file; ``None`` where none does. A ``*`` in the name of a folder is none."""
    here = (each for each in patterns if each.parent == file.parent)
    return next((each for each in here if starred(each.name, file.name) is not None), None)


def pathspecs(paths: Iterable[str]) -> list[str]:
    """What to name to git, which takes every path literally: for a pattern its folder, in which more may stand."""
    return list(dict.fromkeys((folder_of(path) or ".") if is_pattern(path) else path for path in paths))
