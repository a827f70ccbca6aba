"""What lets git into a remote: handed to the one git process by its environment, and meant for the remote's own host.

A secret stands in no argument, URL, file or config, but in variables of that process.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
from base64 import b64encode
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from tempfile import gettempdir
from urllib.parse import quote, urlsplit

from refsync.credentials import Credential
from refsync.errors import CredentialError
from refsync.scratch import scratch_folder

_HELPER = (
    '!f() { if test "$1" = get; then printf "username=%s\\npassword=%s\\n" '
    '"$REFSYNC_REMOTE_USERNAME" "$REFSYNC_REMOTE_SECRET"; fi; }; f'
)
_HEADER = re.compile(r"http\.(.+\.)?extraheader", re.DOTALL)
_USERINFO = re.compile(r"(?<=://)[^/\s@]+(?:@[^/\s@]+)*@")


def http_settings(urls: Iterable[str], credential: bool, known: Iterable[str]) -> list[tuple[str, str]]:
    """Settings by which git asks for the credential of :func:`http_environment` at the hosts of these URLs.

    No helper of the machine has a say then, and no header of its settings is sent.

    Args:
        urls: where git fetches from and pushes to.
        credential: whether there is one; else the machine's own settings are in force.
        known: the keys of all settings.
    """
    if not credential:
        return []
    origins = sorted(set(filter(None, map(origin_of, urls))))
    return [
        ("credential.helper", ""),
        *((f"credential.{origin}.helper", _HELPER) for origin in origins),
        *((key, "") for key in known if _HEADER.fullmatch(key)),
    ]


@contextlib.contextmanager
def http_environment(credential: Credential | None, home: Path) -> Iterator[dict[str, str]]:
    """Variables of a git command that may use this credential, and must not find another one in ``~/.netrc``.

    Curl, which looks there before git asks for a credential, cannot be told otherwise than by another home: one
    that has everything else of the ``home``.
    """
    if credential is None:
        yield {}
        return
    variables = {"REFSYNC_REMOTE_USERNAME": credential.username, "REFSYNC_REMOTE_SECRET": credential.secret}
    if not os.path.exists(home / ".netrc"):  # where the home cannot be entered, curl cannot either
        yield variables
        return
    with scratch_folder(Path(gettempdir(), "refsync-home-")) as scratch:
        for each in home.iterdir():
            if each.name != ".netrc":
                (scratch.path / each.name).symlink_to(each)
        yield variables | {"HOME": str(scratch.path)}


def ssh_environment(key_file: Path | None, known_hosts_file: Path | None) -> dict[str, str]:
    """Variables that make git's ssh use this key and these known hosts, and ask nothing.

    Raises:
        CredentialError: one of the files cannot be read.
    """
    options = ["BatchMode=yes"]
    if key_file or known_hosts_file:
        options.append("StrictHostKeyChecking=yes")
    if key_file:
        # A connection that is open already may have been made with another key.
        options += [f"IdentityFile={_ssh_path(key_file, 'ssh_key_file')}", "IdentitiesOnly=yes", "ControlPath=none"]
    if known_hosts_file:
        options.append(f"UserKnownHostsFile={_ssh_path(known_hosts_file, 'ssh_known_hosts_file')}")
    words = ["ssh", *(word for option in options for word in ("-o", option))]
    return {"GIT_SSH_COMMAND": shlex.join(words), "GIT_SSH_VARIANT": "ssh"}


def origin_of(url: str) -> str | None:
    """The ``scheme://host[:port]`` of an ``http(s)`` URL; ``None`` of anything else."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return None
    host = parts.netloc.rpartition("@")[2]
    return f"{parts.scheme}://{host}" if parts.scheme in ("http", "https") and host else None


def secrets_of(urls: Iterable[str], credential: Credential | None) -> set[str]:
    """All that must not stand in a text: the secret in every shape that it is sent in, and passwords in the URLs."""
    found = set()
    if credential:
        sent = b64encode(f"{credential.username}:{credential.secret}".encode()).decode()
        found |= {credential.secret, quote(credential.secret, safe=""), sent}
    for url in urls:
        userinfo, _, _ = url.partition("://")[2].partition("/")[0].rpartition("@")
        found.add(userinfo.partition(":")[2])
    return found - {""}


def scrubbed(text: str, secrets: Iterable[str]) -> str:
    """The text with every secret, and what stands before a host's ``@`` in any URL, replaced by ``***``."""
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "***")
    return _USERINFO.sub("***@", text)


def has_own_ssh(environ: Mapping[str, str], configured: Sequence[str]) -> bool:
    """Whether this machine says itself how git runs ssh: by variable, or by ``core.sshCommand``."""
    return bool(environ.get("GIT_SSH_COMMAND") or environ.get("GIT_SSH") or configured)


def _ssh_path(path: Path, key: str) -> str:
    try:
        path.open("rb").close()
    except OSError as problem:
        raise CredentialError(f"{key} {path}: cannot be read: {problem.strerror}; correct it") from None
    return '"' + str(path).replace("%", "%%") + '"'  # ssh splits at spaces, and replaces %h and the like
