"""What an operator meets when a remote or a forge refuses: one line that says what to do, and nothing lost.

Each trouble is put in the way of one approved change, met by ``refsync sync``, and mended.
"""

from __future__ import annotations

import re
import socket
import time
from base64 import b64encode
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from refsync.forges import github
from refsync.pending_queue.models import BatchState, PendingChangeStatus
from tests.support.command_line import Desk
from tests.support.daemon import wait_for
from tests.support.forge import SIGN_IN, ForgeStandIn, unhurried
from tests.support.published import PublishedReference, PublishedSite, RequestedReference
from tests.support.repositories import as_machine_setting, git
from tests.support.transports import (
    SECRET,
    USER,
    HttpHandler,
    HttpRemote,
    bare_repository,
    script,
    self_signed,
    serve_http,
    serve_ssh,
)

ALPHA = {"version": "2", "nsfw": False}
PROTECTED = "error: GH006: Protected branch update failed for refs/heads/main."
TOKEN = "t0ken-of-refsync"
ROTATED = "s3cret-two"
LET_IN = f"http.extraHeader=Authorization: Basic {b64encode(f'{USER}:{SECRET}'.encode()).decode()}"


pytestmark = pytest.mark.usefixtures("bare_git")


def title(value: object) -> str:
    """What pytest calls a case."""
    return "" if isinstance(value, str) else getattr(value, "__name__", "")


@dataclass(frozen=True)
class World:
    """A reference that is published over http, with a token in a file, and who operates it."""

    reference: PublishedReference
    desk: Desk
    server: HttpRemote

    @property
    def token_file(self) -> Path:
        return self.reference.folder / "token"

    @property
    def clone(self) -> Path:
        return self.reference.clone.path

    @property
    def bare(self) -> Path:
        return self.reference.remote.path

    def point_to(self, url: object) -> None:
        git(self.clone, "remote", "set-url", "origin", str(url))
        config = self.reference.config_file
        config.write_text(re.sub(r'(?m)^url = "(?!postgresql).*"', f'url = "{url}"', config.read_text()))

    @contextmanager
    def pointed_to(self, url: object) -> Iterator[None]:
        before = git(self.clone, "remote", "get-url", "origin")
        self.point_to(url)
        yield
        self.point_to(before)

    @contextmanager
    def answering(self, answer: Callable[[HttpHandler], None]) -> Iterator[None]:
        self.server.answer = answer
        yield
        self.server.released.set()
        self.server.answer = None

    @contextmanager
    def hook(self, text: str) -> Iterator[None]:
        hook = script(self.bare / "hooks" / "pre-receive", text)
        yield
        hook.unlink()


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    (tmp_path / "token").write_text(f"{SECRET}\n")
    bare = bare_repository(tmp_path / "remote.git")
    credentials = f'url = "x:y"\n[repository.credentials]\nusername = "{USER}"\ntoken_file = "{tmp_path}/token"\n'
    with serve_http(tmp_path) as server:
        reference = PublishedReference(tmp_path, "push", repository=credentials, remote=bare)
        made = World(reference, Desk(reference.clone, tmp_path), server)
        made.point_to(server.url(bare))
        assert made.desk("sync").done  # the history is counted
        yield made
        reference.close()


Trouble = Callable[[World], AbstractContextManager[None]]


def refusal(desk: Desk) -> str:
    """The one line by which ``refsync sync`` fails."""
    ended = desk("sync")
    assert (ended.code, ended.out) == (1, ""), ended
    [line] = ended.err.splitlines()
    assert line.startswith("refsync: image: ")
    assert not [word for word in (SECRET, ROTATED, TOKEN) if word in line]
    return line.removeprefix("refsync: image: ")


def told_in_status(desk: Desk) -> str:
    return " ".join(desk("status").done.out.split())


def assert_landed(reference: PublishedReference, change: int) -> None:
    """Exactly once, and the clone shows it."""
    assert reference.change(change).status is PendingChangeStatus.APPLIED
    assert reference.remote.subjects().count("New models") == 1
    assert reference.in_step()


# What goes away by itself, or by mending what the line names


@contextmanager
def a_revoked_token(world: World) -> Iterator[None]:
    world.server.secret = ROTATED
    yield
    world.token_file.write_text(f"{ROTATED}\n")


@contextmanager
def a_token_file_that_is_gone(world: World) -> Iterator[None]:
    world.token_file.unlink()
    yield
    world.token_file.write_text(SECRET)


@contextmanager
def a_token_without_the_scope_to_write(world: World) -> Iterator[None]:
    def read_only(handler: HttpHandler) -> None:
        if "receive-pack" in handler.path:
            handler.say(403, b"Write access to repository not granted.\n", {"Content-Type": "text/plain"})
        else:
            handler.run_backend()

    with world.answering(read_only):
        yield


