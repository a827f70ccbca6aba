"""What a host tells of a URL that somebody wants to record: of the file, and of the model that it is of."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html.parser import HTMLParser
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from refsync.hosts.verdict import Found
from refsync.plain_text import cut, one_line

URL = "URL"
"""The key of what stands in the URL itself."""
_LONGEST_TEXT = 1000
_LONGEST_HTML = 50_000


class Told(NamedTuple):
    """A value, under what ``key`` the host tells it, and what else it is ``known_as``, the usual word first."""

    value: Any
    key: str
    known_as: tuple[str, ...] = ()


@dataclass(frozen=True)
class FileTold:
    """Of a file: ``url`` is where to get it; what is not known is ``None``."""

    url: Told
    name: Told
    sha256: Told | None = None
    size: Told | None = None


@dataclass(frozen=True)
class Description:
    """What was told: ``asked`` is the URL that was asked, ``found`` whether the file is there, ``model`` by field."""

    asked: str
    found: Found
    file: FileTold
    model: dict[str, Told] = field(default_factory=dict)


def file_told(url: str, found: Found, keys: tuple[str, str]) -> FileTold:
    """Of the file at a URL what was found, hash and size under these keys."""
    sha256 = Told(found.sha256, keys[0]) if found.sha256 else None
    size = Told(found.size, keys[1]) if found.size else None
    return FileTold(Told(url, URL), Told(name_in(url), URL), sha256, size)


def name_in(url: str) -> str:
    """The name of the file that a URL leads to.

    >>> name_in("https://huggingface.co/org/repo/resolve/main/a%20b.safetensors?download=true")
    'a b.safetensors'
    """
    return one_line(unquote(urlsplit(url).path).rpartition("/")[2])


def stem(name: str) -> str:
    """A file's name without what says its format.

    >>> stem("deliberate_v5.safetensors")
    'deliberate_v5'
    """
    return re.sub(r"\.(safetensors|ckpt|pth?|bin|onnx|gguf)$", "", name)


def plain(html: str) -> str:
    """The text of HTML on one line, cut to what a record may hold."""
    reader = _Reader()
    reader.feed(html[:_LONGEST_HTML])
    reader.close()
    return cut(one_line(" ".join(reader.text)), _LONGEST_TEXT)


class _Reader(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.text: list[str] = []

    def handle_data(self, data: str) -> None:
        if self.cdata_elem is None:  # neither a script nor a style
            self.text.append(data)
