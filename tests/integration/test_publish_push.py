"""Publishing straight to the target branch of a remote."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from refsync.clone.repository import Repository
from refsync.pending_queue.models import BatchState, PendingChangeStatus
from refsync.publishing.upstream import Upstream
from refsync.sync import advance
from refsync.sync.apply import build
from refsync.sync.reference import ReferenceRepository
from tests.support.published import PublishedReference
from tests.support.reference import BLIP
from tests.support.repositories import git
from tests.support.transports import part_of_git

APPLIED = PendingChangeStatus.APPLIED


@pytest.fixture
def reference(tmp_path: Path) -> Iterator[PublishedReference]:
    published = PublishedReference(tmp_path, "push")
    yield published
    published.close()


def test_a_batch_reaches_the_remote_and_then_the_clone(reference: PublishedReference) -> None:
    change = reference.update("beta", {"version": "2"})
    report = reference.sync_image()
    assert reference.statuses([change]) == [APPLIED]
    assert report.landed[0].commit == reference.remote.tip
    assert reference.in_step()
    assert reference.clone.records("clip.json")["beta"] == {"version": "2"}
    reference.assert_counted()


def test_what_a_person_pushed_comes_to_the_clone_and_is_counted(reference: PublishedReference) -> None:
    pushed = reference.person.push({"clip.json": {"alpha": {"version": "9", "nsfw": False}}}, "newer alpha")
    report = reference.sync_image()
    assert report.tip == pushed
    assert reference.in_step()
    assert reference.counters().total_deletes == 1
    reference.assert_counted()


def test_a_batch_is_built_on_what_a_person_pushed_a_moment_ago(reference: PublishedReference) -> None:
    reference.sync()
    change = reference.update("beta", {"version": "2"})
    reference.person.push({"blip.json": {"base": {"version": "7"}}}, "newer base")
    reference.sync()
    assert reference.statuses([change]) == [APPLIED]
    assert reference.remote.subjects() == ["first", "newer base", "New models"]
    assert reference.in_step()


def test_a_push_that_loses_the_race_is_built_anew_in_the_same_pass(
    reference: PublishedReference, monkeypatch: pytest.MonkeyPatch
) -> None:
    races = iter(range(2))

    def meddled(*arguments: object) -> str | None:
        commit = build(*arguments)  # type: ignore[arg-type]
        for race in races:
            reference.person.push({"notes.txt": f"{race}\n".encode()}, f"race {race}")
            break
        return commit

    monkeypatch.setattr(advance, "build", meddled)
    change = reference.update("beta", {"version": "2"})
    reference.sync()
    assert reference.statuses([change]) == [APPLIED]
    assert reference.remote.subjects() == ["first", "race 0", "race 1", "New models"]
    assert reference.in_step()


def test_a_batch_that_always_loses_the_race_is_held_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = PublishedReference(tmp_path, "push", repository="[repository.push]\nattempts = 2")
    count = iter(range(100))

    def meddled(*arguments: object) -> str | None:
        reference.person.push({"notes.txt": f"{next(count)}\n".encode()}, "race")
        return build(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patch:
        patch.setattr(advance, "build", meddled)
        change = reference.update("beta", {"version": "2"})
        report = reference.sync_image()
    assert "somebody else was quicker 2 times" in report.held[0].reason
    reference.sync()
    assert reference.statuses([change]) == [APPLIED]
    reference.close()


def test_a_persons_own_commit_in_the_clone_holds_the_repository(reference: PublishedReference) -> None:
    change = reference.update("beta", {"version": "2"})
    own = reference.clone.commit({"clip.json": {"mine": {}}}, "mine")
    report = reference.sync_image()
    assert report.problem
    assert "origin lacks commits of main that the clone has" in report.problem
    assert "Ada: mine" in report.problem
    assert reference.clone.tip == own
    git(reference.clone.path, "push", "-q", "origin", "main")
    assert reference.sync_image().problem is None
    assert reference.statuses([change]) != [APPLIED] or reference.in_step()


def test_a_rewritten_remote_is_followed(reference: PublishedReference) -> None:
    reference.person.push({"clip.json": {"wrong": {}}}, "wrong")
    reference.sync()
    git(reference.person.path, "reset", "-q", "--hard", "HEAD~1")
    git(reference.person.path, "push", "-q", "--force", "origin", "main")
    assert reference.sync_image().problem is None
    assert reference.in_step()
    assert "wrong" not in reference.clone.records("clip.json")
    reference.assert_counted()


class LateFetch:
    """A fetch that began before a push of ours and ended after it: it puts the tracking ref back."""

    def __init__(self, old: str) -> None:
        self.old = old

    def ask(self, reference: ReferenceRepository, upstream: Upstream, clone: Repository, *, within: float) -> None:
        git(clone.path, "update-ref", "refs/remotes/origin/main", self.old)

    def answered(self, reference: ReferenceRepository) -> None:
        pass


def test_a_fetch_that_ends_after_a_later_push_does_not_lead_the_clone_back(reference: PublishedReference) -> None:
    reference.sync()
    old = reference.remote.tip
    reference.update("beta", {"version": "2"})
    reference.sync()
    report = reference.application.run_pass(remotes=LateFetch(old))
    assert report
    assert report.repositories[0].temporary
    assert reference.in_step()
    assert reference.sync_image().problem is None
    assert reference.counters().total_updates == 1


def test_local_edits_in_the_way_hold_the_repository_and_lose_nothing(reference: PublishedReference) -> None:
    reference.clone.write("clip.json", {"my": {"own": "work"}})
    reference.person.push({"clip.json": {"alpha": {"version": "9"}}}, "newer")
    change = reference.update("base", {"version": "2"}, category=BLIP)
    report = reference.sync_image()
    assert report.problem
    assert "clip.json has local edits" in report.problem
    assert reference.clone.records("clip.json") == {"my": {"own": "work"}}
    git(reference.clone.path, "checkout", "-q", "--", "clip.json")
    reference.sync()
    assert reference.statuses([change]) == [APPLIED]
    assert reference.in_step()


def test_a_clone_that_a_person_made_without_blobs_is_counted_in_a_few_requests(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    published = PublishedReference(tmp_path, "push")
    for version in range(20):
        published.person.push({"clip.json": {"alpha": {"version": f"{version}"}}}, f"version {version}")
    for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        git(published.remote.path, "config", key, "true")
    asked = tmp_path / "asked"
    part_of_git(monkeypatch, tmp_path, "git-upload-pack", f'echo x >> {asked}\nexec git upload-pack "$@"')
    shutil.rmtree(published.clone.path)
    git(tmp_path, "clone", "-q", "--filter=blob:none", f"file://{published.remote.path}", str(published.clone.path))
    assert published.sync_image().problem is None
    assert published.counters().total_updates == 20
    assert len(asked.read_text().split()) <= 3
    published.close()


def test_a_remote_that_is_gone_is_told_and_what_landed_is_counted_all_the_same(reference: PublishedReference) -> None:
    change = reference.update("beta", {"version": "2"})
    away = reference.remote.path.rename(reference.remote.path.with_suffix(".away"))
    report = reference.sync_image()
    assert report.problem
    assert "origin" in report.problem
    assert reference.counters().total_creates == 2
    assert reference.batches()[0].state == BatchState.sealed
    away.rename(reference.remote.path)
    reference.sync()
    assert reference.statuses([change]) == [APPLIED]


def test_a_hook_that_refuses_holds_the_batch_with_its_words(reference: PublishedReference) -> None:
    hook = reference.remote.path / "hooks" / "pre-receive"
    hook.write_text("#!/bin/sh\necho 'models need a licence' >&2\nexit 1\n")
    hook.chmod(0o755)
    change = reference.update("beta", {"version": "2"})
    report = reference.sync_image()
    assert "models need a licence" in report.held[0].reason
    assert "refsync batch retry 1" in report.held[0].reason
    hook.unlink()
    assert reference.sync_image().held == report.held  # the same tip: not pushed at it at every pass
    reference.person.push({"notes.txt": b"x\n"}, "news")
    reference.sync()
    assert reference.statuses([change]) == [APPLIED]