@contextmanager
def a_repository_that_is_not_there(world: World) -> Iterator[None]:
    with world.answering(lambda handler: handler.say(404)):
        yield


@contextmanager
def a_remote_that_sends_garbage(world: World) -> Iterator[None]:
    with world.answering(lambda handler: handler.say(200, SIGN_IN.encode(), {"Content-Type": "text/html"})):
        yield


@contextmanager
def a_remote_that_hangs(world: World) -> Iterator[None]:
    def hang(handler: HttpHandler) -> None:
        world.server.released.wait(60)

    impatient = "[git]\ntimeout_seconds = 2.0\n"
    config = world.desk.config.read_text()
    world.desk.config.write_text(config + impatient)
    with world.answering(hang):
        yield
    world.desk.config.write_text(config)


@contextmanager
def a_remote_that_is_down(world: World) -> Iterator[None]:
    with socket.socket() as held:  # bound, but not listening
        held.bind(("127.0.0.1", 0))
        with world.pointed_to(f"http://127.0.0.1:{held.getsockname()[1]}/remote.git"):
            yield


@contextmanager
def a_redirect_to_another_host(world: World) -> Iterator[None]:
    with serve_http(world.reference.folder) as other:
        world.server.redirect = other.origin
        yield
        assert not [request for request in other.requests if request.authorization]
        world.server.redirect = ""


@contextmanager
def a_certificate_that_nobody_vouches_for(world: World) -> Iterator[None]:
    certificate = self_signed(world.reference.folder)
    with (
        serve_http(world.reference.folder, certificate=certificate) as server,
        world.pointed_to(server.url(world.bare)),
    ):
        yield
        assert server.requests == []
        assert world.desk("sync", stdin=b"", **as_machine_setting("http.sslCAInfo", certificate)).done


@contextmanager
def a_host_key_that_is_not_known(world: World) -> Iterator[None]:
    config = world.desk.config
    with serve_ssh(world.reference.folder) as ssh:
        known = ssh.known_hosts_file.read_text()
        ssh.known_hosts_file.write_text("")
        files = f'ssh_key_file = "{ssh.key_file}"\nssh_known_hosts_file = "{ssh.known_hosts_file}"\n'
        config.write_text(config.read_text() + files)
        with world.pointed_to(ssh.url(world.bare)):
            yield
            ssh.known_hosts_file.write_text(known)
            assert world.desk("sync").done


@contextmanager
def a_branch_that_the_remote_lacks(world: World) -> Iterator[None]:
    git(world.bare, "branch", "-m", "main", "trunk")
    yield
    git(world.bare, "branch", "-m", "trunk", "main")


@contextmanager
def a_remote_that_may_not_write_its_disk(world: World) -> Iterator[None]:
    folders = [world.bare / "objects" / f"{number:02x}" for number in range(256)]
    blocked = [folder for folder in folders if not folder.exists()]
    for each in blocked:
        each.touch()
    yield
    for each in blocked:
        each.unlink()


PASSING: list[tuple[Trouble, str]] = [
    (a_remote_that_may_not_write_its_disk, "it did not take the push (unable to migrate objects to permanent storage"),
    (a_revoked_token, "does not accept the token of [repository.credentials]: wrong, expired or revoked"),
    (a_token_file_that_is_gone, "cannot be read: No such file or directory; put the token there"),
    (
        a_token_without_the_scope_to_write,
        "denies access to the token of [repository.credentials]: Write access to repository not granted.; "
        "give it the right to do this (a token's scope: read and write contents)",
    ),
    (a_repository_that_is_not_there, "its URL names no repository that the token of [repository.credentials] may see"),
    (a_remote_that_sends_garbage, "it is empty or answers what is no git; check its URL"),
    (a_remote_that_hangs, "no answer within 2 seconds; check that it is up"),
    (a_remote_that_is_down, "Failed to connect to 127.0.0.1"),
    (a_redirect_to_another_host, "which is given no credentials; if it has moved there: git -C"),
    (a_certificate_that_nobody_vouches_for, "its TLS certificate is not trusted"),
    (a_host_key_that_is_not_known, "its ssh host key is not known; compare what ssh-keyscan HOST says"),
    (a_branch_that_the_remote_lacks, "it has no branch main; push one there, or correct `branch`"),
]


@pytest.mark.parametrize(("trouble", "words"), PASSING, ids=title)
def test_a_push_waits_until_this_is_mended(world: World, trouble: Trouble, words: str) -> None:
    change = world.reference.update("alpha", ALPHA)
    before = world.reference.remote.path.stat().st_ino, world.reference.clone.tip
    with trouble(world):
        line = refusal(world.desk)
        assert line.startswith((f"{world.clone}: remote 'origin': ", "token_file "))
        assert words in line
        assert refusal(world.desk) == line
        assert line in told_in_status(world.desk)
        assert world.reference.change(change).status is PendingChangeStatus.APPROVED
        assert (world.reference.remote.path.stat().st_ino, world.reference.clone.tip) == before
    assert world.desk("sync").done
    assert_landed(world.reference, change)


