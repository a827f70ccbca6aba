"""The rules of a category as they stand at a commit: a schema is read where the records are."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from refsync.categories import CategoryDescriptor
from refsync.documents.json_document import Record
from refsync.documents.shape import Shape, shape_of
from refsync.errors import DocumentError
from refsync.reference.kinds import bases_of
from refsync.reference.versions import Version
from refsync.rules.category_rules import CategoryRules
from refsync.rules.judge import Judge, RecordSchema


def judge_of(
    rules: CategoryRules,
    described: CategoryDescriptor,
    records: Mapping[str, Record],
    version: Callable[[str], Version | None],
) -> Judge:
    """What has to hold of a category's models in one state of the reference.

    Args:
        rules: what the config says.
        described: the category.
        records: its records in that state, those of variants among them.
        version: gives a file of that state, ``None`` where there is none; raises DocumentError for what is no file.
    """
    variants = bases_of(described, records)
    models = {name: record for name, record in records.items() if name not in variants} if variants else records
    try:
        schema, fault = schema_at(rules, shape_of(described), version), None
    except DocumentError as problem:
        schema, fault = None, f"{rules.schema_file}: {problem}"
    return Judge(rules, schema, fault, models)


def schema_at(rules: CategoryRules, shape: Shape, version: Callable[[str], Version | None]) -> RecordSchema | None:
    """The schema that the rules name, read once for each version; ``None`` where they name none.

    Raises:
        DocumentError: it is not there, or cannot be used.
    """
    if rules.schema_file is None:
        return None
    found = version(rules.schema_file)
    if found is None:
        raise DocumentError("there is no such file")
    from refsync.rules.schema import read_schema  # heavy, and an extra

    fragment = rules.fragment
    return found.parsed(lambda content: read_schema(content, fragment, shape), (read_schema, fragment, shape))
