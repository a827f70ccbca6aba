from __future__ import annotations

import os
import shutil
import socket
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from refsync.clone.remotes import Remote, fetch, push, read_refs
from refsync.clone.repository import Repository
from refsync.credentials import Credential
from refsync.errors import (
    CredentialError,
    GitBusyError,
    RefsyncError,
    RemoteRefusedError,
    RemoteUnavailableError,
)
from tests.support.repositories import Clone, git
from tests.support.transports import (
    SECRET,
    USER,
    HttpHandler,
    HttpRemote,
    SshServer,
    bare_repository,
    make_key,
    part_of_git,
    script,
    self_signed,
    serve_http,
    serve_ssh,
)

Machine = Callable[[str, object], None]
MAIN = "refs/heads/main"
OURS = Remote(credential=lambda: Credential(USER, SECRET))

pytestmark = pytest.mark.usefixtures("bare_git")


@pytest.fixture
def bare(tmp_path: Path) -> Path:
    return bare_repository(tmp_path / "remote.git")


@pytest.fixture
def ours(tmp_path: Path, bare: Path) -> Clone:
    """A clone whose remote has its first commit but not its second."""
    clone = Clone.create(tmp_path / "ours", {"clip.json": {}})
    git(clone.path, "remote", "add", "origin", str(bare))
    git(clone.path, "push", "-q", "origin", "main")
    clone.commit({"clip.json": {"ViT": {"name": "ViT"}}})
    return clone


@pytest.fixture
def server(tmp_path: Path, bare: Path, ours: Clone) -> Iterator[HttpRemote]:
    with serve_http(tmp_path) as site:
        set_url(ours, site.url(bare))
        yield site


def set_url(clone: Clone, url: object) -> None:
    git(clone.path, "remote", "set-url", "origin", str(url))


def refusal(
    clone: Clone, remote: Remote, ask: Callable[[Repository, Remote], object], seconds: float = 60.0
) -> RefsyncError:
    """Why the remote could not be used: one line that names the clone and the remote, and holds no secret."""
    if remote.credential:
        remote = replace(remote, url=git(clone.path, "remote", "get-url", remote.name))
    with Repository(clone.path, "main", timeout_seconds=seconds) as opened, pytest.raises(RefsyncError) as raised:
        ask(opened, remote)
    text = str(raised.value)
    assert text.startswith(f"{clone.path}: remote 'origin': ")
    assert "\n" not in text
    assert len(text) < 700
    assert SECRET not in text
    assert SECRET not in (clone.path / ".git" / "config").read_text()
    return raised.value


def fetch_refusal(clone: Clone, remote: Remote = OURS, *, branch: str = "main", seconds: float = 60.0) -> RefsyncError:
    refspec = f"+refs/heads/{branch}:refs/remotes/origin/{branch}"
    return refusal(clone, remote, lambda opened, origin: fetch(opened, origin, [refspec]), seconds)


def push_refusal(clone: Clone, remote: Remote = OURS) -> RefsyncError:
    first = git(clone.path, "rev-parse", "main^")
    return refusal(clone, remote, lambda opened, origin: push(opened, origin, MAIN, clone.tip, expected=first))


# http


def says(status: int, body: bytes = b"") -> Callable[[HttpHandler], None]:
    return lambda handler: handler.say(status, body)


@pytest.mark.parametrize(
    ("status", "kind", "words"),
    [
        (403, RemoteRefusedError, "denies access to the token of [repository.credentials]; give it the right"),
        (404, RemoteRefusedError, "its URL names no repository that the token of [repository.credentials] may see"),
        (410, RemoteRefusedError, "410; correct it: git -C"),
        (429, RemoteUnavailableError, "429; refsync asks again by itself"),
        (500, RemoteUnavailableError, "500; refsync asks again by itself"),
        (503, RemoteUnavailableError, "503; refsync asks again by itself"),
    ],
)
def test_an_http_status_is_told_with_what_to_do(
    server: HttpRemote, ours: Clone, status: int, kind: type[RefsyncError], words: str
) -> None:
    server.answer = says(status)
    for refused in (fetch_refusal(ours), push_refusal(ours)):
        assert isinstance(refused, kind)
        assert words in str(refused)


def test_a_wrong_token_is_refused(server: HttpRemote, ours: Clone) -> None:
    server.secret = "another"
    for refused in (fetch_refusal(ours), push_refusal(ours)):
        assert isinstance(refused, RemoteRefusedError)
        assert "does not accept the token of [repository.credentials]: wrong, expired or revoked" in str(refused)


