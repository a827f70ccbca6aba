"""Who is let in by the door, as whom, and who is not."""

from __future__ import annotations

import getpass
import stat
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger

from refsync.config import Config
from refsync.http.identity import horde as horde_module
from refsync.http.identity.gate import Gate
from refsync.http.identity.horde import Horde
from refsync.tokens import add_token, revoke_tokens
from tests.support.command_line import Desk
from tests.support.door import open_door
from tests.support.reference import Reference

ME = getpass.getuser()
ROLES = "/model_references/v2/me/roles"


def served(folder: Path, identity: str = "", **more: str) -> Reference:
    lines = [f"{key} = {value}" for key, value in more.items()]
    given = [f"identity = {identity}"] if identity else []
    return Reference(folder, more="\n".join(["[serve]", 'tokens_file = "tokens"', *given, *lines]))


def config_of(reference: Reference) -> Config:
    return reference.application.config


def key(token: str) -> dict[str, str]:
    return {"apikey": token}


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    made = served(tmp_path_factory.mktemp("identity"))
    yield made
    made.close()


@pytest.fixture(scope="module")
def door(reference: Reference) -> Iterator[httpx.Client]:
    with open_door(reference.application, reference.folder, port=True) as client:
        yield client


# tokens


def test_a_token_is_told_once_lets_its_person_in_and_ends_at_once_when_revoked(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path, '[serve]\ntokens_file = "tokens"\n')
    said = desk("token", "add", "12", "--username", "Ada", "--role", "requestor").done.out
    token = said.split()[-1]
    assert said == f"Ada (12) is let in as requestor by {token}\n"
    other = desk("token", "add", "bob", "--role", "approver", "--json").done.json
    assert (other["id"], other["username"], other["role"]) == ("bob", "bob", "approver")
    kept = (tmp_path / "tokens").read_text()
    assert token not in kept
    assert other["token"] not in kept
    assert stat.S_IMODE((tmp_path / "tokens").stat().st_mode) & 0o007 == 0
    listed = desk("token", "list").done.out
    assert listed.splitlines()[1].split()[:3] == ["12", "Ada", "requestor"]
    assert token not in listed
    reference = Reference(tmp_path / "served", more=f'serve = {{ tokens_file = "{tmp_path}/tokens" }}')
    with open_door(reference.application, tmp_path) as door:
        ada = {"user_id": "12", "username": "Ada", "roles": ["requestor"], "is_approver": False, "is_requestor": True}
        assert door.get(ROLES, headers=key(token)).json() == ada
        assert door.get(ROLES, headers=key(other["token"])).json()["roles"] == ["approver", "requestor"]
        assert desk("token", "revoke", "12").done.out == "1 token of 12 revoked\n"
        got = door.get(ROLES, headers=key(token))
        assert (got.status_code, got.json()) == (401, {"detail": "Invalid API key"})
        assert door.get(ROLES, headers=key(other["token"])).status_code == 200
    reference.close()
    assert [each["id"] for each in desk("token", "list", "--json").done.json] == ["bob"]
    assert "has no token of '12'" in desk("token", "revoke", "12").refusal


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["a\nb", "--role", "approver"], "id has a control character"),
        (["a", "--role", "king"], "unknown role 'king'; it is one of requestor, approver"),
        (["a", "--username", " ", "--role", "approver"], "username is empty"),
    ],
)
def test_a_token_for_nobody_is_refused(tmp_path: Path, arguments: list[str], reason: str) -> None:
    desk = Desk.at(tmp_path, '[serve]\ntokens_file = "tokens"\n')
    assert reason in desk("token", "add", *arguments).refusal
    assert not (tmp_path / "tokens").exists()


def test_a_file_of_tokens_that_cannot_be_trusted_lets_nobody_in(tmp_path: Path) -> None:
    reference = served(tmp_path)
    file = tmp_path / "tokens"
    token = add_token(file, id="ada", username="Ada", role="approver")
    good = file.read_bytes()
    with open_door(reference.application, tmp_path) as door:
        for broken in (b"{}\n", b"[1]\n", b'"a"\n', b"\xff\n", b"[" * 5000, b'{"sha256": 1}'):
            file.write_bytes(good + broken)
            got = door.get(ROLES, headers=key(token))
            assert (got.status_code, got.json()["detail"]) == (503, "who you are cannot be told now")
        file.write_bytes(good)
        file.chmod(0o666)
        assert door.get(ROLES, headers=key(token)).status_code == 503
        file.chmod(0o640)
        assert door.get(ROLES, headers=key(token)).status_code == 200
    reference.close()


