"""The service under a real systemd: installed by the lines of its README, killed, hung, reloaded, stopped."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.support.daemon import wait_for
from tests.support.machine import BootError, Machine, booted, install_program, missing

README = (Path(__file__).parents[2] / "systemd" / "README.md").read_text(encoding="utf-8")

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]

PENDING = "/model_references/v2/pending_queue"
REFERENCE = """
git init -q -b main /srv/origin
cd /srv/origin
echo '{"ViT-L/14": {"name": "ViT-L/14"}}' > clip.json
git add clip.json
git -c user.name=Ada -c user.email=ada@localhost commit -qm first
"""
# So that the test need not wait for minutes.
IMPATIENT = """
mkdir -p /etc/systemd/system/refsync.service.d
printf '[Service]\\nWatchdogSec=8s\\nRestartSec=1s\\n' > /etc/systemd/system/refsync.service.d/impatient.conf
printf '[git]\\ntimeout_seconds = 4\\n' >> /etc/refsync/refsync.toml
systemctl daemon-reload
systemctl restart refsync
"""


def alone() -> str:
    """The lines by which the README leads from the group to the service alone."""
    return README.split("## The service alone")[1].split("```sh\n")[1].split("```")[0]


def door() -> str:
    """The lines by which the README sets the door up, up to where a person logs in."""
    lines = README.split("## The door")[1].split("```sh\n")[1].split("```")[0]
    return re.sub(r"^(sudo /opt/refsync/bin/pip|curl|refsync login) .*\n", "", lines, flags=re.MULTILINE)


def setting_up() -> str:
    """The lines by which the README sets the service up; what the network would bring is there already."""
    lines = README.split("## Setting it up")[1].split("```sh\n")[1].split("```")[0]
    lines = re.sub(r"^sudo (apt-get install|python3 -m venv|/opt/refsync/bin/pip) .*\n", "", lines, flags=re.MULTILINE)
    return re.sub(r"\bURL\b", "/srv/origin", lines).replace("systemctl status refsync", "")


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    if reason := missing():
        pytest.skip(reason)
    with ExitStack() as stack:
        try:
            machine = stack.enter_context(booted(tmp_path))
        except BootError as failure:
            pytest.skip(f"no machine boots here: {failure}")
        yield machine


def shown(machine: Machine, name: str) -> str:
    return machine.shell(f"systemctl show --value -p {name} refsync").strip()


def journal(machine: Machine, *options: str) -> str:
    return machine.shell(f"journalctl -u refsync -o cat --no-pager {' '.join(options)}")


def wait_until_restarted(machine: Machine) -> None:
    def state() -> tuple[str, str]:
        return shown(machine, "NRestarts"), shown(machine, "ActiveState")

    wait_for("a restart", lambda: state() == ("1", "active"), 60)


def test_the_service_goes_on_behind_a_crash_and_a_hang_and_obeys(machine: Machine) -> None:
    machine.shell(REFERENCE)
    machine.shell(install_program())
    machine.shell("git config --system --add safe.directory /srv/origin/.git")
    machine.shell(setting_up())
    assert (shown(machine, "ActiveState"), shown(machine, "SubState")) == ("active", "running")
    wait_for("what is served", lambda: "image (/srv/reference/image, main)" in shown(machine, "StatusText"))

    machine.shell("useradd --groups refsync ada")
    add = 'echo \'{"name": "new"}\' | sudo -u ada refsync queue add create clip new --payload -'
    machine.shell(f"cd /; {add}; sudo -u ada refsync queue approve 1 --title 'A new model'")
    landed = "git -C /srv/reference/image log --format=%s -1"
    wait_for("the change to land", lambda: machine.shell(landed) == "A new model\n")
    wait_for("its file", lambda: '"new"' in machine.shell("cat /srv/reference/image/clip.json"))  # behind the branch

    machine.shell("systemctl kill --signal=KILL --kill-who=main refsync")
    wait_until_restarted(machine)

    machine.shell(IMPATIENT)
    machine.shell("sleep 12")  # longer than the watchdog waits
    assert (shown(machine, "NRestarts"), shown(machine, "ActiveState")) == ("0", "active")  # it was fed
    machine.shell("kill -STOP $(systemctl show --value -p MainPID refsync)")
    wait_until_restarted(machine)
    assert "Watchdog timeout" in machine.shell("journalctl -u refsync --no-pager")

    machine.shell("printf '[log]\\nlevel = \"DEBUG\"\\n' >> /etc/refsync/refsync.toml; systemctl reload refsync")
    wait_for("the good config", lambda: "the changed config is in force" in journal(machine))
    machine.shell("echo 'nonsense = 1' >> /etc/refsync/refsync.toml; systemctl reload refsync")
    wait_for("the bad config", lambda: "the changed config is refused" in journal(machine, "-p err"))
    assert "refsync serves" not in journal(machine, "-p err")
    assert shown(machine, "ActiveState") == "active"

    machine.shell("systemctl stop refsync")
    assert (shown(machine, "Result"), shown(machine, "ExecMainStatus")) == ("success", "0")
    assert "refsync stops" in journal(machine)


def test_the_service_alone_lands_what_nobody_else_can_write(machine: Machine) -> None:
    machine.shell(REFERENCE)
    machine.shell(install_program())
    machine.shell("git config --system --add safe.directory /srv/origin/.git")
    machine.shell(setting_up())
    machine.shell("useradd --groups refsync ada")
    machine.shell(alone())
    assert machine.shell("id -nG ada").split() == ["ada"]
    machine.shell('printf \'[people]\\nrequestors = ["ada"]\\noperators = ["bob"]\\n\' >> /etc/refsync/refsync.toml')
    add = "queue add create clip new --payload -"
    machine.shell(f"cd /; echo '{{}}' | SUDO_USER=ada refsync {add}; SUDO_USER=bob refsync queue approve 1 --title New")
    applied = "cd /; SUDO_USER=bob refsync queue list --status applied --json"
    wait_for("it to land", lambda: '"change_id": 1' in machine.shell(applied))
    writable = machine.shell("find /srv/reference -perm /022 ! -type l")
    assert writable == ""
    assert "group" not in machine.shell("cd /; sudo -u refsync refsync doctor", check=False)
    assert "Permission denied" in machine.shell("cd /; sudo -u ada ls /srv/reference 2>&1", check=False)

    machine.shell(door())
    ask = "curl --silent --fail --unix-socket /run/refsync/door.sock http://door"
    wait_for("the door", lambda: '"ready": true' in machine.shell(f"{ask}/readyz", check=False))
    assert '"change_id": 1' in machine.shell(f"runuser -u ada -- {ask}{PENDING}/changes")  # the queue came along
    post = '--request POST --header content-type:application/json --data \'{"name": "by door"}\''
    assert '"requested_by": "ada"' in machine.shell(f"runuser -u ada -- {ask}/model_references/v1/clip {post}")
    assert '<span class="is-added">+' in machine.shell(f"runuser -u ada -- {ask}/changes/2")  # built within the unit

    door_pid = machine.shell("systemctl show --value -p MainPID refsync-serve").strip()
    within = f"nsenter --mount --target={door_pid} runuser -u refsync-serve -- touch"
    for place in ("/var/lib/refsync/it", "/var/lib/refsync/image/it", "/srv/reference/image/it"):
        told = machine.shell(f"{within} {place} 2>&1", check=False)
        assert "Read-only file system" in told or "Permission denied" in told, told
    machine.shell(f"{within} /var/lib/refsync/wake/wake")
