"""Files on any other host: a HEAD, or where that is not answered a GET of one byte, tells their size."""

from __future__ import annotations

from refsync.exchange import Answer
from refsync.hosts.asking import Ask, redirected, size_in, standing_of
from refsync.hosts.description import URL, Description, Told, file_told, stem
from refsync.hosts.link import Link
from refsync.hosts.verdict import Found, Standing

_REDIRECTS = 5


def look(link: Link, ask: Ask) -> Found:
    """What the host says of the file, and each that it sends to."""
    url = link.url
    for _ in range(_REDIRECTS):
        answer = _answer(url, ask)
        if told := standing_of(answer):
            return told
        target = redirected(url, answer)
        if target is None:
            return Found(Standing.there, size=_size(answer))
        url = target
    return Found(Standing.unknown, why="it redirects without end")


def describe(url: str, ask: Ask) -> Description:
    """What the host tells of a file: its size."""
    found = look(Link(url), ask)
    file = file_told(url, found, ("", "Content-Length"))
    return Description(url, found, file, {"name": Told(stem(file.name.value), URL)})


def _answer(url: str, ask: Ask) -> Answer:
    answer = ask("HEAD", url)
    if answer.status in (404, 410, 429) or answer.status < 400:
        return answer
    return ask("GET", url, headers={"range": "bytes=0-0"})


def _size(answer: Answer) -> int | None:
    if answer.status == 206:
        return size_in(answer.headers.get("content-range", "").rpartition("/")[2])
    return size_in(answer.headers.get("content-length")) if answer.status == 200 else None
