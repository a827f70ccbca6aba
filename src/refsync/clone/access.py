"""What lets git into a remote: handed to the one git process by its environment, and meant for the remote's own host.

A secret stands in no argument, URL, file or config; git's credential protocol takes it from variables of that
process. Hooks are off meanwhile: they would inherit them.
"""

from __future__ import annotations

import os
import re
import shlex
from base64 import b64encode
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from urllib.parse import quote, urlsplit

from refsync.credentials import Credential
from refsync.errors import CredentialError

NO_HOOKS = ("-c", f"core.hooksPath={os.devnull}")
"""Options of git: a hook of the clone (``pre-push``, ``reference-transaction``) would see the secret."""

_HELPER = (
    '!f() { if test "$1" = get; then printf "username=%s\\npassword=%s\\n" '
    '"$REFSYNC_REMOTE_USERNAME" "$REFSYNC_REMOTE_SECRET"; fi; }; f'
)
_USERINFO = re.compile(r"(?<=://)[^/\s@]+(?:@[^/\s@]+)*@")


def http_environment(urls: Iterable[str], credential: Credential, environ: Mapping[str, str]) -> dict[str, str]:
    """Variables that give git the credential for the hosts of these URLs, and no helper of the machine a say.

    What the environment sets by ``GIT_CONFIG_COUNT`` stays in force.
    """
    settings = [("credential.helper", "")]
    settings += [(f"credential.{origin}.helper", _HELPER) for origin in sorted(set(filter(None, map(origin_of, urls))))]
    count = environ.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdecimal() else 0
    variables = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for position, (key, value) in enumerate(settings, start=first):
        variables |= {f"GIT_CONFIG_KEY_{position}": key, f"GIT_CONFIG_VALUE_{position}": value}
    return variables | {"REFSYNC_REMOTE_USERNAME": credential.username, "REFSYNC_REMOTE_SECRET": credential.secret}


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
