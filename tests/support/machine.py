"""A machine of its own: this one's files under a throw-away layer, with a real systemd, in a container."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.support.daemon import wait_for

TOOLS = ("systemd-nspawn", "nsenter", "systemctl", "mount", "runuser", "useradd")
SOURCE = Path(__file__).parents[2] / "src"
_QUIET = ("ssh", "systemd-networkd-wait-online", "NetworkManager-wait-online", "systemd-resolved", "postgresql")


def missing() -> str | None:
    """Why no such machine can be had here."""
    if os.geteuid() != 0:
        return "booting a machine takes root"
    if subprocess.run(["unshare", "--mount", "true"], capture_output=True, check=False).returncode:
        return "booting a machine takes a root that may mount, as in a privileged container"
    lacking = [tool for tool in TOOLS if shutil.which(tool) is None]
    if lacking or not Path("/lib/systemd/systemd").exists():
        return f"no {', '.join(lacking) or 'systemd'}: install systemd, systemd-container and util-linux"
    return None


class BootError(Exception):
    """No machine boots here; carries the last that it said."""


class Machine:
    """A booted machine; nothing of what is done in it outlives it."""

    def __init__(self, process: subprocess.Popen[bytes], log: Path) -> None:
        self._process = process
        self._log = log

    def shell(self, script: str, *, check: bool = True) -> str:
        """Run a shell script as root, with ``sudo`` whether it is installed or not, and give what it printed."""
        done = subprocess.run(
            [*self._within(self._first_process()), "bash", "-euc", f"cd /opt/project\n{_SUDO}\n{script}"],
            env={"PATH": "/usr/local/bin:/usr/bin:/bin:/usr/local/sbin:/usr/sbin:/sbin", "HOME": "/root"},
            capture_output=True,
            text=True,
            check=False,
            timeout=90,
            stdin=subprocess.DEVNULL,
        )
        assert done.returncode == 0 or not check, f"{script}\n{done.stdout}\n{done.stderr}"
        return done.stdout

    def wait_until_booted(self) -> None:
        """Wait until its systemd has nothing left to start.

        Raises:
            BootError: it does not come up.
        """
        states = {"running", "degraded"}
        wait_for("the machine to boot", lambda: self._is_alive() and self._state() in states, 90)

    def _within(self, process: int | None) -> list[str]:
        assert process is not None, "the machine has ended"
        return ["nsenter", f"--target={process}", "--mount", "--uts", "--ipc", "--net", "--pid"]

    def _state(self) -> str:
        process = self._first_process()
        if process is None:
            return "none"
        asked = [*self._within(process), "systemctl", "is-system-running"]
        return subprocess.run(asked, capture_output=True, text=True, check=False, timeout=90).stdout.strip()

    def _is_alive(self) -> bool:
        if self._process.poll() is not None:
            raise BootError(" ".join(self._log.read_text(errors="replace").split())[-300:])
        return True

    def _first_process(self) -> int | None:
        """The machine's first process as this one sees it; while it boots, there may be none yet, or helpers."""
        children = psutil.Process(self._process.pid).children()
        return int(children[0].pid) if len(children) == 1 else None


_SUDO = """
sudo() {
    if [ "$1" = -u ]; then local user=$2; shift 2; runuser -u "$user" -- "$@"; else "$@"; fi
}
"""


@contextmanager
def booted(folder: Path) -> Iterator[Machine]:
    """Boot one; its program is this test's own, so that it needs no network: see :func:`install_program`."""
    root, log = folder / "root", folder / "boot.log"
    root.mkdir()
    subprocess.run(["mount", "--bind", "/", str(root)], check=True)
    try:
        with log.open("wb") as output:
            process = subprocess.Popen(_command(root), stdin=subprocess.DEVNULL, stdout=output, stderr=output)
        try:
            machine = Machine(process, log)
            machine.wait_until_booted()
            yield machine
        finally:
            _end(process)
    finally:
        subprocess.run(["umount", str(root)], check=True)


def _end(process: subprocess.Popen[bytes]) -> None:
    """Shut it down; one that does not hear that, as while it boots, is ended without."""
    process.terminate()
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _command(root: Path) -> list[str]:
    libraries = sysconfig.get_path("purelib")
    return [
        "systemd-nspawn",
        "--boot",
        "--volatile=overlay",
        f"--directory={root}",
        f"--machine=refsync-test-{os.getpid()}",
        "--register=no",
        "--keep-unit",
        "--private-network",
        "--link-journal=no",
        f"--bind-ro={SOURCE.parent}:/opt/project",
        f"--bind-ro={libraries}:/opt/libraries",
        f"--bind-ro={sys.base_prefix}:/opt/python",  # it may stand in somebody's home
        "systemd.unit=multi-user.target",
        *(f"systemd.mask={name}.service" for name in _QUIET),
    ]


def install_program() -> str:
    """The script that puts this test's own program where the service expects it."""
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    return f"""
rm -rf /var/lib/refsync /etc/refsync /srv/reference /opt/refsync  # where this machine has a service of its own
! id -u refsync >/dev/null 2>&1 || userdel refsync
echo /opt/python/lib > /etc/ld.so.conf.d/00-this-python.conf
ldconfig
/opt/python/bin/{version} -m venv --without-pip /opt/refsync
printf '%s\\n' /opt/project/src /opt/libraries > /opt/refsync/lib/{version}/site-packages/here.pth
printf '%s\\n' '#!/opt/refsync/bin/python' 'from refsync.cli.main import main' 'main()' > /opt/refsync/bin/refsync
chmod 755 /opt/refsync/bin/refsync
"""
