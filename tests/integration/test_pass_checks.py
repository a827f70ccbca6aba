"""The operator's own checks run before a commit is published: a red one holds the batch and names the change."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from loguru import logger

from refsync.clone.refs import built_ref
from refsync.pending_queue.models import Actor, AuditOperation, BatchState, PendingChangeStatus, PendingQueueFilter
from refsync.sync import advance, reconcile
from refsync.sync.apply import build
from refsync.sync.reference import HeldBatch
from refsync.sync.turn import Pass
from tests.support.command_line import Desk
from tests.support.daemon import Site, image_clone, wait_for
from tests.support.queue import in_pass
from tests.support.reference import BLIP, Reference
from tests.support.repositories import clean_environment, git

APPLIED, APPROVED = PendingChangeStatus.APPLIED, PendingChangeStatus.APPROVED

# Fails on a model called "bad" in any file, as a reference's own check would; counts how often it ran.
CHECK = """
import json, pathlib, sys
runs = pathlib.Path({runs!r})
runs.write_text(runs.read_text() + "." if runs.exists() else ".")
for path in sorted(pathlib.Path().glob("*.json")):
    if "bad" in json.loads(path.read_text()):
        print("looking at", path, flush=True)
        print("the model is bad", file=sys.stderr)
        sys.exit(3)
"""


class Checked(Reference):
    """A reference whose own check is ``check.py``, kept outside of it."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.runs = folder / "runs"
        self.script = folder / "check.py"
        self.script.write_text(CHECK.format(runs=str(self.runs)))
        self.config_file.write_text(self.config_file.read_text() + "[repository.check]\n#\n")
        self.use([sys.executable, str(self.script)])

    def use(self, *commands: str | list[str], seconds: float = 60) -> None:
        """Check by these commands from now on."""
        before = self.config_file.read_text().partition("[repository.check]\n")[2]
        self.reopen(before, f"commands = {json.dumps(commands)}\ntimeout_seconds = {seconds}\n")

    def use_python(self, code: str, seconds: float = 60) -> None:
        self.script.write_text(code)
        self.use([sys.executable, str(self.script)], seconds=seconds)

    @property
    def name(self) -> str:
        return f"check `{sys.executable} {self.script}`"

    @property
    def count(self) -> int:
        """How often the check ran."""
        return len(self.runs.read_text()) if self.runs.exists() else 0

    @property
    def left_over(self) -> list[Path]:
        return list((self.folder / "state").rglob("check-*"))

    def held(self) -> HeldBatch:
        outcome = self.sync_image()
        assert (outcome.problem, outcome.landed) == (None, [])
        [held] = outcome.held
        return held


@pytest.fixture
def checked(tmp_path: Path, bare_git: None) -> Iterator[Checked]:
    made = Checked(tmp_path)
    yield made
    made.close()
    assert made.left_over == []


# Green and red


def test_a_green_check_lets_the_batch_land(checked: Checked) -> None:
    change = checked.create("good", {"version": "1"})
    assert checked.sync().clean
    assert checked.statuses([change]) == [APPLIED]
    assert checked.count == 1


def test_a_red_check_holds_the_whole_batch_and_names_the_change_that_breaks_it(checked: Checked) -> None:
    names = ("good", "better", "bad", "best")
    ids = [checked.submit(name, {"version": "1"}, AuditOperation.CREATE) for name in names]
    other = checked.submit("base", {"version": "2"}, category=BLIP)
    tip = checked.clone.tip
    checked.approve(*ids, other)
    held = checked.held()
    assert held.reason == (
        f"{checked.name} failed with exit code 3: looking at clip.json | the model is bad; "
        f"change {ids[2]} (create clip 'bad') breaks it"
    )
    assert checked.statuses([*ids, other]) == [APPROVED] * 5
    assert checked.clone.tip == tip
    assert checked.clone.status == ""
    [batch] = checked.batches()
    assert (batch.state, batch.reason) == (BatchState.held, held.reason)


