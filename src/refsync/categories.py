"""The categories of model references, as data in one place.

Every path, flag and choice of repository is derived from the descriptors of a catalogue; their order is the order of
every listing. What travels is a category's name, which a catalogue has looked at; the members of the specification's
enum are such names.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import ReprEnum, StrEnum
from pathlib import PurePosixPath
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Self

from refsync.errors import UnknownCategoryError
from refsync.link_fields import RECORD_LINKS, LinkFields

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, ValidationInfo
    from pydantic_core import CoreSchema


class CategoryName(str):
    """The name of a category that is known; :meth:`Catalogue.parse` makes one of text.

    As a field of a pydantic model it takes the names of the ``catalogue`` in the context of the validation, without one
    those of the specification.

    >>> isinstance(MODEL_REFERENCE_CATEGORY.clip, CategoryName)
    True
    """

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """That of text which the catalogue knows; of the enum the usual one."""
        if source is not CategoryName:
            return handler(source)
        from pydantic_core import core_schema

        return core_schema.with_info_wrap_validator_function(_validated, core_schema.str_schema())


def _validated(value: object, as_text: Any, info: ValidationInfo) -> CategoryName:
    if isinstance(value, CategoryName):
        return value
    return catalogue_in(info.context).parse(as_text(value))


class MODEL_REFERENCE_CATEGORY(CategoryName, ReprEnum):  # noqa: N801  the ecosystem's name
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

    >>> SPECIFIED[MODEL_REFERENCE_CATEGORY.image_generation].files(Layout.upstream)
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
class TableFiles:
    """What stands in the folder of a table that people edit.

    ``document`` is made from it, and read instead of it; ``made_with`` are the files that this takes beside the rows;
    ``stand_in`` is the document that legacy records are read from where there is no table.
    """

    document: str
    made_with: tuple[str, ...]
    stand_in: str


TEXT_TABLE = TableFiles("db.json", ("defaults.json", "generation_params.json"), "text_generation.json")
"""That of text models, ``models.csv``."""


@dataclass(frozen=True)
class CategoryDescriptor:
    """What is known of one category.

    ``v2_file`` and ``legacy_file`` are plain file names (the layout adds the folder); ``legacy_file`` is ``None`` where
    the category has no legacy format. ``upstream_repository`` names the public repository that holds it.
    ``critical_fields`` are those a reviewer must not miss. ``has_variants`` says that a model has records for other
    backends beside its own, which follow it. ``table`` is there for a category whose file may be a table. ``links`` is
    where its records keep links, if they do. ``is_own`` is one that a config adds, for which there is neither domain
    nor purpose. ``records`` says where in its file they are, as ``documents.shape`` reads it, and ``ignored`` which
    members there are no models. With ``record_files`` its file is a pattern, and each file that it means one record,
    which is known by the field ``key``, or by what the ``*`` stands for.
    """

    category: CategoryName
    domain: Domain | None
    purpose: Purpose | None
    v2_file: str
    legacy_file: str | None
    critical_fields: tuple[str, ...] = ()
    managed_elsewhere: bool = False
    has_variants: bool = False
    table: TableFiles | None = None
    links: LinkFields | None = RECORD_LINKS
    is_own: bool = False
    records: str = ""
    ignored: tuple[str, ...] = ()
    record_files: bool = False
    key: str | None = None

    @classmethod
    def own(
        cls,
        name: str,
        file: str,
        critical_fields: tuple[str, ...] = (),
        links: LinkFields | None = None,
        *,
        records: str = "",
        ignored: tuple[str, ...] = (),
        record_files: bool = False,
        key: str | None = None,
    ) -> Self:
        """That of a category which a config adds: one JSON file, or all that a pattern means, whatever the layout."""
        return cls(
            CategoryName(name),
            None,
            None,
            file,
            file,
            critical_fields,
            links=links,
            is_own=True,
            records=records,
            ignored=ignored,
            record_files=record_files,
            key=key,
        )

    @property
    def has_usual_shape(self) -> bool:
        """Whether its records are all the objects among the members of its file's one object."""
        return not (self.records or self.ignored or self.record_files)

    @property
    def upstream_repository(self) -> str | None:
        """``"image"``, ``"text"``, or ``None`` where no public repository holds the category."""
        if self.legacy_file is None:
            return None
        return "text" if self.domain is Domain.text else "image"

    def files(self, layout: Layout) -> dict[CanonicalFormat, str]:
        """The layout's files of the category: format to path relative to the clone.

        Empty where a clone of this layout does not hold the category; a category without a legacy format has
        no legacy path at all.
        """
        if self.is_own:
            return {canonical_format(layout): self.v2_file}
        if layout is Layout.upstream:
            return {} if self.legacy_file is None else {CanonicalFormat.legacy: self.legacy_file}
        files = {CanonicalFormat.v2: self.v2_file}
        if self.legacy_file is not None:
            files[CanonicalFormat.legacy] = f"legacy/{self.legacy_file}"
        return files

    def table_of(self, file: str) -> TableFiles | None:
        """What stands beside a file of the category, if that is a table."""
        return self.table if is_table(file) else None

    def read_file(self, file: str) -> str:
        """The file that readers read: of a table the document that is made from it."""
        table = self.table_of(file)
        return file if table is None else _beside(file, table.document)

    def made_of(self, file: str) -> tuple[str, ...]:
        """A table, and the files that its document is made with beside the rows; nothing for a document."""
        table = self.table_of(file)
        return () if table is None else (*(_beside(file, each) for each in table.made_with), file)

    def stand_in_of(self, file: str) -> str | None:
        """The document that legacy records are read from where a table is not there."""
        table = self.table_of(file)
        return None if table is None else _beside(file, table.stand_in)


