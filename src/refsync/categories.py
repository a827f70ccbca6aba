"""The categories of model references, as data in one place.

Every path, flag and choice of repository is derived from the descriptors below; their order is the
order of every listing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath
from types import MappingProxyType

from refsync.errors import UnknownCategoryError


class MODEL_REFERENCE_CATEGORY(StrEnum):  # noqa: N801  the ecosystem's name
    """A kind of model; one file in the clone.

    >>> MODEL_REFERENCE_CATEGORY("clip") is MODEL_REFERENCE_CATEGORY.clip
    True
    """

    blip = "blip"
    clip = "clip"
    codeformer = "codeformer"
    controlnet = "controlnet"
    controlnet_annotator = "controlnet_annotator"
    esrgan = "esrgan"
    gfpgan = "gfpgan"
    safety_checker = "safety_checker"
    image_generation = "image_generation"
    text_generation = "text_generation"
    video_generation = "video_generation"
    audio_generation = "audio_generation"
    miscellaneous = "miscellaneous"
    lora = "lora"
    ti = "ti"


class CanonicalFormat(StrEnum):
    """The two shapes of a record; the canonical one is written first.

    >>> CanonicalFormat.LEGACY.value
    'legacy'
    """

    legacy = "legacy"
    v2 = "v2"
    LEGACY = "legacy"


class Layout(StrEnum):
    """Where a clone keeps its files.

    >>> default_files(Layout.upstream, MODEL_REFERENCE_CATEGORY.image_generation)
    {<CanonicalFormat.legacy: 'legacy'>: 'stable_diffusion.json'}
    """

    upstream = "upstream"
    """Legacy files at the root, as in the public repositories."""
    primary = "primary"
    """v2 files at the root, legacy ones under ``legacy/``."""


class Domain(StrEnum):
    """What a category's models work on."""

    image = "image"
    text = "text"
    video = "video"
    audio = "audio"
    rendered_3d = "rendered_3d"


class Purpose(StrEnum):
    """What a category's models are for."""

    generation = "generation"
    post_processing = "post_processing"
    auxiliary_or_patch = "auxiliary_or_patch"
    feature_extractor = "feature_extractor"
    safety_checker = "safety_checker"
    miscellaneous = "miscellaneous"


@dataclass(frozen=True)
class CategoryDescriptor:
    """What is known of one category.

    ``v2_file`` and ``legacy_file`` are plain file names (the layout adds the folder); ``legacy_file`` is
    ``None`` where the category has no legacy format. ``upstream_repository`` names the public repository
    that holds it. ``critical_fields`` are those a reviewer must not miss.
    """

    category: MODEL_REFERENCE_CATEGORY
    domain: Domain
    purpose: Purpose
    v2_file: str
    legacy_file: str | None
    critical_fields: tuple[str, ...] = ()
    managed_elsewhere: bool = False

    @property
    def has_variants(self) -> bool:
        """Whether a model has records for other backends beside its own, which follow it."""
        return self.category is MODEL_REFERENCE_CATEGORY.text_generation

    @property
    def upstream_repository(self) -> str | None:
        """``"image"``, ``"text"``, or ``None`` where no public repository holds the category."""
        if self.legacy_file is None:
            return None
        return "text" if self.domain is Domain.text else "image"


_STYLE = ("style", "nsfw")


