"""Each refusal is one clear line on stderr, exit code 1, and nothing changed."""

from __future__ import annotations

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.support.command_line import Desk, Ended
from tests.support.repositories import Clone

GOOD = b'{"name": "x"}'
CREATE = ("queue", "add", "create", "--payload", "-")


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Changes in each status: 1 landed, 2 rejected, 3 approved, 4 pending. No test here changes anything."""
    desk = Desk.at(tmp_path_factory.mktemp("desk"), '[apply]\nwhen = "manual"\n')
    desk.add("create", "landed", {"name": "landed"})
    assert desk("queue", "approve", 1, "--title", "First").done
    assert desk("batch", "seal").done
    assert desk("sync").done
    desk.add("delete", "old")
    assert desk("queue", "reject", 2, "--reason", "no").done
    desk.add("create", "approved", {"name": "approved"})
    assert desk("queue", "approve", 3, "--title", "Second").done
    desk.add("create", "pending", {"name": "pending"})
    return desk


@pytest.fixture(scope="module", autouse=True)
def _nothing_changes(desk: Desk) -> Iterator[None]:
    before = desk.everything
    yield
    assert desk.everything == before


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (b"[1]", "expected a JSON object, got a list"),
        (b"null", "expected a JSON object, got null"),
        (b"", "line 1, column 1"),
        (b'{"a": ', "line 1, column 7"),
        (b'{"a": NaN}', "NaN is not JSON"),
        (b'{"a": -Infinity}', "-Infinity is not JSON"),
        (b'{"a": 1e999}', "1e999 is not JSON"),
        (b'{"a": {"b": 1, "b": 2}}', "the key 'b' stands twice"),
        (b'{"a": "' + b"x" * (1 << 20) + b'"}', "at most 1048576 are allowed"),
        (b'{"a": ' * 101 + b"1" + b"}" * 101, "nested deeper than 100"),
        (b"[" * 100_000, "nested deeper than 100"),
        (b'{"a": "\xff"}', "not UTF-8 at byte 7"),
        (b'{"a": "\\ud800"}', "lone surrogate"),
    ],
)
def test_a_payload_that_no_file_can_hold(desk: Desk, payload: bytes, reason: str) -> None:
    refusal = desk(*CREATE, "clip", "new", stdin=payload).refusal
    assert refusal.startswith("payload: ")
    assert refusal.count("payload: ") == 1
    assert reason in refusal


def test_a_payload_of_the_largest_size_and_depth_is_taken(tmp_path: Path) -> None:
    generous = Desk.at(tmp_path)
    frame = len(b'{"a": ""}')
    assert generous(*CREATE, "clip", "big", stdin=b'{"a": "' + b"x" * ((1 << 20) - frame) + b'"}').done
    assert generous(*CREATE, "clip", "deep", stdin=b'{"a": ' * 100 + b"1" + b"}" * 100).done


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("", "model name is empty"),
        ("  ", "model name is empty"),
        ("x" * 256, "256 characters; at most 255"),
        ("a\nb", "U+000A"),
        ("a\x1b[31m", "U+001B"),
        ("a\u2028b", "U+2028"),
        ("a\udcffb", "U+DCFF"),
    ],
)
def test_a_model_name_that_cannot_be(desk: Desk, name: str, reason: str) -> None:
    assert reason in desk(*CREATE, "clip", name, stdin=GOOD).refusal


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        # what is named does not exist
        ("queue add create --payload gone.json clip x", "gone.json: No such file"),
        ("queue add create --payload . clip x", "Is a directory"),
        ("queue import gone.jsonl", "gone.jsonl: No such file"),
        ("queue add create --payload - clop x", "unknown category 'clop'"),
        ("queue add create --payload - lora x", "no repository of the config holds lora"),
        ("queue add remove --payload - clip x", "unknown operation 'remove'; it is one of create, update, delete"),
        ("queue add delete clip gone", "clip 'gone' does not exist"),
        ("queue add update --payload - clip gone", "clip 'gone' does not exist"),
        ("queue list --status done", "unknown status 'done'; it is one of pending,"),
        ("queue list --category clop", "unknown category 'clop'"),
        ("queue list --offset -1", "offset is -1"),
        ("queue list --limit -1", "limit is -1"),
        ("queue show 99", "no change has the id 99"),
        ("queue show 99999999999999999999", "no change has the id 99999999999999999999"),
        ("queue show 0", "no change has the id 0"),
        ("queue diff 99", "no change has the id 99"),
        ("queue approve 4 99 --title T", "no change has the id 99"),
        ("queue reject 4 99 --reason R", "no change has the id 99"),
        ("queue withdraw 3 99", "no change has the id 99"),
        ("batch show 99", "no batch has the number 99"),
        ("batch retry 99", "no batch has the number 99"),
        ("batch abandon 99 --reason R", "no batch has the number 99"),
        ("model show clip VIT-l/15", "clip has no model 'VIT-l/15'; the nearest is 'ViT-L/14'"),
        ("model show gfpgan x", "gfpgan.json: there is no such file"),
        ("model show clop x", "unknown category 'clop'"),
        ("model history clip gone", "no commit ever touched clip 'gone'"),
        ("metadata show clop", "unknown category 'clop'"),
        ("metadata show lora", "no repository of the config holds lora"),
        # the status does not allow it
        ("queue approve 1 --title T", "change 1 is applied, not pending"),
        ("queue approve 2 --title T", "change 2 is rejected, not pending"),
        ("queue approve 4 3 --title T", "change 3 is approved, not pending"),
        ("queue reject 3 --reason R", "change 3 is approved, not pending"),
        ("queue withdraw 4", "change 4 is pending, not approved"),
        ("queue withdraw 1", "change 1 is applied, not approved"),
        ("batch retry 1", "batch 1 is landed; only a batch that is held"),
        ("batch abandon 2 --reason R", "batch 2 is open; only a batch that is proposed or held"),
        # something is missing, or too much
        ("queue add create clip x", "create needs the full record: --payload FILE"),
        ("queue add update clip old", "update needs the full record: --payload FILE"),
        ("queue add delete --payload - clip old", "a delete takes no payload"),
        ("queue add delete clip old --username Ada", "--username names the identity of --by"),
        ("queue add delete clip old --by=", "requestor id is empty"),
        ("queue approve", "name the changes to approve by their ids, or all pending ones by --all"),
        ("queue approve 4 --all --title T", "by their ids, or all"),
        ("queue reject 4 --reason=", "reject reason is empty"),
        ("queue purge", "say what to purge"),
        ("queue purge --all --status pending", "one or the other"),
        ("queue purge --status done", "unknown status 'done'"),
    ],
)
def test_what_cannot_be_done(desk: Desk, words: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(desk.folder)
    assert reason in desk(*words.split(), stdin=GOOD).refusal


def test_the_first_approval_needs_a_title(tmp_path: Path) -> None:
    fresh = Desk.at(tmp_path)
    fresh.add("delete", "old")
    for title in ((), ("--title", " ")):
        assert "--title TEXT" in fresh("queue", "approve", 1, *title).refusal
    assert "control character" in fresh("queue", "approve", 1, "--title", "a\nb").refusal
    assert "nothing to approve" in Desk.at(tmp_path / "empty")("queue", "approve", "--all", "--title", "T").refusal
    assert "no batch is open" in fresh("batch", "seal").refusal


def test_a_change_cannot_be_approved_and_rejected(tmp_path: Path) -> None:
    fresh = Desk.at(tmp_path)
    fresh.add("delete", "old")
    assert fresh("queue", "approve", 1, "--title", "T").done
    assert "change 1 is approved, not pending" in fresh("queue", "reject", 1, "--reason", "no").refusal
    assert fresh("queue", "show", 1, "--json").json["status"] == "approved"


def test_one_refused_id_leaves_the_others_as_they_were(desk: Desk) -> None:
    assert "99" in desk("queue", "approve", 4, 99, "--title", "T").refusal
    assert desk("queue", "show", 4, "--json").json["status"] == "pending"


# Config, state directory, store, clone


def test_a_config_file_that_is_not_there(desk: Desk) -> None:
    refusal = desk("--config", "gone.toml", "status").refusal
    assert "gone.toml: there is no such config file" in refusal
    assert "refsync init" in refusal


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        ("aply = 1\n", "refsync.toml: repository.image.aply"),
        ("[aply]\nwhen = 'manual'\n", "aply: is no known key; the nearest is apply"),
        ("[cache]\nttl_seconds = 'x'\n", "cache.ttl_seconds"),
        ("= 1\n", "refsync.toml: "),
    ],
)
def test_a_config_file_with_a_mistake(tmp_path: Path, settings: str, reason: str) -> None:
    assert reason in Desk.at(tmp_path, settings)("status").refusal


@contextmanager
def moved_away(path: Path) -> Iterator[None]:
    away = path.with_name(path.name + ".away")
    path.rename(away)
    try:
        yield
    finally:
        shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        away.rename(path)


def test_a_damaged_store(desk: Desk) -> None:
    with moved_away(desk.state):
        desk.state.mkdir()
        (desk.state / "queue.db").write_bytes(b"this is no database, whatever its name says\n" * 100)
        for words in (["queue", "list"], ["status"], ["sync"], ["queue", "add", "delete", "clip", "old"]):
            refusal = desk(*words).refusal
            assert "queue.db" in refusal
            assert "damaged" in refusal


def test_a_store_of_a_newer_version(tmp_path: Path) -> None:
    newer = Desk.at(tmp_path)
    newer.add("delete", "old")
    (store,) = newer.state.glob("*.db")
    with closing(sqlite3.connect(store)) as connection, connection:
        connection.execute("update alembic_version set version_num = '0099'")
    before = store.read_bytes()
    refusal = newer("queue", "list").refusal
    assert "version 99" in refusal
    assert "upgrade refsync" in refusal
    assert store.read_bytes() == before


def test_a_state_directory_that_is_a_file(desk: Desk) -> None:
    with moved_away(desk.state):
        desk.state.write_text("")
        assert str(desk.state) in desk("queue", "list").refusal


_AS_NOBODY = """
import grp, os, sys
import refsync.cli.tables, refsync.pending_queue.service, refsync.pending_queue.store, refsync.state_directory
import refsync.use_cases.changes
from refsync.cli.main import run_command
if os.geteuid() == 0:
    os.setgroups([])
    os.setgid(65534)
    os.setuid(65534)