def test_a_line_that_a_crash_cut_off_takes_no_other_with_it(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    add_token(file, id="ada", username="Ada", role="approver")
    file.write_bytes(file.read_bytes().rstrip(b"\n"))
    add_token(file, id="bob", username="Bob", role="approver")
    assert revoke_tokens(file, "ada") == 1
    (tmp_path / "link").symlink_to(file)
    reason = "the token cannot be written"
    with pytest.raises(Exception, match=reason):
        add_token(tmp_path / "link", id="eve", username="Eve", role="approver")


# who shows nothing, or nonsense


def test_who_shows_no_key_is_nobody(door: httpx.Client) -> None:
    got = door.get(ROLES)
    assert (got.status_code, got.json()) == (401, {"detail": "Not authenticated"})
    assert door.get(ROLES, headers={"x-remote-user": "root"}).status_code == 401


def test_guessing_is_stopped_and_a_good_token_goes_on(tmp_path: Path) -> None:
    reference = served(tmp_path)
    token = add_token(tmp_path / "tokens", id="ada", username="Ada", role="approver")
    with open_door(reference.application, tmp_path, port=True) as door:
        answers = [door.get(ROLES, headers=key(f"guess {number}")) for number in range(11)]
        assert [each.status_code for each in answers] == [401] * 10 + [429]
        assert 0 < int(answers[-1].headers["retry-after"]) <= 60
        assert door.get(ROLES, headers=key(token)).status_code == 200
    reference.close()


@given(st.binary(max_size=300).map(lambda value: bytes(byte for byte in value if byte > 31 and byte != 127).strip()))
@settings(max_examples=30)
def test_no_key_is_a_bug(door: httpx.Client, value: bytes) -> None:
    assert door.get(ROLES, headers=[(b"apikey", value)]).status_code in (401, 429)


# the machine's own users, and a proxy


def test_the_machines_users_are_known_by_the_kernel_and_have_no_role_by_that(tmp_path: Path) -> None:
    reference = served(tmp_path)
    with open_door(reference.application, tmp_path) as door:
        got = door.get(ROLES).json()
        assert got == {"user_id": ME, "username": ME, "roles": [], "is_approver": False, "is_requestor": False}
        assert door.get(ROLES, headers=key("wrong")).status_code == 401
        assert door.get(ROLES, headers={"x-remote-user": "root"}).json()["user_id"] == ME
    reference.close()


def test_a_proxy_of_ours_speaks_for_others_and_never_for_itself(tmp_path: Path) -> None:
    reference = served(tmp_path, '["proxy", "system"]', proxy_users=f'["{ME}"]')
    with open_door(reference.application, tmp_path) as door:
        assert door.get(ROLES, headers={"X-Remote-User": "ada"}).json()["user_id"] == "ada"
        assert door.get(ROLES, headers=[(b"x-remote-user", "adà".encode())]).json()["user_id"] == "adà"
        for nobody in (b"", b"a" * 300, b"\xff"):
            assert door.get(ROLES, headers=[(b"x-remote-user", nobody)]).status_code == 401
        assert door.get(ROLES).status_code == 401
    with open_door(reference.application, tmp_path, port=True) as door:
        assert door.get(ROLES, headers={"X-Remote-User": "ada"}).status_code == 401
    reference.close()


# the horde


class Accounts:
    """What the horde answers, and how often it was asked."""

    def __init__(self) -> None:
        self.answer: Callable[[str], httpx.Response] = lambda key: httpx.Response(200, json={"username": f"N#x#{key}"})
        self.asked = 0
        self.now = 0.0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.asked += 1
        assert str(request.url) == "https://horde.example/api/v2/find_user"
        return self.answer(request.headers["apikey"])

    def provider(self) -> Horde:
        return Horde("https://horde.example", httpx.MockTransport(self), lambda: self.now)


@pytest.fixture
def accounts() -> Accounts:
    return Accounts()


@pytest.fixture
def known_there(tmp_path: Path, accounts: Accounts) -> Iterator[httpx.Client]:
    reference = served(tmp_path, '["token", "horde"]')
    gate = Gate(config_of(reference).serve, accounts.provider())
    with open_door(reference.application, tmp_path, port=True, gate=gate) as client:
        yield client
    reference.close()


def test_the_horde_is_asked_once_a_minute_whose_a_key_is(known_there: httpx.Client, accounts: Accounts) -> None:
    for now, asked in ((0.0, 1), (59.0, 1), (61.0, 2)):
        accounts.now = now
        got = known_there.get(ROLES, headers=key("12")).json()
        assert (got["user_id"], got["username"], got["roles"]) == ("12", "N#x", [])
        assert accounts.asked == asked


def test_a_key_that_it_does_not_know_is_asked_again_after_a_quarter(
    known_there: httpx.Client, accounts: Accounts
) -> None:
    accounts.answer = lambda key: httpx.Response(404, json={"message": "no user"})
    for now, asked in ((0.0, 1), (14.0, 1), (16.0, 2)):
        accounts.now = now
        assert known_there.get(ROLES, headers=key("12")).status_code == 401
        assert accounts.asked == asked


def _raise(problem: Exception) -> httpx.Response:
    raise problem


@pytest.mark.parametrize(
    "answer",
    [
        lambda key: httpx.Response(500),
        lambda key: httpx.Response(302, headers={"location": "https://elsewhere.example"}),
        lambda key: httpx.Response(200, content=b"<html>"),
        lambda key: httpx.Response(200, content=b"[" * 60_000),
        lambda key: httpx.Response(200, content=b'{"username": "' + b"a" * 100_000),
        lambda key: httpx.Response(200, json=["Ada#12"]),
        lambda key: httpx.Response(200, json={"username": "Ada"}),
        lambda key: httpx.Response(200, json={"username": "Ada#\n"}),
        lambda key: httpx.Response(200, json={"username": {"#": 1}}),
        lambda key: _raise(httpx.ConnectError("away")),
        lambda key: _raise(httpx.ReadTimeout("slow")),
    ],
)
def test_while_the_horde_cannot_say_nobody_is_let_in_and_it_is_left_alone(
    known_there: httpx.Client, accounts: Accounts, answer: Callable[[str], httpx.Response]
) -> None:
    accounts.answer, good = answer, accounts.answer
    log: list[str] = []
    sink = logger.add(log.append, level="DEBUG")
    for number in range(6):
        got = known_there.get(ROLES, headers=key(f"secret-{number}"))
        assert (got.status_code, list(got.json())) == (503, ["detail"])
    logger.remove(sink)
    assert "secret" not in "".join(log)
    assert accounts.asked == horde_module.FAILURES_UNTIL_OPEN
    told = {"degraded": True, "consecutive_failures": 3, "seconds_until_retry": 5.0}
    assert known_there.get("/heartbeat").json()["ai_horde"] == told
    accounts.now, accounts.answer = 6.0, good
    assert known_there.get(ROLES, headers=key("12")).status_code == 200
    assert not known_there.get("/heartbeat").json()["ai_horde"]["degraded"]


def test_a_horde_that_is_away_keeps_no_token_out(known_there: httpx.Client, accounts: Accounts, tmp_path: Path) -> None:
    accounts.answer = lambda key: httpx.Response(500)
    token = add_token(tmp_path / "tokens", id="ada", username="Ada", role="approver")
    assert known_there.get(ROLES, headers=key(token)).status_code == 200


def test_one_who_guesses_is_no_burden_for_the_horde(known_there: httpx.Client, accounts: Accounts) -> None:
    accounts.answer = lambda key: httpx.Response(403)
    answers = [known_there.get(ROLES, headers=key(str(number))).status_code for number in range(15)]
    assert answers == [401] * 10 + [429] * 5
    assert accounts.asked == 10
