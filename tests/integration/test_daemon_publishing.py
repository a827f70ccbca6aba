"""The real daemon and its remotes: pushing, following, and going on when one of them hangs."""

from __future__ import annotations

import os
import signal
from functools import partial
from pathlib import Path

import psutil
import pytest

from refsync.categories import MODEL_REFERENCE_CATEGORY
from refsync.pending_queue.models import AuditOperation
from tests.support.daemon import IMAGE_FILE, Daemon, record, wait_for
from tests.support.forge import ForgeStandIn
from tests.support.published import PublishedSite
from tests.support.queue import review, submit
from tests.support.repositories import Clone, git
from tests.support.transports import part_of_git


@pytest.fixture
def site(tmp_path: Path) -> PublishedSite:
    return PublishedSite(tmp_path / "site", "push")


def test_an_approved_change_reaches_the_remote_and_the_clone(site: PublishedSite) -> None:
    with site.daemon() as daemon:
        site.approve("Fresh")
        wait_for("the model in the clone", lambda: site.has_model("Fresh"))
        assert site.on_remote("Fresh")
        wait_for("the end of the landing", site.in_step)
        assert daemon.stop() == 0


def test_what_a_person_pushes_comes_to_the_clone_by_itself(site: PublishedSite) -> None:
    person = site.person()
    with site.daemon() as daemon:
        person.push({IMAGE_FILE: {"Deliberate": record("Deliberate"), "Theirs": record("Theirs")}}, "theirs")
        wait_for("their model in the clone", lambda: site.has_model("Theirs"))
        daemon.wait_until_logged("operations: 1")
        assert daemon.stop() == 0


def test_a_remote_that_is_away_is_told_once_and_taken_up_again(site: PublishedSite) -> None:
    with site.daemon() as daemon:
        away = site.remote.path.rename(site.remote.path.with_suffix(".away"))
        site.approve("Fresh")
        daemon.wait_until_logged("image: held")
        assert len(daemon.lines("ERROR")) == 1
        away.rename(site.remote.path)
        wait_for("the model on the remote", lambda: site.on_remote("Fresh"))
        daemon.wait_until_logged("image: held: no longer")
        assert daemon.stop() == 0


def test_a_persons_commit_in_the_clone_holds_it_until_it_is_pushed(site: PublishedSite) -> None:
    with site.daemon() as daemon:
        site.clone.commit({"notes.txt": b"x\n"}, "mine")
        daemon.wait_until_logged("origin lacks commits of main that the clone has")
        git(site.clone.path, "push", "-q", "origin", "main")
        daemon.wait_until_logged("image: held: no longer")
        assert daemon.stop() == 0


def test_a_remote_that_hangs_holds_up_no_other_repository(site: PublishedSite, monkeypatch: pytest.MonkeyPatch) -> None:
    other = site.folder / "other"
    clone = Clone.create(other, {"blip.json": {"base": {"version": "1"}}})
    part_of_git(monkeypatch, site.folder, "git-upload-pack", "sleep 1000 & wait")
    held = ("blip", "codeformer", "controlnet", "esrgan", "gfpgan", "safety_checker", "miscellaneous")
    listed = "".join(f'{name} = "{name}.json"\n' for name in held)
    site.write_config(f'\n[[repository]]\nname = "other"\npath = "{other}"\n[repository.categories]\n{listed}')
    with site.daemon(GIT_EXEC_PATH=os.environ["GIT_EXEC_PATH"]) as daemon:
        with site.application() as application:
            change = submit(
                application.queue,
                "new",
                category=MODEL_REFERENCE_CATEGORY.blip,
                operation=AuditOperation.CREATE,
                payload={"version": "2"},
            )
            review(application.queue, [change.change_id], title="Meanwhile")
        wait_for("the other repository's model", lambda: "new" in clone.records("blip.json"))
        children = psutil.Process(daemon.pid).children(recursive=True)
        assert any(map(_sleeps, children))
        assert daemon.stop(seconds=8) == 0
    _, alive = psutil.wait_procs(children, timeout=5)
    assert alive == []


def _sleeps(process: psutil.Process) -> bool:
    try:
        return "sleep" in process.cmdline()
    except (psutil.NoSuchProcess, psutil.ZombieProcess):  # one of git's short-lived ones
        return False


def test_a_batch_becomes_a_pull_request_and_lands_when_it_is_merged(tmp_path: Path) -> None:
    with ForgeStandIn(tmp_path) as forge:
        tables = f'[repository.pull_request]\nrepository = "{forge.repository}"\nbase_url = "{forge.url}"\n'
        site = PublishedSite(tmp_path / "site", "pull_request", tables, remote=forge.remote)
        with site.daemon() as daemon:
            site.approve("Fresh", title="A fresh model")
            wait_for("the pull request", lambda: forge.pulls)
            assert not site.has_model("Fresh")
            forge.merge(1)
            wait_for("the model in the clone", lambda: site.has_model("Fresh"))
            daemon.wait_until_logged("batch 1: landed as")
            wait_for("the branch to be deleted", lambda: site.remote.branches == [])
            assert daemon.stop() == 0


def test_a_changed_config_takes_effect_on_the_remotes(site: PublishedSite) -> None:
    with site.daemon() as daemon:
        site.publish = "branch"
        site.write_config()
        daemon.wait_until_logged("the changed config is in force")
        site.approve("Fresh")
        wait_for("the proposal branch", lambda: site.remote.branches)
        assert not site.on_remote("Fresh")
        assert daemon.stop() == 0


def _is_at_work(daemon: Daemon) -> bool:
    """In the middle of publishing; of one killed ahead of sealing the next approval joins the batch, which is right."""
    return "sealed for" in daemon.log


@pytest.mark.slow
def test_a_daemon_killed_at_any_moment_of_publishing_lands_each_change_once(site: PublishedSite) -> None:
    for number in range(3):
        with site.daemon() as daemon:
            site.approve(f"Model {number}")
            wait_for("the middle of the work", partial(_is_at_work, daemon))
            os.kill(daemon.pid, signal.SIGKILL)
    with site.daemon() as daemon:
        wait_for("every model", lambda: all(site.has_model(f"Model {number}") for number in range(3)))
        assert daemon.stop() == 0
    subjects = site.remote.subjects()
    assert len([each for each in subjects if each == "New models"]) == 3
    assert site.in_step()
