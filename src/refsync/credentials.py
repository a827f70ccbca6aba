"""What lets refsync into a remote or a forge, fetched anew at each use, so that a rotated secret is taken up.

A secret never stands in a text of ours: not in an exception, a log line, a URL or a process's arguments.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from refsync.errors import CredentialError

_LONGEST_SECRET = 65536
_PR_SET_DUMPABLE = 4


@dataclass(frozen=True)
class Credential:
    """A name and the secret that goes with it; the secret is left out of its ``repr``."""

    username: str
    secret: str = field(repr=False)


CredentialSource = Callable[[], Credential]
"""Gives the credential as it is now; raises CredentialError where it cannot be read."""

SecretSource = Callable[[], str]
"""Gives a secret that goes with no name, likewise."""


_taken: dict[str, str] = {}
"""Secrets that this process was started with, by their variables."""


def keep_to_ourselves(variable: str = "") -> None:
    """Let no child inherit a secret that stands in the environment, and no process of the same user read our memory.

    Args:
        variable: the environment variable that holds the secret, if one does; it is gone from there afterwards.
    """
    if variable in os.environ:
        _taken[variable] = os.environ.pop(variable)
    import ctypes

    with contextlib.suppress(AttributeError, OSError):  # no Linux
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)


def whole_environment() -> Mapping[str, str]:
    """The environment as it is now, with what :func:`keep_to_ourselves` has taken out of it."""
    return {**os.environ, **_taken}


def token_source(
    *, username: str, file: Path | None, variable: str, credential: str, environ: Mapping[str, str]
) -> CredentialSource:
    """Take a token, and the user name that goes with it, from the one place that is named, at each use.

    Args: as :func:`secret_source` has them.
    """
    secret = secret_source("token", file=file, variable=variable, credential=credential, environ=environ)

    def read() -> Credential:
        name = _one_word(username, "`username` of [repository.credentials]", "user name")
        return Credential(name, secret())

    return read


def secret_source(
    what: str, *, file: Path | None, variable: str, credential: str, environ: Mapping[str, str]
) -> SecretSource:
    """Take a secret from the one place that is named, at each use.

    Args:
        what: it is, which its keys in the config begin with.
        file: the file that holds it and nothing else.
        variable: the name of the environment variable that holds it.
        credential: the name of the systemd credential that holds it.
        environ: the environment.
    """

    def read() -> str:
        if file is not None:
            place, secret = f"{what}_file {file}", _read(file, f"{what}_file", what)
        elif variable:
            place = f"the environment variable {variable} of {what}_variable"
            secret = _variable(variable, environ, what)
        else:
            place = f"the systemd credential {credential!r}"
            secret = _read(_given(credential, environ, what), f"{what}_credential", what)
        return _one_word(secret, place, what)

    return read


def _read(path: Path, key: str, what: str) -> str:
    try:
        with path.open("rb") as file:
            content = file.read(_LONGEST_SECRET)
        return content.decode().rstrip("\r\n")
    except OSError as problem:
        raise CredentialError(f"{key} {path}: cannot be read: {problem.strerror}; put the {what} there") from None
    except UnicodeDecodeError:
        raise CredentialError(f"{key} {path}: holds no text; put the {what} there and nothing else") from None


def _given(name: str, environ: Mapping[str, str], what: str) -> Path:
    """The file that systemd made of a credential."""
    if not (folder := environ.get("CREDENTIALS_DIRECTORY")):
        raise CredentialError(
            f"{what}_credential {name!r}: CREDENTIALS_DIRECTORY is not set, so systemd handed nothing over; "
            f"add LoadCredential={name}:PATH to the unit, or name a {what}_file"
        )
    return Path(folder, name)


def _variable(name: str, environ: Mapping[str, str], what: str) -> str:
    if name not in environ:
        raise CredentialError(
            f"{what}_variable: the environment variable {name} is not set; set it where refsync is started"
        )
    return environ[name].rstrip("\r\n")


def _one_word(text: str, place: str, what: str) -> str:
    """Refuse what could end a line of the protocols that it is sent in."""
    if not text.strip():
        raise CredentialError(f"{place} is empty; put the {what} there")
    if not text.isprintable():
        raise CredentialError(f"{place} holds a line break or control character; put the {what} there and nothing else")
    return text