sys.exit(run_command(sys.argv[1:]))
"""


def test_a_state_directory_that_this_user_may_not_write() -> None:
    with tempfile.TemporaryDirectory() as folder:  # pytest's own folders are closed to others
        theirs = Desk(Clone(Path(folder) / "clone"), Path(folder))
        theirs.configure()
        Path(folder).chmod(0o755)
        theirs.state.mkdir()
        theirs.state.chmod(0o500)
        words = [sys.executable, "-c", _AS_NOBODY, "--config", str(theirs.config), "queue", "list"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        assert str(theirs.state) in Ended(done.returncode, done.stdout, done.stderr).refusal
        assert list(theirs.state.iterdir()) == []


def test_a_clone_that_is_gone(desk: Desk) -> None:
    with moved_away(desk.clone.path):
        assert str(desk.clone.path) in desk("queue", "add", "delete", "clip", "old").refusal
        assert str(desk.clone.path) in desk("model", "history", "clip", "old").refusal
        told = desk("status").done.out
        assert "held" in told
        assert str(desk.clone.path) in told
        assert desk("sync").code == 1


def test_a_category_file_that_is_broken_or_gone_is_named(desk: Desk) -> None:
    file = desk.clone.path / "clip.json"
    good = file.read_bytes()
    try:
        file.write_bytes(b'{\n  "a": ')
        refusal = desk("model", "show", "clip", "old").refusal
        assert str(file) in refusal
        assert "line 2" in refusal
        file.unlink()
        assert f"{file}: there is no such file" in desk("model", "show", "clip", "old").refusal
    finally:
        file.write_bytes(good)


def test_git_that_is_not_installed_is_said(desk: Desk) -> None:
    refused = desk.real("model", "history", "clip", "old", environment={"PATH": "/nowhere"})
    assert "git" in refused.refusal


# Wrong usage


@pytest.mark.parametrize(
    "words",
    [
        "nothing",
        "queue nothing",
        "queue show",
        "queue show one",
        "queue list --colour red",
        "queue reject 4",
        "batch abandon 1",
        "run --quickly",
    ],
)
def test_wrong_usage_is_exit_code_2_and_says_where_help_is(desk: Desk, words: str) -> None:
    ended = desk(*words.split())
    assert (ended.code, ended.out) == (2, "")
    assert "--help" in ended.err
    assert "Traceback" not in ended.err


def test_init_of_what_is_no_clone_is_refused(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    refused = desk("--config", tmp_path / "refsync.toml", "init", tmp_path / "empty").refusal
    assert str(tmp_path / "empty") in refused


def test_a_second_daemon_is_told_of_the_first(desk: Desk) -> None:
    with desk.served():
        refused = desk.real("run", stdout=subprocess.PIPE)
    assert "serves this state directory" in refused.refusal
    assert str(os.getpid()) in refused.refusal
