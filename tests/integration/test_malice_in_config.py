"""Who may write a clone's config runs no command of theirs, and gets no secret."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from refsync.clone.branch_move import move_at_once
from refsync.clone.remotes import Remote, fetch, push
from refsync.clone.repository import Repository
from refsync.clone.revisions import at_revision, at_work_tree, differing_files
from refsync.clone.upkeep import tidy
from refsync.credentials import Credential
from refsync.errors import CloneError, CredentialError, RemoteRefusedError
from tests.support.command_line import Desk
from tests.support.repositories import Clone, bare_remote, git
from tests.support.transports import SECRET, USER, bare_repository, script, serve_http

TO_TRACKING = ["+refs/heads/main:refs/remotes/origin/main"]
LET_IN = Remote(credential=lambda: Credential(USER, SECRET))

pytestmark = pytest.mark.usefixtures("bare_git")


@pytest.fixture
def witness(tmp_path: Path) -> Path:
    """A command that leaves a trace."""
    return script(tmp_path / "witness", f"echo ran >> {tmp_path}/ran; cat")


@pytest.fixture
def ours(tmp_path: Path) -> Clone:
    bare = bare_repository(tmp_path / "remote.git")
    clone = Clone.create(tmp_path / "ours", {"clip.json": {}})
    git(clone.path, "remote", "add", "origin", str(bare))
    git(clone.path, "push", "-q", "origin", "main")
    return clone


def look(clone: Clone) -> None:
    with Repository(clone.path, "main") as opened:
        opened.run("status")


def ask_remote(clone: Clone) -> None:
    with Repository(clone.path, "main") as opened:
        fetch(opened, Remote(), TO_TRACKING)


REFUSED: list[tuple[str, str, Callable[[Clone], None]]] = [
    ("gc.recentObjectsHook", "{witness}", look),
    ("core.worktree", "/etc", look),
    ("core.sshCommand", "{witness}", ask_remote),
    ("core.gitProxy", "{witness}", ask_remote),
    ("credential.helper", "!{witness}", ask_remote),
    ("credential.https://github.com.helper", "!{witness}", ask_remote),
    ("http.proxy", "http://elsewhere", ask_remote),
    ("http.https://github.com/.sslVerify", "false", ask_remote),
    ("http.curloptResolve", "github.com:443:127.0.0.1", ask_remote),
    ("http.cookieFile", "/etc/passwd", ask_remote),
    ("url.https://elsewhere/.insteadOf", "https://github.com/", ask_remote),
    ("url.https://elsewhere/.pushInsteadOf", "https://github.com/", ask_remote),
    ("protocol.ext.allow", "always", ask_remote),
    ("remote.origin.vcs", "evil", ask_remote),
    ("remote.origin.uploadpack", "{witness}", ask_remote),
    ("remote.origin.receivepack", "{witness}", ask_remote),
    ("remote.origin.proxy", "http://elsewhere", ask_remote),
]


@pytest.mark.parametrize(("key", "value", "use"), REFUSED)
def test_a_clone_whose_config_cannot_be_overruled_is_refused_until_the_command_that_is_told_has_run(
    ours: Clone, witness: Path, key: str, value: str, use: Callable[[Clone], None]
) -> None:
    git(ours.path, "config", key, value.format(witness=witness))
    with pytest.raises(CloneError) as refused:
        use(ours)
    command = f"git -C {ours.path} config --unset-all "
    name = str(refused.value).partition(command)[2].partition(";")[0]
    assert name.lower() == key.lower()
    git(ours.path, "config", "--unset-all", name)
    use(ours)
    assert not (witness.parent / "ran").exists()


def test_what_an_included_file_or_the_work_trees_own_config_says_is_refused_too(ours: Clone, witness: Path) -> None:
    more = ours.path / ".git/more"
    more.write_text(f"[core]\n\tsshCommand = {witness}\n")
    git(ours.path, "config", "include.path", "more")
    with pytest.raises(CloneError, match="sshcommand"):
        ask_remote(ours)
    git(ours.path, "config", "--unset", "include.path")
    git(ours.path, "config", "extensions.worktreeConfig", "true")
    git(ours.path, "config", "--worktree", "core.sshCommand", str(witness))
    with pytest.raises(CloneError, match=r"config --worktree --unset-all core\.sshcommand"):
        ask_remote(ours)


def test_what_serves_a_promised_object_is_no_command_of_the_clones(ours: Clone, witness: Path, tmp_path: Path) -> None:
    bare = bare_remote(ours.path, tmp_path / "promising.git")
    partial = tmp_path / "partial"
    git(tmp_path, "clone", "-q", "--no-checkout", "--filter=blob:none", f"file://{bare}", str(partial))
    blob = git(ours.path, "rev-parse", "HEAD:clip.json")
    git(partial, "config", "remote.origin.uploadpack", str(witness))
    with Repository(partial, "main") as clone, pytest.raises(CloneError, match=r"remote\.origin\.uploadpack"):
        clone.read_blob(blob)
    with pytest.raises(CloneError, match=r"remote\.origin\.uploadpack"):
        at_revision(partial, "HEAD").read("clip.json")
    git(partial, "config", "--unset", "remote.origin.uploadpack")
    with Repository(partial, "main") as clone:
        assert clone.read_blob(blob)
    assert not (tmp_path / "ran").exists()


def test_a_diff_of_any_clone_runs_no_filter_and_asks_no_monitor(ours: Clone, witness: Path) -> None:
    before = at_revision(ours.path, "HEAD")
    ours.write(".gitattributes", b"* filter=odd diff=odd\n")
    ours.write("clip.json", {"ViT": {}})
    for key in ("filter.odd.clean", "filter.odd.process", "diff.odd.textconv", "core.fsmonitor"):
        git(ours.path, "config", key, str(witness))
    assert [each.file for each in differing_files(before, at_work_tree(ours.path))] == ["clip.json"]
    assert not (witness.parent / "ran").exists()


def test_every_hook_stays_unheard_whatever_writes(ours: Clone, witness: Path) -> None:
    names = ("reference-transaction", "post-index-change", "pre-push", "pre-auto-gc", "post-checkout", "update")
    for name in names:
        (ours.path / ".git/hooks").mkdir(exist_ok=True)
        os.symlink(witness, ours.path / ".git/hooks" / name)
    first = ours.tip
    commit = ours.commit({"clip.json": {"ViT": {}}})
    (witness.parent / "ran").unlink(missing_ok=True)  # by the git of the person who committed
    with Repository(ours.path, "main") as clone:
        fetch(clone, Remote(), TO_TRACKING)
        push(clone, Remote(), "refs/heads/main", commit, expected=first)
        move_at_once(clone, old=commit, new=first, reason="back")
        clone.run("read-tree", first)
        tidy(clone)
    assert not (witness.parent / "ran").exists()


# Where the token goes


@pytest.mark.parametrize("key", ["remote.origin.url", "remote.origin.pushurl"])
def test_a_remote_that_is_elsewhere_than_the_config_says_is_refused_with_both_named(ours: Clone, key: str) -> None:
    with serve_http(ours.path.parent) as server, serve_http(ours.path.parent) as thief:
        url = server.url(ours.path.parent / "remote.git")
        git(ours.path, "remote", "set-url", "origin", url)
        git(ours.path, "config", key, f"{thief.origin}/remote.git")
        for said in (url, server.origin):
            with Repository(ours.path, "main") as clone, pytest.raises(RemoteRefusedError) as refused:
                fetch(clone, replace(LET_IN, url=said), TO_TRACKING)
            assert thief.origin in str(refused.value)
            assert said in str(refused.value)
        assert thief.requests == server.requests == []


def test_one_remote_has_many_names(ours: Clone) -> None:
    with serve_http(ours.path.parent) as server:
        url = server.url(ours.path.parent / "remote.git")
        git(ours.path, "remote", "set-url", "origin", url)
        for said in (url, f"{url}/", url.removesuffix(".git"), server.origin, f"{server.origin}/"):
            with Repository(ours.path, "main") as clone:
                fetch(clone, replace(LET_IN, url=said), TO_TRACKING)


def test_a_token_goes_nowhere_that_the_config_does_not_name(ours: Clone) -> None:
    with serve_http(ours.path.parent) as server:
        git(ours.path, "remote", "set-url", "origin", server.url(ours.path.parent / "remote.git"))
        with Repository(ours.path, "main") as clone, pytest.raises(CredentialError, match="where the token may go"):
            fetch(clone, LET_IN, TO_TRACKING)
        assert server.requests == []


def test_a_token_goes_over_plain_http_to_this_machine_only(ours: Clone) -> None:
    url = "http://git.example.invalid/x.git"
    git(ours.path, "remote", "set-url", "origin", url)
    with Repository(ours.path, "main") as clone, pytest.raises(CredentialError, match="for all on the way to read"):
        fetch(clone, replace(LET_IN, url=url), TO_TRACKING)


def test_status_and_diff_tell_why_a_clone_is_refused(
    tmp_path: Path, witness: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk.at(tmp_path)
    monkeypatch.chdir(desk.clone.path)
    git(desk.clone.path, "config", "gc.recentObjectsHook", str(witness))
    desk.clone.write("clip.json", {"edited": {}})
    assert "gc.recentobjectshook" in desk("status").done.out
    assert "gc.recentobjectshook" in desk("diff", "HEAD").refusal