def test_a_batch_behind_a_held_one_lands(checked: Checked) -> None:
    first = checked.create("bad", {"version": "1"})
    checked.held()
    second = checked.create("good", {"version": "1"})
    assert len(checked.sync_image().held) == 1
    assert checked.statuses([first, second]) == [APPROVED, APPLIED]


def test_every_command_is_asked_and_a_command_line_is_split_into_its_words(checked: Checked) -> None:
    checked.use("test -e clip.json", "sh -c 'echo \"two  words\"; exit 7'")
    checked.use("test -e clip.json", "sh -c 'test -e good.json || ! grep -q good clip.json'")
    checked.create("good", {"version": "1"})
    assert checked.held().reason.startswith("check `sh -c 'test -e good.json || ! grep -q good clip.json'` failed with")


def test_a_check_ended_by_a_signal_is_red(checked: Checked) -> None:
    checked.use("sh -c '! grep -q good clip.json || kill -9 $$'")
    checked.create("good", {"version": "1"})
    assert "was ended by signal 9; change 1 (create clip 'good') breaks it" in checked.held().reason


def test_only_the_last_lines_are_told_and_on_one_line(checked: Checked) -> None:
    checked.use_python(
        "import pathlib, sys\n"
        "if 'good' in pathlib.Path('clip.json').read_text():\n"
        "    print('x' * 300_000)\n"
        "    print('\\n\\n'.join(f'\\x1b line {n}' for n in range(100)))\n"
        "    sys.exit('the end\\tof it')\n"
    )
    checked.create("good", {"version": "1"})
    assert "code 1: line 96 | line 97 | line 98 | line 99 | the end of it; change" in checked.held().reason


# What is red already


def test_a_check_that_is_red_on_the_parent_already_is_told_and_does_not_hold(checked: Checked) -> None:
    checked.clone.commit({"broken.json": {"bad": {}}})
    change = checked.create("good", {"version": "1"})
    tip = checked.clone.tip
    outcome = checked.sync_image()
    assert outcome.already_red == [
        f"{checked.name} failed with exit code 3: looking at broken.json | the model is bad "
        f"(already at {tip[:12]}; it holds nothing)"
    ]
    assert checked.statuses([change]) == [APPLIED]
    assert checked.sync_image().already_red == []


def test_a_later_command_holds_though_an_earlier_one_is_red_already(checked: Checked) -> None:
    checked.use("false", "sh -c '! grep -q good clip.json'")
    checked.create("good", {"version": "1"})
    outcome = checked.sync_image()
    assert len(outcome.already_red) == 1
    assert [held.reason.partition(" failed")[0] for held in outcome.held] == [
        "check `sh -c '! grep -q good clip.json'`"
    ]


def test_what_is_red_already_is_logged_once_for_a_parent(checked: Checked) -> None:
    checked.use("false", "sh -c '! grep -q bad clip.json'")
    lines: list[str] = []
    sink = logger.add(lines.append, level="WARNING", format="{message}")
    try:
        checked.create("bad", {"version": "1"})
        checked.held()
        checked.create("good", {"version": "1"}, category=BLIP)  # a batch of its own on the same parent
        assert len(checked.sync_image().already_red) == 1
    finally:
        logger.remove(sink)
    assert [line.partition(" failed")[0] for line in lines if "already at" in line] == ["image: check `false`"] * 2


def test_sync_tells_what_is_red_already_and_succeeds(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path, '[repository.check]\ncommands = ["false"]\n')
    assert desk("queue", "approve", desk.add("delete", "old"), "--title", "Tidy").done
    assert "  not checked yet: `false` will run on it" in desk("sync", "--dry-run").done.out
    done = desk("sync").done
    assert "image: check `false` failed with exit code 1 (already at " in done.err


