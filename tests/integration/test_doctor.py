"""The doctor finds what is wrong, changes nothing, and its commands mend it."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from refsync import disk_room
from refsync.pending_queue.store import copying
from refsync.use_cases.doctor import checks
from refsync.use_cases.doctor.checks import Looked, Verdict
from refsync.use_cases.doctor.examination import EXAMINATIONS
from refsync.use_cases.doctor.service import checks_of
from tests.support.command_line import Desk
from tests.support.forge import ForgeStandIn
from tests.support.published import Remote, RequestedReference
from tests.support.repositories import clean_environment, git

HOUR = 3600.0


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    tmp_path.chmod(0o755)
    desk = Desk.at(tmp_path)
    desk.config.chmod(0o644)
    desk.land(desk.add("create", "first", {"name": "first"}))
    return desk


def wrong(desk: Desk) -> list[dict[str, Any]]:
    checks = desk("doctor", "--json").json["checks"]
    return [check for check in checks if check["verdict"] == "wrong"]


def mended(desk: Desk, mend: str) -> None:
    """Run a command line as a person would, who may do everything."""
    tools = desk.folder / "tools"
    tools.mkdir(exist_ok=True)
    (tools / "sudo").write_text('#!/bin/sh\nexec "$@"\n')
    (tools / "sudo").chmod(0o755)
    path = f"{tools}:{Path(sys.executable).parent}:{os.environ['PATH']}"
    environment = clean_environment() | {"PATH": path, "REFSYNC_CONFIG": str(desk.config)}
    subprocess.run(["sh", "-c", mend], env=environment, check=True, cwd=desk.folder, capture_output=True)


def everything(folder: Path) -> dict[str, tuple[int, int, int]]:
    found = {path: path.lstat() for path in sorted(folder.rglob("*"))}
    return {str(path): (stat.st_ino, stat.st_mtime_ns, stat.st_mode) for path, stat in found.items()}


def aged(path: Path, content: str = "") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(content)
    os.utime(path, (0, 0))


def run_sql(file: Path, statement: str, *values: object) -> None:
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(statement, values)


def test_where_nothing_is_wrong_it_says_what_it_looked_at_and_changes_nothing(desk: Desk) -> None:
    before = everything(desk.folder)
    told = desk("doctor").done.out
    assert told.startswith("nothing is wrong; looked at: config, git, ")
    assert everything(desk.folder) == before


def test_it_looks_at_everything_once() -> None:
    assert sorted(name for name, _ in EXAMINATIONS) == sorted(Looked)


def test_a_store_is_looked_through_once(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """Reading all of a large one takes long, and several checks ask what stands in it."""
    looked: list[Path] = []

    def examine(file: Path) -> copying.StoreFacts:
        looked.append(file)
        return copying.examine_store(file)

    monkeypatch.setattr(checks, "examine_store", examine)
    desk("doctor")
    assert looked == [desk.folder / "state/queue.db"]


# What is wrong, and is mended by the command that is told


def lock_of_the_index(desk: Desk) -> None:
    aged(desk.clone.path / ".git" / "index.lock")


def lock_of_the_branch(desk: Desk) -> None:
    aged(desk.clone.path / ".git" / "refs" / "heads" / "main.lock")


def config_for_all(desk: Desk) -> None:
    desk.config.chmod(0o666)


def state_for_all(desk: Desk) -> None:
    desk.state.chmod(0o2777)


def state_without_its_group(desk: Desk) -> None:
    desk.state.chmod(0o770)


def no_state(desk: Desk) -> None:
    shutil.rmtree(desk.state)


def unwritable_state(desk: Desk) -> None:
    (desk.state / "pass.lock").chmod(0o040)


def edited_file(desk: Desk) -> None:
    (desk.clone.path / "clip.json").write_bytes(desk.clone.read("clip.json") + b"\n")


def temporary_of_the_state(desk: Desk) -> None:
    aged(desk.state / "image" / "meta" / "legacy" / "clip_metadata.json.tmp.1.2.ab")


def temporary_of_the_store(desk: Desk) -> None:
    aged(desk.state / "queue.db.0123.new")


def cut_off_restore(desk: Desk) -> None:
    (desk.state / ".restore-done").mkdir()


def approval_of_tomorrow(desk: Desk) -> None:
    desk.configure("[apply]\nsettle_seconds = 5.0\n")
    desk.config.chmod(0o644)
    assert desk("queue", "approve", desk.add("delete", "first"), "--title", "later").done
    run_sql(desk.state / "queue.db", "UPDATE batches SET last_approved_at = ? WHERE state = 'open'", time.time() + HOUR)


def clone_for_all(desk: Desk) -> None:
    (desk.clone.path / ".git" / "config").chmod(0o666)


@pytest.mark.parametrize(
    ("harm", "name", "told"),
    [
        (lock_of_the_index, "locks", "rm -- "),
        (lock_of_the_branch, "locks", "rm -- "),
        (config_for_all, "config", "chmod go-w "),
        (state_for_all, "state directory", "chmod o= "),
        (state_without_its_group, "state directory", "chmod g+s "),
        (no_state, "state directory", "install -d -m 2770 "),
        (unwritable_state, "state directory", "sudo chown -R "),
        (edited_file, "local edits", " stash push "),
        (temporary_of_the_state, "leftovers", "rm -- "),
        (temporary_of_the_store, "leftovers", "rm -- "),
        (cut_off_restore, "leftovers", "refsync status"),
        (approval_of_tomorrow, "clock", "refsync batch seal"),
        (clone_for_all, "ownership", "chmod -R o-w "),
    ],
)
def test_what_is_wrong_is_mended_by_the_command_that_is_told(
    desk: Desk, harm: Callable[[Desk], None], name: str, told: str
) -> None:
    harm(desk)
    before = everything(desk.folder)
    (found,) = wrong(desk)
    assert everything(desk.folder) == before
    assert (found["name"], told in found["mend"]) == (name, True), found
    ended = desk("doctor")
    assert (ended.code, ended.out.count("\n")) == (1, 1), ended
    assert ended.out.endswith(f"; mend it: {found['mend']}\n")
    mended(desk, found["mend"])
    assert wrong(desk) == []


def test_a_path_with_blanks_is_quoted_in_the_command(tmp_path: Path) -> None:
    tmp_path.chmod(0o755)
    folder = tmp_path / "a 'strange' place"
    folder.mkdir(mode=0o755)
    desk = Desk.at(folder)
    desk.config.chmod(0o644)
    assert desk("status").done
    lock_of_the_index(desk)
    (found,) = wrong(desk)
    mended(desk, found["mend"])
    assert wrong(desk) == []


# What a person has to see to


def other_branch(desk: Desk) -> None:
    git(desk.clone.path, "checkout", "-q", "-b", "topic")


def no_clone(desk: Desk) -> None:
    shutil.rmtree(desk.clone.path)


def missing_file(desk: Desk) -> None:
    desk.configure('[repository.categories]\nclip = "clips.json"\n')
    desk.config.chmod(0o644)


def mistyped_config(desk: Desk) -> None:
    desk.configure("brnach = 'main'\n")


def unknown_approver(desk: Desk) -> None:
    desk.configure('[people]\napprovers = ["root", "horde:12"]\nrequestors = ["nobody at all"]\n')
    desk.config.chmod(0o644)


def nobody_to_review(desk: Desk) -> None:
    desk.configure('[people]\ncategory_approvers = { blip = ["root"] }\n')
    desk.config.chmod(0o644)


def damaged_store(desk: Desk) -> None:
    (desk.state / "queue.db").write_bytes(b"no database at all" * 1000)


def newer_store(desk: Desk) -> None:
    run_sql(desk.state / "queue.db", "UPDATE alembic_version SET version_num = '9999'")


def commit_of_tomorrow(desk: Desk) -> None:
    date = f"{int(time.time() + 24 * HOUR)} +0000"
    git(desk.clone.path, "commit", "-q", "--allow-empty", "-m", "early", GIT_COMMITTER_DATE=date)


def pass_of_tomorrow(desk: Desk) -> None:
    run_sql(desk.state / "queue.db", "UPDATE repositories SET last_pass_at = ?", time.time() + 6 * HOUR)


@pytest.mark.parametrize(
    ("harm", "name", "told"),
    [
        (other_branch, "clone", "on branch 'topic', not on the target branch 'main'"),
        (no_clone, "clone", "there is no such folder"),
        (missing_file, "category files", "there is no file 'clips.json'"),
        (mistyped_config, "config", "brnach"),
        (unknown_approver, "people", "[people] names 'nobody at all', who has no account here"),
        (nobody_to_review, "people", "nobody may review changes of "),
        (damaged_store, "store", "refsync restore --force FILE"),
        (newer_store, "store", "is of store version 9999, this refsync knows"),
        (commit_of_tomorrow, "clock", "its newest commit is 24.0 hours in the future"),
        (pass_of_tomorrow, "clock", "the queue's last moves were 6.0 hours in the future"),
    ],
)
def test_what_a_person_has_to_see_to_is_told_on_one_line(
    desk: Desk, harm: Callable[[Desk], None], name: str, told: str
) -> None:
    harm(desk)
    before = everything(desk.folder)
    assert [found["name"] for found in wrong(desk)] == [name]
    ended = desk("doctor")
    assert everything(desk.folder) == before
    assert (ended.code, told in ended.out, ended.err) == (1, True, "")
    assert len(ended.out.splitlines()) == 1


def test_a_lock_that_is_young_is_left_alone(desk: Desk) -> None:
    (desk.clone.path / ".git" / "index.lock").touch()
    assert wrong(desk) == []


def test_the_room_that_is_left_is_told(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_room, "LEAST_BYTES", 1 << 80)
    assert {found["name"] for found in wrong(desk)} == {"disk"}


@pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")
def test_what_the_service_may_not_write_is_told(desk: Desk) -> None:
    os.chown(desk.state, 12345, 12345)
    for path in desk.state.rglob("*"):
        os.chown(path, 12345, 12345)
    (found,) = wrong(desk)
    assert (found["name"], found["mend"]) == ("ownership", f"sudo chown -R 12345:12345 {desk.clone.path}")


@pytest.mark.parametrize("version", ["2.30.1", ""])
def test_a_git_that_is_too_old_or_missing_is_told(desk: Desk, version: str) -> None:
    tools = desk.folder / "other tools"
    tools.mkdir()
    if version:
        (tools / "git").write_text(
            f'#!/bin/sh\n[ "$1" = version ] && exec echo git version {version}\nexec {shutil.which("git")} "$@"\n'
        )
        (tools / "git").chmod(0o755)
    ended = desk.real("doctor", environment={"PATH": str(tools) + (":/bin" if version else "")})
    assert ended.code == 1
    assert "mend it: sudo apt-get install -y git" in ended.out
    assert "Traceback" not in ended.err


# Remotes and forges


def test_a_remote_without_the_branch_gets_it_pushed(desk: Desk) -> None:
    remote = Remote.of(desk.clone, desk.folder / "remote.git")
    desk.configure('publish = "push"\n')
    desk.config.chmod(0o644)
    git(remote.path, "update-ref", "-d", "refs/heads/main")
    (found,) = wrong(desk)
    assert found["name"] == "remote"
    mended(desk, found["mend"])
    assert wrong(desk) == []


def test_a_branch_of_another_writer_is_told_and_one_s_own_is_not(desk: Desk) -> None:
    remote = Remote.of(desk.clone, desk.folder / "remote.git")
    desk.configure('publish = "branch"\n')
    desk.config.chmod(0o644)
    assert desk("queue", "approve", desk.add("delete", "first"), "--title", "ours").done
    assert desk("sync").done
    git(remote.path, "branch", "refsync/batch-9-abcdef", "main")
    assert desk("sync").done
    (found,) = wrong(desk)
    assert (found["name"], "refsync/batch-9-abcdef of origin" in found["what"]) == ("other writers' branches", True)
    mended(desk, found["mend"])
    assert wrong(desk) == []
    assert len(remote.branches) == 1


def named(found: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(check["name"], check["what"]) for check in found]


def test_what_the_forge_does_not_permit_is_told(tmp_path: Path) -> None:
    with ForgeStandIn(tmp_path) as forge, closing(RequestedReference(tmp_path, forge)) as reference:
        tmp_path.chmod(0o755)
        reference.config_file.chmod(0o644)
        (tmp_path / "token").chmod(0o600)
        desk = Desk(reference.clone, tmp_path)
        desk.config = reference.config_file
        desk.state = reference.application.state.path
        assert wrong(desk) == []
        forge.permit(pull_requests="write")
        assert named(wrong(desk)) == [
            ("forge", f"the credential lacks the permission {permission}; give it that")
            for permission in ("checks=read", "statuses=read")
        ]
        forge.require_token("another")
        (found,) = wrong(desk)
        assert (found["name"], "the credential is wrong, expired or revoked" in found["what"]) == ("forge", True)
        forge.require_token(None)
        forge.permissions = None
        (tmp_path / "token").chmod(0o644)
        (found,) = wrong(desk)
        assert (found["name"], found["mend"]) == ("credentials", f"chmod o=,g-w {tmp_path / 'token'}")
        mended(desk, found["mend"])
        (tmp_path / "token").unlink()
        assert {check["name"] for check in wrong(desk)} == {"credentials", "forge"}


# The service


@pytest.mark.parametrize(
    ("properties", "mends"),
    [
        ({"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "NeedDaemonReload": "no"}, []),
        ({"LoadState": "not-found"}, []),
        ({"LoadState": "bad-setting"}, ["systemd-analyze verify refsync.service"]),
        ({"LoadState": "loaded", "NeedDaemonReload": "yes"}, ["sudo systemctl daemon-reload"]),
        ({"LoadState": "loaded", "UnitFileState": "disabled"}, ["sudo systemctl enable refsync.service"]),
        (
            {"LoadState": "loaded", "ActiveState": "failed"},
            ["sudo systemctl reset-failed refsync.service && sudo systemctl start refsync.service"],
        ),
    ],
)
def test_what_systemd_says_of_the_unit(properties: Mapping[str, str], mends: list[str]) -> None:
    assert [check.mend for check in checks_of(properties) if check.verdict is Verdict.wrong] == mends
