"""What git says when a remote fails, told to a person in one line: what, where, what to do."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import urlsplit

from refsync.clone.git_errors import explain_local, hint_of, reason_of
from refsync.clone.process import GitResult
from refsync.commands import command, git_command
from refsync.errors import (
    BranchMissingError,
    BranchMovedError,
    PushRefusedError,
    RefsyncError,
    RemoteRefusedError,
    RemoteUnavailableError,
)
from refsync.plain_text import shortened

_ADVICE = {
    "correct_url": "correct it: {git} remote set-url {remote} URL",
    "other_branch": "push one there, or correct `branch`",
    "name_token": "name a token in [repository.credentials]",
    "own_token": "the token of [repository.credentials]",
    "trust_authority": "git config --global http.sslCAInfo FILE",
    "again": "refsync asks again by itself",
}
"""What to do, as the texts below name it; with the words that they may name, too."""
_ADVICE_FOR_CLONING = {
    "correct_url": "correct the URL",
    "other_branch": "name another by --branch",
    "name_token": "name the file that holds one by --token-file",
    "own_token": "the token of --token-file",
    "trust_authority": "git config --global http.sslCAInfo FILE",
    "again": "try again later",
}
"""The same for a person who clones, and has no config yet."""


class _Case(NamedTuple):
    """Words of git, and what they mean; ``{0}`` in the text is what the words' first group holds, a name is advice."""

    words: str
    error: type[RefsyncError]
    text: str


_CASES = (
    _Case(
        r"dubious ownership in repository at '([^']+)'",
        RemoteRefusedError,
        "the repository at {0} belongs to another user; let git trust it: {trust}",
    ),
    _Case(
        r"(?:couldn't find remote ref (?:refs/heads/)?|Remote branch )(\S+)",
        BranchMissingError,
        "it has no branch {0}; {other_branch}",
    ),
    _Case(
        r"REMOTE HOST IDENTIFICATION HAS CHANGED",
        RemoteRefusedError,
        "its ssh host key has changed: somebody may pose as it; if the new key is right, put it into {known_hosts}",
    ),
    _Case(
        r"Host key verification failed|No \S+ host key is known for",
        RemoteRefusedError,
        "its ssh host key is not known; compare what ssh-keyscan HOST says, and put it into {known_hosts}",
    ),
    _Case(
        r"Permission denied \(|Too many authentication failures",
        RemoteRefusedError,
        "it does not let {key} in; add its public half there, or correct `ssh_key_file`",
    ),
    _Case(
        r"(SSL certificate problem: .*|server certificate verification failed.*|SSL: .*certificate.*)",
        RemoteRefusedError,
        "its TLS certificate is not trusted ({0}); have it corrected, or name its authority: {trust_authority}",
    ),
    _Case(
        r"unable to update url base from redirection",
        RemoteRefusedError,
        "it redirects to an address that is no git repository; {correct_url}",
    ),
    _Case(
        r"Authentication failed for|HTTP Basic: Access denied",
        RemoteRefusedError,
        "it does not accept {login}: wrong, expired or revoked, or its URL leads on to another host, "
        "which is given none; put a good one there, or correct the URL",
    ),
    _Case(
        r"could not read (?:Username|Password) for|terminal prompts disabled",
        RemoteRefusedError,
        "it asks for a user name and password; {name_token}",
    ),
    _Case(
        r"returned error: 403|HTTP 403",
        RemoteRefusedError,
        "it denies access to {login}{said}; give it the right to do this (a token's scope: read and write contents)",
    ),
    _Case(
        r"repository '[^']*' not found|returned error: 404|HTTP 404|Repository not found",
        RemoteRefusedError,
        "its URL names no repository that {login} may see; {correct_url}",
    ),
    _Case(
        r"does not appear to be a git repository|not exported|no such path|unable to find remote helper",
        RemoteRefusedError,
        "there is no git repository at its URL; {correct_url}",
    ),
    _Case(r"returned error: (429|5\d\d)|HTTP (?:429|5\d\d)", RemoteUnavailableError, "{line}; {again}"),
    _Case(r"returned error: 4\d\d|HTTP 4\d\d", RemoteRefusedError, "{line}; {correct_url}"),
    _Case(
        r"shallow update not allowed|support shallow|repository is shallow",
        RemoteRefusedError,
        "its history is cut off (shallow), so nothing can be counted; complete it there: git fetch --unshallow",
    ),
    _Case(r"not our ref", RemoteUnavailableError, "it has changed meanwhile; {again}"),
    _Case(r"remote error: (.+)", RemoteRefusedError, "it refuses: {0}; see to it there"),
    _Case(r"(?m)^ERROR: (.+)", RemoteRefusedError, "it refuses: {0}; see to it there"),
    _Case(
        r"object (\w+): (\w+: .*)[\s\S]*fsck error",
        RemoteRefusedError,
        "it holds a malformed object, which is not taken: {0} ({1}); take it out of the history there",
    ),
    _Case(
        r"is this a git repository\?|invalid server response|protocol error|bad line length|bad pack|index-pack failed"
        r"|unpack-objects|expected \S+, got|expected flush|invalid .*advertisement|inflate",
        RemoteUnavailableError,
        "it answers what git cannot make sense of ({line}); {again}",
    ),
    _Case(
        r"Could not resolve|name resolution|Name or service not known|nodename nor servname",
        RemoteUnavailableError,
        "its host name cannot be resolved; check the network and the URL; {again}",
    ),
)

