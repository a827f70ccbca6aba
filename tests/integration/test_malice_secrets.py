"""A secret is where it is needed, and what others may read or write is told."""

from __future__ import annotations

import ctypes
import os
import subprocess
from pathlib import Path

import pytest

from refsync.application import open_application
from refsync.config import load_config
from refsync.ways_out import credential_of
from tests.support.command_line import Desk
from tests.support.repositories import clean_environment
from tests.support.transports import SECRET

VARIABLE = '[repository.credentials]\ntoken_variable = "TOKEN_OF_REFSYNC"\n'
PR_GET_DUMPABLE = 3
SPY = "for each in /proc/[0-9]*/environ; do tr '\\0' '\\n' < $each; done 2>/dev/null; env"


def lands(desk: Desk) -> int:
    change = desk.add("create", "spied", {"name": "spied"})
    desk("queue", "approve", change, "--title", "t").done  # noqa: B018
    return change


def test_a_token_leaves_the_environment_of_whoever_uses_it_and_is_still_known(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = Desk.at(tmp_path, VARIABLE)
    monkeypatch.setenv("TOKEN_OF_REFSYNC", SECRET)
    config = load_config(desk.config, {})
    with open_application(config):
        assert "TOKEN_OF_REFSYNC" not in os.environ
        assert ctypes.CDLL(None).prctl(PR_GET_DUMPABLE) == 0
        for _ in range(2):  # as after a reload
            credential = credential_of(config.repositories[0])
            assert credential
            assert credential().secret == SECRET


def test_a_check_finds_the_secret_in_its_own_environment_no_more_than_in_that_of_git(tmp_path: Path) -> None:
    spy = tmp_path / "spy.sh"
    spy.write_text(f"{SPY} > {tmp_path}/seen; exit 0\n")
    desk = Desk.at(tmp_path, f'{VARIABLE}[repository.check]\ncommands = ["sh {spy}"]\n')
    lands(desk)
    desk.real("sync", environment={"TOKEN_OF_REFSYNC": SECRET}).done  # noqa: B018
    own = (tmp_path / "seen").read_text().split("HOME=")[-1]
    assert SECRET not in own
    if os.geteuid() == 0:
        pytest.skip("root sees every process's memory, whatever that says")
    assert SECRET not in (tmp_path / "seen").read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")
def test_another_process_of_the_same_user_reads_no_environment_of_one_that_holds_a_secret() -> None:
    source = Path(__file__).parents[2] / "src/refsync/credentials.py"
    hides = (
        "import os, subprocess, sys, types\n"
        "errors = types.ModuleType('refsync.errors'); errors.CredentialError = Exception\n"
        "sys.modules['refsync'] = types.ModuleType('refsync'); sys.modules['refsync.errors'] = errors\n"
        "module = types.ModuleType('credentials'); sys.modules['credentials'] = module\n"
        "exec(sys.stdin.read(), module.__dict__)\n"
        "if sys.argv[1] == 'hide': module.keep_to_ourselves('TOKEN')\n"
        "print(subprocess.run(['cat', f'/proc/{os.getpid()}/environ'], capture_output=True).stdout.decode())\n"
    )
    python = os.path.realpath("/usr/bin/python3")
    if not os.path.exists(python):
        pytest.skip("there is no python that everybody may run")
    for hidden in (False, True):
        seen = subprocess.run(
            [python, "-c", hides, "hide" if hidden else "show"],
            input=source.read_text(),
            env=clean_environment() | {"TOKEN": SECRET},
            capture_output=True,
            text=True,
            user=65534,
            group=65534,
            cwd="/",
            check=False,
        )
        assert seen.returncode == 0, seen.stderr
        assert (SECRET in seen.stdout) is not hidden


def test_what_others_may_read_or_write_is_told_with_the_command_that_ends_it(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(SECRET)
    token.chmod(0o600)
    desk = Desk.at(tmp_path, f'[repository.credentials]\ntoken_file = "{token}"\n')
    assert desk("status", "--json").done.json["exposed"] == []
    harms = ((token, 0o644), (desk.state, 0o2777), (desk.clone.path / ".git/config", 0o666))
    for path, mode in harms:
        path.chmod(mode)
    told = desk("status", "--json").done.json["exposed"]
    assert {each["path"] for each in told} == {str(path) for path, _ in harms}
    shown = desk("status").done.out
    diagnosed = [each["where"] for each in desk("doctor", "--json").json["checks"] if each["verdict"] == "wrong"]
    for each in told:
        assert f"{each['path']}: {each['what']}" in shown
        assert each["path"] in diagnosed
        subprocess.run(each["mend"], shell=True, check=True)
    assert desk("status", "--json").done.json["exposed"] == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_a_clone_that_a_group_shares_and_a_token_that_a_group_may_read_are_told(tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text(SECRET)
    desk = Desk.at(tmp_path, f'[repository.credentials]\ntoken_file = "{token}"\n')
    desk("status").done  # noqa: B018
    for path, mode in ((token, 0o640), (desk.clone.path / ".git", 0o770)):
        os.chown(path, -1, 12345)
        path.chmod(mode)
    told = {each["path"]: each["what"] for each in desk("status", "--json").done.json["exposed"]}
    assert "everybody in the group 12345 may read the secret" in told[str(token)]
    assert "run commands as the service" in told[str(desk.clone.path / ".git")]
