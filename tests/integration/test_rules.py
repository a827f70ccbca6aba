"""The rules of a category: at submission, in check, before a batch lands, and at the door."""

from __future__ import annotations

import getpass
import json
import re
from pathlib import Path
from typing import Any

import pytest

from refsync.application import open_application
from refsync.config import load_config
from refsync.config.rules import RulesTable
from refsync.config.settings import OwnCategory
from refsync.use_cases.comparing import show_lines
from tests.support.command_line import Desk
from tests.support.door import open_door
from tests.support.reference import Reference
from tests.support.repositories import git

SCHEMA = {"required": ["name", "type"], "properties": {"size": {"type": "integer"}, "type": {"enum": ["clip", "old"]}}}
CLIP = {
    "a": {"name": "a", "type": "clip", "url": "http://a", "sha": "FIXME"},
    "b": {"name": "b", "type": "wrong", "sha": "11"},
}
FILES: dict[str, Any] = {"clip.json": CLIP, "clip.schema.json": SCHEMA, "blip.json": {}}
RULES = """
[[category]]
name = "clip"
schema = "clip.schema.json"
[category.rules]
https = ["url"]
no_placeholders = true
unique = ["sha"]
"""
NOTED = RULES.replace("[category.rules]", '[category.rules]\nwhen_broken = "note"')
NEW = {"name": "c", "type": "clip"}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.at(tmp_path, RULES, FILES)


def refused(desk: Desk, operation: str, model: str, record: dict[str, Any]) -> str:
    return desk("queue", "add", operation, "clip", model, "--payload", "-", stdin=json.dumps(record).encode()).refusal


def held(desk: Desk) -> list[dict[str, Any]]:
    desk("sync")
    return [each["hold"] for each in desk("status", "--json").json["repositories"][0]["batches"]]


# At submission


def test_what_was_invalid_before_is_not_held_against_who_changes_another_field(desk: Desk) -> None:
    changes = [desk.add("update", name, {**record, "size": 5}) for name, record in CLIP.items()]
    desk.land(*changes)
    assert [record["size"] for record in desk.clone.records("clip.json").values()] == [5, 5]


@pytest.mark.parametrize(
    ("operation", "model", "record", "reason"),
    [
        ("update", "a", CLIP["a"] | {"size": "5"}, "breaks a rule: size: \"5\" is not of type 'integer'; correct it"),
        ("update", "a", {"name": "a", "sha": "11"},
         "breaks 2 rules: sha: \"11\" is that of 'b', too; type: is required; correct it"),
        ("create", "c", NEW | {"url": "ftp://c", "x": ["0" * 64]},
         f'breaks 2 rules: url: "ftp://c" is no https URL; x.0: "{"0" * 38}… is a placeholder; correct it'),
    ],
)  # fmt: skip
def test_what_breaks_a_rule_is_refused_in_one_line_that_names_the_field(
    desk: Desk, operation: str, model: str, record: dict[str, Any], reason: str
) -> None:
    assert refused(desk, operation, model, record) == f"clip {model!r} {reason}"
    line = json.dumps({"operation": operation, "category": "clip", "model_name": model, "payload": record})
    assert desk("queue", "import", "-", stdin=line.encode()).refusal == f"line 1: clip {model!r} {reason}"
    assert desk("queue", "list", "--json").json["total"] == 0


def test_a_name_can_be_given_to_a_record_that_breaks_rules_and_it_can_be_deleted(desk: Desk) -> None:
    assert desk("queue", "rename", "clip", "a", "a2").done
    desk.land(1, 2, desk.add("delete", "b"))
    assert [*desk.clone.records("clip.json")] == ["a2"]


def test_where_it_is_noted_the_reviewer_is_told_and_it_lands(desk: Desk) -> None:
    desk.configure(NOTED)
    added = desk("queue", "add", "create", "clip", "c", "--payload", "-", stdin=b'{"name": "c", "sha": "11"}').done
    told = "clip 'c' breaks 2 rules: sha: \"11\" is that of 'b', too; type: is required"
    assert f"note: {told}\n" in added.err
    assert f"  noticed      {told}\n" in desk("queue", "show", 1).done.out
    assert f"  note: {told}\n" in desk("queue", "diff", 1).done.out
    desk.land(1)
    assert "c" in desk.clone.records("clip.json")


def test_a_schema_that_cannot_be_used_refuses_nothing_and_is_told(desk: Desk) -> None:
    desk.clone.commit({"clip.schema.json": {"$ref": "https://example.org/s"}})
    added = desk("queue", "add", "create", "clip", "c", "--payload", "-", stdin=b'{"name": "c"}').done
    fault = '$ref "https://example.org/s" leads out of the file, and nothing is fetched'
    assert f"note: it is not checked by the schema: clip.schema.json: {fault}\n" in added.err
    desk.land(1)
    found = desk("check", "HEAD~2", "--directory", desk.clone.path)
    assert found.code == 1
    assert (
        f"clip.schema.json: the schema of clip: {fault}; mend it: nothing is checked by it [schema-file]" in found.out
    )
    (check,) = (each for each in desk("doctor", "--json").json["checks"] if each["name"] == "schemas")
    assert check["what"].startswith(f"the schema of clip, clip.schema.json: {fault}; nothing is checked by it")


