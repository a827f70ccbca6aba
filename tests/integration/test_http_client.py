"""The command line asks the door, and says what it would say where the queue is."""

from __future__ import annotations

import getpass
import json
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refsync.application import open_application
from refsync.config import load_config
from refsync.http.api import QUESTIONS
from refsync.tokens import add_token
from tests.support.command_line import Desk, Ended
from tests.support.door import open_door
from tests.support.hosts import record_linking, serving

ME = getpass.getuser()
SETTINGS = f"""
[people]
operators = ["{ME}"]
[serve]
tokens_file = "tokens"
"""
AGES = re.compile(r"\d+ (second|minute)s? ago")
RECORD = '{"name": "n", "x": 1.50}'


class Both:
    """The same command line here and through the door."""

    def __init__(self, desk: Desk, url: str) -> None:
        self.desk = desk
        self.url = url

    def there(self, *words: str | int, stdin: bytes = b"", **environment: str) -> Ended:
        given = {"REFSYNC_URL": self.url, "HOME": str(self.desk.folder), **environment}
        return self.desk.bare(*words, stdin=stdin, **given)

    def same(self, *words: str | int, stdin: bytes = b"") -> Ended:
        """What both say, which is the same."""
        here, there = self.desk(*words, stdin=stdin), self.there(*words, stdin=stdin)
        assert AGES.sub("AGO", str(there)) == AGES.sub("AGO", str(here))
        return there


@pytest.fixture(scope="module")
def both(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Both]:
    folder = tmp_path_factory.mktemp("client")
    desk = Desk.at(folder, SETTINGS)
    with open_application(load_config(desk.config, {})) as application:
        desk("sync")
        with open_door(application, folder, port=True) as door:
            add_token(folder / "tokens", id="bob", username="Bob", role="approver")
            yield Both(desk, f"unix:{folder}/door.sock")
            assert door.get("/livez").status_code == 200


