"""Whatever the operator's and the clone's git settings say, a change lands, and nothing that they name is run."""

from __future__ import annotations

from pathlib import Path

import pytest

from refsync.clone.remotes import Remote, fetch, push
from refsync.clone.repository import Repository
from refsync.clone.settings import NEUTRALISED, NEUTRALISED_BY_NAME, git_environment
from refsync.credentials import Credential
from refsync.pending_queue.models import PendingChangeStatus
from tests.support.published import PublishedReference
from tests.support.reference import Reference
from tests.support.repositories import Clone, bare_remote, git
from tests.support.transports import SECRET, USER, bare_repository, script, serve_http

ATTRIBUTES = "*.json filter=lfs text eol=crlf ident working-tree-encoding=UTF-16 diff=odd merge=odd\n"
HOOKS = ("reference-transaction", "post-index-change", "pre-push", "post-checkout", "pre-auto-gc", "post-merge")

SETTINGS = """
[submodule]
	recurse = true
[core]
	fsmonitor = {witness}
	attributesFile = {folder}/attributes
	quotePath = false
	askPass = {witness}
	pager = {witness}
	editor = {witness}
	useReplaceRefs = true
[filter "lfs"]
	clean = {witness} clean
	smudge = {witness} smudge
	process = {witness} process
	required = true
[diff]
	orderFile = {folder}/order
	external = {witness}
	renames = copies
	noprefix = true
	mnemonicPrefix = true
	relative = true
	ignoreSubmodules = all
	submodule = log
[diff "odd"]
	command = {witness}
	textconv = {witness}
[merge "odd"]
	driver = {witness}
[log]
	showSignature = true
	follow = true
	decorate = full
	showRoot = false
	abbrevCommit = true
	mailmap = true
	date = relative
	diffMerges = combined
[status]
	branch = true
	short = true
	showStash = true
	relativePaths = true
	submoduleSummary = true
	showUntrackedFiles = no
	renames = copies
[color]
	ui = always
	status = always
	diff = always
[format]
	pretty = oneline
[commit]
	gpgSign = true
[tag]
	gpgSign = true
[gpg]
	program = {witness}
[push]
	followTags = true
	gpgSign = true
	pushOption = nonsense
	default = nothing
	recurseSubmodules = on-demand
[fetch]
	recurseSubmodules = true
	pruneTags = true
	prune = true
[maintenance]
	auto = true
[gc]
	auto = 1
	autoDetach = true
[i18n]
	commitEncoding = latin1
	logOutputEncoding = utf-16
[user]
	useConfigOnly = true
[hook "odd"]
	command = {witness}
	event = reference-transaction
"""
ELSEWHERE = """
[protocol "ext"]
	allow = always
[remote "origin"]
	mirror = true
	pushurl = {folder}/elsewhere.git
	receivepack = {witness}
	uploadpack = {witness}
	tagOpt = --tags
"""
HOOKED = """
[core]
	hooksPath = {folder}/hooks
	alternateRefsCommand = {witness}
"""


class Hostile:
    """Settings of which none may show; ``ran`` is what was run of what they name."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir()
        self._log = folder / "ran"
        self.witness = script(folder / "witness", f'echo "$0 $*" >> {self._log}; exit 1')
        for name in HOOKS:
            script(folder / "hooks" / name, f"echo {name} >> {self._log}; exit 1")
        (folder / "attributes").write_text(ATTRIBUTES)
        (folder / "order").write_text("*.zzz\n*\n")

    @property
    def ran(self) -> str:
        return self._log.read_text() if self._log.exists() else ""

    def text(self, *, operator: bool) -> str:
        """Of the operator, or of the clone. A remote on this machine has the operator's hooks, which are not ours."""
        return (SETTINGS + (ELSEWHERE if operator else HOOKED)).format(folder=self.folder, witness=self.witness)


@pytest.fixture
def hostile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hostile:
    """The operator's own settings, for whatever git this process starts."""
    made = Hostile(tmp_path / "hostile")
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", str(made.folder / "config"))
    (made.folder / "config").write_text(made.text(operator=True))
    for name, value in {"GIT_DIR": "/nowhere", "GIT_EXTERNAL_DIFF": str(made.witness), "GIT_TRACE": "1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.fsmonitor'='" + str(made.witness) + "'")
    return made


def with_module(reference: Reference) -> Path:
    """A submodule in the clone; gives its work tree."""
    source = Clone.create(reference.folder / "module", {"inner": b"inner\n"})
    git(
        reference.clone.path,
        "-c",
        "protocol.file.allow=always",
        "submodule",
        "--quiet",
        "add",
        str(source.path),
        "module",
    )
    reference.clone.commit({".gitattributes": b"*.json text eol=crlf\n"}, "a module, and attributes")
    return reference.clone.path / "module"


def mislead(reference: Reference) -> None:
    """History as somebody would like to see it: the tip replaced, and grafted."""
    clone = reference.clone.path
    other = git(clone, "commit-tree", "-m", "other", git(clone, "hash-object", "-t", "tree", "-w", "/dev/null"))
    git(clone, "replace", reference.clone.tip, other)
    (clone / ".git/info/grafts").write_text(f"{reference.clone.tip}\n")
    (clone / ".git/info/attributes").write_text(ATTRIBUTES)


