"""What stands in a work tree, by the ids that git gives to it: a file is read again only once it was touched."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from refsync.clone.file_identity import Identity, is_young, stat_identity
from refsync.clone.objects import GitObject, new_object
from refsync.regular_files import read_regular


class _Known(NamedTuple):
    identity: Identity
    blob: str


class WorkFiles:
    """The regular files that were looked at in one pass."""

    def __init__(self, tell: Callable[[GitObject], None]) -> None:
        """Know none yet; ``tell`` is told of what was read, as the blob that it is."""
        self._tell = tell
        self._known: dict[Path, _Known] = {}

    def is_still(self, file: Path, blob: str) -> bool:
        """Whether a file was seen to be a blob, and was not touched since; the file is not read."""
        known = self._known.get(file)
        try:
            return known is not None and known == _Known(_identity(file), blob)
        except OSError:
            return False

    def blob_of(self, file: Path) -> str:
        """The id of the bytes of a regular file.

        Raises:
            OSError: it is none, or cannot be read.
        """
        identity = _identity(file)  # looked at before it is read: what changes in between is read again
        known = self._known.get(file)
        if known is not None and known.identity == identity:
            return known.blob
        found = new_object("blob", read_regular(file))
        if not is_young(identity):
            self._known[file] = _Known(identity, found.id)
        self._tell(found)
        return found.id


def _identity(file: Path) -> Identity:
    return stat_identity(file.lstat())