def test_without_the_extra_a_config_with_a_schema_says_what_installs_it(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refsync.rules.extra.find_spec", lambda name: None)
    refusal = desk("status").refusal
    assert refusal.startswith("schemas and patterns need jsonschema and google-re2; install them: ")
    assert "google-re2" in refusal.split("install them: ")[1]
    desk.configure(RULES.replace('schema = "clip.schema.json"\n', ""))
    assert desk("status").done


# Before it lands


def test_what_would_break_a_rule_as_it_lands_waits_alone_with_all_else_of_its_model(desk: Desk) -> None:
    first = desk.add("create", "c", NEW | {"sha": "22"})
    second = desk.add("create", "d", NEW | {"sha": "22"})
    third = desk.add("update", "d", NEW | {"sha": "22", "size": 1})
    assert desk("queue", "approve", first, second, third, "--title", "t").done
    told = "create clip 'd' breaks a rule: sha: \"22\" is that of 'c', too"
    assert f"refsync: change {second} would wait: {told}" in desk("sync", "--dry-run").err
    (hold,) = held(desk)
    assert (hold["kind"], hold["about"]) == ("broken_rule", "clip")
    assert hold["reason"].startswith(told)
    assert [*desk.clone.records("clip.json")] == ["a", "b", "c"]
    assert desk("queue", "list", "--json", "--status", "approved").json["total"] == 2
    desk.clone.commit({"clip.json": CLIP})  # somebody takes the other one out
    assert held(desk) == []
    assert desk.clone.records("clip.json")["d"]["size"] == 1


def test_a_rule_that_came_after_the_approval_holds_too_and_a_revert_is_never_held(desk: Desk) -> None:
    desk.configure()
    change = desk.add("update", "a", CLIP["a"] | {"size": "5"})
    desk.land(change)
    desk.land(desk.add("update", "a", CLIP["a"]))
    again = desk.add("create", "c", NEW | {"size": "5"})
    assert desk("queue", "approve", again, "--title", "t").done
    desk.configure(RULES)
    assert [each["kind"] for each in held(desk)] == ["broken_rule"]
    reverted = desk("batch", "revert", 2, "--json").done.json["changes"]
    assert "breaks a rule" in reverted[0]["remarks"][-1]
    assert desk("queue", "approve", reverted[0]["change_id"], "--title", "back").done
    desk("sync")
    assert desk.clone.records("clip.json")["a"]["size"] == "5"


def test_the_look_at_one_change_tells_that_it_would_wait_for_a_rule(desk: Desk) -> None:
    desk.configure()
    change = desk.add("update", "a", CLIP["a"] | {"size": "5"})
    desk.configure(RULES)
    with open_application(load_config(desk.config, {})) as application:
        seen = show_lines(application, change)
    assert seen.diff == ""
    assert [each.partition(":")[0] for each in seen.refusals] == ["update clip 'a' breaks a rule"]


# In check


def check(desk: Desk, *words: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = desk("check", *words, "--json", "--directory", desk.clone.path).json["failures"]
    return found


def test_check_holds_changed_records_to_what_they_kept_in_base_by_the_schema_of_base(desk: Desk) -> None:
    assert check(desk) == []
    base = desk.clone.tip
    changed = {"a": {**CLIP["a"], "size": "5"}, "b": {**CLIP["b"], "x": 1}, "c": NEW | {"url": "http://c"}}
    desk.clone.write("clip.json", changed)
    for words in ((), (base,)):
        assert [(each["model"], each["field_path"], each["rule"]) for each in check(desk, *words)] == [
            ("a", "size", "record-rule"),
            ("c", "url", "record-rule"),
        ]
    desk.clone.commit({"clip.json": changed, "clip.schema.json": {}})
    assert len(check(desk, base, "HEAD")) == 2
    text = desk("check", base, "HEAD", "--directory", desk.clone.path)
    what = "size: \"5\" is not of type 'integer'"
    assert text.out.startswith(f'clip.json:2: "a": {what}; correct it: it was not so before [record-rule]\n')
    comment = desk("check", base, "HEAD", "--markdown", "--directory", desk.clone.path)
    assert f"- `clip.json:2` `a` (record-rule): `{what}; correct it: it was not so before`\n" in comment.out
    assert desk("check", "--json", "--markdown").refusal == "--json and --markdown: give one of them"


def test_in_check_too_it_may_be_noted_or_switched_off(desk: Desk) -> None:
    desk.clone.commit({"clip.json": {**CLIP, "c": {"name": "c"}}})
    desk.configure(NOTED)
    noted = desk("check", "HEAD~1", "--directory", desk.clone.path).done
    assert 'note: clip.json:13: "c": type: is required; correct it [record-rule]' in noted.out
    desk.configure('[repository.check]\nswitched_off = ["record-rule"]\n' + RULES)
    assert "type: is required" not in desk("check", "HEAD~1", "--directory", desk.clone.path).done.out


def test_a_renamed_record_is_held_to_what_it_kept_under_its_old_name(desk: Desk) -> None:
    desk.clone.commit({"clip.json": {"a2": {**CLIP["a"], "name": "a2", "size": True}, "b": CLIP["b"]}})
    assert [each["field_path"] for each in check(desk, "HEAD~1")] == ["size"]


def test_a_schema_in_a_folder_of_its_own_is_found_and_one_that_is_gone_is_told(desk: Desk) -> None:
    desk.configure(RULES.replace("clip.schema.json", "schemas/clip.json#"))
    git(desk.clone.path, "config", "user.name", "Ada")
    (desk.clone.path / "schemas").mkdir()
    desk.clone.commit({"schemas/clip.json": SCHEMA})
    desk.clone.commit({"clip.json": {**CLIP, "c": {"name": "c"}}})
    assert [each["field_path"] for each in check(desk, "HEAD~1")] == ["type"]
    desk.clone.commit({"schemas/clip.json": None})
    assert [(each["file"], each["rule"]) for each in check(desk, "HEAD~1")] == [("schemas/clip.json", "schema-file")]


# At the door


def test_the_door_says_422_and_which_field(tmp_path: Path) -> None:
    people = f'[people]\nrequestors = ["{getpass.getuser()}"]'
    reference = Reference(tmp_path, FILES, more=f"{people}{RULES}")
    with open_door(reference.application, tmp_path) as client:
        got = client.post("/model_references/v2/clip/add", json=NEW | {"url": "http://c", "x": [{"sha": "fixme"}]})
    reference.close()
    assert got.status_code == 422, got.text
    assert [(each["loc"], each["type"]) for each in got.json()["detail"]] == [
        (["body", "url"], "broken_rule"),
        (["body", "x", 0, "sha"], "broken_rule"),
    ]


# In the config


def test_every_key_of_a_category_stands_in_the_shipped_config() -> None:
    text = (Path(__file__).parents[2] / "config" / "refsync.toml").read_text()
    lines = text.partition("# [[category]]\n")[2].partition("\n\n")[0].splitlines()
    keys = [line.removeprefix("# ").split(" = ")[0] for line in lines if re.match(r"# [a-z_]+ = ", line)]
    known = [field.alias or name for name, field in OwnCategory.model_fields.items() if name != "rules"]
    assert sorted(keys) == sorted([*known, *RulesTable.model_fields])


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ('name = "own"\nfile = "own.json"\nschema = "../x"', "category.own.schema: '../x' is a path outside the clone"),
        ('name = "clip"\nschema = "x.json#Model"', "behind # stands a JSON pointer"),
        ('name = "clip"\n[category.rules]\nrequred = []', "rules.requred: is no known key; the nearest is required"),
        ('name = "clip"\n[category.rules]\npatterns = { x = "(?=a)" }', "patterns.x: '(?=a)' is not matched"),
        ('name = "clip"\n[category.rules]\nallowed = { x = [[1]] }', "allowed.x[1]: must be a text, a number"),
        ('name = "clip"\n[category.rules]\nhttps = ["a..b"]', "https[1]: must be a field by its dotted path"),
        ('name = "clip"\n[category.rules]\nwhen_broken = "no"', "when_broken: must be 'refuse' or 'note', not 'no'"),
        ('name = "clip"\nfile = "x.json"\nschema = "x"', "clip is a name of the specification: give it rules alone"),
    ],
)
def test_what_cannot_be_a_rule_is_refused_with_its_place(tmp_path: Path, table: str, reason: str) -> None:
    assert reason in Desk.at(tmp_path, f"[[category]]\n{table}\n")("config", "check").err


