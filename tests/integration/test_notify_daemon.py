"""The daemon sends what the outbox holds, whoever wrote it, and whatever becomes of the daemon."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.daemon import Site, image_clone, wait_for
from tests.support.receiver import KEY, SECRET, receiving, target_of

pytestmark = pytest.mark.slow
STORY = ["submitted", "approved", "landed"]


def told_site(folder: Path, url: str, *, timeout_seconds: float = 0.5) -> Site:
    """A clone whose news go to a receiver."""
    site = Site(folder)
    site.clone = image_clone(folder / "image")
    site.write_config(target_of(url, more=f"timeout_seconds = {timeout_seconds}"))
    (site.config_file.parent / "ops.key").write_text(SECRET)
    return site


def test_what_others_write_is_told_by_the_daemon_also_what_was_written_before_it_began(tmp_path: Path) -> None:
    with receiving() as receiver:
        site = told_site(tmp_path, receiver.url)
        site.approve("early")
        with site.daemon() as daemon:
            wait_for("the story of the first", lambda: receiver.kinds() == STORY)
            site.approve("late")
            wait_for("the story of the second", lambda: receiver.kinds() == STORY * 2)
            assert daemon.stop() == 0
    assert all(each.is_signed_with(KEY) for each in receiver.asked)


def test_a_daemon_that_is_killed_before_a_message_is_taken_sends_it_again_and_in_order(tmp_path: Path) -> None:
    with receiving() as receiver:
        site = told_site(tmp_path, receiver.url)
        receiver.answers = [None]
        with site.daemon() as daemon:
            site.approve("new")
            wait_for("the first message", lambda: receiver.asked)
            daemon.wait_until_logged("landed as")  # its news stands in the store, and none has been taken
            daemon.kill()
        assert receiver.taken == []
        receiver.let_go.set()
        with site.daemon() as daemon:
            wait_for("the story", lambda: receiver.kinds() == STORY)
            daemon.wait_until_idle()
    assert receiver.asked[0].id == receiver.taken[0].id
    assert len({each.id for each in receiver.taken}) == len(STORY)


def test_a_target_that_hangs_holds_up_neither_a_landing_nor_the_end_of_the_daemon(tmp_path: Path) -> None:
    with receiving() as receiver:
        site = told_site(tmp_path, receiver.url, timeout_seconds=60)
        receiver.answers = [None] * 9
        with site.daemon() as daemon:
            site.approve("new")
            wait_for("the landing", lambda: site.has_model("new"))
            wait_for("the first message", lambda: receiver.asked)
            assert daemon.stop() == 0


def test_a_target_that_the_config_gains_while_the_daemon_runs_is_told_from_then_on(tmp_path: Path) -> None:
    with receiving() as receiver:
        site = told_site(tmp_path, receiver.url)
        with_target = site.config_file.read_text()
        site.write_config()
        with site.daemon() as daemon:
            site.approve("early")
            wait_for("the landing", lambda: site.has_model("early"))
            site.config_file.write_text(with_target)
            daemon.wait_until_logged("the changed config is in force")
            site.approve("late")
            wait_for("the story", lambda: receiver.kinds() == STORY)
            assert daemon.stop() == 0


def test_the_command_line_tries_a_target_and_refuses_one_that_is_not_there(tmp_path: Path) -> None:
    with receiving() as receiver:
        site = told_site(tmp_path, receiver.url)
        tried = site.run("notify", "test", "ops")
        missing = site.run("notify", "test", "chat")
        receiver.answers = [410]
        refused = site.run("notify", "test", "ops")
        shown = site.run("config", "show").stdout
    assert (tried.returncode, tried.stdout) == (0, f"ops has taken {receiver.taken[0].id}\n")
    assert (missing.returncode, missing.stderr) == (
        1,
        "refsync: no [[notify]] has the name 'chat'; there are: ops\n",
    )
    assert (refused.returncode, refused.stderr) == (1, "refsync: notify ops: it answers 410 Gone\n")
    assert SECRET not in shown
    assert "notify.ops.url" in shown
