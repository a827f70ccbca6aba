"""Typed access to the ``"metadata"`` part of plain model records."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from loguru import logger
from pydantic import ValidationError
from pydantic_core import PydanticSerializationError

from refsync.documents.merge import Stamps
from refsync.dumping import respelt
from refsync.errors import PayloadError, RequestError
from refsync.metadata.models import GenericModelRecordMetadata, ModelMetadataHandlerProtocol, OperationType

METADATA_KEY = "metadata"

STAMPS: Stamps = {METADATA_KEY: ("created_at", "created_by", "updated_at", "updated_by")}
"""What ``ModelMetadataManager.stamp`` writes; all else in the field is people's."""


class ModelMetadataManager:
    """Reads and writes the provenance of records; every setter edits the given dict in place.

    >>> record = {"name": "m"}
    >>> ModelMetadataManager().set_creation_timestamp(record, 5)
    >>> record
    {'name': 'm', 'metadata': {'created_at': 5}}
    """

    def __init__(self, custom_handler: ModelMetadataHandlerProtocol | None = None) -> None:
        """Keep the hook, if there is one.

        Args:
            custom_handler: has the last word on what ``apply_custom_handler`` and ``stamp`` store.
        """
        self._custom_handler = custom_handler

    def get_metadata(self, record_dict: dict[str, Any]) -> GenericModelRecordMetadata:
        """The record's metadata; a blank object where there is none, or where it is no JSON object.

        Raises:
            PayloadError: a field of it has the wrong type.
        """
        if not isinstance(record_dict, dict):
            raise PayloadError(f"a record is a JSON object, not {type(record_dict).__name__}")
        fields = record_dict.get(METADATA_KEY)
        return _validated(fields if isinstance(fields, dict) else {})

    def set_metadata(self, record_dict: dict[str, Any], metadata: GenericModelRecordMetadata) -> None:
        """Replace the record's metadata by the fields that were explicitly set.

        Raises:
            PayloadError: a value of it has no JSON form; the record stays as it was.
        """
        if not isinstance(metadata, GenericModelRecordMetadata):
            raise PayloadError(f"expected record metadata, got {type(metadata).__name__}")
        try:
            plain = metadata.model_dump(mode="json", exclude_unset=True)
            record_dict[METADATA_KEY] = respelt(plain, metadata.model_dump(exclude_unset=True))
        except PydanticSerializationError as error:
            raise PayloadError(f"the metadata cannot be written as JSON: {error}") from error

    def update_metadata(self, record_dict: dict[str, Any], **updates: Any) -> GenericModelRecordMetadata:
        """Assign the given fields, declared ones and others, and store the result even if nothing was given.

        Raises:
            RequestError: a name that belongs to the model class itself, such as one of its methods.
            PayloadError: a value of the wrong type, or without a JSON form. The record stays as it was.
        """
        for name in updates:
            if hasattr(GenericModelRecordMetadata, name):
                raise RequestError(
                    f"{name!r} cannot be a metadata field: the name belongs to the model class; rename it"
                )
        current = self.get_metadata(record_dict).model_dump(exclude_unset=True)
        metadata = _validated(current | updates)
        self.set_metadata(record_dict, metadata)
        return metadata

    def preserve_creation_fields(self, existing_record: dict[str, Any], new_record: dict[str, Any]) -> None:
        """Carry who created the record and when from the old to the new one, where the old one knows it.

        An old record whose metadata cannot be read is logged and carries nothing.
        """
        existing = self._readable(existing_record)
        if existing is None:
            return
        kept = {"created_at": existing.created_at, "created_by": existing.created_by}
        known = {name: value for name, value in kept.items() if value is not None}
        if known:
            self.update_metadata(new_record, **known)

    def set_creation_timestamp(self, record_dict: dict[str, Any], timestamp: int | None = None) -> None:
        """Set ``created_at``, in Unix seconds; ``None`` means now."""
        self.update_metadata(record_dict, created_at=_or_now(timestamp))

    def set_update_timestamp(self, record_dict: dict[str, Any], timestamp: int | None = None) -> None:
        """Set ``updated_at``, in Unix seconds; ``None`` means now."""
        self.update_metadata(record_dict, updated_at=_or_now(timestamp))

    def ensure_metadata_populated(self, record_dict: dict[str, Any], timestamp: int | None = None) -> bool:
        """Fill ``created_at`` and ``updated_at`` where they are missing, both with the same time.

        A record whose metadata cannot be read is logged and left as it is, so that the others of its category go on.

        Returns:
            Whether anything was filled; if not, the record is exactly as it was.
        """
        metadata = self._readable(record_dict)
        if metadata is None:
            return False
        missing = [name for name in ("created_at", "updated_at") if getattr(metadata, name) is None]
        if missing:
            self.update_metadata(record_dict, **dict.fromkeys(missing, _or_now(timestamp)))
        return bool(missing)

    def apply_custom_handler(self, record_dict: dict[str, Any], context: dict[str, Any]) -> None:
        """Store what the hook makes of the record's metadata; without a hook nothing happens.

        Raises:
            PayloadError: the hook returned something else than metadata.
            Exception: whatever the hook raises.
        """
        if self._custom_handler is None:
            return
        metadata = self._custom_handler.transform_metadata(self.get_metadata(record_dict), context)
        if not isinstance(metadata, GenericModelRecordMetadata):
            raise PayloadError(
                f"the metadata handler returned {type(metadata).__name__}, not metadata; correct the handler"
            )
        self.set_metadata(record_dict, metadata)

    def stamp(
        self,
        record: dict[str, Any],
        *,
        existing: dict[str, Any] | None,
        operation: OperationType,
        at: int,
        by: str | None,
        context: Mapping[str, Any] | None = None,
    ) -> None:
        """Note in the record who created and changed it, and when.

        Args:
            record: as it was submitted; its metadata is replaced, not edited.
            existing: the record that it replaces, whose creation fields and other metadata it inherits.
            operation: what is being done; a deletion leaves nothing to stamp.
            at: the time of the approval, in Unix seconds.
            by: who asked for it; ``None`` leaves the names as they are.
            context: for the custom handler, beside ``operation``; typically ``model_name`` and ``category``.

        Raises:
            PayloadError: the submitted metadata has a field of the wrong type.
            Exception: whatever the custom handler raises.
        """
        if operation == OperationType.DELETE:
            return
        stamps: dict[str, Any] = {"updated_at": at} | ({} if by is None else {"updated_by": by})
        if operation == OperationType.CREATE:
            stamps |= {name.replace("updated", "created"): value for name, value in stamps.items()}
        elif existing is not None:
            self._inherit(existing, record)
        self.update_metadata(record, **stamps)
        self.apply_custom_handler(record, {**(context or {}), "operation": operation})

    def _inherit(self, existing: dict[str, Any], record: dict[str, Any]) -> None:
        if METADATA_KEY not in record and (inherited := self._readable(existing)):
            self.set_metadata(record, inherited)
        self.preserve_creation_fields(existing, record)

    def _readable(self, record: dict[str, Any]) -> GenericModelRecordMetadata | None:
        try:
            return self.get_metadata(record)
        except PayloadError as error:
            name = record.get("name") if isinstance(record, dict) else None
            logger.warning("the metadata of record {!r} is left out: {}", name, error)
            return None


def _validated(fields: dict[str, Any]) -> GenericModelRecordMetadata:
    try:
        return GenericModelRecordMetadata.model_validate(fields)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in (METADATA_KEY, *first["loc"]))
        raise PayloadError(f"{place}: {first['msg']}; correct the record") from error


def _or_now(timestamp: int | None) -> int:
    return int(time.time()) if timestamp is None else timestamp