def test_a_token_that_may_only_read_is_told_at_the_push(server: HttpRemote, ours: Clone) -> None:
    def read_only(handler: HttpHandler) -> None:
        if "receive-pack" in handler.path:
            handler.say(403, b"Write access to repository not granted.\n", {"Content-Type": "text/plain"})
        else:
            handler.run_backend()

    server.answer = read_only
    refused = push_refusal(ours)
    assert isinstance(refused, RemoteRefusedError)
    assert "denies access to the token of [repository.credentials]: Write access to repository not" in str(refused)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"<html>please log in</html>", "text/html"),
        (b"<html>\n<p>please log in</p>\n</html>\n", "text/html"),
        (b"001e# service=git-upload-pack\n0000zzzz", "application/x-git-upload-pack-advertisement"),
        (b"\x00\xff" * 500, "application/octet-stream"),
        (b"", "text/html"),
    ],
)
def test_garbage_is_told_as_nonsense_that_may_pass(server: HttpRemote, ours: Clone, body: bytes, kind: str) -> None:
    server.answer = lambda handler: handler.say(200, body, {"Content-Type": kind})
    for refused in (
        fetch_refusal(ours),
        refusal(ours, OURS, lambda clone, remote: read_refs(clone, remote, MAIN)),
    ):
        assert isinstance(refused, RemoteUnavailableError)
        assert "refsync asks again by itself" in str(refused)


def test_a_web_server_that_hangs_is_given_up(server: HttpRemote, ours: Clone) -> None:
    def hang(handler: HttpHandler) -> None:
        server.released.wait(60)

    server.answer = hang
    refused = fetch_refusal(ours, seconds=1.0)
    assert isinstance(refused, RemoteUnavailableError)
    assert "no answer within 1 seconds; check that it is up, or give it more by `timeout_seconds` in [git]" in str(
        refused
    )


def test_a_connection_cut_in_the_middle_may_pass(server: HttpRemote, ours: Clone) -> None:
    server.answer = lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)
    assert isinstance(fetch_refusal(ours), RemoteUnavailableError)


def test_a_server_that_is_down_may_come_back(ours: Clone) -> None:
    with socket.socket() as held:  # bound, but not listening
        held.bind(("127.0.0.1", 0))
        set_url(ours, f"http://127.0.0.1:{held.getsockname()[1]}/remote.git")
        for refused in (fetch_refusal(ours), push_refusal(ours)):
            assert isinstance(refused, RemoteUnavailableError)
    assert "Failed to connect" in str(fetch_refusal(ours))


@pytest.mark.parametrize("url", ["https://no-such-host.invalid/x.git", "ssh://git@no-such-host.invalid/x.git"])
def test_a_host_name_that_cannot_be_resolved_may_pass(ours: Clone, url: str) -> None:
    if url.startswith("ssh") and not shutil.which("ssh"):
        pytest.skip("OpenSSH's client is not installed")
    set_url(ours, url)
    refused = fetch_refusal(ours)
    assert isinstance(refused, RemoteUnavailableError)
    assert "host name cannot be resolved; check the network and the URL" in str(refused)


def test_a_certificate_that_nobody_vouches_for_is_refused(
    tmp_path: Path, bare: Path, ours: Clone, machine: Machine
) -> None:
    certificate = self_signed(tmp_path)
    with serve_http(tmp_path, certificate=certificate) as server:
        set_url(ours, server.url(bare))
        refused = fetch_refusal(ours)
        assert isinstance(refused, RemoteRefusedError)
        assert "its TLS certificate is not trusted" in str(refused)
        assert server.requests == []
        machine("http.sslCAInfo", certificate)
        with Repository(ours.path, "main") as clone:
            fetch(clone, replace(OURS, url=server.origin), [f"+{MAIN}:refs/remotes/origin/main"])


def test_a_remote_that_quotes_the_secret_is_not_repeated(server: HttpRemote, ours: Clone) -> None:
    words = f"token {SECRET} of http://{USER}:{quote(SECRET, safe='')}@host/x is bad".encode()
    server.answer = lambda handler: handler.say(403, words, {"Content-Type": "text/plain"})
    refused = fetch_refusal(ours)
    assert "token *** of http://***@host/x is bad" in str(refused)


