from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from refsync.cli import config
from refsync.cli.context import Context
from refsync.errors import ConfigError
from tests.support.repositories import Clone

GOOD = '[[repository]]\nname = "image"\npath = "/srv/image"\n'


@pytest.fixture(autouse=True)
def _no_settings_of_this_machine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.delenv("REFSYNC_CONFIG", raising=False)
    monkeypatch.delenv("REFSYNC_TEST_DATA", raising=False)
    monkeypatch.chdir(tmp_path)


def call(*arguments: str, config_file: Path | None = None) -> Result:
    return CliRunner().invoke(config.app, arguments, obj=Context(config_file))


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "refsync.toml"
    path.write_text(text)
    return path


def test_check_says_that_the_file_is_good_and_what_it_serves(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    done = call("check")
    assert done.exit_code == 0
    assert done.stdout == f"{path}: good; repositories: image; categories: 9\n"


def test_check_tells_every_problem_on_a_line_of_its_own(tmp_path: Path) -> None:
    path = write(tmp_path, f'aply = 1\n{GOOD}[log]\nlevel = "loud"\n')
    done = call("check")
    assert done.exit_code == 1
    assert done.stdout == ""
    assert sorted(line.partition(" must")[0].partition(" is")[0] for line in done.stderr.splitlines()) == [
        f"{path}: aply:",
        f"{path}: log.level:",
    ]


def test_check_tells_a_listed_file_that_its_clone_has_not(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path / "clone", {"clip.json": {}, "other.json": {}})
    listed = '[repository.categories]\nclip = "clip.json"\nblip = "blip.json"\n'
    path = write(tmp_path, GOOD.replace("/srv/image", str(clone.path)) + listed)
    done = call("check")
    assert done.exit_code == 1
    key = f"{path}: repository.image.categories.blip"
    assert done.stderr == f"{key}: {clone.path} has no file 'blip.json'; correct the name, or add the file\n"
    clone.commit({"blip.json": {}})
    (clone.path / "blip.json").unlink()
    assert call("check").exit_code == 0


def test_check_as_json_tells_the_same(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    assert json.loads(call("check", "--json").stdout) == {"file": str(path), "valid": True, "problems": []}
    write(tmp_path, "")
    done = call("check", "--json")
    (problem,) = json.loads(done.stdout)["problems"]
    assert done.exit_code == 1
    assert problem.startswith(f"{path}: repository: at least one [[repository]] is needed")


def test_check_without_a_file_says_where_it_looked() -> None:
    done = call("check", config_file=Path("gone.toml"))
    assert done.exit_code == 1
    assert "gone.toml: there is no such config file" in done.stderr


def test_show_tells_each_value_and_its_source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = write(tmp_path, GOOD)
    monkeypatch.setenv("REFSYNC_APPLY__WHEN", "manual")
    lines = call("show").stdout.splitlines()
    assert lines[0] == f"# {path}"
    assert 'environment  apply.when = "manual"' in lines
    assert 'default      log.level = "INFO"' in lines
    assert 'file         repository.image.path = "/srv/image"' in lines


def test_show_as_json_is_one_document(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    shown = json.loads(call("show", "--json", config_file=path).stdout)
    assert shown["file"] == str(path)
    assert shown["settings"]["repository.image.path"] == {"value": "/srv/image", "source": "file"}
    assert shown["settings"]["cache.ttl_seconds"] == {"value": 0.0, "source": "default"}


def test_show_refuses_a_wrong_file_as_every_command_does(tmp_path: Path) -> None:
    write(tmp_path, "a = 1\nb = 2\n" + GOOD)
    done = call("show")
    assert isinstance(done.exception, ConfigError)
    assert "(and 1 more: refsync config check)" in str(done.exception)
