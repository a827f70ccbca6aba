from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import shlex
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import httpx
import psutil
import pytest

from tests.support.daemon import command_line, wait_for
from tests.support.page import Reader
from tests.support.repositories import clean_environment, git

REFSYNC = (sys.executable, "-m", "refsync.cli.main")
README = Path(__file__).parents[2] / "README.md"
DEADLINE_SECONDS = 60.0
ENDS_OF_AN_INTERRUPTED_PYTHON = (130, -signal.SIGINT)
"""A shell calls both 130; Python ends by the signal itself if it came in the middle of an ``exec``."""


@pytest.fixture
def room(tmp_path: Path) -> Path:
    """Where temporary folders go, with a space in its name."""
    folder = tmp_path / "the room"
    folder.mkdir()
    return folder


def environment(room: Path, **more: str) -> dict[str, str]:
    kept = {key: value for key, value in clean_environment().items() if key not in ("HOME", "NO_COLOR", "FORCE_COLOR")}
    return kept | {"TMPDIR": str(room), "TERM": "xterm-256color"} | more


def start(*arguments: str | Path, env: Mapping[str, str]) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*REFSYNC, "demo", *map(str, arguments)],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        encoding="utf-8",
    )


def play(*arguments: str | Path, env: Mapping[str, str]) -> tuple[int, str, str]:
    with start(*arguments, env=env) as demo:
        output, error = demo.communicate(timeout=DEADLINE_SECONDS)
    return demo.returncode, output, error


def read_until(demo: subprocess.Popen[str], text: str) -> None:
    assert demo.stdout is not None
    for line in demo.stdout:
        if text in line:
            return
    raise AssertionError(f"ended without {text!r}: {demo.stderr and demo.stderr.read()}")


def daemon_of(demo: subprocess.Popen[str]) -> psutil.Process:
    (daemon,) = (child for child in psutil.Process(demo.pid).children() if "run" in command_line(child))
    return daemon


# What it shows


def test_from_inside_a_git_hook_without_home_and_identity_it_tells_the_story_of_the_readme_and_leaves_nothing(
    room: Path,
) -> None:
    inherited = {
        "GIT_DIR": "/nowhere/.git",
        "GIT_INDEX_FILE": "/nowhere/index",
        "GIT_WORK_TREE": "/nowhere",
        "REFSYNC_CONFIG": "/nowhere/refsync.toml",
        "REFSYNC_STATE_DIRECTORY": "/nowhere/state",
    }
    code, output, error = play(env=environment(room, **inherited))
    assert (code, error) == (0, "")
    assert "\x1b" not in output
    assert "\r" not in output
    assert re.search(r"refsync\S* demo --keep\n", output)
    assert re.search(r"refsync\S* init PATH\n", output)
    assert list(room.iterdir()) == []
    told = iter(stable(output, room))
    for line in stable(readme_story(), room):
        assert line in told, f"the demo does not say, or not in this place: {line}"


def readme_story() -> str:
    return readme_block("console", README.read_text(encoding="utf-8").split("<!-- demo -->")[1])


def readme_block(language: str, text: str) -> str:
    """The first block of code in this language."""
    found = re.search(rf"```{language}\n(.*?)```", text, re.DOTALL)
    assert found
    return found[1]


def stable(story: str, room: Path) -> list[str]:
    """The lines without what differs from one play to the next."""
    folder = rf"'?(/tmp|{re.escape(str(room))})/refsync-demo-\w+'?"
    for pattern, word in (
        (folder, "FOLDER"),
        (r"\b[0-9a-f]{7,40}\b", "ID"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME"),
        (r"FOLDER\.toml", "FOLDER/refsync.toml"),
    ):
        story = re.sub(pattern, word, story)
    return [line.rstrip() for line in story.splitlines() if line.strip() not in ("", "...")]


def test_on_a_narrow_terminal_it_is_coloured_and_in_a_kept_folder_the_program_of_the_readme_runs(room: Path) -> None:
    folder = room / "kept"
    code, output = play_on_a_terminal("--keep", "--directory", folder, env=environment(room), columns=60)
    assert code == 0, output
    assert "\x1b[32m+" in output
    assert "\x1b[31m-" in output
    plain = re.sub(r"\x1b\[[0-9;]*m", "", output)
    config = folder / "refsync.toml"
    assert f" --config {shlex.quote(str(config))} status" in plain
    done = subprocess.run(
        [*REFSYNC, "--config", config, "status"], env=environment(room), capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert "none serves this store" in done.stdout
    assert "4 applied, 2 rejected" in done.stdout
    assert git(folder / "reference", "status", "--porcelain") == ""
    assert git(folder / "reference", "fsck", "--strict") == ""
    program = [sys.executable, "-c", readme_block("python", README.read_text(encoding="utf-8"))]
    done = subprocess.run(program, cwd=folder, env=environment(room), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "update Deliberate\n4\n"), done.stderr


def play_on_a_terminal(*arguments: str | Path, env: Mapping[str, str], columns: int) -> tuple[int, str]:
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 50, columns, 0, 0))
    command = [*REFSYNC, "demo", *map(str, arguments)]
    with subprocess.Popen(command, env=env, stdin=theirs, stdout=theirs, stderr=theirs) as demo:
        os.close(theirs)
        output = b"".join(chunks(ours))
        demo.wait(DEADLINE_SECONDS)
    os.close(ours)
    return demo.returncode, output.decode()