def test_a_clone_that_was_made_shallow_gets_its_history_back(world: World) -> None:
    git(world.clone, "-c", LET_IN, "fetch", "-q", "--depth=1")
    assert (world.clone / ".git" / "shallow").exists()
    change = world.reference.update("alpha", ALPHA)
    assert world.desk("sync").done
    assert not (world.clone / ".git" / "shallow").exists()
    assert_landed(world.reference, change)
    world.reference.assert_counted()


# What a person has to allow first


def a_protected_branch(world: World) -> AbstractContextManager[None]:
    return world.hook(f"echo '{PROTECTED}' >&2; exit 1")


def a_hook_that_refuses(world: World) -> AbstractContextManager[None]:
    return world.hook("echo 'no pushes on Friday' >&2; exit 1")


REFUSED: list[tuple[Trouble, str]] = [
    (a_protected_branch, "(pre-receive hook declined: GH006: Protected branch update failed for refs/heads/main.)"),
    (a_hook_that_refuses, "(pre-receive hook declined: no pushes on Friday)"),
]


@pytest.mark.parametrize(("trouble", "words"), REFUSED, ids=title)
def test_a_push_that_is_refused_holds_the_batch(world: World, trouble: Trouble, words: str) -> None:
    change = world.reference.update("alpha", ALPHA)
    with trouble(world):
        line = refusal(world.desk)
        assert f"it refuses the push {words}; do what it asks for, or have its rules changed" in line
        assert line.endswith("; then: refsync batch retry 1")
        assert refusal(world.desk) == line
        assert told_in_status(world.desk).count("refsync batch retry 1") == 1
        assert world.reference.batches()[0].state is BatchState.held
        assert world.reference.change(change).status is PendingChangeStatus.APPROVED
    assert world.desk("batch", "retry", 1).done
    assert world.desk("sync").done
    assert_landed(world.reference, change)


# A branch for review, and the forge


def test_a_persons_branch_of_the_same_name_is_never_overwritten(tmp_path: Path) -> None:
    reference = PublishedReference(tmp_path, "branch")
    desk = Desk(reference.clone, tmp_path)
    reference.update("alpha", ALPHA)
    assert desk("batch", "seal").done
    branch = f"refsync/batch-1-{(reference.batches()[0].job or '')[:6]}"
    git(reference.person.path, "push", "-q", "origin", f"main:refs/heads/{branch}")
    theirs = reference.remote.head(branch)
    line = desk("sync").err.splitlines()[-1]
    assert f"the branch {branch} on origin holds somebody else's commit {theirs[:12]}; delete or rename it" in line
    assert reference.remote.head(branch) == theirs
    git(reference.person.path, "push", "-q", "origin", f":refs/heads/{branch}")
    assert desk("batch", "retry", 1).done
    assert f"batch 1 proposed: branch {branch}" in desk("sync").done.out
    reference.close()


@dataclass(frozen=True)
class Forge:
    """A reference whose pull requests are opened on a stand-in of GitHub, which a token lets in."""

    reference: RequestedReference
    desk: Desk
    stand_in: ForgeStandIn

    @property
    def token_file(self) -> Path:
        return self.reference.folder / "token"

    @contextmanager
    def config(self, old: str, new: str) -> Iterator[None]:
        text = self.desk.config.read_text()
        self.desk.config.write_text(text.replace(old, new))
        yield
        self.desk.config.write_text(text)


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Forge]:
    monkeypatch.setattr(github, "open_github", partial(github.open_github, pace=unhurried()))
    with ForgeStandIn(tmp_path) as stand_in:
        stand_in.require_token(TOKEN)
        reference = RequestedReference(tmp_path, stand_in)
        desk = Desk(reference.clone, tmp_path)
        assert desk("sync").done
        yield Forge(reference, desk, stand_in)
        reference.close()


@contextmanager
def a_token_that_was_revoked(forge: Forge) -> Iterator[None]:
    forge.stand_in.require_token("t0ken-two")
    yield
    forge.token_file.write_text("t0ken-two")


@contextmanager
def a_token_without_the_permission(forge: Forge) -> Iterator[None]:
    forge.stand_in.permit(pull_requests="read")
    yield
    forge.stand_in.permissions = None


@contextmanager
def a_name_that_no_repository_has(forge: Forge) -> Iterator[None]:
    with forge.config("owner/reference", "owner/none"):
        yield


