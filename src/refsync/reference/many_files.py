"""The kind of category that has many JSON files: each holds one record, or several in the same shape."""

from __future__ import annotations

import json
from bisect import bisect
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING

from refsync.categories import CategoryDescriptor
from refsync.documents.encoding import decode
from refsync.documents.json_document import Record, edit_document, edit_records, new_document
from refsync.documents.json_text import scan_document
from refsync.documents.model_places import Place
from refsync.documents.shape import RecordShape, shape_of
from refsync.errors import DocumentError, PayloadError
from refsync.file_patterns import named, starred
from refsync.reference.json_file import JsonFile

if TYPE_CHECKING:
    from refsync.reference.view import View

_LONGEST_NAME = 200  # bytes of a file's name, with room for what a landing puts around it
_NEIGHBOURS = 3
_SHOWN = 5


def open_files(view: View, category: CategoryDescriptor, pattern: str) -> ManyFiles:
    """The category whose files a pattern means.

    Raises:
        DocumentError: one of them is no plain file.
    """
    files = {
        path: JsonFile(path, view.version(path), shape_of(category, path)) for path in sorted(view.matching(pattern))
    }
    return ManyFiles(pattern, None, shape_of(category, pattern), files=files, category=category)


@dataclass(frozen=True)
class ManyFiles(JsonFile):
    """All files of a category; ``path`` is their pattern."""

    files: Mapping[str, JsonFile] = field(kw_only=True)
    category: CategoryDescriptor = field(kw_only=True)

    @cached_property
    def records(self) -> Mapping[str, Record]:
        """The models of all files; of a name that is there twice the last."""
        return {name: record for records in self._found.values() for name, record in records.items()}

    def check_editable(self, touched: Collection[str]) -> None:
        """See that every file can be read: in one that cannot, any model may stand.

        Raises:
            DocumentError: one cannot; the text names it.
        """
        _ = self.records

    def fault_of(self, model: str, removed: bool = False) -> DocumentError | None:
        """Why a model cannot be changed safely, though others can; ``None`` where it can."""
        homes = self._homes.get(model, [])
        if len(homes) > 1:
            return DocumentError(f"{json.dumps(model)} is in {' and in '.join(homes)}; delete all but one")
        return self.files[homes[0]].fault_of(model, removed) if homes else None

    def edited(
        self,
        edits: Mapping[str, Record | None],
        *,
        places: Mapping[str, Place] | None = None,
        renames: Mapping[str, str] | None = None,
    ) -> dict[str, bytes | None]:
        """The files that change, ``None`` for one that goes."""
        places, renames = places or {}, renames or {}
        if self.category.record_files:
            return self._record_files(edits, places, renames)
        shares = defaultdict[str, dict[str, Record | None]](dict)
        origins = {new: old for old, new in renames.items()}
        for name, record in edits.items():
            shares[self._home(origins.get(name, name), places)][name] = record
        for old in renames:
            shares[self._home(old, places)].setdefault(old, None)
        return {path: self._share(path, share, places, renames) for path, share in shares.items()}

    def home(self, name: str, asked: str | None, is_beside: bool) -> None:
        """See that it is told in which file a new model goes.

        Raises:
            PayloadError: it is not, or no such file is the category's, or it is another model's.
        """
        if name in self.records:
            return
        if self.category.record_files:
            self._check_own_file(name, asked)
        elif asked is not None:
            self._check_meant(asked)
        elif not is_beside:
            more = f" and {len(self.files) - _SHOWN} more" if len(self.files) > _SHOWN else ""
            known = f"{', '.join(list(self.files)[:_SHOWN])}{more}" if self.files else named(self.path, "NAME")
            raise PayloadError(
                f"file: {self.category.category} may have several; say by --file, or --after or --before another "
                f"model, which one {name!r} goes to: {known}"
            )

    def _check_own_file(self, name: str, asked: str | None) -> None:
        usual = named(self.path, name)
        if self.category.key is None and asked not in (None, usual):
            raise PayloadError(f"file: {name!r} goes to {usual}, for its file is what it is known by")
        self._check_meant(asked or usual)
        if (asked or usual) in self.files:
            raise PayloadError(f"file: {asked or usual}, where {name!r} would go, is there and holds something else")

    def _check_meant(self, path: str) -> None:
        if starred(self.path, path) is None:
            raise PayloadError(f"file: {path!r} is none of the category's, which are {self.path}; name another one")
        if len(path.rpartition("/")[2].encode()) > _LONGEST_NAME:
            raise PayloadError(f"file: {path!r} is too long for the name of a file; name another one")

    def check(self, name: str, record: Record | None) -> None:
        """See that the files can hold a record.

        Raises:
            PayloadError: they cannot.
        """
        super().check(name, record)
        if record is None or not self.category.record_files or self.category.key is not None:
            return
        if starred(self.path, named(self.path, name)) != name:
            raise PayloadError(f"name: {name!r} cannot be the name of a file, as that of each model of {self.path} is")
        self._check_meant(named(self.path, name))

    # One record a file

    def _record_files(
        self, edits: Mapping[str, Record | None], places: Mapping[str, Place], renames: Mapping[str, str]
    ) -> dict[str, bytes | None]:
        origins = {new: old for old, new in renames.items()}
        written: dict[str, bytes | None] = {}
        for name, record in edits.items():
            origin = origins.get(name, name)
            home = self._homes.get(origin, [None])[0]
            if record is None:
                if home is not None and (name not in renames or self.category.key is None):
                    written.setdefault(home, None)
            elif home is None:
                written[_asked(places.get(name)) or named(self.path, name)] = self._new_file(name, record)
            else:
                written[home if self.category.key is not None else named(self.path, name)] = self._changed(
                    home, origin, name, record
                )
        return written

    def _changed(self, path: str, old: str, new: str, record: Record) -> bytes:
        """A file with another record, which has its own name in it or outside."""
        file = self.files[path]
        assert file.version is not None  # for it is there
        document = file.version.document(file.shape)
        renames = {old: new} if self.category.key is not None and old != new else {}
        name = old if self.category.key is None else new
        return edit_document(document, {name: record}, renames=renames, alike=self.records.values())

    def _new_file(self, name: str, record: Record) -> bytes:
        """A file in the way of those beside it."""
        near = self._neighbours(named(self.path, name))
        if not near:
            return new_document({name: record}, RecordShape(model=name))
        texts = [decode(file.version.content)[1] for file in near if file.version is not None]
        members = ", ".join(f'"{place}": {text.strip()}' for place, text in enumerate(texts))
        edited = edit_records(f"{{{members}}}".encode(), {"new": record}, alike=self.records.values()).decode()
        new = next(item for item in scan_document(edited).items if item.key == "new")
        ending = texts[0][len(texts[0].rstrip()) :]
        return (edited[new.value_start : new.end] + ending).encode()

    def _neighbours(self, path: str) -> list[JsonFile]:
        """The files that stand nearest to a path, the nearest first."""
        paths = list(self.files)
        at = bisect(paths, path)
        near = sorted(range(max(0, at - _NEIGHBOURS), min(len(paths), at + _NEIGHBOURS)), key=lambda n: abs(n - at))
        return [self.files[paths[place]] for place in near[:_NEIGHBOURS]]

    # Several records a file

    def _share(
        self,
        path: str,
        edits: Mapping[str, Record | None],
        places: Mapping[str, Place],
        renames: Mapping[str, str],
    ) -> bytes:
        """One file with what of the edits is its own."""
        if path not in self.files:
            return new_document({name: record for name, record in edits.items() if record is not None}, self.shape)
        known = self._records_of(path)
        beside = {name: place for name, place in places.items() if name in edits and place.side != "in"}
        own = {old: new for old, new in renames.items() if old in known}
        version = self.files[path].version
        assert version is not None  # for it is there
        document = version.document(self.files[path].shape)
        return edit_document(document, edits, places=beside, renames=own, alike=self._alike(known))

    def _alike(self, known: Mapping[str, Record]) -> Iterable[Record]:
        """The records of other files, for one that has too few to tell the order of fields."""
        return () if len(known) > _NEIGHBOURS else self.records.values()

    def _home(self, name: str, places: Mapping[str, Place]) -> str:
        """The file that a model is in, or goes to.

        Raises:
            DocumentError: nobody has said.
        """
        place = places.get(name)
        if name in self._homes:
            return self._homes[name][0]
        if place is not None:
            return place.model if place.side == "in" else self._home(place.model, places)
        if len(self.files) == 1:
            return next(iter(self.files))
        raise DocumentError(f"nobody has said which file of {self.path} {json.dumps(name)} goes to")

    @cached_property
    def _homes(self) -> Mapping[str, list[str]]:
        """The files that each model is in."""
        homes: dict[str, list[str]] = {}
        for path, records in self._found.items():
            for name in records:
                homes.setdefault(name, []).append(path)
        return homes

    @cached_property
    def _found(self) -> Mapping[str, Mapping[str, Record]]:
        """The models of each file."""
        return {path: self._records_of(path) for path in self.files}

    def _records_of(self, path: str) -> Mapping[str, Record]:
        try:
            return self.files[path].records
        except DocumentError as fault:
            raise DocumentError(f"{path}: {fault}") from None


def _asked(place: Place | None) -> str | None:
    """The file that somebody has asked for."""
    return place.model if place is not None and place.side == "in" else None
