"""Categories of one's own whose records stand elsewhere than at the root of one object, by every door."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support.command_line import Desk
from tests.support.repositories import git

FILE = "prices.json"


class Registry(NamedTuple):
    """A file of some shape, and how the config tells of it."""

    table: str
    content: str
    named: bool = False

    def record(self, name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        return ({"id": name} if self.named else {}) | dict(fields)


REGISTRIES = {
    "with ignored members": Registry(
        'ignore = ["sample"]',
        """{
  "sample": {"cost": 0},
  "gpt": {
    "cost": 1.50,
    "mode": "chat"
  },
  "b": {
    "cost": 2
  }
}
""",
    ),
    "in an object below": Registry(
        'records = "a.models"',
        """{
  "$schema": "s",
  "a": {
    "models": {
      "gpt": {
        "cost": 1.50,
        "mode": "chat"
      },
      "b": {
        "cost": 2
      }
    },
    "x": {"gpt": 1e3}
  }
}""",
    ),
    "in a list": Registry(
        'records = "[id]"',
        """[
\t{
\t\t"id": "gpt",
\t\t"cost": 1.50,
\t\t"mode": "chat"
\t},
\t{"no": "key"},
\t{
\t\t"id": "b",
\t\t"cost": 2
\t}
]
""",
        named=True,
    ),
    "in a list below": Registry(
        'records = "models[id]"',
        """{
  "vendor": "v",
  "models": [
    {
      "id": "gpt",
      "cost": 1.50,
      "mode": "chat"
    },
    {
      "id": "b",
      "cost": 2
    }
  ],
  "updated": "\\u2014"
}
""",
        named=True,
    ),
}
_ALWAYS = "in a list below"


@pytest.fixture(params=[pytest.param(name, marks=() if name == _ALWAYS else pytest.mark.slow) for name in REGISTRIES])
def registry(request: pytest.FixtureRequest) -> Registry:
    return REGISTRIES[request.param]


@pytest.fixture
def desk(tmp_path: Path, registry: Registry) -> Desk:
    desk = Desk.at(tmp_path, "", {})
    (desk.clone.path / FILE).write_text(registry.content)
    git(desk.clone.path, "add", FILE)
    git(desk.clone.path, "commit", "-qm", "prices")
    desk.configure(f'[[category]]\nname = "prices"\nfile = "{FILE}"\ncritical = ["mode"]\n{registry.table}\n')
    assert desk("sync").done
    return desk


def shown(desk: Desk, model: str) -> Any:
    return desk("model", "show", "prices", model).json


def numstat(desk: Desk) -> str:
    """Added and removed lines of the last commit."""
    return " ".join(git(desk.clone.path, "diff", "--numstat", "HEAD~1").split()[:2])


def land_all(desk: Desk) -> None:
    pending = desk("queue", "list", "--status", "pending", "--json").json["items"]
    desk.land(*(each["change_id"] for each in pending))


def test_each_deed_lands_in_the_lines_of_its_model_and_is_counted_told_and_undone(
    desk: Desk, registry: Registry
) -> None:
    before = (desk.clone.path / FILE).read_bytes()
    update = desk.add("update", "gpt", registry.record("gpt", {"cost": 1.75, "mode": "embed"}), category="prices")
    assert "critical" in desk("queue", "diff", update).done.out
    desk.land(update)
    assert shown(desk, "gpt") == registry.record("gpt", {"cost": 1.75, "mode": "embed"})
    assert numstat(desk) == "2 2"
    assert "critical fields changed: mode" in desk("check", "HEAD~1", "--directory", desk.clone.path).done.out
    diff = desk("diff", "HEAD~1", "HEAD", "--directory", desk.clone.path).done.out
    assert "gpt" in diff
    assert "explained by no model" not in diff

    create = desk.add("create", "new", {"mode": "chat", "cost": 3}, category="prices")
    delete = desk.add("delete", "b", category="prices")
    desk.land(create, delete)
    assert shown(desk, "new") == registry.record("new", {"cost": 3, "mode": "chat"})
    assert desk("model", "show", "prices", "b").code == 1
    assert desk("queue", "rename", "prices", "new", "newer").done
    land_all(desk)
    assert shown(desk, "newer") == registry.record("newer", {"cost": 3, "mode": "chat"})
    assert numstat(desk) == "1 1"
    assert "rename" in desk("model", "history", "prices", "newer").done.out
    assert "1.75" in desk("model", "blame", "prices", "gpt").done.out

    counted = desk("metadata", "show", "--json").json["image"]["legacy"]["prices"]
    assert (counted["total_models"], counted["total_creates"], counted["total_deletes"]) == (2, 4, 2)
    assert desk("metadata", "verify").done

    for number in (3, 2, 1):
        assert desk("batch", "revert", number).done
        land_all(desk)
    assert (desk.clone.path / FILE).read_bytes() == before


@pytest.mark.parametrize(
    ("registry", "content", "told"),
    [
        (
            "in a list",
            '[\n {"id": "a"},\n {"id": "a"}\n]',
            ['prices.json:3: "a": the key "a" is there twice, in line 2, too'],
        ),
        (
            "in a list",
            '[\n {"id": "a"},\n {"x": 1}\n]',
            ['prices.json:3: "[1]": has no "id" that it could be known by'],
        ),
        ("in a list below", '{"models": [], "models": [\n {"id": "a"}]}', ['the key "models" is there twice']),
        ("in a list below", '{"models": {}}', ["no list at models"]),
    ],
    indirect=["registry"],
)
def test_what_is_wrong_in_a_file_of_a_shape_is_told_with_its_line(desk: Desk, content: str, told: list[str]) -> None:
    (desk.clone.path / FILE).write_text(content)
    out = desk("check", "--directory", desk.clone.path).out
    for each in told:
        assert each in out, out


def test_a_record_that_says_another_name_is_refused_with_what_to_write(desk: Desk, registry: Registry) -> None:
    if not registry.named:
        pytest.skip("its records do not say their names")
    for operation, model in (("create", "n"), ("update", "gpt")):
        words = ("queue", "add", operation, "--payload", "-", "prices", model)
        refusal = desk(*words, stdin=b'{"id": "other"}').refusal
        assert refusal == (
            f'payload: id: is "other", and the file knows its models by that; write "{model}", or rename the model'
        )