def test_a_repository_gives_its_own_rules_where_no_config_speaks_and_a_pull_request_cannot_change_them(
    tmp_path: Path,
) -> None:
    clone = Desk.at(tmp_path, files=FILES | {".refsync.toml": RULES.encode()}).clone
    changed = {**CLIP, "c": {"name": "c"}}
    clone.commit({"clip.json": changed, ".refsync.toml": b"[check]\nswitched_off = []\n"})
    desk = Desk(clone, tmp_path)
    found = desk.bare("check", "HEAD~1", "HEAD", "--json", "--directory", clone.path).json["failures"]
    assert [(each["model"], each["field_path"]) for each in found] == [("c", "type")]


def test_of_a_category_with_two_formats_the_one_is_checked_that_changes_are_written_in(tmp_path: Path) -> None:
    clone = Desk.at(tmp_path, files={"clip.json": {}, "legacy/clip.json": {}}).clone
    desk = Desk(clone, tmp_path)
    layout = 'layout = "primary"\n[[category]]\nname = "clip"\n[category.rules]\nrequired = ["type"]\n'
    desk.configure(layout)
    clone.commit({"clip.json": {"a": {"x": 1}}, "legacy/clip.json": {"b": {"x": 1}}})
    assert [(each["file"], each["model"]) for each in check(desk, "HEAD~1")] == [("clip.json", "a")]
