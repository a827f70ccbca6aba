"""Whole categories and their counters, as readers get them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from refsync.application import Application
from refsync.categories import CanonicalFormat, CategoryName, canonical_format, not_held
from refsync.errors import UnknownCategoryError
from refsync.use_cases.answer import Answer

if TYPE_CHECKING:
    from refsync.metadata.models import CategoryMetadata


def held_categories(application: Application, format: CanonicalFormat) -> list[CategoryName]:
    """The categories that can be read in a format; as v2 all that are held, for a legacy file stands in."""
    held: dict[CategoryName, Mapping[CanonicalFormat, str]] = {}
    for repository in application.config.repositories:
        held |= repository.files
    return [
        each
        for each in application.config.catalogue
        if each in held and (format is CanonicalFormat.v2 or format in held[each])
    ]


def read_category(application: Application, category: CategoryName, format: CanonicalFormat) -> Mapping[str, Any]:
    """The category's records, shared and read-only: the same object until the file changes.

    Args:
        application: the parts.
        category: which one.
        format: ``legacy`` for the legacy file; ``v2`` for the v2 file, or the legacy one where there is no other.

    Raises:
        UnknownCategoryError: it is not held in this format, or its file is not there.
        RefsyncError: the file cannot be read, and was never good since the process began.
    """
    check_held(application, category, format)
    repository = application.config.repository_of(category)
    assert repository is not None
    backend = application.backends[repository.name]
    if format is CanonicalFormat.legacy:
        records = backend.get_legacy_json(category) or backend.get_legacy_json(category, redownload=True)
    else:
        records = backend.fetch_category(category) or backend.fetch_category(category, force_refresh=True)
    if records is None:
        raise UnknownCategoryError(f"{category} has no file yet, so it has no models")
    return records


def category_counters(
    application: Application, category: CategoryName, format: CanonicalFormat
) -> CategoryMetadata | None:
    """What is counted of a category in a format, of v2 what is counted of the file that is read; ``None`` as yet.

    Raises:
        UnknownCategoryError: it is not held in this format.
    """
    check_held(application, category, format)
    repository = application.config.repository_of(category)
    assert repository is not None
    reference = next(each for each in application.repositories if each.name == repository.name)
    counted = format if format in repository.files[category] else CanonicalFormat.legacy
    return reference.metadata.stored_metadata(counted, category)


def check_held(application: Application, category: CategoryName, format: CanonicalFormat) -> None:
    """Refuse a category that cannot be read in a format.

    Raises:
        UnknownCategoryError: it is not held, or has no legacy format.
    """
    held = held_categories(application, format)
    if category not in held:
        raise not_held(category, held)


class Mode(Answer):
    """What programs ask a reference server first: whether changes are taken here, and in which format."""

    replicate_mode: str
    canonical_format: str
    writable: bool


def mode(application: Application) -> Mode:
    """A place that changes are proposed at; the format is that of the first repository."""
    return Mode(
        replicate_mode="PRIMARY",
        canonical_format=canonical_format(application.config.repositories[0].layout).value,
        writable=not application.state.is_locked,
    )
