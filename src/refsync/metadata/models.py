"""The records of what has happened: counters of a category, provenance of one model, and what listeners get."""

from __future__ import annotations

import json
from dataclasses import dataclass
from enum import StrEnum
from typing import Annotated, Any, Protocol

from pydantic import AfterValidator, ConfigDict, Field, PrivateAttr

from refsync.categories import SPECIFIED, CanonicalFormat, Catalogue, CategoryName
from refsync.deferred import Deferred

CATEGORY_SCHEMA_VERSION = "1.0.0"


class OperationType(StrEnum):
    """What happened to a model.

    >>> OperationType("create") is OperationType.CREATE
    True
    """

    CREATE = "create"
    UPDATE = "update"
    DELETE = "delete"


class CategoryMetadata(Deferred):
    """The counters of one category in one format. Times are whole Unix seconds.

    >>> metadata = CategoryMetadata(
    ...     category="clip",
    ...     last_updated=5,
    ...     initialization_time=1,
    ...     last_successful_operation=5,
    ...     backend_type="GitBackend",
    ... )
    >>> metadata.category == "clip", metadata.total_models
    (True, 0)
    """

    model_config = ConfigDict(use_enum_values=True)

    category: Annotated[CategoryName, AfterValidator(str)] = Field(
        description="The category described; plain text, as the other enum fields."
    )
    last_updated: int = Field(description="When this object last changed.")
    last_operation_type: OperationType | None = Field(None, description="Kind of the newest operation.")
    last_operation_model: str | None = Field(None, description="Model name of the newest operation.")
    total_creates: int = Field(0, ge=0, description="Creations counted so far.")
    total_updates: int = Field(0, ge=0, description="Updates counted so far.")
    total_deletes: int = Field(0, ge=0, description="Deletions counted so far.")
    total_models: int = Field(0, ge=0, description="Models in the category now.")
    initialization_time: int = Field(description="When tracking of the category began; never changes later.")
    last_successful_operation: int = Field(description="Time of the newest operation that succeeded.")
    error_count: int = Field(0, description="Failures counted so far.")
    metadata_schema_version: str = Field(CATEGORY_SCHEMA_VERSION, description="Version of this layout.")
    backend_type: str = Field(description="Class name of the writing backend.")
    recorded_commit: str | None = Field(
        None, description="The newest commit that is counted in here; none where nothing comes from a history."
    )
    recorded_blob: str | None = Field(
        None,
        description="Object id of the newest valid version of the category's file; none where there is none.",
    )
    history_errors: int = Field(
        0, description="The share of error_count that the history gives: versions of the file that cannot be read."
    )
    last_lossy_merge: str | None = Field(
        None,
        description="The lossy merge that was counted last; after a crash it may be met again, and is counted once.",
    )
    last_refused_change: int | None = Field(
        None,
        description="The refused change that was counted last; after a crash it may be refused again, and counts once.",
    )

    # What the file holds and this version does not know; written back with the rest.
    _unknown: dict[str, Any] = PrivateAttr(default_factory=dict)

    @classmethod
    def from_json(cls, data: bytes | str, catalogue: Catalogue = SPECIFIED) -> CategoryMetadata:
        """The object in a metadata file, brought up to this schema version.

        Raises:
            ValueError: no JSON object, or not a valid one.
        """
        fields = json.loads(data)
        metadata = cls.model_validate(fields, context={"catalogue": catalogue})
        metadata._unknown = {key: value for key, value in fields.items() if key not in cls.model_fields}
        if _is_older(metadata.metadata_schema_version):
            metadata.metadata_schema_version = CATEGORY_SCHEMA_VERSION
        return metadata

    def to_json(self) -> str:
        """The content of a metadata file: every field, then what was read and is not known here."""
        return json.dumps(self.model_dump(mode="json") | self._unknown, indent=2, ensure_ascii=False) + "\n"


# As specified; said no earlier, since pydantic would look for this source in all modules, and parse it, for what the
# fields tell it themselves.
CategoryMetadata.model_config["use_attribute_docstrings"] = True


def _is_older(version: str) -> bool:
    """Whether a schema version lies before ours; one that is no list of numbers does not."""
    try:
        return _numbers(version) < _numbers(CATEGORY_SCHEMA_VERSION)
    except ValueError:
        return False


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))


class GenericModelRecordMetadata(Deferred):
    """The provenance of one model, under the key ``"metadata"`` of its record. Times are whole Unix seconds.

    >>> GenericModelRecordMetadata(created_by="ada", source="hub").model_dump(exclude_unset=True)
    {'created_by': 'ada', 'source': 'hub'}
    """

    model_config = ConfigDict(extra="allow")

    schema_version: str = Field("1.0.0", description="Layout version of the record metadata.")
    created_at: int | None = Field(None, description="Creation time of the record.")
    updated_at: int | None = Field(None, description="Time of its latest change.")
    created_by: str | None = Field(None, description="Who created it.")
    updated_by: str | None = Field(None, description="Who changed it last.")


class ModelMetadataHandlerProtocol(Protocol):
    """A hook that has the last word on the metadata of a record.

    >>> from refsync import ModelMetadataManager
    >>> class Sign:
    ...     def transform_metadata(self, metadata, context):
    ...         return metadata.model_copy(update={"updated_by": context["who"]})
    >>> record = {"name": "m"}
    >>> ModelMetadataManager(Sign()).apply_custom_handler(record, {"who": "ada"})
    >>> record
    {'name': 'm', 'metadata': {'updated_by': 'ada'}}
    """

    def transform_metadata(
        self, metadata: GenericModelRecordMetadata, context: dict[str, Any]
    ) -> GenericModelRecordMetadata:
        """What shall be stored instead of ``metadata``.

        Args:
            metadata: as it stands in the record.
            context: free form; typically ``model_name``, ``category`` and ``operation``.
        """
        ...


@dataclass(frozen=True)
class RecordedOperation:
    """One operation on one model; ``timestamp`` is the committer's time in Unix seconds."""

    operation: OperationType
    model: str
    timestamp: int
    commit: str | None = None
    person: str | None = None


@dataclass(frozen=True)
class RecordedError:
    """One failure; ``timestamp`` in Unix seconds, ``commit`` the one whose version cannot be read."""

    error: str
    timestamp: int
    commit: str | None = None
    person: str | None = None


@dataclass(frozen=True)
class MetadataEvent:
    """What a listener gets: an operation, or an error (``error`` says which; ``operation`` is then mostly ``None``)."""

    category: CategoryName
    format: CanonicalFormat
    operation: OperationType | None
    model: str | None
    commit: str | None
    person: str | None
    timestamp: int
    error: str | None
