"""Files on Civitai: its API tells of each version of a model the files with hash and size."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from refsync.exchange import Answer
from refsync.hosts.asking import Ask, CannotAskError, standing_of
from refsync.hosts.description import Description, Told, file_told, plain, stem
from refsync.hosts.link import Link
from refsync.hosts.verdict import Found, Standing
from refsync.plain_text import one_line

_VERSION = re.compile(r"/api/download/models/(\d{1,18})")
_KIBIBYTE = 1024
_BASELINES = {
    "SD 1.": "stable diffusion 1",
    "SD 2.": "stable diffusion 2",
    "SDXL": "stable_diffusion_xl",
    "Pony": "stable_diffusion_xl",
    "Illustrious": "stable_diffusion_xl",
    "NoobAI": "stable_diffusion_xl",
    "Flux.1": "flux_1",
    "Stable Cascade": "stable_cascade",
}
"""How Civitai calls what a model is made from, by its beginning, and how the references of the AI Horde do."""
_LONGEST_URL = 2000


def _text_or_nothing(value: Any) -> str:
    return value if isinstance(value, str) else ""


Word = Annotated[str, BeforeValidator(_text_or_nothing)]


def _sha256_or_nothing(value: Any) -> str:
    return value.lower() if isinstance(value, str) and re.fullmatch("[0-9a-fA-F]{64}", value) else ""


def _url_or_nothing(value: Any) -> str:
    """A URL that can be shown and kept as it is."""
    plain = isinstance(value, str) and value.startswith("https://") and value.isprintable()
    return value if plain and len(value) <= _LONGEST_URL else ""


class Hashes(BaseModel):
    """Of a file."""

    sha256: Annotated[str, BeforeValidator(_sha256_or_nothing)] = Field("", alias="SHA256")


class File(BaseModel):
    """One file of a version."""

    id: int | None = None
    name: Word = ""
    size_kb: float | None = Field(None, alias="sizeKB", allow_inf_nan=False, ge=0, le=1e15)
    hashes: Hashes = Hashes()
    primary: bool = False
    url: Annotated[str, BeforeValidator(_url_or_nothing)] = Field("", alias="downloadUrl")

    @property
    def size(self) -> int | None:
        """In bytes."""
        return None if self.size_kb is None else round(self.size_kb * _KIBIBYTE)


class Model(BaseModel):
    """The model that a version is of."""

    name: Word = ""
    nsfw: bool | None = None


class Version(BaseModel):
    """One version of a model."""

    files: list[File] = []
    name: Word = ""
    id_of_model: int | None = Field(None, alias="modelId")
    of_model: Model = Field(Model(), alias="model")
    base_model: Word = Field("", alias="baseModel")
    trained_words: list[Word] = Field([], alias="trainedWords")
    description: Word = ""


def has(link: Link, base: str) -> bool:
    """Whether a link is to a version's file: ``…/api/download/models/VERSION``."""
    return link.url.startswith(f"{base}/") and bool(_VERSION.match(link.url, len(base)))


def look(link: Link, base: str, ask: Ask) -> Found:
    """What the host says of the file."""
    number = _VERSION.match(link.url, len(base))
    assert number is not None
    answer = ask("GET", f"{base}/api/v1/model-versions/{number[1]}", reads=True)
    if told := standing_of(answer):
        return _found_elsewhere(link, base, ask) if told.standing is Standing.gone and link.sha256 else told
    file = _meant(version_in(answer).files, link)
    if file is None:
        return Found(Standing.gone)
    return Found(Standing.there, file.hashes.sha256 or None, file.size)


def has_page(url: str, base: str) -> bool:
    """Whether a URL is that of a version's file, or of the model's page with a version (``?modelVersionId=N``)."""
    return _version_of(url, base) is not None


def describe(url: str, base: str, ask: Ask) -> Description:
    """What the host tells of a version, and of its file that the URL means."""
    number, link = _version_of(url, base), url
    if not _VERSION.match(url.removeprefix(base)):
        link = f"{base}/api/download/models/{number}"
    asked = f"{base}/api/v1/model-versions/{number}"
    answer = ask("GET", asked, reads=True)
    if told := standing_of(answer):
        return Description(asked, told, file_told(link, told, ("", "")))
    version = version_in(answer)
    file = _meant(version.files, Link(link))
    if file is None:
        gone = Found(Standing.gone)
        return Description(asked, gone, file_told(link, gone, ("", "")))
    found = Found(Standing.there, file.hashes.sha256 or None, file.size)
    of_file = file_told(link, found, ("files[].hashes.SHA256", "files[].sizeKB"))
    named = replace(of_file, name=Told(one_line(file.name) or f"{number}.safetensors", "files[].name"))
    unnamed = Told(stem(named.name.value), named.name.key)  # as on any other host
    return Description(asked, found, named, {"name": unnamed, **dict(_told_of_model(version, base, number))})


def _told_of_model(version: Version, base: str, number: int | None) -> Iterator[tuple[str, Told]]:
    if name := one_line(version.of_model.name):
        yield "name", Told(name, "model.name")
    if version.id_of_model is not None:
        yield "homepage", Told(f"{base}/models/{version.id_of_model}?modelVersionId={number}", "modelId")
    if description := plain(version.description):
        yield "description", Told(description, "description")
    if version.base_model:
        known = tuple(usual for start, usual in _BASELINES.items() if version.base_model.startswith(start))
        yield "baseline", Told(version.base_model, "baseModel", known)
    if words := [word for each in version.trained_words if (word := one_line(each))]:
        yield "trigger", Told(words, "trainedWords")
    if version.of_model.nsfw is not None:
        yield "nsfw", Told(version.of_model.nsfw, "model.nsfw")
    if name := one_line(version.name):
        yield "version", Told(name, "name")


def _version_of(url: str, base: str) -> int | None:
    """The version that a URL names."""
    if not url.startswith(f"{base}/"):
        return None
    rest = url.removeprefix(base)
    found = _VERSION.match(rest) or re.match(r"/models/\d+[^?#]*\?(?:[^#]*&)?modelVersionId=(\d{1,18})", rest)
    return int(found[1]) if found else None


def version_in(answer: Answer) -> Version:
    """The version that an answer tells; raises CannotAskError where it tells none."""
    try:
        return Version.model_validate(json.loads(answer.content))
    except (ValidationError, ValueError, RecursionError):
        raise CannotAskError("the host answers what Civitai does not") from None


def _found_elsewhere(link: Link, base: str, ask: Ask) -> Found:
    """A version that is gone; the same file may be one of another version."""
    answer = ask("GET", f"{base}/api/v1/model-versions/by-hash/{link.sha256}", reads=True)
    if standing_of(answer):
        return Found(Standing.gone)
    same = [each for each in version_in(answer).files if each.hashes.sha256 == link.sha256]
    return Found(Standing.gone, elsewhere=same[0].url or None if same else None)


def _meant(files: list[File], link: Link) -> File | None:
    """The file that a URL leads to: the one that it names, has the record's hash, is the main one, or the only one."""
    tests = (
        lambda file: file.url == link.url,
        lambda file: f"fileId={file.id}" in urlsplit(link.url).query.split("&"),
        lambda file: file.hashes.sha256 == link.sha256,
        lambda file: file.primary,
        lambda file: True,
    )
    return next((file for test in tests for file in files if test(file)), None)
