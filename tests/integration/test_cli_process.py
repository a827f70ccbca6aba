"""The program as a process: exit codes, signals, pipes, terminals, and what it imports."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import termios
from pathlib import Path

import pytest

from tests.support.command_line import Desk, Ended
from tests.support.repositories import clean_environment

HEAVY = {"pydantic", "sqlalchemy", "git", "rich", "loguru", "watchdog", "httpx", "filelock"}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """One pending change of a model with an umlaut. The tests only look."""
    desk = Desk.at(tmp_path_factory.mktemp("desk"))
    desk.add("create", "Müller 模型", {"name": "Müller 模型"})
    desk.add("create", "plain", {"description": "word " * 5000})
    assert desk("sync").done
    return desk


def python(code: str, *arguments: str | Path) -> Ended:
    words = [sys.executable, "-c", code, *map(str, arguments)]
    done = subprocess.run(words, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)
    return Ended(done.returncode, done.stdout, done.stderr)


_THEN_TELL = """
import sys
from refsync.cli.main import run_command
code = run_command(sys.argv[1:])
sys.stdout.flush()
print(*sorted(set(sys.modules) & %r), file=sys.stderr)
sys.exit(code)
"""


@pytest.mark.parametrize("words", ["--help", "--version"])
def test_help_imports_nothing_heavy(words: str) -> None:
    told = python(_THEN_TELL % HEAVY, *words.split()).done
    assert told.err == "\n"
    assert told.out


def test_help_of_a_command_imports_nothing_that_the_command_needs() -> None:
    told = python(_THEN_TELL % (HEAVY - {"pydantic"}), "queue", "add", "--help").done  # typer takes pydantic itself
    assert told.err == "\n"


def test_a_json_document_needs_no_tables(desk: Desk) -> None:
    told = python(_THEN_TELL % HEAVY, "--config", desk.config, "queue", "list", "--json").done
    assert "rich" not in told.err.split()


@pytest.mark.parametrize("words", [("queue", "list"), ("queue", "list", "--status", "applied")])
def test_a_table_in_a_pipe_needs_no_terminal_to_draw_on(desk: Desk, words: tuple[str, ...]) -> None:
    told = python(_THEN_TELL % {"rich.console", "rich.table", "rich.text"}, "--config", desk.config, *words).done
    assert told.err == "\n"


def test_a_forced_colour_is_drawn_in_a_pipe_too(desk: Desk) -> None:
    assert "\x1b[33mpending" in desk.real("queue", "list", environment={"FORCE_COLOR": "1"}).done.out


@pytest.mark.parametrize(
    ("words", "needless"),
    [
        ("queue list", {"refsync.use_cases.links.kept", "refsync.use_cases.comparing", "refsync.clone.process"}),
        (
            "status",
            {"refsync.sync.turn", "refsync.sync.checking", "refsync.sync.plan", "refsync.review.changes"},
        ),
        (
            "sync",
            {"git", "rich", "refsync.review.changes", "refsync.publishing.proposals.land", "refsync.forges.github"}
            | {"refsync.sync.advance", "refsync.sync.plan", "refsync.sync.preview"},
        ),
    ],
)
def test_a_command_loads_nothing_of_what_it_does_not_do(desk: Desk, words: str, needless: set[str]) -> None:
    told = python(_THEN_TELL % needless, "--config", desk.config, *words.split()).done
    assert told.err == "\n"


def test_looking_at_the_queue_loads_neither_locks_nor_log_nor_git_nor_what_changes_the_store(desk: Desk) -> None:
    needless = {"filelock", "loguru", "git", "alembic", "httpx", "apprise", "watchdog"}
    told = python(_THEN_TELL % needless, "--config", desk.config, "queue", "list", "--json").done
    assert told.err == "\n"


def test_a_bug_is_exit_code_3_with_its_traceback(desk: Desk) -> None:
    code = """
import sys
from refsync.cli.main import run_command
from refsync.pending_queue.service import PendingQueueService

def list_changes(self, **_):
    raise ZeroDivisionError("a bug")