def test_a_password_in_the_url_is_shown_nowhere(server: HttpRemote, bare: Path, ours: Clone) -> None:
    set_url(ours, server.url(bare).replace("://", "://bob:hunter2@"))
    refused = fetch_refusal(ours, Remote())
    assert isinstance(refused, RemoteRefusedError)
    assert "hunter2" not in str(refused)
    server.secret, server.answer = "hunter2", says(418)
    refused = fetch_refusal(ours, Remote())
    assert "hunter2" not in str(refused)


# ssh


@pytest.fixture
def ssh(tmp_path: Path, bare: Path, ours: Clone) -> Iterator[SshServer]:
    with serve_ssh(tmp_path) as running:
        set_url(ours, running.url(bare))
        yield running


def test_an_unknown_host_key_is_refused(ssh: SshServer, ours: Clone) -> None:
    ssh.known_hosts_file.write_text("")
    refused = fetch_refusal(ours, Remote(ssh_key_file=ssh.key_file, ssh_known_hosts_file=ssh.known_hosts_file))
    assert isinstance(refused, RemoteRefusedError)
    assert f"its ssh host key is not known; compare what ssh-keyscan HOST says, and put it into {ssh.folder}" in str(
        refused
    )
    assert ssh.known_hosts_file.read_text() == ""


def test_a_changed_host_key_is_refused(ssh: SshServer, ours: Clone) -> None:
    ssh.know_host(make_key(ssh.folder / "another"))
    refused = fetch_refusal(ours, Remote(ssh_key_file=ssh.key_file, ssh_known_hosts_file=ssh.known_hosts_file))
    assert isinstance(refused, RemoteRefusedError)
    assert "its ssh host key has changed: somebody may pose as it" in str(refused)


def test_a_key_that_the_server_does_not_know_is_refused(ssh: SshServer, ours: Clone) -> None:
    stranger = make_key(ssh.folder / "stranger")
    refused = push_refusal(ours, Remote(ssh_key_file=stranger, ssh_known_hosts_file=ssh.known_hosts_file))
    assert isinstance(refused, RemoteRefusedError)
    assert f"does not let the ssh key {stranger} in; add its public half there, or correct `ssh_key_file`" in str(
        refused
    )


def test_a_path_without_a_repository_over_ssh_is_refused(ssh: SshServer, ours: Clone, tmp_path: Path) -> None:
    set_url(ours, ssh.url(tmp_path / "none.git"))
    refused = fetch_refusal(ours, Remote(ssh_key_file=ssh.key_file, ssh_known_hosts_file=ssh.known_hosts_file))
    assert isinstance(refused, RemoteRefusedError)
    assert "there is no git repository at its URL; correct it: git -C" in str(refused)


def test_a_key_file_that_is_not_there_is_told_before_anything_is_asked(ours: Clone) -> None:
    set_url(ours, "ssh://git@no-such-host.invalid/x.git")
    with (
        Repository(ours.path, "main") as clone,
        pytest.raises(CredentialError, match="ssh_key_file /nowhere/key: cannot be read: No such file"),
    ):
        fetch(clone, Remote(ssh_key_file=Path("/nowhere/key")), [f"+{MAIN}:refs/remotes/origin/main"])


# Any remote


def test_a_path_without_a_repository_is_refused(ours: Clone) -> None:
    set_url(ours, "/nowhere/remote.git")
    for refused in (fetch_refusal(ours), push_refusal(ours)):
        assert isinstance(refused, RemoteRefusedError)
        assert "there is no git repository at its URL; correct it: git -C" in str(refused)


def test_a_branch_that_the_remote_does_not_have_is_refused(ours: Clone) -> None:
    refused = fetch_refusal(ours, branch="trunk")
    assert isinstance(refused, RemoteRefusedError)
    assert "it has no branch trunk; push one there, or correct `branch`" in str(refused)


