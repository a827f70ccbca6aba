from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from refsync.clone.remotes import Remote, fetch, prefetch_blobs, push, read_refs
from refsync.clone.repository import Repository
from refsync.credentials import Credential, token_source
from refsync.errors import BranchMovedError, CloneError, RemoteRefusedError, RemoteUnavailableError
from tests.support.daemon import command_line, wait_for
from tests.support.repositories import Clone, git
from tests.support.transports import (
    SECRET,
    TRANSPORTS,
    USER,
    HttpHandler,
    Transport,
    bare_repository,
    part_of_git,
    script,
    serve_http,
    transport_to,
)

MAIN = "refs/heads/main"
TRACKING = "refs/remotes/origin/main"
PROPOSAL = "refs/heads/refsync/batch-1"
FILE = "clip.json"
Machine = Callable[[str, object], None]
OURS = Remote(credential=lambda: Credential(USER, SECRET))
TO_TRACKING = [f"+{MAIN}:{TRACKING}"]

pytestmark = pytest.mark.usefixtures("bare_git")


class World:
    """A bare remote with one commit, our clone of it, and a person's clone by path."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.bare = bare_repository(folder / "remote.git")
        self.person = Clone.create(folder / "person", {FILE: {"ViT": {"name": "ViT"}}})
        git(self.person.path, "remote", "add", "origin", str(self.bare))
        git(self.person.path, "push", "-q", "origin", "main")
        self.ours = Clone.of_bundle(self.bare, folder / "ours")
        self.remote = Remote()

    def reached_by(self, transport: Transport) -> World:
        self.configure("remote.origin.url", transport.url)
        told = transport.remote.url or transport.url
        self.remote = replace(transport.remote, url=told if transport.remote.credential else "")
        return self

    def configure(self, key: str, value: object) -> None:
        git(self.ours.path, "config", key, str(value))

    def open(self, seconds: float = 60.0) -> Repository:
        return Repository(self.ours.path, "main", timeout_seconds=seconds)

    def fetch(self, refspecs: list[str] = TO_TRACKING, *, prune: bool = False, paths: tuple[str, ...] = ()) -> None:
        with self.open() as clone:
            fetch(clone, self.remote, refspecs, prune=prune, paths=paths)

    def push(self, ref: str, commit: str | None, expected: str | None) -> None:
        with self.open() as clone:
            push(clone, self.remote, ref, commit, expected=expected)

    def read_refs(self, *patterns: str) -> dict[str, str]:
        with self.open() as clone:
            return read_refs(clone, self.remote, *patterns)

    def person_pushes(self, name: str = "theirs", branch: str = "main") -> str:
        commit = self.person.commit({FILE: {name: {"name": name}}})
        git(self.person.path, "push", "-q", "-f", "origin", f"HEAD:refs/heads/{branch}")
        return commit

    def commit(self, name: str = "ours") -> str:
        """A commit of ours that is on no remote yet."""
        return self.ours.commit({FILE: {name: {"name": name}}})

    def there(self, ref: str = MAIN) -> str:
        """Where the ref stands on the remote; empty where it does not."""
        return git(self.bare, "rev-parse", "-q", "--verify", ref, check=False)

    def here(self, ref: str = TRACKING) -> str:
        return git(self.ours.path, "rev-parse", "-q", "--verify", ref, check=False)

    def hook(self, name: str, text: str) -> None:
        """A hook of the remote."""
        script(self.bare / "hooks" / name, text)


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


# Over every transport


@pytest.fixture(params=TRANSPORTS)
def reached(request: pytest.FixtureRequest, world: World) -> Iterator[World]:
    with transport_to(world.bare, request.param, world.folder) as transport:
        yield world.reached_by(transport)


def test_a_fetch_brings_the_branch_and_nothing_else(reached: World) -> None:
    git(reached.person.path, "tag", "-m", "a tag", "v1")
    git(reached.person.path, "push", "-q", "origin", "v1", "HEAD:refs/heads/other")
    commit = reached.person_pushes()
    reached.fetch()
    assert reached.here() == commit
    assert (
        git(reached.ours.path, "for-each-ref", "--format=%(refname)") == f"{MAIN}\nrefs/remotes/origin/HEAD\n{TRACKING}"
    )
    assert not (reached.ours.path / ".git" / "FETCH_HEAD").exists()


def test_a_fetch_with_prune_forgets_the_branches_that_are_gone(reached: World) -> None:
    reached.person_pushes(branch="refsync/batch-1")
    wildcard = ["+refs/heads/refsync/*:refs/remotes/origin/refsync/*"]
    reached.fetch(wildcard)
    assert reached.here("refs/remotes/origin/refsync/batch-1")
    git(reached.bare, "update-ref", "-d", PROPOSAL)
    reached.fetch(wildcard)
    assert reached.here("refs/remotes/origin/refsync/batch-1")
    reached.fetch(wildcard, prune=True)
    assert not reached.here("refs/remotes/origin/refsync/batch-1")
    assert reached.here(TRACKING)


def test_refs_are_read_by_full_name_or_wildcard(reached: World) -> None:
    first = reached.there()
    for name in ("refs/heads/refsync/a", "refs/heads/refsync/b/c", "refs/heads/x/refs/heads/main"):
        git(reached.bare, "update-ref", name, first)
    assert reached.read_refs(MAIN, "refs/heads/none") == {MAIN: first}
    assert reached.read_refs("refs/heads/none") == {}
    assert set(reached.read_refs("refs/heads/refsync/*")) == {"refs/heads/refsync/a", "refs/heads/refsync/b/c"}
    assert len(reached.read_refs()) == 4


def test_a_push_moves_the_branch_from_where_it_was_expected(reached: World) -> None:
    first = reached.there()
    commit = reached.commit()
    reached.push(MAIN, commit, first)
    assert reached.there() == commit


def test_a_lost_race_is_told_and_leaves_the_branch_to_the_winner(reached: World) -> None:
    first = reached.there()
    theirs = reached.person_pushes()
    with pytest.raises(BranchMovedError, match=f"main moved meanwhile, from {first[:12]} to {theirs[:12]}"):
        reached.push(MAIN, reached.commit(), first)
    assert reached.there() == theirs


def test_a_push_that_somebody_has_built_on_already_has_arrived(reached: World) -> None:
    first = reached.there()
    reached.hook(
        "post-receive",
        "export GIT_AUTHOR_NAME=Bob GIT_AUTHOR_EMAIL=b@b GIT_COMMITTER_NAME=Bob GIT_COMMITTER_EMAIL=b@b\n"
        "git update-ref refs/heads/main $(git commit-tree -p main -m next main^{tree})",
    )
    commit = reached.commit()
    reached.push(MAIN, commit, first)
    assert git(reached.bare, "rev-parse", "main^") == commit


def test_a_branch_is_created_only_where_there_is_none(reached: World) -> None:
    commit = reached.commit()
    reached.push(PROPOSAL, commit, None)
    assert reached.there(PROPOSAL) == commit
    with pytest.raises(BranchMovedError, match="refsync/batch-1 moved meanwhile, from nothing to"):
        reached.push(PROPOSAL, reached.commit("another"), None)
    assert reached.there(PROPOSAL) == commit


def test_a_proposal_is_replaced_only_where_it_is_as_expected(reached: World) -> None:
    first = reached.there()
    theirs = reached.person_pushes(branch="refsync/batch-1")
    commit = reached.commit()
    with pytest.raises(BranchMovedError):
        reached.push(PROPOSAL, commit, first)
    reached.push(PROPOSAL, commit, theirs)
    assert reached.there(PROPOSAL) == commit


def test_a_branch_is_deleted_only_where_it_is_as_expected(reached: World) -> None:
    first = reached.there()
    theirs = reached.person_pushes(branch="refsync/batch-1")
    with pytest.raises(BranchMovedError):
        reached.push(PROPOSAL, None, first)
    reached.push(PROPOSAL, None, theirs)
    assert not reached.there(PROPOSAL)
    reached.push(PROPOSAL, None, theirs)


# What a push says is not believed


def test_a_push_that_arrived_although_it_reported_failure_is_done(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, commit = world.there(), world.commit()
    part_of_git(monkeypatch, world.folder, "git-receive-pack", 'git receive-pack "$@"; exit 1')
    with pytest.raises(AssertionError, match="git push"):
        git(world.ours.path, "push", "origin", f"main:{PROPOSAL}", GIT_EXEC_PATH=os.environ["GIT_EXEC_PATH"])
    world.push(MAIN, commit, first)
    assert world.there() == commit


def test_a_push_that_reported_success_and_is_gone_is_told(world: World) -> None:
    first, commit = world.there(), world.commit()
    world.hook("post-receive", f"git update-ref refs/heads/main {first}")
    with pytest.raises(RemoteUnavailableError, match="reported success, but main is still at"):
        world.push(MAIN, commit, first)


def test_a_push_of_which_nobody_can_tell_whether_it_arrived_is_asked_about_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, commit = world.there(), world.commit()
    gone = world.folder / "gone"
    world.hook("post-receive", f"touch {gone}")
    answer = f'test -e {gone} && exit 1; exec git upload-pack "$@"'
    part_of_git(monkeypatch, world.folder, "git-upload-pack", answer)
    with pytest.raises(RemoteUnavailableError, match="unknown whether it arrived; the next pass asks again"):
        world.push(MAIN, commit, first)
    gone.unlink()
    world.push(MAIN, commit, first)


# Deadlines and hooks


def test_a_hanging_remote_is_ended_with_its_children(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    pids = world.folder / "pids"
    hang = f"sleep 300 & echo $$ $! > {pids}.new; mv {pids}.new {pids}; wait"
    part_of_git(monkeypatch, world.folder, "git-upload-pack", hang)
    with world.open(1.0) as clone, pytest.raises(RemoteUnavailableError, match="'origin': no answer within 1 seconds"):
        fetch(clone, world.remote, TO_TRACKING)
    left = [int(pid) for pid in pids.read_text().split()]
    wait_for("the end of the children", lambda: not any(map(_runs, left)))


def _runs(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_no_hook_of_the_clone_runs_but_those_of_the_remote_do(world: World) -> None:
    first, commit = world.there(), world.commit()
    world.hook("post-receive", f"touch {world.folder}/theirs")
    for name in ("pre-push", "reference-transaction"):
        script(world.ours.path / ".git" / "hooks" / name, f"touch {world.folder}/{name}")
    world.push(MAIN, commit, first)
    world.fetch()
    assert (world.folder / "theirs").exists()
    assert not (world.folder / "pre-push").exists()
    assert not (world.folder / "reference-transaction").exists()


# Histories that are cut off, and clones without all blobs


def test_a_shallow_clone_is_deepened(world: World) -> None:
    world.person_pushes()
    shallow = Clone(world.folder / "shallow")
    git(world.folder, "clone", "-q", "--depth=1", f"file://{world.bare}", str(shallow.path))
    with Repository(shallow.path, "main") as clone:
        fetch(clone, world.remote, TO_TRACKING)
    assert git(shallow.path, "rev-list", "--count", TRACKING) == "2"


def test_a_shallow_clone_of_a_shallow_remote_is_refused(world: World) -> None:
    world.person_pushes()
    git(world.folder, "clone", "-q", "--bare", "--depth=1", f"file://{world.bare}", "cut.git")
    git(world.folder, "clone", "-q", "file:///" + str(world.folder / "cut.git"), "shallow")
    with (
        Repository(world.folder / "shallow", "main") as clone,
        pytest.raises(RemoteRefusedError, match=r"history of .* is cut off .* git -C .* fetch --unshallow URL"),
    ):
        fetch(clone, world.remote, TO_TRACKING)


@pytest.fixture
def partial(world: World, monkeypatch: pytest.MonkeyPatch) -> World:
    """Our clone has no blob but those of its work tree; each visit to the remote is a line of a log."""
    for name in "abc":
        world.person.commit({FILE: {name: {"name": name}}, "picture.png": name.encode(), "[x].json": {name: {}}})
    git(world.person.path, "push", "-q", "origin", "main")
    git(world.folder, "clone", "-q", "--filter=blob:none", f"file://{world.bare}", "partial")
    world.ours = Clone(world.folder / "partial")
    visit = f'echo >> {world.folder}/visits; exec git upload-pack "$@"'
    part_of_git(monkeypatch, world.folder, "git-upload-pack", visit)
    return world


def visits(world: World) -> int:
    log = world.folder / "visits"
    return len(log.read_text().splitlines()) if log.exists() else 0


def missing(world: World) -> int:
    return git(world.ours.path, "rev-list", "--objects", "--all", "--missing=print").count("?")


def test_a_partial_clone_gets_the_files_of_all_new_commits_in_one_round_trip(partial: World) -> None:
    before = missing(partial)
    for name in "def":
        partial.person.commit({FILE: {name: {"name": name}}, "picture.png": name.encode()})
    tip = partial.person_pushes("last")
    partial.fetch(paths=(FILE,))
    assert visits(partial) == 2
    assert missing(partial) == before + 3
    with partial.open() as clone:
        found = [clone.file_at(f"{tip}~{back}", FILE) for back in range(4)]
        assert [list(json.loads(clone.read_blob(file.blob))) for file in found if file] == [
            ["last"],
            ["f"],
            ["e"],
            ["d"],
        ]
    assert visits(partial) == 2


def test_the_whole_history_of_some_files_is_fetched_in_one_round_trip(partial: World) -> None:
    before = missing(partial)
    tip = partial.here()
    with partial.open() as clone:
        prefetch_blobs(clone, partial.remote, None, tip, (FILE, "[x].json"))
        assert (visits(partial), missing(partial)) == (1, before - 5)
        prefetch_blobs(clone, partial.remote, None, tip, (FILE, "[x].json"))
    assert visits(partial) == 1


def test_the_versions_from_a_commit_on_are_fetched_with_its_own(partial: World) -> None:
    before = missing(partial)
    tip = partial.here()
    with partial.open() as clone:
        prefetch_blobs(clone, partial.remote, f"{tip}~1", tip, (FILE,))
    assert missing(partial) == before - 1


def test_a_complete_clone_prefetches_nothing(world: World) -> None:
    world.configure("remote.origin.url", "/nowhere")
    with world.open() as clone:
        prefetch_blobs(clone, world.remote, None, world.here(), (FILE,))


# Clones of all kinds


def test_a_linked_work_tree_fetches_and_pushes(world: World) -> None:
    git(world.ours.path, "checkout", "-q", "-b", "aside")
    git(world.ours.path, "worktree", "add", "-q", str(world.folder / "linked"), "main")
    world.ours = Clone(world.folder / "linked")
    world.fetch()
    first, commit = world.there(), world.commit()
    world.push(MAIN, commit, first)
    assert world.there() == commit


def test_a_fetch_of_a_remote_that_the_clone_does_not_have_is_told(world: World) -> None:
    world.remote = Remote("upstream")
    with pytest.raises(CloneError, match=r"no remote 'upstream'; run: git -C .* remote add upstream URL, or correct"):
        world.fetch()


# Credentials


def test_a_rotated_token_is_taken_up(world: World) -> None:
    token = world.folder / "token"
    with serve_http(world.folder) as server:
        source = token_source(username=USER, file=token, variable="", credential="", environ={})
        world.reached_by(Transport(server.url(world.bare), Remote(credential=source)))
        token.write_text(f"{SECRET}\n")
        world.fetch()
        server.secret = "another"
        with pytest.raises(RemoteRefusedError):
            world.fetch()
        token.write_text("another\n")
        world.fetch()


def test_settings_that_the_environment_has_already_stay_in_force(world: World, machine: Machine) -> None:
    with serve_http(world.folder) as server:
        world.reached_by(Transport("elsewhere:remote.git", replace(OURS, url=server.origin)))
        machine(f"url.{server.origin}/.insteadOf", "elsewhere:")
        world.fetch()
        assert server.requests


def test_no_helper_of_the_machine_is_asked_or_told(world: World, machine: Machine) -> None:
    store = script(world.folder / "helper", f"cat >> {world.folder}/told; echo; echo password=wrong")
    machine("credential.helper", store)
    with serve_http(world.folder) as server:
        world.reached_by(Transport(server.url(world.bare), OURS))
        world.fetch()
    assert not (world.folder / "told").exists()


def test_without_a_credential_the_settings_of_the_machine_are_in_force(world: World, machine: Machine) -> None:
    (world.folder / "answer").write_text(f"username={USER}\npassword={SECRET}\n")
    machine("credential.helper", script(world.folder / "helper", f"cat {world.folder}/answer"))
    with serve_http(world.folder) as server:
        world.reached_by(Transport(server.url(world.bare), Remote()))
        world.fetch()


def test_the_secret_stands_in_no_argument_and_no_config(world: World) -> None:
    seen: list[str] = []

    def look(handler: HttpHandler) -> None:
        seen.extend(" ".join(command_line(child)) for child in psutil.Process().children(recursive=True))
        handler.say(500)

    with serve_http(world.folder) as server:
        server.answer = look
        world.reached_by(Transport(server.url(world.bare), OURS))
        with pytest.raises(RemoteUnavailableError):
            world.fetch()
    assert any("git-remote-http" in line or "remote-http" in line for line in seen)
    assert SECRET not in "".join(seen)
    assert SECRET not in (world.ours.path / ".git" / "config").read_text()


def test_a_redirect_to_another_host_gets_no_credential(world: World) -> None:
    with serve_http(world.folder) as server, serve_http(world.folder) as other:
        server.redirect = other.origin
        world.reached_by(Transport(server.url(world.bare), OURS))
        with pytest.raises(RemoteRefusedError, match=f"redirects to {other.origin}, which is given no credentials"):
            world.fetch()
    assert {request.authorization for request in other.requests} == {None}


def test_a_redirect_of_whom_the_remote_let_in_gets_no_credential(world: World) -> None:
    with serve_http(world.folder) as server, serve_http(world.folder) as other:
        server.answer = lambda handler: handler.say(302, headers={"Location": other.origin + handler.path})
        world.reached_by(Transport(server.url(world.bare), OURS))
        with pytest.raises(RemoteRefusedError, match="leads on to another host"):
            world.fetch()
    assert {request.authorization for request in other.requests} == {None}


def test_nothing_is_asked_on_a_terminal_or_desktop(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = script(world.folder / "ask", f"touch {world.folder}/asked; echo {SECRET}")
    for name in ("GIT_ASKPASS", "SSH_ASKPASS"):
        monkeypatch.setenv(name, str(asked))
    monkeypatch.setenv("SSH_ASKPASS_REQUIRE", "force")
    world.configure("core.askPass", asked)
    with serve_http(world.folder) as server:
        world.reached_by(Transport(server.url(world.bare), Remote()))
        with pytest.raises(RemoteRefusedError, match=r"name a token in \[repository.credentials\]"):
            world.fetch()
    assert not (world.folder / "asked").exists()


def test_no_descriptor_is_left_behind(world: World) -> None:
    world.fetch()
    before = len(os.listdir("/proc/self/fd"))
    world.push(MAIN, world.commit(), world.there())
    world.fetch()
    assert len(os.listdir("/proc/self/fd")) == before