PendingQueueService.list_changes = list_changes
sys.exit(run_command(sys.argv[1:]))
"""
    ended = python(code, "--config", desk.config, "queue", "list", "--json")
    assert (ended.code, ended.out) == (3, "")
    assert ended.err.startswith("Traceback (most recent call last):\n")
    assert "ZeroDivisionError: a bug" in ended.err
    assert ended.err.endswith("refsync: this is a bug in refsync; please report it with the lines above\n")


def test_an_interrupt_while_waiting_is_exit_code_130(desk: Desk) -> None:
    with desk.busy(), desk.running("sync") as process:
        assert process.stderr
        assert b"waiting" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    assert (process.returncode, out, err.strip()) == (130, b"", b"")


def test_a_reader_that_leaves_is_no_news(desk: Desk) -> None:
    with desk.running("queue", "show", 2) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        assert process.stderr.read() == b""


def test_a_full_disk_behind_stdout_is_one_line(desk: Desk) -> None:
    with open("/dev/full", "wb") as full:
        assert "No space left" in desk.real("queue", "list", stdout=full).refusal


def test_a_closed_stdin_is_one_line(desk: Desk) -> None:
    refused = desk.real("queue", "add", "create", "clip", "x", "--payload", "-", stdin=subprocess.DEVNULL)
    assert refused.refusal.startswith("payload: line 1")


def test_a_terminal_without_utf_8_still_shows_the_model(desk: Desk) -> None:
    ascii_only = {"LC_ALL": "C", "PYTHONIOENCODING": "ascii"}
    assert "ller" in desk.real("queue", "list", environment=ascii_only).done.out
    document = desk.real("queue", "list", "--json", environment=ascii_only).done.json
    assert document["items"][0]["model_name"] == "Müller 模型"


def on_terminal(desk: Desk, columns: int, *words: str | int) -> str:
    """What a terminal of this width gets to see."""
    ours, theirs = pty.openpty()
    try:
        termios.tcsetwinsize(theirs, (24, columns))
        environment = {"TERM": "xterm-256color"}
        with desk.running(*words, stdin=theirs, stdout=theirs, stderr=theirs, environment=environment) as process:
            os.close(theirs)
            shown = b""
            try:
                while block := os.read(ours, 65536):
                    shown += block
            except OSError:  # the other end is closed
                pass
            assert process.wait(60) == 0
    finally:
        os.close(ours)
    return shown.decode().replace("\r\n", "\n")


@pytest.mark.parametrize("columns", [40, 80])
def test_tables_fit_the_terminal(desk: Desk, columns: int) -> None:
    shown = on_terminal(desk, columns, "metadata", "show")
    plain = "".join(part.partition("m")[2] if n else part for n, part in enumerate(shown.split("\x1b[")))
    assert "clip" in plain
    assert max(map(len, plain.splitlines())) <= columns


def test_json_on_a_terminal_is_json(desk: Desk) -> None:
    assert json.loads(on_terminal(desk, 80, "queue", "list", "--json"))["total"] == 2


def test_progress_is_shown_on_a_terminal_only(desk: Desk) -> None:
    assert desk("metadata", "verify").done.err == ""
    shown = on_terminal(desk, 80, "metadata", "verify")
    assert shown.count("equal to the history") == 1
    assert shown.startswith("\x1b")


def test_verbose_logs_to_stderr_and_leaves_stdout_alone(desk: Desk) -> None:
    told = desk.real("--verbose", "queue", "list", "--json").done
    assert told.json["total"] == 2


def test_a_model_is_shown_from_its_file_without_the_queue(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path)
    assert desk.real("model", "show", "clip", "old").json == {"name": "old"}
    assert not desk.state.exists()
    said = desk.real("model", "show", "lora", "old").refusal
    assert said.startswith("no repository of the config holds lora; held are: ")


def test_a_machine_without_git_is_told_so_in_one_line(desk: Desk, tmp_path: Path) -> None:
    without_git = {"PATH": str(tmp_path)}
    refused = desk.real("sync", environment=without_git).refusal
    assert refused.endswith("git is not installed, or not in PATH; install it")
    assert desk.real("queue", "list", environment=without_git).done