@pytest.mark.parametrize("publish", ["local", "push"])
def test_the_story_of_a_change_under_hostile_settings(tmp_path: Path, hostile: Hostile, publish: str) -> None:
    check = '[repository.check]\ncommands = ["test -f clip.json"]\n'
    if publish == "push":
        reference: Reference = PublishedReference(tmp_path, "push", repository=check)
    else:
        reference = Reference(tmp_path, repository=check)
    module = with_module(reference)
    if isinstance(reference, PublishedReference):
        git(reference.clone.path, "push", "-q", "origin", "main")
    tip = reference.clone.tip
    mislead(reference)
    config = reference.clone.path / ".git/config"
    before = config.read_text()
    config.write_text(before + hostile.text(operator=False))
    change = reference.update("alpha", {"version": "2 ä", "nsfw": False})
    report = reference.sync_image()
    assert (report.problem, report.held) == (None, [])
    assert hostile.ran == ""
    config.write_text(before)
    git(reference.clone.path, "replace", "-d", tip)
    (reference.clone.path / ".git/info/grafts").unlink()
    (reference.clone.path / ".git/info/attributes").unlink()
    assert reference.change(change).status == PendingChangeStatus.APPLIED
    assert git(reference.clone.path, "rev-parse", "main^") == tip
    assert git(reference.clone.path, "show", "main:clip.json") == reference.clone.read("clip.json").decode().strip()
    assert reference.clone.records("clip.json")["alpha"]["version"] == "2 ä"
    assert b"\r" not in reference.clone.read("clip.json")
    assert git(module, "rev-parse", "--show-toplevel") == str(module)
    assert git(reference.clone.path, "log", "-1", "--format=%an") == "refsync"
    if isinstance(reference, PublishedReference):
        assert reference.remote.tip == reference.clone.tip
    assert reference.counters().total_updates == 1
    reference.assert_counted()
    reference.close()


def test_every_setting_is_there_once_and_says_why() -> None:
    keys = [each.key.lower() for each in (*NEUTRALISED, *NEUTRALISED_BY_NAME)]
    assert len({*keys}) == len(keys)
    assert all(each.reason for each in (*NEUTRALISED, *NEUTRALISED_BY_NAME))


def test_what_the_operator_needs_stays_in_force() -> None:
    environ = {
        "GIT_SSL_CAINFO": "/ca.pem",
        "GIT_SSH_COMMAND": "ssh -F x",
        "GIT_CONFIG_GLOBAL": "/config",
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": "http.proxy",
        "GIT_CONFIG_VALUE_0": "http://proxy",
        "GIT_DIR": "/elsewhere",
        "GIT_INDEX_FILE": "/elsewhere/index",
        "GIT_CONFIG_PARAMETERS": "'core.fsmonitor'='x'",
        "PATH": "/bin",
    }
    told = git_environment(environ)
    assert {key: told[key] for key in environ if key in told and key != "GIT_CONFIG_COUNT"} == {
        key: value
        for key, value in environ.items()
        if key not in ("GIT_DIR", "GIT_INDEX_FILE", "GIT_CONFIG_PARAMETERS", "GIT_CONFIG_COUNT")
    }
    assert int(told["GIT_CONFIG_COUNT"]) == 1 + len(NEUTRALISED)
    assert told["GIT_CONFIG_KEY_1"] == NEUTRALISED[0].key


@pytest.fixture
def ours(tmp_path: Path, bare_git: None) -> Clone:
    bare = bare_repository(tmp_path / "remote.git")
    clone = Clone.create(tmp_path / "ours", {"clip.json": {}})
    git(clone.path, "remote", "add", "origin", str(bare))
    git(clone.path, "push", "-q", "origin", "main")
    return clone


def test_only_the_configured_credential_is_sent(tmp_path: Path, ours: Clone, monkeypatch: pytest.MonkeyPatch) -> None:
    home = tmp_path / "home"
    home.mkdir()
    (home / ".netrc").write_text("machine 127.0.0.1 login left password over\n")
    (home / ".netrc").chmod(0o600)
    (home / ".gitconfig").write_text("[http]\n\textraHeader = Authorization: Basic bGVmdDpvdmVy\n")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.delenv("GIT_CONFIG_GLOBAL")
    first = ours.tip
    with serve_http(tmp_path) as server:
        url = server.url(tmp_path / "remote.git")
        git(ours.path, "remote", "set-url", "origin", url)
        for key in (
            f"http.{url}.extraHeader",
            "http.http://127.0.0.1.extraHeader",
            f"http.{server.origin}/.extraHeader",
        ):
            git(ours.path, "config", key, "Authorization: Basic bGVmdDpvdmVy")
        remote = Remote(credential=lambda: Credential(USER, SECRET), url=url)
        with Repository(ours.path, "main") as clone:
            fetch(clone, remote, ["+refs/heads/main:refs/remotes/origin/main"])
            commit = ours.commit({"clip.json": {"ViT": {}}})
            push(clone, remote, "refs/heads/main", commit, expected=first)
        assert git(tmp_path / "remote.git", "rev-parse", "main") == commit
        assert len({request.authorization for request in server.requests} - {None}) == 1


def test_a_push_goes_to_every_address_of_the_clones_own_config(tmp_path: Path, ours: Clone) -> None:
    first = ours.tip
    second = bare_remote(ours.path, tmp_path / "second.git")
    for url in (tmp_path / "remote.git", second):
        git(ours.path, "config", "--add", "remote.origin.pushurl", str(url))
    commit = ours.commit({"clip.json": {"ViT": {}}})
    with Repository(ours.path, "main") as clone:
        push(clone, Remote(), "refs/heads/main", commit, expected=first)
    assert {git(bare, "rev-parse", "main") for bare in (tmp_path / "remote.git", second)} == {commit}
