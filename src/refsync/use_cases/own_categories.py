"""Categories of one's own, as ``init`` takes them from the command line and offers them for files of no category."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Mapping
from pathlib import PurePosixPath

from pydantic import ValidationError

from refsync.clone.objects import TreeFile
from refsync.clone.repository import Repository
from refsync.commands import command
from refsync.config.settings import OwnCategory
from refsync.documents.json_document import read_json
from refsync.documents.shape_guess import are_records, guess_shape
from refsync.errors import RefsyncError, RequestError
from refsync.file_patterns import is_pattern

_LOOKED_AT = 12  # files of a folder, to see whether they are alike


def own_category(word: str, name: str, file: str) -> OwnCategory:
    """The category that a word of the command line names, ``NAME=FILE`` or ``NAME=FILE:RECORDS``.

    Raises:
        RequestError: it cannot be one.
    """
    file, colon, records = file.partition(":")
    where = {"files" if is_pattern(file) else "file": file} | ({"records": records} if colon else {})
    try:
        return OwnCategory.model_validate({"name": name, **where})
    except ValidationError as problem:
        first = problem.errors()[0]
        key, reason = ".".join(map(str, first["loc"])) or "file", first["msg"].removeprefix("Value error, ")
        raise RequestError(f"--category {word}: {key}: {reason}") from None


def offered(clone: Repository, file: str, found: TreeFile) -> OwnCategory | None:
    """The category that a JSON file of none could be; ``None`` where it holds no records, or cannot be read here."""
    if not found.is_regular or not file.endswith(".json"):
        return None
    try:
        shape = guess_shape(read_json(clone.read_blob(found.blob)))
    except RefsyncError:  # a clone that holds only what it needs lacks what belongs to no category
        return None
    if shape is None:
        return None
    return _named(file, {"file": file} | ({"records": str(shape)} if str(shape) else {}))


def offered_folder(clone: Repository, tip: str, folder: str) -> OwnCategory | None:
    """The category that the JSON files of a folder could be; ``None`` where they are not alike, or not there."""
    entries = {name: TreeFile(*entry) for name, entry in clone.entries(tip, folder).items()}
    files = sorted(name for name, entry in entries.items() if name.endswith(".json") and entry.is_regular)
    try:
        values = [read_json(clone.read_blob(entries[name].blob)) for name in files[:_LOOKED_AT]]
    except RefsyncError:
        return None
    shapes = Counter(str(shape) for value in values if (shape := guess_shape(value)) is not None)
    for words, count in shapes.most_common(1):
        if len(values) > 1 and 2 * count > len(values):
            return _named(folder, {"files": f"{folder}/*.json", "records": words})
    return _named(folder, {"files": f"{folder}/*.json"}) if are_records(values) else None


def option_for(own: OwnCategory) -> str:
    """The option of ``refsync init`` that makes it one."""
    where = f":{own.records}" if own.records or (own.files and own.records is not None) else ""
    return command("--category", f"{own.name}={own.path}{where}")


def table_of(own: OwnCategory) -> str:
    """The lines of a config that say it."""
    records = own.records if own.files or own.records else None
    values = {"name": own.name, "file": own.file, "files": own.files, "records": records}
    lines = (f"{key} = {json.dumps(value)}" for key, value in values.items() if value is not None)
    return "\n".join(("[[category]]", *lines))


def _named(file: str, where: Mapping[str, str]) -> OwnCategory | None:
    stem = re.sub(r"[^a-z0-9]+", "_", PurePosixPath(file).stem.casefold()).strip("_")[:48]
    for name in (stem, f"{stem}_models", f"models_{stem}"):
        try:
            return OwnCategory.model_validate({"name": name, **where})
        except ValidationError:
            continue
    return None
