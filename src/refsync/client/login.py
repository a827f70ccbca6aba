"""Where the door is, and the token for it: from the environment, or kept by ``refsync login``."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from refsync.errors import ConfigError, RequestError

URL_VARIABLE = "REFSYNC_URL"
TOKEN_VARIABLE = "REFSYNC_TOKEN"
_FILE_MODE = 0o600


@dataclass(frozen=True)
class Login:
    """A door, and the token that one shows there; none on a Unix socket, where the kernel says who one is."""

    url: str
    token: str = ""

    @property
    def socket(self) -> Path | None:
        """The Unix socket that it is, if it is one."""
        return Path(self.url.removeprefix("unix:")) if self.url.startswith("unix:") else None


def check_url(url: str) -> str:
    """The address of a door: ``https://HOST``, ``http://`` on this machine, or ``unix:/PATH``.

    Raises:
        RequestError: it is none, or the token would travel to it unencrypted.
    """
    from urllib.parse import urlsplit

    if url.startswith("unix:/"):
        return url
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    if parts.scheme not in ("http", "https") or not host or parts.query or parts.fragment or "@" in parts.netloc:
        raise RequestError("the door is an address such as https://refsync.example.org or unix:/run/refsync/door.sock")
    if parts.scheme == "http" and not _is_here(host):
        raise RequestError(f"http://{host} would send the token unencrypted; use https, or a tunnel to this machine")
    return url.rstrip("/")


def login_in_force(environ: Mapping[str, str]) -> Login | None:
    """The door that commands ask; ``None`` where they work on this machine's own store.

    A config that is named, or stands in the current folder, counts for more than a login that is kept, and the
    environment's address for more than both.

    Raises:
        ConfigError: the kept login cannot be read.
        RequestError: the address is none.
    """
    if url := environ.get(URL_VARIABLE):
        return Login(check_url(url), environ.get(TOKEN_VARIABLE, ""))
    has_config = environ.get("REFSYNC_CONFIG") or os.path.exists("refsync.toml")
    return None if has_config else kept_login(environ)


def kept_login(environ: Mapping[str, str]) -> Login | None:
    """What ``refsync login`` kept.

    Raises:
        ConfigError: it cannot be read, or others may.
    """
    path = login_file(environ)
    try:
        with path.open("rb") as file:
            if os.fstat(file.fileno()).st_mode & 0o077:
                raise ConfigError(f"{path}: others may read the token in it: chmod 600 {path}")
            given = json.loads(file.read())
        return Login(check_url(given["url"]), str(given["token"]))
    except FileNotFoundError:
        return None
    except OSError as problem:
        raise ConfigError(f"{path}: the login cannot be read: {problem.strerror}") from None
    except (ValueError, TypeError, KeyError, RecursionError):
        raise ConfigError(f"{path}: is no login; make it anew: refsync login URL") from None


def keep(login: Login, environ: Mapping[str, str]) -> Path:
    """Keep a login for later commands, for its owner alone.

    Raises:
        ConfigError: it cannot be written.
    """
    path = login_file(environ)
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, _FILE_MODE)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            json.dump({"url": login.url, "token": login.token}, file)
        os.replace(temporary, path)
    except OSError as problem:
        temporary.unlink(missing_ok=True)
        raise ConfigError(f"{path}: the login cannot be kept: {problem.strerror}") from None
    return path


def forget(environ: Mapping[str, str]) -> bool:
    """Keep no login any more; whether there was one."""
    path = login_file(environ)
    found = path.exists()
    path.unlink(missing_ok=True)
    return found


def login_file(environ: Mapping[str, str]) -> Path:
    """Where a login is kept."""
    home = Path(environ.get("HOME") or "~").expanduser()
    given = environ.get("XDG_CONFIG_HOME", "")
    return (Path(given) if given.startswith("/") else home / ".config") / "refsync" / "login.json"


def check_token(token: str) -> str:
    """A token as a header can hold it.

    Raises:
        RequestError: it is none.
    """
    if not re.fullmatch(r"[!-~]{1,256}", token):
        raise RequestError("that is no token: refsync token add prints one as its last word")
    return token


def _is_here(host: str) -> bool:
    import ipaddress

    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