_REJECTED = re.compile(r"^!\t\S*\t\[(?:remote )?(?:rejected|failure)\] \((.*)\)$", re.MULTILINE)
_LOST_RACE = re.compile(
    r"stale info|fetch first|non-fast-forward|needs force|reference already exists|incorrect old|lock ref"
)
_IN_THE_WAY = re.compile(r"'refs/heads/([^']+)' exists; cannot create|directory file conflict")
_PASSING = re.compile(
    r"(?i)internal server error|failed to (lock|update|write)|timed? ?out|remote failed to report status"
    r"|unable to migrate objects"
)
_NOT_STORED = re.compile(r"(?i)unpack|index-pack abnormal exit")
_BAD_DISK = re.compile(
    r"(?i)no space left|quota exceeded|input/output error|read-only file system|file too large"
    r"|permission denied|insufficient permission|unable to (create|write)|write error|fsync error"
)
"""Why a remote cannot store what it is sent, where that is no rule of its own (as a size or a malformed object is)."""


class Place(NamedTuple):
    """Which remote of which clone, and what it was asked with, for the text of a failure."""

    path: Path
    remote: str
    origins: frozenset[str] = frozenset()
    has_credential: bool = False
    key_file: Path | None = None
    known_hosts_file: Path | None = None
    cloned_from: str = ""

    @property
    def named(self) -> str:
        """How people know it."""
        return self.cloned_from or f"{self.path}: remote {self.remote!r}"

    @property
    def advice(self) -> dict[str, str]:
        """What to do, by the names of the texts."""
        words = {"git": git_command(self.path), "remote": self.remote}
        chosen = _ADVICE_FOR_CLONING if self.cloned_from else _ADVICE
        return {name: text.format(**words) for name, text in chosen.items()}

    def refused(self, text: str) -> RemoteRefusedError:
        """The remote refuses."""
        return RemoteRefusedError(f"{self.named}: {text}")

    def unavailable(self, text: str) -> RemoteUnavailableError:
        """The remote does not answer, or answers nonsense."""
        return RemoteUnavailableError(f"{self.named}: {text}")


def explain_remote(place: Place, said: GitResult) -> RefsyncError:
    """Tell why git failed with a remote; ``said`` holds no secret any more."""
    if rejected := _REJECTED.search(said.output.decode(errors="replace")):
        return _explain_rejection(place, rejected[1], said.error)
    own = "\n".join(line for line in said.error.splitlines() if not line.startswith("remote:"))
    if origin := _redirected_to(own, place.origins):
        moved = (
            "if it has moved there, clone from there"
            if place.cloned_from
            else f"if it has moved there: {git_command(place.path, 'remote', 'set-url', place.remote, 'URL')}"
        )
        return place.refused(f"it redirects to {origin}, which is given no credentials; {moved}")
    if "dubious ownership" not in own and (local := explain_local(place.path, own)):  # that is of the remote here
        return local
    for case in _CASES:
        if found := re.search(case.words, own):
            groups = [shortened(group or "") for group in found.groups()]
            text = case.text.format(*groups, **_words(place, own, said.error, groups))
            return case.error(f"{place.named}: {text}")
    reason = reason_of(own) or f"git ended with exit code {said.code}"
    return place.unavailable(f"{reason}{hint_of(own)}; {place.advice['again']}")


def _explain_rejection(place: Place, reason: str, error: str) -> RefsyncError:
    told = f"{reason}{_remote_words(error)}"
    if in_the_way := _IN_THE_WAY.search(told):
        other = f"its branch {in_the_way[1]}" if in_the_way[1] else "another branch"
        return PushRefusedError(
            f"{place.named}: {other} is in the way ({shortened(told)}): no branch's name can "
            "begin with another's and a slash; delete or rename it there, or set another `prefix` in "
            "[repository.proposal]"
        )
    if _LOST_RACE.search(reason):
        return BranchMovedError(f"{place.named}: the branch moved meanwhile ({reason})")
    if _NOT_STORED.search(reason) and _BAD_DISK.search(error):
        return place.unavailable(f"it cannot write to its own disk ({told}); see to it there; {place.advice['again']}")
    if _PASSING.search(reason):
        return place.unavailable(f"it did not take the push ({told}); {place.advice['again']}")
    return PushRefusedError(
        f"{place.named}: it refuses the push ({shortened(reason)}{_remote_words(error)}); "
        "do what it asks for, or have its rules changed"
    )


def _words(place: Place, own: str, error: str, groups: Sequence[str]) -> dict[str, object]:
    advice = place.advice
    return {
        **advice,
        "line": reason_of(own),
        "trust": command("git", "config", "--global", "--add", "safe.directory", *groups),
        "said": _remote_words(error),
        "login": advice["own_token"] if place.has_credential else "this machine's own credentials",
        "key": f"the ssh key {place.key_file}" if place.key_file else "any ssh key of the user whom refsync runs as",
        "known_hosts": place.known_hosts_file or "~/.ssh/known_hosts of the user whom refsync runs as",
    }


def _redirected_to(own: str, origins: frozenset[str]) -> str | None:
    """The other host that a failed request was sent on to."""
    for url in re.findall(r"(?:redirecting to |(?:Username|Password) for ')([^\s']+)", own):
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}"
        if origin not in origins:
            return origin
    return None


def _remote_words(error: str) -> str:
    """What the remote itself said, behind a colon."""
    lines = [line.removeprefix("remote:").strip() for line in error.splitlines() if line.startswith("remote:")]
    words = shortened(" ".join(line.removeprefix("error: ") for line in lines))
    return f": {words}" if words else ""
