"""Up to which commit everything was counted: one small file, written last."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import NamedTuple

from loguru import logger

from refsync.categories import CanonicalFormat, CategoryDescriptor, CategoryName
from refsync.durable import write_durably


class FollowedFile(NamedTuple):
    """A category file that is followed."""

    described: CategoryDescriptor
    format: CanonicalFormat
    path: str

    @property
    def category(self) -> CategoryName:
        """Whose file it is."""
        return self.described.category

    @property
    def place(self) -> str:
        """Where its records are: the path, and what is unusual within."""
        if self.described.has_usual_shape:
            return self.path
        where = f"{self.path}:{self.described.records}{self.described.key or ''}"
        return " ".join((where, *sorted(self.described.ignored)))

    @property
    def key(self) -> str:
        """How the position calls it."""
        return f"{self.format}/{self.category}"


@dataclass(frozen=True)
class Seen:
    """What the position says of a file: where it was, and the ``recorded_commit`` of its metadata."""

    path: str
    recorded: str | None


@dataclass(frozen=True)
class Position:
    """Up to which commit all followed files were seen."""

    commit: str | None = None
    files: Mapping[str, Seen] = field(default_factory=dict)

    def seen(self, file: FollowedFile) -> Seen | None:
        """What is known of the file; nothing where it was followed elsewhere or not at all."""
        seen = self.files.get(file.key)
        return seen if seen is not None and seen.path == file.place else None

    def moved(self, file: FollowedFile) -> bool:
        """Whether the category was followed under another path."""
        seen = self.files.get(file.key)
        return seen is not None and seen.path != file.place


def read_position(path: Path) -> Position:
    """The stored position; none where there is no file, or one that cannot be read."""
    try:
        content = json.loads(path.read_bytes())
        files = {key: Seen(**seen) for key, seen in content["files"].items()}
        return Position(content["commit"], files)
    except FileNotFoundError:
        return Position()
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        logger.error("{} cannot be read: {!r}; the history is walked from its beginning", path, error)
        return Position()


def write_position(path: Path, position: Position) -> None:
    """Store the position; a power cut may take it back to the one before, from which what has landed is found counted.

    Raises:
        OSError: it cannot be written.
    """
    write_durably(path, json.dumps(asdict(position), indent=2) + "\n", may_be_lost=True)
