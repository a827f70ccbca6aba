"""A backup holds what git cannot give back, is made while others work, and comes back whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import io
import json
import os
import shutil
import sqlite3
import stat
import tarfile
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from refsync.application import open_application
from refsync.config import load_config
from refsync.errors import RefsyncError
from refsync.use_cases.backup import backup, restore
from tests.support.command_line import Desk, wait_until
from tests.support.dying import failing_at_durable_step, killed_at_durable_step
from tests.support.queue import submit

State = tuple[str, dict[str, str]]
STRIDES = pytest.mark.parametrize("stride", [7, pytest.param(1, marks=pytest.mark.slow)])
"""Each seventh step, or each one."""


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    desk = Desk.at(tmp_path)
    desk.land(desk.add("create", "first", {"name": "first"}))
    return desk


def state_of(desk: Desk) -> State:
    """The queue, and every file of metadata, as they are once a command has looked."""
    queue = desk("queue", "export").done.out
    meta = desk.state / "image" / "meta"
    return queue, {str(path.relative_to(meta)): path.read_text() for path in sorted(meta.rglob("*.json"))}


def leftovers(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir() if path.name.startswith((".refsync-backup", ".restore"))]


def rewritten(file: Path, change: Callable[[str, bytes], bytes | None]) -> Path:
    """The same archive with other contents of its members; ``None`` leaves one out."""
    target = file.with_name("rewritten.tar")
    with tarfile.open(file) as old, tarfile.open(target, "w") as new:
        for member in old:
            extracted = old.extractfile(member)
            assert extracted is not None
            content = change(member.name, extracted.read())
            if content is not None:
                member.size = len(content)
                new.addfile(member, io.BytesIO(content))
    return target


def test_what_was_backed_up_comes_back_and_what_came_later_is_gone(desk: Desk) -> None:
    desk.add("create", "waiting", {"name": "waiting"})
    before = state_of(desk)
    file = desk.folder / "backup.tar"
    assert desk("backup", file).done
    desk.land(desk.add("delete", "first"), title="later")
    assert state_of(desk) != before
    assert desk("restore", "--force", file).done.out.startswith(f"restored {file}: 2 changes, metadata of image")
    assert state_of(desk) == before
    assert leftovers(desk.state) == leftovers(desk.folder) == []


def test_it_is_for_its_owner_alone_and_flushed_into_one_file(desk: Desk) -> None:
    file = desk.folder / "backup.tar"
    assert desk("backup", file).done
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    with tarfile.open(file) as archive:
        names = archive.getnames()
    assert names[0] == "manifest.json"
    assert {"queue.db", "refsync.toml", "repositories/image/meta/position.json"} < set(names)


def test_it_comes_back_on_a_machine_that_has_nothing_but_config_and_clone(desk: Desk) -> None:
    before = state_of(desk)
    file = desk.folder / "backup.tar"
    assert desk("backup", file).done
    shutil.rmtree(desk.state)
    assert desk("restore", file).done
    assert state_of(desk) == before
    assert desk("metadata", "verify").done
    modes = {stat.S_IMODE(path.stat().st_mode) for path in (desk.state / "image" / "meta").rglob("*.json")}
    assert modes == {stat.S_IMODE((desk.state / "queue.db").stat().st_mode)} == {0o660}


def test_an_older_queue_learns_from_git_what_has_landed_since(desk: Desk) -> None:
    desk.add("create", "second", {"name": "second"})
    desk.add("update", "old", {"name": "old", "version": "2"})
    assert desk("queue", "approve", "--all", "--title", "two").done
    file = desk.folder / "backup.tar"
    assert desk("backup", file).done
    assert desk("sync").done
    tip = desk.clone.tip
    assert desk("restore", "--force", file).done
    assert desk("sync").done
    assert desk.clone.tip == tip
    assert desk("queue", "list", "--json").done.json["total"] == 3
    assert {each["status"] for each in desk("queue", "list", "--json").json["items"]} == {"applied"}
    assert desk("metadata", "verify").done


def test_backups_made_while_a_daemon_works_and_others_submit_are_each_of_one_moment(desk: Desk) -> None:
    config = load_config(desk.config, {})
    stopped = threading.Event()

    def submit_and_approve() -> None:
        with open_application(config) as application:
            number = 0
            while not stopped.is_set():
                number += 1
                change = submit(application.queue, f"model {number}")
                if number % 3 == 0:
                    application.queue.process_batch(
                        approver_id="grace",
                        approver_username="Grace",
                        batch_title="more",
                        approved_ids=[change.change_id],
                        rejected_ids=None,
                    )

    with desk.running("run"):
        wait_until(lambda: '"daemon": {' in desk("status", "--json").out, "the daemon serves")
        submitter = threading.Thread(target=submit_and_approve)
        submitter.start()
        try:
            with open_application(config) as application:
                made = [backup(application, desk.config, desk.folder / f"backup {n}.tar") for n in range(6)]
        finally:
            stopped.set()
            submitter.join()
    assert made[-1].changes
    for each in made:
        desk.state = desk.folder / "another state"
        shutil.rmtree(desk.state, ignore_errors=True)
        desk.configure()
        assert desk("restore", each.file).done
        lines = map(json.loads, desk("queue", "export").done.out.splitlines())
        ids = [line["change"]["change_id"] for line in lines if "change" in line]
        assert ids == list(range(1, (each.changes or 0) + 1))
        assert desk("metadata", "show").done


def test_another_backup_or_file_is_not_overwritten(desk: Desk) -> None:
    file = desk.folder / "backup.tar"
    assert desk("backup", file).done
    before = file.read_bytes()
    refusal = desk("backup", file).refusal
    assert refusal == (f"{file}: exists already; name another file, or replace a backup: refsync backup --force {file}")
    assert file.read_bytes() == before
    assert "no backup" in desk("backup", "--force", desk.config).refusal
    assert "no backup" in desk("backup", "--force", desk.state / "queue.db").refusal
    assert desk("backup", "--force", file).done
    assert "no such folder" in desk("backup", desk.folder / "missing" / "backup.tar").refusal


def test_a_queue_is_not_replaced_without_force(desk: Desk) -> None:
    file = desk.folder / "backup.tar"
    assert desk("backup", file).done
    before = state_of(desk)
    refusal = desk("restore", file).refusal
    assert f"refsync backup {file}.before" in refusal
    assert f"refsync restore --force {file}" in refusal
    assert state_of(desk) == before


def test_nothing_is_restored_while_a_daemon_serves_the_state_directory(desk: Desk) -> None:
    file = desk.folder / "backup.tar"
    assert desk("backup", file).done
    before = state_of(desk)
    with desk.served():
        assert "serves this state directory already; stop it first" in desk("restore", "--force", file).refusal
    assert state_of(desk) == before


def with_newer_store(name: str, content: bytes) -> bytes:
    return content.replace(b'"store_version": "0', b'"store_version": "9') if name == "manifest.json" else content


def with_newer_format(name: str, content: bytes) -> bytes:
    return content.replace(b'"format": 1', b'"format": 2') if name == "manifest.json" else content


def with_a_flipped_bit(name: str, content: bytes) -> bytes:
    return content[:-1] + bytes([content[-1] ^ 1]) if name == "queue.db" else content


def without_position(name: str, content: bytes) -> bytes | None:
    return None if name.endswith("position.json") else content


def leading_elsewhere(name: str, content: bytes) -> bytes:
    return content.replace(b"repositories/image/", b"repositories/../../") if name == "manifest.json" else content


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (with_newer_store, "is of store version 9"),
        (with_newer_format, "is a backup of format 2, this refsync knows 1: upgrade refsync"),
        (with_a_flipped_bit, "'queue.db' does not have its checksum"),
        (without_position, "is missing"),
        (leading_elsewhere, "which has no place here"),
    ],
)
def test_a_backup_that_is_newer_or_damaged_is_refused_and_changes_nothing(
    desk: Desk, change: Callable[[str, bytes], bytes | None], told: str
) -> None:
    file = desk.folder / "backup.tar"
    assert desk("backup", file).done
    before = state_of(desk)
    assert told in desk("restore", "--force", rewritten(file, change)).refusal
    assert state_of(desk) == before
    assert leftovers(desk.state) == []


@pytest.mark.parametrize("kept", [0, 100, 5000, -3000])
def test_a_backup_that_is_cut_off_is_refused(desk: Desk, kept: int) -> None:
    file = desk.folder / "backup.tar"
    assert desk("backup", file).done
    file.write_bytes(file.read_bytes()[: kept if kept >= 0 else 60_000])
    before = state_of(desk)
    assert "damaged" in desk("restore", "--force", file).refusal
    assert state_of(desk) == before


def test_a_damaged_queue_is_replaced_and_kept_beside(desk: Desk) -> None:
    before = state_of(desk)
    file = desk.folder / "backup.tar"
    assert desk("backup", file).done
    store = desk.state / "queue.db"
    store.write_bytes(b"no database at all" * 1000)
    assert f"refsync restore --force {file}" in desk("restore", file).refusal
    assert desk("restore", "--force", file).done
    assert state_of(desk) == before
    assert (desk.state / "queue.db.damaged").read_bytes().startswith(b"no database")


def test_a_damaged_queue_is_not_backed_up(desk: Desk) -> None:
    with closing(sqlite3.connect(desk.state / "queue.db")) as connection:
        connection.execute("PRAGMA writable_schema=ON")
        connection.execute("UPDATE sqlite_master SET rootpage = 9999 WHERE name = 'changes_by_model'")
        connection.commit()
    file = desk.folder / "backup.tar"
    assert "is damaged" in desk("backup", file).refusal
    assert not file.exists()


def test_a_queue_on_another_disk_is_in_it(desk: Desk) -> None:
    desk.configure(f'[queue]\nurl = "sqlite:///{desk.folder}/elsewhere.db"\n')
    desk.add("create", "more", {"name": "more"})
    before = state_of(desk)
    assert desk("backup", desk.folder / "backup.tar").done.out.count("1 change,") == 1
    (desk.folder / "elsewhere.db").unlink()
    assert desk("restore", desk.folder / "backup.tar").done
    assert state_of(desk) == before


@pytest.fixture
def two_states(desk: Desk) -> tuple[Desk, Path, State, State]:
    """A desk whose state has gone on since its backup, which differs from it in queue and metadata."""
    desk.add("create", "waiting", {"name": "waiting"})
    old = state_of(desk)
    file = desk.folder / "backup.tar"
    assert desk("backup", file).done
    desk.land(desk.add("delete", "first"), title="later")
    return desk, file, old, state_of(desk)


def fresh_copy(desk: Desk, kept: Path) -> None:
    shutil.rmtree(desk.state, ignore_errors=True)
    shutil.copytree(kept, desk.state)


@STRIDES
def test_a_restore_that_is_killed_at_any_step_is_done_or_undone(
    two_states: tuple[Desk, Path, State, State], stride: int
) -> None:
    desk, file, old, new = two_states
    config, kept = load_config(desk.config, {}), desk.folder / "kept"
    shutil.copytree(desk.state, kept)
    seen, step = set(), 0
    while True:
        step += stride
        fresh_copy(desk, kept)
        if not killed_at_durable_step(lambda: restore(config, file, force=True), step):
            break
        found = state_of(desk)
        assert found in (old, new), step
        seen.add(found[0])
        assert leftovers(desk.state) == []
    assert (step > 20, len(seen) == 2) == (True, True)


@STRIDES
def test_a_restore_that_fails_at_any_step_loses_nothing(
    two_states: tuple[Desk, Path, State, State], stride: int
) -> None:
    desk, file, old, new = two_states
    config, kept = load_config(desk.config, {}), desk.folder / "kept"
    shutil.copytree(desk.state, kept)
    step = 0

    def attempt() -> None:
        with contextlib.suppress(RefsyncError):
            restore(config, file, force=True)

    while True:
        step += stride
        fresh_copy(desk, kept)
        if not failing_at_durable_step(attempt, step, errno.ENOSPC):
            break
        assert state_of(desk) in (old, new), step
        assert leftovers(desk.state) == []
    assert step > 20


@STRIDES
def test_a_backup_that_is_killed_at_any_step_leaves_the_file_whole_or_missing(desk: Desk, stride: int) -> None:
    config, file = load_config(desk.config, {}), desk.folder / "backups" / "backup.tar"
    file.parent.mkdir()
    before, step = state_of(desk), 0

    def make() -> None:
        with open_application(config) as application:
            backup(application, desk.config, file)

    while True:
        step += stride
        if not killed_at_durable_step(make, step):
            break
        if file.exists():
            assert desk("restore", "--force", file).done
            file.unlink()
        for left in file.parent.iterdir():
            os.utime(left, (0, 0))
        assert state_of(desk) == before
    assert [path.name for path in file.parent.iterdir()] == ["backup.tar"]