@contextmanager
def a_forge_that_is_down(forge: Forge) -> Iterator[None]:
    forge.stand_in.fail_next(502, times=9)
    yield
    forge.stand_in.mend()


@contextmanager
def a_forge_that_sends_garbage(forge: Forge) -> Iterator[None]:
    forge.stand_in.garbage_next(times=9)
    yield
    forge.stand_in.mend()


@contextmanager
def a_forge_that_limits_the_rate(forge: Forge) -> Iterator[None]:
    stopped = time.time()
    forge.stand_in.clock = lambda: stopped
    forge.stand_in.rate_limit(90, "secondary")
    yield
    forge.stand_in.clock = time.time
    forge.stand_in.rate_limit(0)


@contextmanager
def a_forge_that_redirects_to_another_host(forge: Forge) -> Iterator[None]:
    with serve_http(forge.reference.folder) as other:
        for _ in range(9):
            forge.stand_in.redirect_next(other.origin)
        yield
        assert other.requests == []
        forge.stand_in.mend()


ForgeTrouble = Callable[[Forge], AbstractContextManager[None]]

FORGE: list[tuple[ForgeTrouble, str]] = [
    (a_token_that_was_revoked, "wrong, expired or revoked"),
    (a_token_without_the_permission, "give the credential the permission pull_requests=write"),
    (a_name_that_no_repository_has, "check the repository's name and that the credential may see it"),
    (a_forge_that_is_down, "fails (status 502)"),
    (a_forge_that_sends_garbage, "answers what is no JSON; check base_url and what stands between"),
    (a_forge_that_limits_the_rate, "asks to wait 90 seconds (rate limit)"),
    (a_forge_that_redirects_to_another_host, "where credentials are not sent; correct base_url"),
]


@pytest.mark.parametrize(("trouble", "words"), FORGE, ids=title)
def test_a_pull_request_waits_until_this_is_mended(forge: Forge, trouble: ForgeTrouble, words: str) -> None:
    change = forge.reference.update("alpha", ALPHA)
    with trouble(forge):
        ended = forge.desk("sync")
        [line] = ended.err.splitlines()
        assert (ended.code, TOKEN in line) == (1, False)
        assert words in line
        assert line.startswith("refsync: image: ")
        assert line.endswith("; everything else went on")
        assert words in told_in_status(forge.desk)
        assert forge.reference.batches()[0].state is BatchState.proposed
        assert forge.reference.change(change).status is PendingChangeStatus.APPROVED
    assert forge.desk("sync").done
    assert [pull.state for pull in forge.stand_in.pulls.values()] == ["open"]


# The daemon


def test_the_daemon_tells_each_trouble_once_and_recovers_by_itself(tmp_path: Path) -> None:
    (tmp_path / "token").write_text(SECRET)
    bare = bare_repository(tmp_path / "remote.git")
    credentials = f'url = "x:y"\n[repository.credentials]\nusername = "{USER}"\ntoken_file = "{tmp_path}/token"\n'
    with serve_http(tmp_path) as server:
        credentials = credentials.replace("x:y", server.origin)
        site = PublishedSite(tmp_path / "site", "push", credentials, remote=bare)
        git(site.clone.path, "remote", "set-url", "origin", server.url(bare))
        site.write_config(level="TRACE")
        with site.daemon() as daemon:
            server.secret = ROTATED
            site.approve("First")
            daemon.wait_until_logged("does not accept the token of [repository.credentials]")
            (tmp_path / "token").write_text(f"{ROTATED}\n")
            wait_for("the first model on the remote", lambda: site.on_remote("First"))
            daemon.wait_until_logged("image: held: no longer")
            server.answer = lambda handler: handler.say(404)
            daemon.wait_until_logged("its URL names no repository that the token of [repository.credentials] may see")
            server.answer = None
            daemon.wait_until_logged("image: held: no longer", times=2)
            hook = script(bare / "hooks" / "pre-receive", f"echo '{PROTECTED}' >&2; exit 1")
            site.approve("Second")
            daemon.wait_until_logged("batch 2: held: ")
            hook.unlink()
            assert site.run("batch", "retry", "2").returncode == 0
            wait_for("the second model on the remote", lambda: site.on_remote("Second"))
            wait_for("the end of the landing", site.in_step)
            assert daemon.stop() == 0
    assert len(daemon.lines("ERROR")) == 2
    assert len(daemon.lines("WARNING")) == 1
    assert not [file for file in site.folder.rglob("*") if file.is_file() and holds_a_secret(file)]


def holds_a_secret(file: Path) -> bool:
    """Whether a file of refsync's, or of the clone's, has kept what lets us in."""
    content = file.read_bytes()
    return any(secret.encode() in content for secret in (SECRET, ROTATED))