class Catalogue:
    """Which categories there are, in their order.

    >>> "clip" in SPECIFIED, len(list(SPECIFIED)), SPECIFIED.parse("clip")
    (True, 15, <MODEL_REFERENCE_CATEGORY.clip: 'clip'>)
    """

    def __init__(self, descriptors: Iterable[CategoryDescriptor]) -> None:
        self._descriptors = MappingProxyType({each.category: each for each in descriptors})
        self._names = MappingProxyType({str(name): name for name in self._descriptors})

    def __eq__(self, other: object) -> bool:
        """Whether another one has the same categories in the same order."""
        return isinstance(other, Catalogue) and list(self._descriptors.items()) == list(other._descriptors.items())

    def __hash__(self) -> int:
        """By the names."""
        return hash(self.plain_names)

    def __iter__(self) -> Iterator[CategoryName]:
        """The names."""
        return iter(self._descriptors)

    def __contains__(self, name: object) -> bool:
        """Whether there is a category of this name."""
        return name in self._descriptors

    def __getitem__(self, category: CategoryName) -> CategoryDescriptor:
        """What is known of a category."""
        return self._descriptors[category]

    @property
    def descriptors(self) -> Mapping[CategoryName, CategoryDescriptor]:
        """What is known of each category."""
        return self._descriptors

    @property
    def plain_names(self) -> tuple[str, ...]:
        """The names as nothing but text, which every driver of a database takes."""
        return tuple(self._names)

    def with_own(self, descriptors: Iterable[CategoryDescriptor]) -> Catalogue:
        """The same, and categories of one's own behind them."""
        return Catalogue([*self._descriptors.values(), *descriptors])

    def parse(self, name: str) -> CategoryName:
        """The category of this name.

        Raises:
            UnknownCategoryError: there is none; the text lists the names.
        """
        try:
            return self._names[name]
        except (KeyError, TypeError):
            raise UnknownCategoryError(f"unknown category {name!r}; known are {', '.join(self)}") from None


_STYLE = ("style", "nsfw")


def _describe() -> Iterator[CategoryDescriptor]:
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

    yield from (
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
            has_variants=True,
            table=TEXT_TABLE,
            links=None,
        ),
        v2_only(c.video_generation, d.video, p.generation),
        v2_only(c.audio_generation, d.audio, p.generation),
        json_both(c.miscellaneous, p.miscellaneous),
        v2_only(c.lora, d.image, p.auxiliary_or_patch, elsewhere=True),
        v2_only(c.ti, d.image, p.auxiliary_or_patch, elsewhere=True),
    )


SPECIFIED = Catalogue(_describe())
"""The categories of the specification, in the order of its enum."""


def catalogue_in(context: Mapping[str, Any] | None) -> Catalogue:
    """The ``catalogue`` in the context of a validation; without one that of the specification."""
    catalogue: Catalogue = (context or {}).get("catalogue", SPECIFIED)
    return catalogue


def not_held(category: CategoryName, held: Iterable[str]) -> UnknownCategoryError:
    """The refusal of a category that is in none of the repositories, which hold these."""
    names = ", ".join(sorted(held)) or "none"
    return UnknownCategoryError(f"no repository of the config holds {category}; held are: {names}")


def canonical_format(layout: Layout) -> CanonicalFormat:
    """The format that changes are written in, in a clone of this layout."""
    return CanonicalFormat.legacy if layout is Layout.upstream else CanonicalFormat.v2


def is_table(file: str) -> bool:
    """Whether a file is a CSV table, by its name."""
    return file.casefold().endswith(".csv")


def _beside(file: str, name: str) -> str:
    return str(PurePosixPath(file).with_name(name))
