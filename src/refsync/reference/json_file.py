"""The kind of category that is one JSON document, with a record for each model, or with one for each variant, too."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from refsync.categories import CategoryDescriptor
from refsync.documents.json_document import Document, Record, edit_document, new_document
from refsync.documents.model_places import Place
from refsync.documents.shape import ROOT, Shape, shape_of
from refsync.documents.text_derivation import variants
from refsync.documents.text_variants import (
    base_names,
    base_of,
    check_variants_free,
    is_orphan,
    record_under,
    related_names,
)
from refsync.errors import DocumentError, PayloadError

if TYPE_CHECKING:
    from refsync.reference.versions import Version
    from refsync.reference.view import View


def open_file(view: View, category: CategoryDescriptor, path: str) -> JsonFile:
    """The category whose document this is.

    Raises:
        DocumentError: there is no plain file.
    """
    kind = JsonFileWithVariants if category.has_variants else JsonFile
    return kind(path, view.version(path), shape_of(category, path))


@dataclass(frozen=True)
class JsonFile:
    """One document; ``version`` is ``None`` where there is none yet."""

    path: str
    version: Version | None
    shape: Shape = ROOT

    @property
    def _document(self) -> Document:
        return Document() if self.version is None else self.version.document(self.shape)

    @property
    def records(self) -> Mapping[str, Record]:
        """The models."""
        return {} if self.version is None else self.version.models(self.shape)

    @property
    def models(self) -> Collection[str]:
        """The names beside which a new model can stand."""
        return self.records

    def check_editable(self, touched: Collection[str]) -> None:
        """See that the document can be read.

        Raises:
            DocumentError: it cannot.
        """
        _ = self._document

    def fault_of(self, model: str, removed: bool = False) -> DocumentError | None:
        """Why a model cannot be changed safely, though others can; ``None`` where it can."""
        return self._document.fault_of(model, removed)

    def edited(
        self,
        edits: Mapping[str, Record | None],
        *,
        places: Mapping[str, Place] | None = None,
        renames: Mapping[str, str] | None = None,
    ) -> Mapping[str, bytes | None]:
        """The document, with these models written, removed or renamed, new ones where they are asked to stand."""
        if self.version is None:
            new = {model: record for model, record in edits.items() if record is not None}
            return {self.path: new_document(new, self.shape)}
        return {self.path: edit_document(self._document, edits, places=places, renames=renames)}

    def home(self, name: str, asked: str | None, is_beside: bool) -> None:
        """See that no other file than this one is asked for.

        Raises:
            PayloadError: it is.
        """
        if asked not in (None, self.path):
            raise PayloadError(f"file: the category has one, {self.path}; leave it out")

    @property
    def writes_variants(self) -> bool:
        """No: each record is written by itself."""
        return False

    def variants(self, name: str) -> tuple[str, ...]:
        """None."""
        return ()

    def owners(self, names: Collection[str]) -> Mapping[str, str]:
        """None."""
        return {}

    def base_of(self, name: str) -> str:
        """The model that a name means: the one that is called so."""
        return name

    def related(self, name: str) -> list[str]:
        """The records that follow a model: none."""
        return []

    def check_new(self, name: str, replaced: str | None) -> None:
        """See that a new model can have a name: any that is not ignored.

        Raises:
            PayloadError: it is.
        """
        self._check_not_ignored(name)

    def complete(self, name: str, payload: Record) -> Record:
        """The record as it is asked for; in a list it says its name.

        Raises:
            PayloadError: it says another one.
        """
        field = self.shape.field
        wanted = payload if field is None or field in payload else {field: name} | payload
        self.check(name, wanted)
        return wanted

    def under(self, old: str, new: str) -> Record:
        """The record of a model under another name, where it says its name."""
        record = self.shape.named(self.records[old], new)
        return record | {"name": new} if record.get("name") == old else dict(record)

    def check(self, name: str, record: Record | None) -> None:
        """See that the document can hold a record: in a list one that says its name, else any.

        Raises:
            PayloadError: it cannot.
        """
        self._check_not_ignored(name)
        field = self.shape.field
        if field is not None and record is not None and record.get(field) != name:
            said = json.dumps(record.get(field))
            raise PayloadError(
                f"payload: {field}: is {said}, and the file knows its models by that; write {json.dumps(name)}, "
                f"or rename the model"
            )

    def _check_not_ignored(self, name: str) -> None:
        if name in self.shape.ignored:
            raise PayloadError(f"name: the config says that {name!r} is no model; give it another one")

    def remarks(self, name: str, record: Record) -> Iterator[str]:
        """Nothing: a document holds a record as it is."""
        return iter(())


@dataclass(frozen=True)
class JsonFileWithVariants(JsonFile):
    """A document of text models, in which their variants, all, some or none, are records of their own."""

    @cached_property
    def _bases(self) -> Mapping[str, str]:
        return base_names(self.records)

    def variants(self, name: str) -> tuple[str, ...]:
        """One for each other backend."""
        return variants(name)

    def owners(self, names: Collection[str]) -> Mapping[str, str]:
        """Each variant -> the model of these, the last one where several share it."""
        return base_names(names)

    def base_of(self, name: str) -> str:
        """The base name of a model or of one of its variants, that of a model which is not there yet, too."""
        return base_of(name, self.records, self._bases)

    def related(self, name: str) -> list[str]:
        """The variants that follow a model."""
        return related_names(name, self.records, self._bases)

    def check_new(self, name: str, replaced: str | None) -> None:
        """See that a new model is no variant, and takes none from another but the one that it replaces.

        Raises:
            PayloadError: it is, or does.
        """
        if is_orphan(name, self.records):
            raise PayloadError(f"name: {name!r} is that of a variant; change its base model, and it follows")
        if name not in self.records:
            check_variants_free(name, self.records, self._bases, replaced)

    def complete(self, name: str, payload: Record) -> Record:
        """The record, under the base name where it says that of a variant."""
        return payload | {"name": name} if payload.get("name") in variants(name) else payload

    def under(self, old: str, new: str) -> Record:
        """The record of a model under another name, with what follows from the name."""
        return record_under(self.records[old], old, new)