def test_sync_tells_what_is_held_by_a_check(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path, '[repository.check]\ncommands = ["grep -q old clip.json"]\n')
    assert desk("queue", "approve", desk.add("delete", "old"), "--title", "Tidy").done
    ended = desk("sync")
    assert ended.code == 1
    assert ended.err.splitlines() == [
        "refsync: image: batch 1 is held: check `grep -q old clip.json` failed with exit code 1; "
        "change 1 (delete clip 'old') breaks it"
    ]
    assert "refsync batch retry 1" in desk("status").done.out


# When it is asked again


def test_a_held_batch_is_not_checked_again_on_the_same_tip(checked: Checked) -> None:
    checked.create("bad", {"version": "1"})
    held = checked.held()
    count = checked.count
    history = checked.application.queue.history_of(1)
    assert checked.held() == held
    checked.reopen()
    assert checked.held() == held
    assert checked.count == count
    assert checked.application.queue.history_of(1) == history


def test_retry_runs_the_check_again(checked: Checked) -> None:
    change = checked.create("bad", {"version": "1"})
    held = checked.held()
    count = checked.count
    checked.application.queue.retry_batch(held.number, actor=Actor("bob", "Bob"))
    assert checked.held() == held
    assert checked.count > count
    checked.script.write_text("")
    checked.application.queue.retry_batch(held.number, actor=Actor("bob", "Bob"))
    assert checked.sync().clean
    assert checked.statuses([change]) == [APPLIED]


def test_a_held_batch_goes_on_when_the_tip_has_moved(checked: Checked) -> None:
    change = checked.create("bad", {"version": "1"})
    checked.held()
    checked.script.write_text("")
    checked.held()
    checked.clone.commit({"README": b"moved\n"})
    assert checked.sync().clean
    assert checked.statuses([change]) == [APPLIED]


def test_a_held_batch_goes_on_without_the_change_that_was_purged(checked: Checked) -> None:
    ids = [checked.submit(name, {"version": "1"}, AuditOperation.CREATE) for name in ("bad", "good")]
    checked.approve(*ids)
    checked.held()
    checked.application.queue.purge_changes(
        queue_filter=PendingQueueFilter(model_name="bad"), purged_by="bob", purged_username="Bob"
    )
    assert checked.sync().clean
    assert checked.statuses(ids[1:]) == [APPLIED]


def test_a_held_batch_goes_on_when_the_command_was_taken_out_of_the_config(checked: Checked) -> None:
    checked.create("bad", {"version": "1"})
    checked.held()
    checked.use("test -e clip.json")
    assert checked.sync().clean


def test_a_held_batch_is_checked_again_only_if_its_commit_is_lost(checked: Checked) -> None:
    checked.create("bad", {"version": "1"})
    checked.held()
    count = checked.count
    git(checked.clone.path, "gc", "-q", "--prune=now")
    checked.held()
    assert checked.count == count
    (batch,) = checked.batches()
    git(checked.clone.path, "update-ref", "-d", built_ref(batch.job or ""))
    git(checked.clone.path, "gc", "-q", "--prune=now")
    checked.held()
    assert checked.count > count


