"""What wakes the daemon, what it then does, and that it goes back to sleep."""

from __future__ import annotations

import json
import signal
import time
from pathlib import Path

import pytest

from refsync.metadata.models import CategoryMetadata
from tests.support.daemon import CLIP_FILE, IMAGE, IMAGE_FILE, Daemon, Site, image_clone, record, wait_for
from tests.support.repositories import git


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    image_clone(site.clone.path)
    return site


def metadata(site: Site) -> CategoryMetadata:
    with site.application() as application:
        return application.repositories[0].metadata.get_legacy_metadata(IMAGE)


def sleeps(daemon: Daemon, seconds: float) -> bool:
    """Whether no thread of it runs for so long."""
    before = times_gone_to_sleep(daemon)
    time.sleep(seconds)
    return times_gone_to_sleep(daemon) == before


def times_gone_to_sleep(daemon: Daemon) -> list[str]:
    """Of each of its threads, as the kernel counts."""
    counts = [path.read_text() for path in Path(f"/proc/{daemon.pid}/task").glob("*/status")]
    return [line for text in counts for line in text.splitlines() if line.startswith("voluntary_ctxt_switches")]


def test_an_approval_in_another_process_lands_at_once(site: Site) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        site.approve("Dreamlike")
        wait_for("the commit", lambda: site.has_model("Dreamlike"))
        daemon.wait_until_logged("batch 1: landed as")
        wait_for("a clean clone", lambda: site.clone.status == "")


def test_after_a_landing_the_daemon_goes_back_to_sleep(site: Site) -> None:
    with site.daemon() as daemon:
        before = daemon.wait_until_idle()
        site.approve("Dreamlike")
        daemon.wait_until_logged("landed")
        assert daemon.wait_until_idle() - before <= 5


def test_an_idle_daemon_wakes_for_nothing(site: Site) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        wait_for("a whole second in which no thread of it wakes", lambda: sleeps(daemon, seconds=1.0))


def test_an_edit_by_hand_marks_exactly_the_touched_category_stale(site: Site) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        site.clone.write(CLIP_FILE, {"ViT": {"name": "ViT", "size": 2}})
        daemon.wait_until_logged("image: clip changed on disk; its cache is stale")
        daemon.wait_until_idle()
        assert len(daemon.lines("its cache is stale")) == 1


def test_a_commit_by_hand_is_recorded_at_once(site: Site) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        site.clone.commit({IMAGE_FILE: {"Deliberate": record("Deliberate", nsfw=True), "Ours": record("Ours")}})
        wait_for("the counters", lambda: metadata(site).total_updates == 1)
        assert (metadata(site).total_creates, metadata(site).total_models) == (2, 2)


def test_a_branch_that_moves_without_its_files_is_seen(site: Site) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        tree = git(site.clone.path, "rev-parse", "HEAD^{tree}")
        commit = git(site.clone.path, "commit-tree", tree, "-p", "HEAD", "-m", "empty")
        git(site.clone.path, "update-ref", "refs/heads/main", commit)
        daemon.wait_until_logged(f"recorded up to {commit[:12]}, commits: 1")


def test_a_storm_of_events_is_few_wake_ups(site: Site) -> None:
    with site.daemon() as daemon:
        before = daemon.wait_until_idle()
        for number in range(500):
            site.clone.write(CLIP_FILE, {"ViT": {"name": "ViT", "size": number}})
        assert daemon.wait_until_idle() - before <= 25


def test_sigusr1_asks_for_a_pass(site: Site) -> None:
    with site.daemon() as daemon:
        before = daemon.wait_until_idle()
        daemon.send(signal.SIGUSR1)
        wait_for("a pass", lambda: daemon.passes > before)


def test_approvals_gather_in_one_commit_until_they_have_settled(site: Site) -> None:
    site.write_config("[apply]\nsettle_seconds = 1.0\n")
    with site.daemon():
        site.approve("First")
        site.approve("Second")
        wait_for("the commit", lambda: site.has_model("Second"))
    assert git(site.clone.path, "rev-list", "--count", "main") == "2"


def test_after_a_kill_the_next_daemon_goes_on(site: Site) -> None:
    with site.daemon() as first:
        first.wait_until_idle()
        first.send(signal.SIGKILL)
        first.process.wait()
    site.approve("Dreamlike")
    with site.daemon():
        wait_for("the commit", lambda: site.has_model("Dreamlike"))


