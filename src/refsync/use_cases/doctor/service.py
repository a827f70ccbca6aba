"""The unit file, where systemd runs the machine."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path

from refsync.commands import command
from refsync.use_cases.doctor.checks import Check, Looked, Patient, or_good, unknown, wrong

_UNIT = "refsync.service"
_ASKED = "--property=LoadState,ActiveState,UnitFileState,NeedDaemonReload"
_RUNNING = Path("/run/systemd/system")
_PATIENCE_SECONDS = 10.0


def unit(patient: Patient) -> Iterator[Check]:
    """Whether the service is loaded as its file says, begins with the machine, and has not failed."""
    if not _RUNNING.is_dir() or not shutil.which("systemctl"):
        return
    try:
        asked = subprocess.run(
            ["systemctl", "show", _UNIT, _ASKED], capture_output=True, text=True, check=False, timeout=_PATIENCE_SECONDS
        )
    except subprocess.TimeoutExpired:
        yield unknown(Looked.service, _UNIT, "systemd does not answer")
        return
    yield from checks_of(dict(line.partition("=")[::2] for line in asked.stdout.splitlines()))


def checks_of(told: Mapping[str, str]) -> Iterator[Check]:
    """What systemd's properties of the unit mean."""
    if told.get("LoadState") == "not-found":
        yield unknown(Looked.service, _UNIT, "no such unit is installed")
        return
    yield from or_good(Looked.service, _UNIT, _of_unit(told))


def _of_unit(told: Mapping[str, str]) -> Iterator[Check]:
    systemctl = ("sudo", "systemctl")
    if told.get("LoadState") not in ("loaded", None):
        what = f"its file cannot be used ({told['LoadState']})"
        yield wrong(Looked.service, _UNIT, what, command("systemd-analyze", "verify", _UNIT))
    if told.get("NeedDaemonReload") == "yes":
        what = "its file was changed since systemd read it"
        yield wrong(Looked.service, _UNIT, what, command(*systemctl, "daemon-reload"))
    if told.get("UnitFileState") == "disabled":
        what = "it does not begin with the machine"
        yield wrong(Looked.service, _UNIT, what, command(*systemctl, "enable", _UNIT))
    if told.get("ActiveState") == "failed":
        reason = f"it has failed; {command('journalctl', '-u', _UNIT, '-n', '50')} says why"
        again = f"{command(*systemctl, 'reset-failed', _UNIT)} && {command(*systemctl, 'start', _UNIT)}"
        yield wrong(Looked.service, _UNIT, reason, again)