def chunks(terminal: int) -> Iterator[bytes]:
    """What is written to a terminal until its last user leaves."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    while select.select([terminal], [], [], deadline - time.monotonic())[0]:
        try:
            yield os.read(terminal, 65536)
        except OSError:
            return
    raise AssertionError("the demo did not end")


@pytest.mark.slow
def test_with_web_it_serves_the_page_with_changes_to_review_until_it_is_interrupted(room: Path) -> None:
    with start("--web", env=environment(room)) as demo:
        assert demo.stdout is not None
        told = list[str]()
        for line in demo.stdout:
            told.append(line)
            if "Ctrl-C ends page and daemon" in line:
                break
        (token,) = re.findall(r"approver by (refsync_\S+)", "".join(told))
        (address,) = re.findall(r"The page is at (http://\S+) ", "".join(told))
        with httpx.Client(base_url=address) as client:
            seen = Reader(client).log_in(token)
            assert re.findall(r'class="number" href="/changes/(\d+)"', seen.text) == ["7", "8", "9", "10"]
            changed = Reader(client).send(seen, "/review/approve", id=[9], title="DreamShaper")
            assert "approved 9 into batch 3" in changed.text
            wait_for("it to land", lambda: "landed" in client.get("/batches/3").text)
        demo.send_signal(signal.SIGINT)
        _, error = demo.communicate(timeout=DEADLINE_SECONDS)
    assert (demo.returncode in ENDS_OF_AN_INTERRUPTED_PYTHON, error) == (True, "")
    assert list(room.iterdir()) == []


# How it ends early


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_told_to_end_in_the_middle_it_ends_the_daemon_and_cleans_up(number: signal.Signals, room: Path) -> None:
    with start("--directory", room, env=environment(room)) as demo:
        read_until(demo, "3. ")
        daemon = daemon_of(demo)
        demo.send_signal(number)
        demo.send_signal(number)
        _, error = demo.communicate(timeout=DEADLINE_SECONDS)
    assert (demo.returncode in ENDS_OF_AN_INTERRUPTED_PYTHON, error) == (True, "")
    assert not daemon.is_running()
    assert list(room.iterdir()) == []


def test_a_reader_that_leaves_early_leaves_nothing_behind(room: Path) -> None:
    with start(env=environment(room)) as demo:
        read_until(demo, "3. ")
        daemon = daemon_of(demo)
        assert demo.stdout is not None
        assert demo.stderr is not None
        demo.stdout.close()
        demo.wait(DEADLINE_SECONDS)
        assert (demo.returncode, demo.stderr.read()) == (1, "")
    assert not daemon.is_running()
    assert list(room.iterdir()) == []


def test_a_failure_is_one_line_and_leaves_nothing_behind(room: Path, tmp_path: Path) -> None:
    env = environment(room)
    with start(env=env | {"PATH": f"{without_commits(tmp_path)}:{env['PATH']}"}) as demo:
        _, error = demo.communicate(timeout=DEADLINE_SECONDS)
    assert demo.returncode == 1
    assert error.startswith("refsync: ")
    assert "git commit: no room" in error
    assert error.count("\n") == 1
    assert list(room.iterdir()) == []


def without_commits(folder: Path) -> Path:
    """A folder with a git that cannot commit by hand once refsync has made a commit."""
    broken = folder / "bin"
    broken.mkdir()
    script = broken / "git"
    script.write_text(
        '#!/bin/sh\nif [ "$1 $2" = "commit -am" ]; then echo "fatal: no room" >&2; exit 128; fi\n'
        f'exec {shlex.quote(git_program())} "$@"\n'
    )
    script.chmod(0o755)
    return broken


def git_program() -> str:
    return subprocess.run(["sh", "-c", "command -v git"], capture_output=True, text=True, check=True).stdout.strip()


def test_a_folder_that_is_not_empty_is_refused_and_left_alone(room: Path) -> None:
    (room / "mine").write_text("precious")
    code, output, error = play("--directory", room, env=environment(room))
    assert (code, output) == (1, "")
    assert error == f"refsync: {room}: is not an empty folder; name another one with --directory\n"
    assert (room / "mine").read_text() == "precious"


def test_a_folder_that_cannot_be_made_is_refused_in_one_line(room: Path) -> None:
    code, _, error = play("--directory", room / "no" / "such", env=environment(room))
    assert code == 1
    assert error == f"refsync: {room}/no/such: cannot be created: No such file or directory\n"
