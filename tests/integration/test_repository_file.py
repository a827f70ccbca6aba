"""What a repository says of itself in ``.refsync.toml``, to whoever looks at a clone of it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.command_line import Desk
from tests.support.repositories import Clone, git

TABLE = b'[[category]]\nname = "prices"\nfile = "data/p.json"\nrecords = "models[id]"\ncritical = ["n"]\n'


def content(*numbers: int) -> bytes:
    models = [{"id": f"m{place}", "n": number} for place, number in enumerate(numbers)]
    return json.dumps({"models": models}, indent=2).encode()


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A clone that no config knows."""
    clone = Clone.create(tmp_path / "clone", {"data/p.json": content(1, 2), ".refsync.toml": TABLE})
    return Desk(clone, tmp_path)


def test_its_categories_are_compared_and_checked_without_a_config(desk: Desk) -> None:
    desk.clone.commit({"data/p.json": content(1, 3)})
    told = desk.bare("diff", "HEAD~1", "HEAD", "--directory", desk.clone.path).done.out
    assert "m1" in told
    assert "critical fields changed: n" in desk.bare("check", "HEAD~1", "--directory", desk.clone.path).done.out


def test_who_proposes_a_change_cannot_switch_off_what_it_is_checked_by(desk: Desk) -> None:
    git(desk.clone.path, "checkout", "-q", "-b", "theirs")
    broken = content(1, 2).replace(b'"m1"', b'"m0"')
    off = TABLE + b'[check]\nswitched_off = ["duplicate-key", "look-alike"]\n'
    desk.clone.commit({"data/p.json": broken, ".refsync.toml": off})
    ended = desk.bare("check", "main", "HEAD", "--directory", desk.clone.path)
    assert ended.code == 1
    assert "is there twice" in ended.out
    git(desk.clone.path, "checkout", "-q", "main")
    desk.clone.commit({".refsync.toml": off})
    desk.clone.write("data/p.json", json.loads(broken))
    assert desk.bare("check", "HEAD", "--directory", desk.clone.path).done


def test_the_operators_config_wins(desk: Desk) -> None:
    desk.configure('[[category]]\nname = "prices"\nfile = "data/p.json"\nrecords = "other[id]"\n')
    desk.clone.commit({"data/p.json": b'{"other": [{"id": "x", "n": 1}], "models": []}'})
    assert "no list at other" in desk("diff", "HEAD~1", "HEAD", "--directory", desk.clone.path).done.out
    desk.clone.commit({".refsync.toml": TABLE + b'[check]\nswitched_off = ["duplicate-key", "look-alike"]\n'})
    desk.clone.commit({"data/p.json": b'{"other": [{"id": "x"}, {"id": "x"}]}'})
    assert "is there twice" in desk("check", "HEAD~1", "HEAD", "--directory", desk.clone.path).out


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("[people]", "people may not stand here, only [[category]] and switched_off of [check] may"),
        ('[check]\ncommands = ["rm"]', "check.commands may not stand here"),
        ('[check]\nswitched_off = ["x"]', "check.switched_off[1]: is no rule of refsync check"),
        ('[[category]]\nname = "clip"\nfile = "c.json"', "category.clip.name: clip is a name of the specification"),
        (
            '[[category]]\nname = "x"\nfile = "clip.json"',
            "file: clip.json is the file of clip; give the category its own",
        ),
        ('[[category]]\nname = "x"\nfile = "../c.json"', "is a path outside the clone"),
        ('[[category]]\nname = "x"\nfile = "c.json"\nmore = 1', "more: is no known key"),
        ("[[", "is no valid TOML"),
        ("#" * 65_537, "at most 65536 are read"),
    ],
)
def test_what_it_may_not_say_is_refused_with_its_place(desk: Desk, text: str, reason: str) -> None:
    desk.clone.commit({".refsync.toml": text.encode()})
    refusal = desk.bare("check", "HEAD", "--directory", desk.clone.path).refusal
    assert ".refsync.toml in HEAD" in refusal
    assert reason in refusal