def test_a_clone_on_another_branch_is_held_and_goes_on_by_itself(site: Site) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        git(site.clone.path, "checkout", "-q", "-b", "other")
        daemon.wait_until_logged("image: held:")
        site.approve("Dreamlike")
        daemon.wait_until_idle()
        assert len(daemon.lines("image: held:")) == 1
        git(site.clone.path, "checkout", "-q", "main")
        wait_for("the commit", lambda: site.has_model("Dreamlike"))
        daemon.wait_until_logged("image: held: no longer")


def test_a_clone_that_appears_later_is_served(site: Site) -> None:
    site.approve("Dreamlike")
    site.clone.path.rename(site.folder / "elsewhere")
    with site.daemon() as daemon:
        daemon.wait_until_logged("there is no such folder")
        (site.folder / "elsewhere").rename(site.clone.path)
        wait_for("the commit", lambda: site.has_model("Dreamlike"))
        daemon.wait_until_idle()
        git(site.clone.path, "commit", "-q", "--allow-empty", "-m", "by hand")
        daemon.wait_until_logged(f"recorded up to {site.clone.tip[:12]}, commits: 1")


def test_a_folder_that_becomes_a_clone_is_served(site: Site) -> None:
    git_folder = site.clone.path / ".git"
    git_folder.rename(site.folder / "git")
    with site.daemon() as daemon:
        daemon.wait_until_logged("this is not a git repository")
        (site.folder / "git").rename(git_folder)
        daemon.wait_until_logged("image: held: no longer")


def test_a_replaced_clone_is_watched_again(site: Site) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        site.clone.path.rename(site.folder / "old")
        daemon.wait_until_logged("image: held:")
        git(site.folder, "clone", "-q", str(site.folder / "old"), str(site.clone.path))
        site.clone.configure()
        daemon.wait_until_logged("image: held: no longer")
        daemon.wait_until_idle()
        site.clone.commit({CLIP_FILE: {"ViT": {"name": "ViT", "size": 3}}})
        daemon.wait_until_logged(f"up to {site.clone.tip[:12]}")
        daemon.wait_until_logged("image: clip changed on disk")


def test_a_branch_with_a_slash_whose_folder_git_removed_is_watched(site: Site) -> None:
    git(site.clone.path, "checkout", "-q", "-b", "team/main")
    git(site.clone.path, "pack-refs", "--all")
    site.config_file.write_text(site.config_text().replace('name = "image"', 'name = "image"\nbranch = "team/main"'))
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        site.approve("Dreamlike")
        daemon.wait_until_logged("landed")
        git(site.clone.path, "commit", "-q", "--allow-empty", "-m", "by hand")
        daemon.wait_until_logged(f"up to {git(site.clone.path, 'rev-parse', 'HEAD')[:12]}")
        assert daemon.lines("cannot be watched") == []


def test_a_held_git_lock_is_logged_once_and_tried_again(site: Site) -> None:
    lock = site.clone.path / ".git" / "index.lock"
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        lock.touch()
        site.approve("Dreamlike")
        daemon.wait_until_logged("trying again in")
        lock.unlink()
        wait_for("the commit", lambda: site.has_model("Dreamlike"))
        daemon.wait_until_logged("image: held: no longer")
        assert len(daemon.lines("ERROR")) == 1


def test_a_pass_that_fails_as_a_whole_is_logged_once_and_tried_again(site: Site) -> None:
    lock = site.state / "pass.lock"
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        lock.unlink()
        lock.mkdir()
        daemon.send(signal.SIGUSR1)
        daemon.wait_until_logged("trying again in", times=2)
        lock.rmdir()
        daemon.wait_until_logged("the pass failed: no longer")
        assert len(daemon.lines("ERROR")) == 1
        assert daemon.lines("Traceback") == []


def test_the_json_log_names_batch_changes_and_commit(site: Site) -> None:
    site.write_config(form="json")
    with site.daemon() as daemon:
        site.approve("Dreamlike", "Anything")
        daemon.wait_until_logged('"changes"')
        daemon.wait_until_idle()
        entries = [json.loads(line) for line in daemon.log.split("\n") if line]
    landed = next(entry for entry in entries if "changes" in entry)
    assert (landed["batch"], landed["changes"], landed["commit"]) == (1, "1-2", site.clone.tip[:12])
    assert {"time", "level", "message"} <= landed.keys()
