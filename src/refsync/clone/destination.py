"""Where a remote may be: where the config says, whatever the clone says, and no secret over an open wire."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Sequence
from ipaddress import ip_address
from typing import NamedTuple
from urllib.parse import urlsplit

from refsync.clone.addresses import Address

_PORTS = {"http": 80, "https": 443, "ssh": 22, "git": 9418}
_SHORT_SSH = re.compile(r"(?:[^@/:]+@)?(?P<host>\[[^\]/]+\]|[^/:]+):(?P<path>.*)", re.DOTALL)


class Place(NamedTuple):
    """What a URL points at: scheme, host and port (none of a path on this machine), and the path there."""

    scheme: str
    host: str
    port: int | None
    path: str


def place_of(url: str) -> Place | None:
    """What a URL, ``host:path`` or path points at, whoever asks; ``None`` of what is none of them."""
    if "://" not in url:
        if url.startswith(("/", "./", "../")) or not (short := _SHORT_SSH.fullmatch(url)):
            return Place("file", "", None, _path(url))
        return Place("ssh", short["host"].lower(), _PORTS["ssh"], _path(short["path"]))
    try:
        parts = urlsplit(url)
        host, port = parts.hostname or "", parts.port
    except ValueError:
        return None
    return Place(parts.scheme, host, port or _PORTS.get(parts.scheme), _path(parts.path))


def _path(path: str) -> str:
    """A path by one name: ``/x/y.git/`` and ``x/y`` are the same to a server."""
    return posixpath.normpath("/" + path.removesuffix("/").removesuffix(".git").lstrip("/"))


def strangers(configured: str, addresses: Sequence[Address]) -> list[str]:
    """Those of the addresses that are not where the config says; one without a path names all of its host.

    The machine's own settings may lead from there to a mirror, and the config may name that.
    """
    wanted = place_of(configured)
    return [
        each.reached for each in addresses if wanted is None or not any(_is_at(place_of(url), wanted) for url in each)
    ]


def _is_at(found: Place | None, wanted: Place) -> bool:
    if found is None:
        return False
    return found == wanted or (wanted.path == "/" and wanted.host != "" and found._replace(path="/") == wanted)


def is_open_wire(url: str) -> bool:
    """Whether others can read what is sent there: plain ``http`` to another machine."""
    place = place_of(url)
    return place is None or (place.scheme == "http" and not _is_this_machine(place.host))


def _is_this_machine(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
