"""Refsync is not in its own way: its refs, its objects, its passes, and line ends that attributes would change."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from refsync.clone.refs import built_ref, followed_ref
from refsync.pending_queue.models import Actor, BatchState, PendingChangeStatus
from tests.support.published import PublishedReference, PublishedSite
from tests.support.reference import Reference
from tests.support.repositories import dump, git
from tests.support.transports import script

APPLIED = PendingChangeStatus.APPLIED


@pytest.fixture
def published(tmp_path: Path, bare_git: None) -> Iterator[PublishedReference]:
    made = PublishedReference(tmp_path, "push")
    yield made
    made.close()


def own_refs(reference: Reference) -> list[str]:
    return git(reference.clone.path, "for-each-ref", "--format=%(refname)", "refs/refsync").splitlines()


def serve_branch(published: PublishedReference, old: str, new: str) -> None:
    """Another target branch, with what the old one has."""
    for path in (published.clone.path, published.remote.path):
        git(path, "branch", "-m", old, new)
    git(published.clone.path, "update-ref", "-d", f"refs/remotes/origin/{old}")
    before = "" if old == "main" else f'branch = "{old}"\n'
    published.reopen(f'publish = "push"\n{before}', f'publish = "push"\nbranch = "{new}"\n')


def test_no_branch_that_was_followed_stands_in_the_way_of_another(published: PublishedReference) -> None:
    branches = ["main", "release", "release/2", "release/2/x", "release"]
    assert published.sync_image().problem is None
    for old, new in pairwise(branches):
        serve_branch(published, old, new)
        assert published.sync_image().problem is None
        assert followed_ref("origin", new) in own_refs(published)
    change = published.update("alpha", {"version": "2"})
    assert published.sync_image().problem is None
    assert published.change(change).status == APPLIED


def test_refs_with_names_of_an_older_refsync_are_taken_along_and_cleared(published: PublishedReference) -> None:
    serve_branch(published, "main", "release/2")
    assert published.sync_image().problem is None
    clone = published.clone.path
    followed = git(clone, "rev-parse", followed_ref("origin", "release/2"))
    git(clone, "update-ref", "-d", followed_ref("origin", "release/2"))
    git(clone, "update-ref", "refs/refsync/followed/origin/release/2", followed)
    assert published.sync_image().problem is None
    serve_branch(published, "release/2", "release")
    assert published.sync_image().problem is None
    assert [ref for ref in own_refs(published) if "followed" in ref] == [followed_ref("origin", "release")]


def test_names_of_branches_do_not_collide() -> None:
    names = ["a", "a/b", "a%2Fb", "a/b/c", "a%b", "A"]
    refs = [followed_ref("origin", name) for name in names]
    assert len({*refs}) == len(names)
    assert not any(one.startswith(f"{other}/") for one in refs for other in refs)


PRUNE = """
import subprocess
subprocess.run(["git", "-C", {clone!r}, "-c", "gc.reflogExpire=now", "gc", "-q", "--prune=now"], check=True)
"""
LOSE = """
import pathlib, subprocess
marker = pathlib.Path({marker!r})
if not marker.exists():
    marker.touch()
    ref = pathlib.Path({clone!r}, ".git/refs/refsync/built")
    for file in ref.iterdir():
        commit = file.read_text().strip()
        pathlib.Path({clone!r}, ".git/objects", commit[:2], commit[2:]).unlink()
"""


def checked(reference: Reference, code: str) -> None:
    """Have something happen between building and publishing, where the checks run."""
    file = reference.folder / "check.py"
    file.write_text(code.format(clone=str(reference.clone.path), marker=str(reference.folder / "marker")))
    with reference.config_file.open("a") as config:
        config.write(f'[repository.check]\ncommands = [["{sys.executable}", "-S", "{file}"]]\n')
    reference.reopen()


@pytest.mark.parametrize("publish", ["local", "push"])
@pytest.mark.parametrize("code", [PRUNE, LOSE], ids=["pruned", "lost"])
def test_a_built_commit_is_kept_until_it_is_published_or_built_anew(
    tmp_path: Path, bare_git: None, publish: str, code: str
) -> None:
    reference = PublishedReference(tmp_path, "push") if publish == "push" else Reference(tmp_path)
    checked(reference, code)
    change = reference.update("alpha", {"version": "2", "nsfw": False})
    report = reference.sync_image()
    assert (report.problem, report.held) == (None, [])
    assert reference.change(change).status == APPLIED
    assert reference.clone.status == ""
    assert git(reference.clone.path, "fsck", "--connectivity-only") == ""
    assert not [ref for ref in own_refs(reference) if "built" in ref]
    reference.close()


def test_the_commit_of_a_held_batch_is_kept_and_that_of_an_abandoned_one_is_not(published: PublishedReference) -> None:
    hook = script(published.remote.path / "hooks" / "pre-receive", "echo no >&2; exit 1")
    change = published.update("alpha", {"version": "2"})
    assert len(published.sync_image().held) == 1
    (batch,) = published.batches()
    assert batch.state == BatchState.held
    assert git(published.clone.path, "rev-parse", built_ref(batch.job or "")) == batch.commit
    hook.unlink()
    published.application.queue.abandon_batch(batch.number, reason="no", actor=Actor("bob", "Bob"))
    published.sync_image()
    assert published.change(change).status == PendingChangeStatus.REJECTED
    assert not [ref for ref in own_refs(published) if "built" in ref]


@pytest.mark.parametrize("attributes", ["*.json text eol=lf", "*.json text=auto", "*.json text"])
def test_a_file_with_carriage_returns_does_not_stay_edited(tmp_path: Path, bare_git: None, attributes: str) -> None:
    files = {"clip.json": dump({"alpha": {"version": "1"}}).replace(b"\n", b"\r\n")}
    reference = Reference(tmp_path, files)
    reference.clone.write(".gitattributes", f"{attributes}\n".encode())
    git(reference.clone.path, "add", ".gitattributes")
    git(reference.clone.path, "commit", "-q", "-m", "line ends")
    for version in ("2", "3", "4"):
        change = reference.update("alpha", {"version": version})
        report = reference.sync_image()
        assert (report.problem, report.held) == (None, [])
        assert reference.change(change).status == APPLIED
        assert reference.clone.status == ""
    assert reference.clone.read("clip.json") == dump({"alpha": {"version": "4"}}).replace(b"\n", b"\r\n")
    reference.close()


def test_a_hook_of_the_remote_that_syncs_stalls_nothing(tmp_path: Path) -> None:
    site = PublishedSite(tmp_path / "site", "push")
    said = tmp_path / "said"
    command = f"{Path(sys.executable).parent}/refsync --config {site.config_file} sync > {said} 2>&1"
    script(site.remote.path / "hooks" / "post-receive", command)
    site.approve("Model")
    done = site.run("sync")
    assert "landed" in done.stdout
    assert "a pass started this command" in said.read_text()
    assert site.in_step()
