"""Categories of one's own that have many files: one for each model, or one for each vendor."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.support.command_line import Desk
from tests.support.repositories import git

ONE = b'{\n  "cost": 1.50,\n  "mode": "chat",\n  "tags": ["a"]\n}\n'
TWO = b'{\n  "cost": 2,\n  "tags": []\n}\n'


def vendor(name: str, **costs: float) -> bytes:
    models = [{"id": model, "cost": cost, "mode": "chat"} for model, cost in costs.items()]
    return (json.dumps({"vendor": name, "models": models}, indent=2) + "\n").encode()


def at(folder: Path, table: str, files: dict[str, bytes]) -> Desk:
    desk = Desk.at(folder, f'[[category]]\nname = "prices"\ncritical = ["mode"]\n{table}\n', {})
    desk.clone.commit(files)
    assert desk("sync").done
    return desk


@pytest.fixture
def models(tmp_path: Path) -> Desk:
    """One file for each model, beside others that are none."""
    files = {"models/gpt.json": ONE, "models/b.json": TWO, "models/README.md": b"hi", "models/old/x.json": ONE}
    return at(tmp_path, 'files = "models/*.json"', files)


@pytest.fixture
def vendors(tmp_path: Path) -> Desk:
    """One file for each vendor."""
    files = {"data/x.json": vendor("x", gpt=1.5, b=2), "data/y.json": vendor("y", c=3)}
    return at(tmp_path, 'files = "data/*.json"\nrecords = "models[id]"', files)


def shown(desk: Desk, model: str) -> Any:
    return desk("model", "show", "prices", model).json


def stat(desk: Desk) -> list[list[str]]:
    """Added and removed lines of each file in the last commit."""
    return [line.split("\t") for line in git(desk.clone.path, "diff", "--numstat", "HEAD~1").splitlines()]


def land_all(desk: Desk) -> None:
    pending = desk("queue", "list", "--status", "pending", "--json").json["items"]
    desk.land(*(each["change_id"] for each in pending))


def counters(desk: Desk) -> tuple[int, int, int, int]:
    counted = desk("metadata", "show", "--json").json["image"]["legacy"]["prices"]
    assert desk("metadata", "verify").done
    return tuple(counted[f"total_{name}"] for name in ("models", "creates", "updates", "deletes"))


def test_a_create_is_a_new_file_like_those_beside_it_and_a_delete_takes_one_away(models: Desk) -> None:
    create = models.add("create", "new", {"mode": "embed", "cost": 3, "tags": []}, category="prices")
    models.land(create)
    assert stat(models) == [["5", "0", "models/new.json"]]
    assert models.clone.read("models/new.json") == b'{\n  "cost": 3,\n  "mode": "embed",\n  "tags": []\n}\n'
    models.land(models.add("delete", "b", category="prices"))
    assert stat(models) == [["0", "4", "models/b.json"]]
    assert not (models.clone.path / "models/b.json").exists()
    assert counters(models) == (2, 3, 0, 1)
    assert models.clone.status == ""


@pytest.mark.slow
def test_an_update_changes_the_lines_of_its_field_and_is_told_like_any_other(models: Desk) -> None:
    change = models.add("update", "gpt", {"cost": 1.5, "mode": "embed", "tags": ["a"]}, category="prices")
    assert "critical" in models("queue", "diff", change).done.out
    models.land(change)
    assert stat(models) == [["1", "1", "models/gpt.json"]]
    assert models.clone.read("models/gpt.json") == ONE.replace(b"chat", b"embed")
    assert shown(models, "gpt")["mode"] == "embed"
    assert "critical fields changed: mode" in models("check", "HEAD~1", "--directory", models.clone.path).done.out
    assert "gpt" in models("diff", "HEAD~1", "HEAD", "--directory", models.clone.path).done.out
    assert "embed" in models("model", "blame", "prices", "gpt").done.out
    assert counters(models) == (2, 2, 1, 0)


@pytest.mark.slow
def test_a_rename_is_a_file_under_another_name_and_is_reverted_like_anything_else(models: Desk) -> None:
    assert models("queue", "rename", "prices", "gpt", "gpt-2").done
    land_all(models)
    assert git(models.clone.path, "diff", "--name-status", "HEAD~1").split() == [
        "R100",
        "models/gpt.json",
        "models/gpt-2.json",
    ]
    assert "rename" in models("model", "history", "prices", "gpt-2").done.out
    assert models("batch", "revert", 1).done
    land_all(models)
    assert models.clone.read("models/gpt.json") == ONE
    assert counters(models) == (2, 4, 0, 2)


def test_a_name_that_no_file_can_have_is_refused(models: Desk) -> None:
    for name in ("a/b", ".hidden"):
        words = ("queue", "add", "create", "--payload", "-", "prices", name)
        assert "cannot be the name of a file" in models(*words, stdin=b"{}").refusal


@pytest.mark.slow
def test_local_edits_of_one_file_let_the_categorys_changes_wait(models: Desk) -> None:
    (models.clone.path / "models/b.json").write_bytes(ONE)
    change = models.add("update", "gpt", {"cost": 9}, category="prices")
    assert models("queue", "approve", change, "--title", "t").done
    assert "local edits" in models("sync").err
    git(models.clone.path, "checkout", "-q", "HEAD", "--", "models/b.json")
    assert models("sync").done
    assert shown(models, "gpt") == {"cost": 9}


@pytest.mark.slow
def test_a_record_may_be_known_by_a_field_of_its_file(tmp_path: Path) -> None:
    files = {"m/1.json": b'{\n  "id": "org/gpt",\n  "cost": 1\n}\n', "m/2.json": b'{\n  "id": "b",\n  "cost": 2\n}\n'}
    desk = at(tmp_path, 'files = "m/*.json"\nkey = "id"', files)
    desk.land(desk.add("update", "org/gpt", {"id": "org/gpt", "cost": 5}, category="prices"))
    assert stat(desk) == [["1", "1", "m/1.json"]]
    assert desk("queue", "rename", "prices", "org/gpt", "org/gpt-2").done
    land_all(desk)
    assert stat(desk) == [["1", "1", "m/1.json"]]
    desk.land(desk.add("create", "c/d", {"cost": 3}, "--file", "m/3.json", category="prices"))
    assert desk.clone.read("m/3.json") == b'{\n  "id": "c/d",\n  "cost": 3\n}\n'
    desk.land(desk.add("delete", "b", category="prices"))
    assert sorted(path.name for path in (desk.clone.path / "m").iterdir()) == ["1.json", "3.json"]
    assert counters(desk) == (2, 4, 1, 2)


def test_a_models_file_is_where_it_is_found_and_a_new_ones_is_told(vendors: Desk) -> None:
    words = ("queue", "add", "create", "--payload", "-", "prices", "new")
    refusal = vendors(*words, stdin=b"{}").refusal
    assert refusal == (
        "file: prices may have several; say by --file, or --after or --before another model, which one 'new' goes to: "
        "data/x.json, data/y.json"
    )
    assert "is none of the category's" in vendors(*words, "--file", "other/x.json", stdin=b"{}").refusal
    create = vendors.add("create", "new", {"mode": "chat", "cost": 4}, "--file", "data/y.json", category="prices")
    beside = vendors.add("create", "near", {"cost": 5}, "--after", "gpt", category="prices")
    update = vendors.add("update", "b", {"id": "b", "cost": 2, "mode": "embed"}, category="prices")
    vendors.land(create, beside, update)
    assert stat(vendors) == [["5", "1", "data/x.json"], ["5", "0", "data/y.json"]]
    assert json.loads(vendors.clone.read("data/y.json"))["models"][1] == {"id": "new", "cost": 4, "mode": "chat"}
    assert [each["id"] for each in json.loads(vendors.clone.read("data/x.json"))["models"]] == ["gpt", "near", "b"]
    assert counters(vendors) == (5, 5, 1, 0)
    assert vendors("queue", "rename", "prices", "c", "c-2").done
    land_all(vendors)
    assert stat(vendors) == [["1", "1", "data/y.json"]]
    assert "nothing wrong" in vendors("check", "--directory", vendors.clone.path).done.out


@pytest.mark.slow
def test_the_file_of_a_new_model_is_told_also_where_there_is_only_one_so_far(vendors: Desk) -> None:
    vendors.clone.commit({"data/y.json": None})
    add = ("queue", "add", "create", "prices", "new", "--payload", "-")
    refused = vendors(*add, stdin=b'{"id": "new"}').refusal
    assert refused.endswith("which one 'new' goes to: data/x.json")
    assert vendors(*add, "--file", "data/y.json", stdin=b'{"id": "new"}').done


def test_a_model_that_a_person_moves_to_another_file_is_no_operation(vendors: Desk) -> None:
    vendors.clone.commit({"data/x.json": vendor("x", gpt=1.5), "data/y.json": vendor("y", b=2, c=3)})
    assert vendors("sync").done
    assert counters(vendors) == (3, 3, 0, 0)


@pytest.mark.slow
def test_a_broken_file_is_an_error_of_the_category_until_it_is_mended(vendors: Desk) -> None:
    vendors.clone.commit({"data/y.json": b"{"})
    assert vendors("sync").done
    vendors.clone.commit({"data/x.json": vendor("x", gpt=1.5, b=9)})
    assert vendors("sync").done
    vendors.clone.commit({"data/y.json": vendor("y", c=3, d=4)})
    assert vendors("sync").done
    assert counters(vendors) == (4, 4, 1, 0)


def test_readers_see_each_file_that_comes_goes_or_changes(models: Desk) -> None:
    from refsync.application import open_application
    from refsync.config import load_config

    with open_application(load_config(models.config, {})) as application:
        (backend,) = application.backends.values()
        prices = application.config.catalogue.parse("prices")
        assert set(backend.fetch_category(prices) or ()) == {"gpt", "b"}
        models.clone.commit({"models/c.json": TWO})
        assert set(backend.fetch_category(prices) or ()) == {"gpt", "b", "c"}
        (models.clone.path / "models/c.json").write_bytes(ONE)
        assert backend.mark_changed_categories() == [prices]
        assert (backend.fetch_category(prices) or {})["c"]["cost"] == 1.5


def test_a_model_in_two_files_is_told_and_hinders_only_itself(vendors: Desk) -> None:
    vendors.clone.commit({"data/y.json": vendor("y", c=3, gpt=1)})
    ended = vendors("check", "--directory", vendors.clone.path)
    assert 'data/y.json:9: "gpt": is in data/x.json, too; delete one of the two [duplicate-key]' in ended.out
    vendors.land(vendors.add("update", "c", {"id": "c", "cost": 4, "mode": "chat"}, category="prices"))
    change = vendors.add("update", "gpt", {"id": "gpt", "cost": 4}, category="prices")
    assert vendors("queue", "approve", change, "--title", "t").done
    assert '"gpt" is in data/x.json and in data/y.json; delete all but one' in vendors("sync").err


def test_git_merges_each_file_record_by_record_and_a_delete_is_no_fault(
    models: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.argv", [str(Path(sys.executable).with_name("refsync"))])
    assert models("merge", "--install", "--directory", models.clone.path).done
    models.clone.commit({})
    assert models.clone.read(".gitattributes") == b"/models/*.json merge=refsync\n"
    git(models.clone.path, "checkout", "-q", "-b", "theirs")
    models.clone.commit({"models/gpt.json": ONE.replace(b"1.50", b"1.75")})
    git(models.clone.path, "checkout", "-q", "main")
    models.clone.commit({"models/gpt.json": ONE.replace(b"chat", b"embed")})
    git(models.clone.path, "merge", "-q", "-m", "both", "theirs")
    assert models.clone.read("models/gpt.json") == ONE.replace(b"chat", b"embed").replace(b"1.50", b"1.75")
    git(models.clone.path, "rm", "-q", "models/b.json")
    checked = models("check", "HEAD", "--directory", models.clone.path).done.out
    assert '1 of 1 model is gone: "b"' in checked or "gone" in checked


# Rules


def test_rules_hold_over_all_files_and_a_schema_of_the_file_is_one_of_the_record(tmp_path: Path) -> None:
    schema = {
        "required": ["cost"],
        "properties": {"cost": {"type": "number"}},
        "additionalProperties": {"maxLength": 5},
    }
    table = 'files = "models/*.json"\nschema = "models.schema.json"\n[category.rules]\nunique = ["hash"]'
    files = {"models/a.json": b'{"cost": 1, "hash": "x"}', "models/b.json": b'{"cost": 2, "hash": "y"}'}
    desk = at(tmp_path, table, files | {"models.schema.json": json.dumps(schema).encode()})
    add = ("queue", "add", "update", "prices", "b", "--payload", "-")
    assert desk(*add, stdin=b'{"hash": "x", "mode": "longer"}').refusal == (
        "prices 'b' breaks 3 rules: hash: \"x\" is that of 'a', too; cost: is required; "
        'mode: "longer" is too long; correct it'
    )
    desk.clone.commit({"models/b.json": b'{"cost": 2, "hash": "x"}', "models/c.json": b"{}"})
    found = desk("check", "HEAD~1", "--json", "--directory", desk.clone.path).json["failures"]
    assert [(each["file"], each["model"], each["field_path"]) for each in found] == [
        ("models/b.json", "b", "hash"),
        ("models/c.json", "c", "cost"),
    ]


def test_a_schema_of_a_vendor_s_file_is_asked_of_each_of_its_records(tmp_path: Path) -> None:
    model = {"properties": {"cost": {"type": "number"}}, "required": ["mode"]}
    schema = {"properties": {"models": {"items": model}}, "required": ["licence"]}
    table = 'files = "data/*.json"\nrecords = "models[id]"\nschema = "vendor.schema.json"'
    desk = at(tmp_path, table, {"data/x.json": vendor("x", a=1), "vendor.schema.json": json.dumps(schema).encode()})
    add = ("queue", "add", "update", "prices", "a", "--payload", "-")
    assert desk(*add, stdin=b'{"id": "a", "cost": "2"}').refusal == (
        "prices 'a' breaks 2 rules: cost: \"2\" is not of type 'number'; mode: is required; correct it"
    )
    desk.land(int(desk(*add, stdin=b'{"id": "a", "cost": 2, "mode": "chat"}').done.out))


def test_what_a_landed_merge_lost_in_one_of_the_files_is_an_error_of_the_category(vendors: Desk) -> None:
    git(vendors.clone.path, "checkout", "-q", "-b", "topic")
    vendors.clone.commit({"data/x.json": vendor("x", gpt=1.5, b=2, new=4), "data/z.json": vendor("z", d=1)})
    git(vendors.clone.path, "checkout", "-q", "main")
    vendors.clone.commit({"data/y.json": vendor("y", c=4)})
    git(vendors.clone.path, "merge", "-q", "--no-commit", "topic")
    vendors.clone.commit({"data/x.json": vendor("x", gpt=1.5, b=2), "data/z.json": None})
    assert vendors("sync").done
    metadata = vendors("metadata", "show", "--json").json["image"]["legacy"]["prices"]
    assert (metadata["error_count"], metadata["last_lossy_merge"]) == (1, vendors.clone.tip)
    checked = vendors("check", "HEAD^1", "--directory", vendors.clone.path)
    lost = [line.split(": the merge")[0] for line in checked.out.splitlines() if line.endswith("[lost-in-merge]")]
    assert (checked.code, lost) == (1, ['data/x.json: "new"', 'data/z.json: "d"'])
    vendors.clone.commit({"data/z.json": vendor("z", d=1)})
    assert 'data/z.json: "d"' not in vendors("check", "HEAD~1^1", "--directory", vendors.clone.path).out


def test_a_file_in_whose_name_the_star_stands_for_nothing_is_seen_by_merges_too(tmp_path: Path) -> None:
    table = 'files = "data/x*.json"\nrecords = "models[id]"'
    desk = at(tmp_path, table, {"data/x.json": vendor("x", a=1), "data/x2.json": vendor("x2", b=2)})
    git(desk.clone.path, "checkout", "-q", "-b", "topic")
    desk.clone.commit({"data/x.json": vendor("x", a=1, new=4)})
    git(desk.clone.path, "checkout", "-q", "main")
    desk.clone.commit({"data/x2.json": vendor("x2", b=3)})
    git(desk.clone.path, "merge", "-q", "--no-commit", "topic")
    desk.clone.commit({"data/x.json": vendor("x", a=1)})
    assert desk("sync").done
    metadata = desk("metadata", "show", "--json").json["image"]["legacy"]["prices"]
    assert (metadata["error_count"], metadata["last_lossy_merge"]) == (1, desk.clone.tip)
