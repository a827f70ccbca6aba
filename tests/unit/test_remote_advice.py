"""The same failure of a remote, told to a daemon's operator and to who clones it."""

from __future__ import annotations

from pathlib import Path

import pytest

from refsync.clone.process import GitResult
from refsync.clone.remote_errors import Place, explain_remote
from refsync.errors import BranchMissingError, PushRefusedError, RemoteRefusedError, RemoteUnavailableError

URL = "https://git.example.org/models.git"
DAEMON = Place(Path("/clones/image"), "origin", frozenset({"https://git.example.org"}), has_credential=True)
CLONING = DAEMON._replace(cloned_from=URL)

TOLD = [
    (
        "fatal: couldn't find remote ref refs/heads/main",
        BranchMissingError,
        "it has no branch main; push one there, or correct `branch`",
        "it has no branch main; name another by --branch",
    ),
    (
        "fatal: could not read Username for 'https://git.example.org': terminal prompts disabled",
        RemoteRefusedError,
        "it asks for a user name and password; name a token in [repository.credentials]",
        "it asks for a user name and password; name the file that holds one by --token-file",
    ),
    (
        "fatal: Authentication failed for 'https://git.example.org/models.git'",
        RemoteRefusedError,
        "it does not accept the token of [repository.credentials]: wrong, expired or revoked",
        "it does not accept the token of --token-file: wrong, expired or revoked",
    ),
    (
        "fatal: repository 'https://git.example.org/models.git/' not found",
        RemoteRefusedError,
        "may see; correct it: git -C /clones/image remote set-url origin URL",
        "may see; correct the URL",
    ),
    (
        "fatal: unable to access 'https://git.example.org/': SSL certificate problem: self-signed certificate",
        RemoteRefusedError,
        "name its authority: git config --global http.sslCAInfo FILE",
        "name its authority: git config --global http.sslCAInfo FILE",
    ),
    (
        "fatal: unable to access 'https://git.example.org/': Could not resolve host: git.example.org",
        RemoteUnavailableError,
        "check the network and the URL; refsync asks again by itself",
        "check the network and the URL; try again later",
    ),
    (
        "warning: redirecting to https://elsewhere.example.org/models.git/",
        RemoteRefusedError,
        "if it has moved there: git -C /clones/image remote set-url origin URL",
        "if it has moved there, clone from there",
    ),
    (
        "fatal: something that git never said",
        RemoteUnavailableError,
        "something that git never said; refsync asks again by itself",
        "something that git never said; try again later",
    ),
]


@pytest.mark.parametrize(("said", "kind", "to_an_operator", "to_who_clones"), TOLD)
def test_who_clones_is_told_of_the_url_and_of_options_and_an_operator_of_clone_and_config(
    said: str, kind: type[Exception], to_an_operator: str, to_who_clones: str
) -> None:
    failed = GitResult(128, b"", said)
    for_operator, for_cloning = explain_remote(DAEMON, failed), explain_remote(CLONING, failed)
    assert type(for_operator) is type(for_cloning) is kind
    assert str(for_operator).startswith("/clones/image: remote 'origin': ")
    assert to_an_operator in str(for_operator)
    assert str(for_cloning).startswith(f"{URL}: ")
    assert to_who_clones in str(for_cloning)
    assert not any(word in str(for_cloning) for word in ("/clones/image", "`branch`", "[repository", "by itself"))


REJECTED = b"To /r.git\n!\trefs/heads/main:refs/heads/main\t[remote rejected] (unpacker error)\n"


@pytest.mark.parametrize(
    "words",
    [
        "remote: fatal: unable to write loose object file: No space left on device\n"
        "error: remote unpack failed: unpack-objects abnormal exit",
        "remote: fatal: write error: Input/output error\nerror: remote unpack failed: index-pack abnormal exit",
        "error: remote unpack failed: unable to create temporary object directory",
    ],
)
def test_a_remote_whose_disk_fails_does_not_refuse_the_push(words: str) -> None:
    failure = explain_remote(DAEMON, GitResult(1, REJECTED, words))
    assert isinstance(failure, RemoteUnavailableError)
    assert "it cannot write to its own disk (unpacker error" in str(failure)
    assert str(failure).endswith("; see to it there; refsync asks again by itself")


@pytest.mark.parametrize(
    "words", ["remote: fatal: pack exceeds maximum allowed size", "remote: fatal: fsck error in packed object"]
)
def test_what_the_rules_of_a_remote_do_not_store_is_refused(words: str) -> None:
    assert isinstance(explain_remote(DAEMON, GitResult(1, REJECTED, words)), PushRefusedError)


def test_the_same_failure_is_the_same_text_however_long_it_took() -> None:
    told = {
        str(
            explain_remote(
                DAEMON, GitResult(128, b"", f"fatal: Failed to connect to host port 1 after {ms} ms: no route")
            )
        )
        for ms in (0, 1, 1300)
    }
    assert len(told) == 1
    assert "Failed to connect to host port 1: no route" in told.pop()
