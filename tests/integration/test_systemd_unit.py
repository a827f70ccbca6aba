"""The unit file says what the program does, and systemd itself finds nothing wrong with it."""

from __future__ import annotations

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SYSTEMD = Path(__file__).parents[2] / "systemd"
UNIT = SYSTEMD / "refsync.service"
DOOR, SOCKET = SYSTEMD / "refsync-serve.service", SYSTEMD / "refsync-serve.socket"
DROP_INS = sorted(SYSTEMD.glob("refsync.service.d/*.conf"))


def options(file: Path) -> list[tuple[str, str]]:
    lines = [line for line in file.read_text().splitlines() if "=" in line and not line.startswith("#")]
    return [(key, value) for key, _, value in (line.partition("=") for line in lines)]


@pytest.mark.parametrize("service", [UNIT, DOOR], ids=lambda file: file.stem)
def test_systemd_finds_nothing_wrong(tmp_path: Path, service: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd-analyze: install systemd")
    program = tmp_path / "refsync"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / service.name  # with a program that exists, which it looks for
    unit.write_text(service.read_text().replace("/opt/refsync/bin/refsync", str(program)))
    shutil.copytree(SYSTEMD / "refsync.service.d", tmp_path / "refsync.service.d")
    shutil.copy(SOCKET, tmp_path)
    done = subprocess.run(
        [tool, "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL
    )
    complaints = [line for line in done.stderr.splitlines() if "refsync" in line]
    assert (done.returncode, complaints) == (0, []), done.stderr


@pytest.mark.parametrize("service", [UNIT, DOOR], ids=lambda file: file.stem)
def test_systemd_rates_the_unit_as_well_closed(tmp_path: Path, service: Path) -> None:
    tool = shutil.which("systemd-analyze")
    if tool is None:
        pytest.skip("no systemd-analyze: install systemd")
    unit = tmp_path / service.name
    unit.write_text(service.read_text().replace("/opt/refsync/bin/refsync", "/bin/true"))
    done = subprocess.run(
        [tool, "security", "--offline=true", str(unit)], capture_output=True, text=True, check=False, cwd=tmp_path
    )
    if "unrecognized option" in done.stderr:
        pytest.skip("this systemd-analyze cannot rate a file: it takes systemd 250")
    rated = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    assert rated, done.stderr
    assert float(rated[1]) <= 1.5


@pytest.mark.parametrize("file", [UNIT, DOOR, SOCKET, *DROP_INS], ids=lambda file: file.name)
def test_a_reason_stands_above_the_options(file: Path) -> None:
    reasoned = False
    for line in file.read_text().splitlines():
        if line.startswith("#"):
            reasoned = True
        elif "=" in line:
            assert reasoned or line.partition("=")[0] in ("Description", "WantedBy"), f"no reason above {line}"
        else:  # a section begins, or a blank line ends what was said
            reasoned = False


def test_the_service_runs_the_installed_program_as_its_own_user() -> None:
    unit = dict(options(UNIT))
    assert unit["ExecStart"] == "/opt/refsync/bin/refsync --config /etc/refsync/refsync.toml run"
    assert (unit["User"], unit["Group"], unit["StateDirectory"]) == ("refsync", "refsync", "refsync refsync-queue")
    assert unit["StateDirectoryMode"] == "2770"  # as the program makes it
    assert unit["Type"] == "notify"
    assert unit["ExecReload"] == "/bin/kill -HUP $MAINPID"


def test_the_door_s_service_runs_the_installed_program_as_a_user_of_its_own_in_the_service_s_group() -> None:
    unit = dict(options(DOOR))
    assert unit["ExecStart"] == "/opt/refsync/bin/refsync --config /etc/refsync/refsync.toml serve"
    assert (unit["User"], unit["Group"]) == ("refsync-serve", "refsync")
    assert unit["ReadWritePaths"] == "/var/lib/refsync-queue /var/lib/refsync/wake"
    assert unit["Requires"] == SOCKET.name
