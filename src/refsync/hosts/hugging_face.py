"""Files on Hugging Face: a HEAD of their URL tells hash and size of what lies in the store behind it."""

from __future__ import annotations

import re
from urllib.parse import unquote, urlsplit

from refsync.exchange import Answer
from refsync.hosts.asking import Ask, redirected, size_in, standing_of
from refsync.hosts.description import URL, Description, Told, file_told
from refsync.hosts.link import Link
from refsync.hosts.verdict import Found, Standing

_SHA256 = re.compile(r'(?:W/)?"?([0-9a-f]{64})"?', re.IGNORECASE)
_FILE = re.compile(r"/([^/?#]+)/([^/?#]+)/(?:resolve|blob)/([^#]+)")
_RENAMES = 3  # of a repository, each of which is a redirect on the same host
_GONE = ("RepoNotFound", "EntryNotFound", "RevisionNotFound")


def has(link: Link, base: str) -> bool:
    """Whether a link is to a file there: ``…/resolve/REVISION/PATH``."""
    return link.url.startswith(f"{base}/") and "/resolve/" in link.url


def look(link: Link, base: str, ask: Ask) -> Found:
    """What the host says of the file."""
    url = link.url
    for _ in range(_RENAMES):
        answer = ask("HEAD", url)
        if answer.headers.get("x-error-code") in _GONE:  # of a repository that is gone it says 401
            return Found(Standing.gone)
        if told := standing_of(answer):
            return told
        target = redirected(url, answer)
        if target is None or "x-linked-etag" in answer.headers or urlsplit(target).netloc != urlsplit(url).netloc:
            return _found(answer)
        url = target
    return Found(Standing.unknown, why="it redirects without end")


def has_page(url: str, base: str) -> bool:
    """Whether a URL is that of a file, or of its page (``…/blob/REVISION/PATH``)."""
    return bool(_FILE.match(url.removeprefix(base))) and url.startswith(base)


def describe(url: str, base: str, ask: Ask) -> Description:
    """What the host tells of a file; the model is called as its repository is."""
    parts = _FILE.match(url.removeprefix(base))
    assert parts is not None
    owner, repository, rest = parts.groups()
    link = f"{base}/{owner}/{repository}/resolve/{rest.partition('?')[0]}"
    found = look(Link(link), base, ask)
    told = {"name": Told(unquote(repository), URL), "homepage": Told(f"{base}/{owner}/{repository}", URL)}
    return Description(link, found, file_told(link, found, ("X-Linked-Etag", "X-Linked-Size")), told)


def _found(answer: Answer) -> Found:
    etag = answer.headers.get("x-linked-etag") or answer.headers.get("etag") or ""
    sha256 = _SHA256.fullmatch(etag.strip())
    size = size_in(answer.headers.get("x-linked-size"))
    if size is None and answer.status == 200:
        size = size_in(answer.headers.get("content-length"))
    return Found(Standing.there, sha256[1].lower() if sha256 else None, size)
