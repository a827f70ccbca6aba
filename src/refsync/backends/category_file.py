"""Reading a category file that others may be replacing or writing at this moment."""

from __future__ import annotations

import os
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from refsync.backends.file_state import FileState
from refsync.categories import CategoryDescriptor, is_table
from refsync.documents.json_document import new_document
from refsync.errors import CloneError, DocumentError
from refsync.file_patterns import starred
from refsync.reference.kinds import kind_of
from refsync.regular_files import LARGEST_FILE_BYTES, TOO_LARGE, open_regular, read_regular

# A missing file is waited for longer: believing in it clears the data, a broken one only delays the new data.
_BROKEN_GRACE_SECONDS = 0.05
_MISSING_GRACE_SECONDS = 0.25
_RETRY_SECONDS = 0.005


class Records(dict[str, dict[str, Any]]):
    """The records of a category file, with the JSON that they stand in: the file's own bytes, where it is just that."""

    __slots__ = ("source",)
    source: bytes

    @classmethod
    def read_from(cls, records: dict[str, dict[str, Any]], source: bytes) -> Self:
        """The records that stand in these bytes."""
        made = cls(records)
        made.source = source
        return made


class BrokenFileError(DocumentError):
    """A category file that cannot be parsed, with the state in which it was read."""

    def __init__(self, path: Path, error: DocumentError, state: FileState) -> None:
        super().__init__(f"{error.reason} (in {path})", line=error.line, column=error.column)
        self.state = state


@dataclass(frozen=True, slots=True)
class CategoryFile:
    """A file's records, the text they stand in, and the file's state from before it was read.

    The text is JSON, of a file that is no JSON too.
    """

    records: Records
    text: str
    state: FileState


def read_category_file(
    path: Path,
    category: CategoryDescriptor,
    *,
    within: Path,
    known_broken: BrokenFileError | None = None,
    known_missing: bool = False,
) -> CategoryFile:
    """Read a file of records.

    git and editors replace a file in steps: for a short while it is missing, empty or cut off. So what is wrong is
    believed only if it is still so a moment later: 50 ms for what is broken, 250 ms for a missing file.

    Args:
        path: the file.
        category: whose records are in it.
        within: the folder below which no link is followed: a commit may hold one that leads anywhere.
        known_broken: what an earlier read raised; while the file's state is the same, it is raised again, unread.
        known_missing: it was missing before, so that this needs no second look.

    Raises:
        FileNotFoundError: there is no file.
        BrokenFileError: it is no JSON object of objects.
        CloneError: it cannot be read.
    """
    began = time.monotonic()
    while True:
        try:
            return _read(path, category, within, known_broken)
        except FileNotFoundError:
            if known_missing or time.monotonic() - began >= _MISSING_GRACE_SECONDS:
                raise
        except BrokenFileError as error:
            if error is known_broken or time.monotonic() - began >= _BROKEN_GRACE_SECONDS:
                raise
        time.sleep(_RETRY_SECONDS)


def read_category_files(pattern: Path, category: CategoryDescriptor, *, within: Path) -> CategoryFile:
    """Read all files that a pattern means; the state is that of their folder, in which each new file comes by a rename.

    Raises:
        FileNotFoundError: there is no folder.
        BrokenFileError, CloneError: as :func:`read_category_file`, for the first such file.
    """
    state = FileState.of(pattern.parent.stat())
    records: dict[str, dict[str, Any]] = {}
    for path in files_of(pattern):
        with suppress(FileNotFoundError):  # it has gone meanwhile
            records |= read_category_file(path, category, within=within, known_missing=True).records
    source = new_document(records)
    return CategoryFile(Records.read_from(records, source), source.decode(), state)


def files_of(pattern: Path) -> list[Path]:
    """The files that a pattern means, as they lie there."""
    try:
        names = os.listdir(pattern.parent)
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [pattern.with_name(name) for name in sorted(names) if starred(pattern.name, name) is not None]


def _read(path: Path, category: CategoryDescriptor, within: Path, known_broken: BrokenFileError | None) -> CategoryFile:
    try:
        with os.fdopen(open_regular(path, within=within), "rb") as file:
            state = FileState.of(os.fstat(file.fileno()))
            if known_broken is not None and known_broken.state == state:
                raise known_broken.with_traceback(None)  # it would grow with each time that it is raised
            if state.size > LARGEST_FILE_BYTES:
                raise CloneError(f"cannot read {path}: {TOO_LARGE}")
            data = file.read(state.size)
            whole = FileState.of(os.fstat(file.fileno())) == state
    except (FileNotFoundError, NotADirectoryError):
        raise FileNotFoundError(f"{path} is missing") from None
    except OSError as error:
        raise CloneError(f"cannot read {path}: {error.strerror}; check the clone and its permissions") from None
    return _parse(path, category, within, data, state, whole=whole)


def _parse(
    path: Path, category: CategoryDescriptor, within: Path, data: bytes, state: FileState, *, whole: bool
) -> CategoryFile:
    try:
        if not whole:
            raise DocumentError("it was written while it was read")
        kind = kind_of(category, path.relative_to(within).as_posix())
        records = kind.read(data, lambda name: _beside(path.with_name(name), within))
        source = data if category.has_usual_shape and not is_table(path.name) else new_document(records)
        return CategoryFile(Records.read_from(records, source), source.decode("utf-8-sig"), state)
    except DocumentError as error:
        raise BrokenFileError(path, error, state) from None


def _beside(path: Path, within: Path) -> bytes | None:
    try:
        return read_regular(path, within=within)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise CloneError(f"cannot read {path}: {error.strerror}; check its permissions") from None
