"""A text model and its records for other backends, in a document that no table makes: there they follow the model.

A document may hold all variants of its models, some or none.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping

from refsync.documents.text_derivation import variants

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
