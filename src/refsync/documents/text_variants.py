"""A text model and its records for other backends, in a document that no table makes: there they follow the model.

A document may hold all variants of its models, some or none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from refsync.documents.text_derivation import model_name, variants
from refsync.errors import PayloadError

_APHRODITE, _KOBOLDCPP = "aphrodite/", "koboldcpp/"
_PREFIXES = (_APHRODITE, _KOBOLDCPP)


def base_names(names: Collection[str]) -> dict[str, str]:
    """The name of each variant that these models may have -> the model's; the last model's where several share one."""
    return {variant: name for name in names if not name.startswith(_PREFIXES) for variant in variants(name)}


def base_of(name: str, names: Collection[str], bases: Mapping[str, str]) -> str:
    """The base name of a model or of one of its variants, that of a model which is not there yet, too.

    Args:
        name: as it was asked for.
        names: those that the document holds.
        bases: what ``base_names`` says of them.
    """
    if name in bases or name in names:
        return bases.get(name, name)
    return name.removeprefix(_APHRODITE)


def is_orphan(base: str, names: Collection[str]) -> bool:
    """Whether a name, though no variant of a model that is there, can only be that of a variant."""
    return base.startswith(_KOBOLDCPP) and base not in names


def related_names(base: str, names: Collection[str], bases: Mapping[str, str]) -> list[str]:
    """The variants that follow a model: those that are there; of a new model all, where the document keeps variants."""
    if base.startswith(_PREFIXES):
        return []
    if base in names:
        return [each for each in variants(base) if each in names and bases[each] == base]
    keeps_variants = any(variant in names for variant in bases)
    return [each for each in variants(base) if each not in names or each not in bases] if keeps_variants else []


def check_variants_free(
    name: str, names: Collection[str], owners: Mapping[str, str], replaced: str | None = None
) -> None:
    """See that no variant that a new text model brings is already another model's.

    Args:
        name: of the new model.
        names: of all records, variants included.
        owners: each variant that a model may have -> the model.
        replaced: the model that gets this name.

    Raises:
        PayloadError: one is; the text names the variant and whose it is.
    """
    for variant in variants(name):
        owner = owners.get(variant, name)
        if owner not in (name, replaced) and variant in names:
            raise PayloadError(
                f"name: {name!r} would take {variant!r} from {owner!r}, whose record that is; choose another name"
            )


def record_under(record: dict[str, Any], old: str, new: str) -> dict[str, Any]:
    """A model's record under another name, with what follows from the name."""
    follows = {"model_name": model_name(new)} if record.get("model_name") == model_name(old) else {}
    return record | ({"name": new} if "name" in record else {}) | follows