def test_a_repository_of_another_user_is_refused(
    ours: Clone, bare: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    distrust = 'GIT_TEST_ASSUME_DIFFERENT_OWNER=1 exec git upload-pack "$@"'
    part_of_git(monkeypatch, tmp_path, "git-upload-pack", distrust)
    refused = fetch_refusal(ours)
    assert isinstance(refused, RemoteRefusedError)
    assert f"belongs to another user; let git trust it: git config --global --add safe.directory {bare}" in str(refused)


def test_a_hook_that_refuses_is_told_in_its_own_words(ours: Clone, bare: Path) -> None:
    script(bare / "hooks" / "pre-receive", "echo 'no pushes on Friday' >&2; printf 'come\\033[31m back\\n' >&2; exit 1")
    refused = push_refusal(ours)
    assert isinstance(refused, RemoteRefusedError)
    assert "refuses the push (pre-receive hook declined: no pushes on Friday come [31m back)" in str(refused)


def test_a_hook_that_says_a_lot_is_cut_short(ours: Clone, bare: Path) -> None:
    script(bare / "hooks" / "pre-receive", "seq 10000 >&2; exit 1")
    assert "1 2 3" in str(push_refusal(ours))


def test_a_hook_that_quotes_git_is_not_taken_for_it(ours: Clone, bare: Path) -> None:
    script(bare / "hooks" / "pre-receive", "echo 'Authentication failed for you' >&2; exit 1")
    assert "pre-receive hook declined: Authentication failed for you" in str(push_refusal(ours))


def test_a_branch_that_is_checked_out_there_is_refused(ours: Clone, bare: Path, tmp_path: Path) -> None:
    git(tmp_path, "clone", "-q", str(bare), "there")
    set_url(ours, tmp_path / "there")
    refused = push_refusal(ours)
    assert isinstance(refused, RemoteRefusedError)
    assert "branch is currently checked out" in str(refused)


def test_a_remote_that_cannot_store_is_refused(ours: Clone, bare: Path) -> None:
    quota = "fatal: unable to create temporary object directory"
    script(bare / "hooks" / "update", f"echo '{quota}' >&2; exit 1")
    refused = push_refusal(ours)
    assert isinstance(refused, RemoteRefusedError)
    assert f"hook declined: {quota}" in str(refused)


def test_a_remote_that_says_no_without_a_pack_is_told_in_its_words(
    ours: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = "ERROR: Permission to ada/reference.git denied to bot."
    part_of_git(monkeypatch, tmp_path, "git-upload-pack", f"echo '{words}' >&2; exit 1")
    refused = fetch_refusal(ours)
    assert isinstance(refused, RemoteRefusedError)
    assert "it refuses: Permission to ada/reference.git denied to bot.; see to it there" in str(refused)


def test_words_that_nobody_knows_are_told_and_tried_again(
    ours: Clone, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part_of_git(monkeypatch, tmp_path, "git-upload-pack", "echo 'moon phase' >&2; exit 1")
    refused = fetch_refusal(ours)
    assert isinstance(refused, RemoteUnavailableError)
    assert "moon phase; refsync asks again by itself" in str(refused)


def test_a_lock_that_somebody_holds_in_the_clone_is_told_as_busy(ours: Clone) -> None:
    git(ours.path, "update-ref", "refs/remotes/origin/main", "main")
    (ours.path / ".git" / "refs" / "remotes" / "origin" / "main.lock").touch()
    with Repository(ours.path, "main") as clone, pytest.raises(GitBusyError, match="another git command is at work"):
        fetch(clone, OURS, [f"+{MAIN}:refs/remotes/origin/main"])


def test_a_credential_that_cannot_be_read_is_told_before_anything_is_asked(server: HttpRemote, ours: Clone) -> None:
    def unreadable() -> Credential:
        raise CredentialError("token_file /x: is empty")

    with Repository(ours.path, "main") as clone, pytest.raises(CredentialError):
        push(clone, Remote(credential=unreadable), MAIN, ours.tip, expected=None)
    assert server.requests == []


def test_the_credential_is_not_asked_for_where_it_is_not_used(ours: Clone) -> None:
    def unreadable() -> Credential:
        raise CredentialError("token_file /x: is empty")

    with Repository(ours.path, "main") as clone:
        fetch(clone, Remote(credential=unreadable), [f"+{MAIN}:refs/remotes/origin/main"])


def test_a_person_whose_ssh_command_is_set_keeps_it(
    ours: Clone, tmp_path: Path, machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_url(ours, "git@elsewhere:x.git")
    own = script(tmp_path / "own-ssh", "echo 'my own ssh' >&2; exit 1")
    machine("core.sshCommand", own)
    assert "my own ssh" in str(fetch_refusal(ours, Remote()))
    machine("core.sshCommand", os.devnull)
    monkeypatch.setenv("GIT_SSH_COMMAND", str(own))
    assert "my own ssh" in str(fetch_refusal(ours, Remote()))