def _describe() -> Mapping[MODEL_REFERENCE_CATEGORY, CategoryDescriptor]:
    c, d, p = MODEL_REFERENCE_CATEGORY, Domain, Purpose

    def json_both(
        category: MODEL_REFERENCE_CATEGORY, purpose: Purpose, critical: tuple[str, ...] = ()
    ) -> CategoryDescriptor:
        file = f"{category.value}.json"
        return CategoryDescriptor(category, d.image, purpose, file, file, critical)

    def v2_only(
        category: MODEL_REFERENCE_CATEGORY, domain: Domain, purpose: Purpose, elsewhere: bool = False
    ) -> CategoryDescriptor:
        return CategoryDescriptor(
            category, domain, purpose, f"{category.value}.json", None, managed_elsewhere=elsewhere
        )

    rows = (
        json_both(c.blip, p.feature_extractor, _STYLE),
        json_both(c.clip, p.feature_extractor, _STYLE),
        json_both(c.codeformer, p.post_processing, _STYLE),
        json_both(c.controlnet, p.auxiliary_or_patch, _STYLE),
        v2_only(c.controlnet_annotator, d.image, p.auxiliary_or_patch),
        json_both(c.esrgan, p.post_processing, _STYLE),
        json_both(c.gfpgan, p.post_processing, _STYLE),
        json_both(c.safety_checker, p.safety_checker, _STYLE),
        CategoryDescriptor(
            c.image_generation,
            d.image,
            p.generation,
            "stable_diffusion.json",
            "stable_diffusion.json",
            ("baseline", "nsfw", "inpainting", "trigger", "homepage"),
        ),
        CategoryDescriptor(
            c.text_generation,
            d.text,
            p.generation,
            "text_generation.json",
            "models.csv",
            ("baseline", "nsfw", "url", "parameters"),
        ),
        v2_only(c.video_generation, d.video, p.generation),
        v2_only(c.audio_generation, d.audio, p.generation),
        json_both(c.miscellaneous, p.miscellaneous),
        v2_only(c.lora, d.image, p.auxiliary_or_patch, elsewhere=True),
        v2_only(c.ti, d.image, p.auxiliary_or_patch, elsewhere=True),
    )
    return MappingProxyType({row.category: row for row in rows})


DESCRIPTORS: Mapping[MODEL_REFERENCE_CATEGORY, CategoryDescriptor] = _describe()
"""One descriptor per category, in the order of the enum."""


def has_variants(category: MODEL_REFERENCE_CATEGORY) -> bool:
    """Whether a category's models have records for other backends beside their own."""
    return DESCRIPTORS[category].has_variants


def parse_category(name: str) -> MODEL_REFERENCE_CATEGORY:
    """The category of this name.

    Raises:
        UnknownCategoryError: there is none; the text lists the names.
    """
    try:
        return MODEL_REFERENCE_CATEGORY(name)
    except ValueError:
        known = ", ".join(MODEL_REFERENCE_CATEGORY)
        raise UnknownCategoryError(f"unknown category {name!r}; known are {known}") from None


def not_held(category: MODEL_REFERENCE_CATEGORY, held: Iterable[str]) -> UnknownCategoryError:
    """The refusal of a category that is in none of the repositories, which hold these."""
    names = ", ".join(sorted(held)) or "none"
    return UnknownCategoryError(f"no repository of the config holds {category}; held are: {names}")


def canonical_format(layout: Layout) -> CanonicalFormat:
    """The format that changes are written in, in a clone of this layout."""
    return CanonicalFormat.legacy if layout is Layout.upstream else CanonicalFormat.v2


def default_files(layout: Layout, category: MODEL_REFERENCE_CATEGORY) -> dict[CanonicalFormat, str]:
    """The layout's files of a category: format to path relative to the clone.

    Empty where a clone of this layout does not hold the category; a category without a legacy format has
    no legacy path at all.
    """
    descriptor = DESCRIPTORS[category]
    if layout is Layout.upstream:
        return {} if descriptor.legacy_file is None else {CanonicalFormat.legacy: descriptor.legacy_file}
    files = {CanonicalFormat.v2: descriptor.v2_file}
    if descriptor.legacy_file is not None:
        files[CanonicalFormat.legacy] = f"legacy/{descriptor.legacy_file}"
    return files


def is_table(file: str) -> bool:
    """Whether a category file is a CSV table, which people edit and a JSON document is made from."""
    return file.casefold().endswith(".csv")


def document_of(table: str) -> str:
    """The path of the document that is made from a table: readers get this one."""
    return str(PurePosixPath(table).with_name("db.json"))


def stand_in_of(table: str) -> str:
    """The path of the JSON document that legacy records are read from where their table is not there."""
    return str(PurePosixPath(table).with_name(DESCRIPTORS[MODEL_REFERENCE_CATEGORY.text_generation].v2_file))
