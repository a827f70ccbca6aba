"""Files on Civitai: its API tells of each version of a model the files with hash and size."""

from __future__ import annotations

import json
import re
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, Field, ValidationError

from refsync.exchange import Answer
from refsync.hosts.asking import Ask, CannotAskError, standing_of
from refsync.hosts.link import Link
from refsync.hosts.verdict import Found, Standing

_VERSION = re.compile(r"/api/download/models/(\d{1,18})")
_KIBIBYTE = 1024
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

    name: Word = ""
    size_kb: float | None = Field(None, alias="sizeKB", allow_inf_nan=False, ge=0, le=1e15)
    hashes: Hashes = Hashes()
    primary: bool = False
    url: Annotated[str, BeforeValidator(_url_or_nothing)] = Field("", alias="downloadUrl")

    @property
    def size(self) -> int | None:
        """In bytes."""
        return None if self.size_kb is None else round(self.size_kb * _KIBIBYTE)


class Version(BaseModel):
    """One version of a model."""

    files: list[File] = []
    base_model: Word = Field("", alias="baseModel")
    trained_words: list[str] = Field([], alias="trainedWords")


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
    """The file that a URL leads to: the one that says so, has the record's hash, is the main one, or the only one."""
    tests = (
        lambda file: file.url == link.url,
        lambda file: file.hashes.sha256 == link.sha256,
        lambda file: file.primary,
        lambda file: True,
    )
    return next((file for test in tests for file in files if test(file)), None)