def masked(ended: Ended, *numbers: int) -> str:
    """What a command said, without the ids and times that each call has of its own."""
    text = re.sub(r"\d{10}(\.\d+)?|\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "TIME", f"{ended.code}\n{ended.out}\n{ended.err}")
    for number in numbers:
        text = re.sub(rf"\b{number}\b", "N", text)
    return text


def test_what_hosts_say_is_the_same_there_as_here(tmp_path: Path) -> None:
    with serving() as host:
        url = host.on_hugging_face("/o/new/resolve/main/f.ckpt", "a" * 64, 7)
        desk = Desk.at(tmp_path, f'{SETTINGS}[probe]\nallow_private = true\nhugging_face = "{host.url}"\n')
        desk.clone.commit({"blip.json": {"linked": record_linking(url)}})
        assert desk("probe", "blip").done
        with open_application(load_config(desk.config, {})) as application, open_door(application, tmp_path):
            both = Both(desk, f"unix:{tmp_path}/door.sock")
            assert both.same("model", "show", "blip", "linked", "--links").done.out.startswith(f"{url}: good")
            assert both.same("queue", "add", "create", "clip", "--from", url, "--dry-run").done.json["name"] == "new"
            assert both.there("queue", "add", "create", "clip", "--from", url).done.out == "1\n"
            assert "filled from" in both.same("queue", "show", 1).done.out
            assert f"link {url}: good" in both.same("queue", "diff", 1).done.out


def test_what_acts_says_the_same_there_as_here(both: Both) -> None:
    """Each command once here and once there, on changes of their own."""

    here, there = (
        ask("queue", "add", "create", "clip", name, "--payload", "-", stdin=RECORD.encode())
        for ask, name in ((both.desk, "n"), (both.there, "m"))
    )
    assert (here.code, here.out, there.code, there.out) == (0, "1\n", 0, "2\n")
    assert here.err == there.err
    payloads = [both.desk("queue", "show", number, "--json").done.json["payload"] for number in (1, 2)]
    assert payloads[0] == payloads[1]
    assert "1.50" in both.there("queue", "show", 2).done.out
    line = json.dumps({"operation": "delete", "category": "clip", "model_name": "old"}).encode()
    here, there = (ask("queue", "import", "-", stdin=line) for ask in (both.desk, both.there))
    assert (here.out, there.out) == ("1 change submitted: 3\n", "1 change submitted: 4\n")
    here, there = (ask("queue", "rename", "clip", "old", "young") for ask in (both.desk, both.there))
    assert (here.out, there.out) == ("5-6\n", "7-8\n")
    here, there = (ask("queue", "reject", n, "--reason", "no") for ask, n in ((both.desk, 1), (both.there, 2)))
    assert masked(here, 1) == masked(there, 2)
    here, there = (ask("queue", "approve", n, "--title", "T") for ask, n in ((both.desk, 3), (both.there, 4)))
    assert masked(here, 3) == masked(there, 4)
    here, there = (ask("queue", "withdraw", n) for ask, n in ((both.desk, 3), (both.there, 4)))
    assert masked(here, 3) == masked(there, 4)
    assert both.there("queue", "purge", "--status", "rejected", "--json").done.json
    assert [each["requested_by"] for each in both.desk("queue", "list", "--json").json["items"]] == [ME] * 6


@pytest.mark.parametrize(
    "words",
    [
        "queue list",
        "queue list --json",
        "queue list --all",
        "queue list --all --json",
        "queue list --status pending --category clip --limit 1",
        "queue list --status gone",
        "queue list --category nothing",
        "queue list --offset -1",
        "queue show 3",
        "queue show 3 --json",
        "queue show 999",
        "queue diff 3 999",
        "queue diff 5 --json",
        "queue add create nothing n --payload -",
        "queue add update clip nobody --payload -",
        "queue add king clip n",
        "queue approve 999 --title T",
        "queue approve --title T",
        "queue purge",
        "queue reject 999 --reason R",
        "queue withdraw 999",
        "batch list",
        "batch list --json",
        "batch show 999",
        "batch seal",
        "batch retry 999",
        "batch abandon 999 --reason R",
        "batch revert 999",
        "status",
        "status --json",
        "metadata show",
        "metadata show clip --json",
        "metadata show nothing",
        "metadata verify",
        "metadata verify --json",
        "model show clip ViT-L/14",
        "model show clip nobody",
        "model history clip ViT-L/14",
        "model history clip old --json",
        "model blame clip ViT-L/14",
        "model blame clip nobody --json",
    ],
)
def test_a_question_is_answered_there_as_here(both: Both, words: str) -> None:
    both.same(*words.split(), stdin=RECORD.encode())


def test_a_batch_goes_its_way_through_the_door(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path, SETTINGS)
    with open_application(load_config(desk.config, {})) as application, open_door(application, tmp_path):
        both = Both(desk, f"unix:{tmp_path}/door.sock")
        with application.state.serve():  # a daemon, as far as others can tell
            added = both.there("queue", "add", "create", "clip", "n", "--payload", "-", stdin=RECORD.encode()).done
            assert added.err == ""
        assert both.there("queue", "approve", int(added.out), "--title", "T").done
        assert both.there("batch", "seal").done.out == "batch 1 is sealed for image\n"
        application.run_pass()
        assert both.same("batch", "show", 1).code == 0
        assert '"x": 1.50' in desk.clone.read("clip.json").decode()
        assert both.there("batch", "revert", 1).done.out == "1 change submitted: 2\n"
        assert both.there("model", "history", "clip", "n", "--json").done.json[0]["requested_by"] == [f"{ME} <{ME}>"]


def test_what_only_works_where_the_queue_is_says_so(both: Both) -> None:
    for words in (["queue", "export"], ["metadata", "rebuild"], ["queue", "import", str(both.desk.folder)]):
        assert "run it where the queue is, with --config FILE" in both.there(*words).refusal
    assert "knows who you are: leave --by" in both.there("queue", "withdraw", 1, "--by", "eve").refusal


# who is at the door, and where it is


def test_a_login_is_kept_for_its_owner_alone_and_used_from_then_on(
    both: Both, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = add_token(both.desk.folder / "tokens", id="ada", username="Ada", role="requestor")
    home: dict[str, Any] = {"HOME": str(tmp_path)}
    said = both.desk.bare("login", both.url, **home).done.out
    assert said.startswith(f"{ME} ({ME}) is approver and requestor at {both.url}; kept in {tmp_path}")
    kept = tmp_path / ".config" / "refsync" / "login.json"
    assert stat.S_IMODE(kept.stat().st_mode) == 0o600
    assert both.desk.bare("queue", "list", "--json", **home) == both.desk("queue", "list", "--json")
    monkeypatch.chdir(both.desk.folder)  # where a config stands
    assert both.desk.bare("queue", "export", **home).done
    monkeypatch.chdir(tmp_path)
    assert "run it where the queue is" in both.desk.bare("queue", "export", **home).refusal
    kept.chmod(0o644)
    assert "others may read the token in it: chmod 600" in both.desk.bare("queue", "list", **home).refusal
    assert both.desk("queue", "list").done  # --config means this machine's store
    kept.write_text("[]")
    kept.chmod(0o600)
    assert "make it anew: refsync login URL" in both.desk.bare("queue", "list", **home).refusal
    assert both.desk.bare("logout", **home).done.out == "the login is forgotten\n"
    assert both.desk.bare("logout", **home).done.out == "there was no login\n"
    assert token not in both.desk.bare("queue", "list", **home, REFSYNC_TOKEN=token).err


def test_a_token_is_asked_for_and_says_who_one_is(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path, SETTINGS)
    token = add_token(tmp_path / "tokens", id="ada", username="Ada", role="requestor")
    with (
        open_application(load_config(desk.config, {})) as application,
        open_door(application, tmp_path, port=True) as door,
    ):
        url = str(door.base_url).rstrip("/")
        home: dict[str, Any] = {"HOME": str(tmp_path)}
        assert (
            desk.bare("login", url, stdin=b"wrong\n", **home).refusal == f"{url} does not know you: refsync login {url}"
        )
        assert "that is no token" in desk.bare("login", url, stdin=b"\n", **home).refusal
        assert desk.bare("login", url, stdin=f"{token}\n".encode(), **home).done.out.startswith(
            "Ada (ada) is requestor at"
        )
        added = desk.bare("queue", "add", "create", "clip", "n", "--payload", "-", stdin=RECORD.encode(), **home).done
        assert desk("queue", "show", int(added.out), "--json").json["requested_by"] == "ada"
        assert "Ada may not review changes" in desk.bare("queue", "approve", 1, "--title", "T", **home).refusal
        other: dict[str, Any] = {
            "REFSYNC_URL": url,
            "REFSYNC_TOKEN": add_token(tmp_path / "tokens", id="eve", username="Eve", role="approver"),
        }
        assert desk.bare("queue", "approve", 1, "--title", "T", **other).done.out == "approved 1 into batch 1: T\n"


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("ftp://x", "the door is an address such as https://"),
        ("x", "the door is an address"),
        ("http://[", "the door is an address"),
        ("https://a:b@c", "the door is an address"),
        ("https://h:99999", "the door is an address"),
        ("http://example.org", "would send the token unencrypted"),
        ("http://127.0.0.1:1", "does not answer"),
        ("unix:/nowhere/door.sock", "does not answer"),
    ],
)
def test_a_door_that_is_none_is_told(tmp_path: Path, url: str, reason: str) -> None:
    ended = Desk.at(tmp_path).bare("queue", "list", REFSYNC_URL=url, HOME=str(tmp_path))
    assert reason in ended.refusal


# the table of questions


def test_every_answer_is_the_document_that_openapi_tells_of(both: Both) -> None:
    from refsync.http.app import create_app

    with open_application(load_config(both.desk.config, {})) as application:
        openapi = create_app(application).openapi()
    for question in QUESTIONS:
        path = question.path.replace(":path", "")
        told = openapi["paths"][path][question.method.lower()]
        schema = told["responses"]["200"]["content"]["application/json"]["schema"]
        made = question.answer.model_json_schema(mode="serialization", ref_template="#/components/schemas/{model}")
        assert _fields(_resolved(schema, openapi)) == _fields(made), path
        parameters = {each["name"] for each in told.get("parameters", ()) if each["in"] != "header"}
        body = told.get("requestBody", {"content": {"application/json": {"schema": {}}}})
        taken = body["content"]["application/json"]["schema"].get("properties", {})
        assert parameters | set(taken) == set(question.arguments.model_fields), path


def _resolved(schema: dict[str, Any], openapi: dict[str, Any]) -> dict[str, Any]:
    while "$ref" in schema:
        schema = openapi["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return schema


def _fields(schema: dict[str, Any]) -> Any:
    return sorted(schema["properties"]) if "properties" in schema else schema.get("type")