def test_one_tree_is_checked_once_in_a_pass(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    checked.create("good", {"version": "1"})
    raced = iter([True])

    def build_while_somebody_amends(*arguments: Any) -> str | None:
        commit = build(*arguments)
        if next(raced, None):
            git(checked.clone.path, "commit", "-q", "--amend", "-m", "the same files")
        return commit

    monkeypatch.setattr(advance, "build", build_while_somebody_amends)
    assert checked.sync().clean
    assert checked.count == 1


def test_who_commits_while_the_check_runs_wins_and_the_batch_is_checked_anew(checked: Checked) -> None:
    marker = checked.folder / "committed"
    commit = f"cd {checked.clone.path} && echo x > README && git add README && git commit -q -m mine"
    checked.use_python(
        CHECK.format(runs=str(checked.runs))
        + f"import os\nif not os.path.exists({str(marker)!r}):\n"
        + f"    open({str(marker)!r}, 'w').close(); sys.exit(os.system({commit!r}))\n"
    )
    change = checked.create("good", {"version": "1"})
    assert checked.sync().clean
    assert checked.statuses([change]) == [APPLIED]
    assert checked.count == 2
    assert git(checked.clone.path, "log", "--format=%s") == "New models\nmine\nfirst"


# What a command sees


def test_a_command_sees_the_files_of_the_commit_and_nothing_of_the_clone(checked: Checked) -> None:
    checked.clone.commit({".gitattributes": b"blip.json export-ignore\n", "folder/file": b"x"})
    checked.clone.write("clip.json.orig", b"a person's own")
    seen = checked.folder / "seen"
    checked.use(f"sh -c 'find . -type f | sort > {seen}; grep -c good clip.json >> {seen}'")
    checked.create("good", {"version": "1"})
    assert checked.sync().clean
    assert seen.read_text().split() == ["./.gitattributes", "./blip.json", "./clip.json", "./folder/file", "1"]


def test_a_command_sees_no_secret_and_an_empty_home(checked: Checked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GITHUB_TOKEN", "secret")
    monkeypatch.setenv("SSH_AUTH_SOCK", "/secret")
    seen = checked.folder / "seen"
    checked.use(f"sh -c 'env > {seen}; ls -A \"$HOME\" >> {seen}; cat >> {seen}'")
    checked.create("good", {"version": "1"})
    assert checked.sync().clean
    environment = dict(line.split("=", 1) for line in seen.read_text().splitlines())
    assert set(environment) - {"_", "PWD", "SHLVL", "OLDPWD"} == {"PATH", "HOME", "TMPDIR", "LANG"}
    assert environment["PATH"] == os.environ["PATH"]
    assert Path(environment["HOME"]).is_relative_to(checked.folder / "state")


def test_what_a_command_writes_is_gone_and_does_not_reach_the_next_one(checked: Checked) -> None:
    checked.use("sh -c 'test ! -e litter && touch litter $HOME/.rc && chmod 0 .'", "test ! -e litter")
    change = checked.create("good", {"version": "1"})
    assert checked.sync().clean
    assert checked.statuses([change]) == [APPLIED]


def test_a_command_that_cannot_be_started_publishes_nothing_and_is_told(checked: Checked) -> None:
    checked.use("no-such-program --fast")
    change = checked.create("good", {"version": "1"})
    outcome = checked.sync_image()
    assert outcome.problem == (
        "check `no-such-program --fast` cannot be started: No such file or directory; "
        "correct `commands` in [repository.check]"
    )
    assert checked.statuses([change]) == [APPROVED]
    checked.use("test -e clip.json")
    assert checked.sync().clean
    assert checked.statuses([change]) == [APPLIED]


# Commands that do not end


# Starts a grandchild that says its number, both of which never end if there is a "slow" model.
HANGING = """
import pathlib, subprocess, sys, time
if "slow" in pathlib.Path("clip.json").read_text():
    child = subprocess.Popen([sys.executable, "-c", "import time; print('waiting', flush=True); time.sleep(1000)"])
    with open({pids!r}, "a") as pids:
        pids.write(f"{{child.pid}}\\n")
    {then}
"""


def processes(file: Path) -> list[int]:
    return [int(line) for line in file.read_text().split()] if file.exists() else []


def all_ended(file: Path) -> bool:
    return not any(map(is_running, processes(file)))


def is_running(pid: int) -> bool:
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def test_a_command_that_hangs_is_killed_with_its_grandchildren(checked: Checked) -> None:
    pids = checked.folder / "pids"
    checked.use_python(HANGING.format(pids=str(pids), then="child.wait()"), seconds=2)
    change = checked.create("slow", {"version": "1"})
    assert checked.held().reason == (
        f"{checked.name} did not end within 2 seconds: waiting; change {change} (create clip 'slow') breaks it"
    )
    assert processes(pids)
    wait_for("the grandchildren's end", lambda: all_ended(pids))


def test_a_process_that_leaves_the_group_of_its_command_is_ended_too(checked: Checked) -> None:
    pids = checked.folder / "pids"
    leaving = HANGING.replace("subprocess.Popen(", "subprocess.Popen(start_new_session=True, args=")
    checked.use_python(leaving.format(pids=str(pids), then=""), seconds=1000)
    checked.create("slow", {"version": "1"})
    assert checked.sync().clean
    assert processes(pids)
    wait_for("the grandchildren's end", lambda: all_ended(pids))


def test_what_a_command_leaves_running_is_not_waited_for_and_ended(checked: Checked) -> None:
    pids = checked.folder / "pids"
    checked.use_python(HANGING.format(pids=str(pids), then=""), seconds=1000)
    checked.create("slow", {"version": "1"})
    assert checked.sync().clean
    assert processes(pids)
    wait_for("the grandchildren's end", lambda: all_ended(pids))


def test_a_command_may_close_its_output_before_it_ends(checked: Checked) -> None:
    checked.use("sh -c 'exec >&- 2>&-; sleep 0.2; test -e clip.json'")
    checked.create("good", {"version": "1"})
    assert checked.sync().clean


def test_a_pass_told_to_stop_gives_the_check_up_and_the_next_one_takes_it_up(checked: Checked) -> None:
    pids = checked.folder / "pids"
    checked.use_python(HANGING.format(pids=str(pids), then="child.wait()"), seconds=1000)
    change = checked.create("slow", {"version": "1"})
    application = checked.application
    with pytest.raises(KeyboardInterrupt):
        reconcile.reconcile(
            Pass(
                in_pass(application.queue),
                application.repositories,
                application.publishers(),
                application.apply_settings,
                stopping=lambda: bool(processes(pids)),
            )
        )
    wait_for("the grandchildren's end", lambda: all_ended(pids))
    assert checked.left_over == []
    assert checked.statuses([change]) == [APPROVED]
    checked.script.write_text("")
    assert checked.sync().clean
    assert checked.statuses([change]) == [APPLIED]


def test_a_killed_pass_leaves_no_lock_and_its_folder_goes_with_the_next_check(checked: Checked) -> None:
    pids = checked.folder / "pids"
    checked.use_python(HANGING.format(pids=str(pids), then="child.wait()"), seconds=1000)
    change = checked.create("slow", {"version": "1"})
    words = [sys.executable, "-m", "refsync.cli.main", "--config", str(checked.config_file), "sync"]
    with subprocess.Popen(words, env=clean_environment()) as process:
        wait_for("the check", lambda: processes(pids))
        process.kill()
    assert len(checked.left_over) == 1
    for pid in processes(pids):
        with suppress(ProcessLookupError):  # it ends by itself if it had not yet said that it waits: nobody listens
            os.killpg(os.getpgid(pid), signal.SIGKILL)  # systemd's part: nobody else outlives a kill
    checked.script.write_text("")
    assert checked.sync().clean
    assert checked.statuses([change]) == [APPLIED]
    assert checked.left_over == []


def test_a_daemon_told_to_stop_ends_its_check(tmp_path: Path) -> None:
    site = Site(tmp_path)
    image_clone(site.clone.path)
    pids = tmp_path / "pids"
    script = tmp_path / "check.py"
    script.write_text(HANGING.format(pids=str(pids), then="child.wait()").replace("clip.json", "stable_diffusion.json"))
    check = f"[repository.check]\ncommands = [{json.dumps([sys.executable, str(script)])}]\n"
    site.config_file.write_text(site.config_text().replace("[log]", f"{check}[log]"))
    with site.daemon() as daemon:
        site.approve("slow")
        wait_for("the check", lambda: processes(pids))
        assert daemon.stop() == 0
    wait_for("the grandchildren's end", lambda: all_ended(pids))
    assert list(site.state.rglob("check-*")) == []
    assert not site.has_model("slow")
