"""A config file that somebody else may have written is taken only by who asks for it."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from refsync.config import find_config_file, load_config
from refsync.errors import ConfigError
from tests.support.command_line import Desk
from tests.support.repositories import Clone, git

CONFIG = 'state_directory = "/state"\n[[repository]]\nname = "image"\npath = "{path}"\n'


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a config that nobody doubts."""
    folder = tmp_path / "here"
    folder.mkdir(mode=0o755)
    monkeypatch.chdir(folder)
    file = folder / "refsync.toml"
    file.write_text(CONFIG.format(path="/clones/image"))
    file.chmod(0o644)
    assert find_config_file(None, {}) == file
    return folder


def refusal() -> str:
    with pytest.raises(ConfigError) as refused:
        load_config(None, {})
    return str(refused.value)


def test_a_pushed_config_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    check = f'[repository.check]\ncommands = ["touch {tmp_path}/ran"]\n'
    clone = Clone.create(tmp_path / "clone", {"clip.json": {}})
    clone.commit({"refsync.toml": (CONFIG.format(path=".") + check).encode()})
    monkeypatch.chdir(clone.path)
    desk = Desk(clone, tmp_path)
    for command in (("status",), ("sync",), ("run",), ("queue", "list"), ("config", "show")):
        told = desk.bare(*command).refusal
        assert "is not taken unasked, for it lies in the clone" in told
        assert f"refsync --config {clone.path}/refsync.toml" in told
    assert desk.bare("--config", "refsync.toml", "config", "show").done
    assert not (tmp_path / "ran").exists()


def test_one_that_git_tracks_is_refused_in_any_repository_and_folder(here: Path) -> None:
    git(here.parent, "init", "-q")
    assert find_config_file(None, {})
    git(here.parent, "add", "here/refsync.toml")
    assert "git tracks it" in refusal()


@pytest.mark.parametrize(
    ("place", "mode", "why"),
    [("refsync.toml", 0o646, "others may write it"), (".", 0o777, "others may write its folder")],
)
def test_one_that_others_may_write_or_replace_is_refused(here: Path, place: str, mode: int, why: str) -> None:
    (here / place).chmod(mode)
    assert why in refusal()
    assert load_config(here / "refsync.toml", {})
    assert load_config(None, {"REFSYNC_CONFIG": str(here / "refsync.toml")})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give files away")
def test_one_of_another_user_or_of_a_foreign_group_is_refused(here: Path) -> None:
    os.chown(here / "refsync.toml", 12345, -1)
    assert "it belongs to 12345" in refusal()
    os.chown(here / "refsync.toml", 0, 12345)
    assert find_config_file(None, {})
    (here / "refsync.toml").chmod(0o664)
    assert "others may write it" in refusal()


def test_a_link_is_as_good_as_what_it_leads_to(here: Path, tmp_path: Path) -> None:
    (tmp_path / "open").mkdir(mode=0o700)
    (tmp_path / "open").chmod(0o777)
    (here / "refsync.toml").rename(tmp_path / "open/refsync.toml")
    (here / "refsync.toml").symlink_to(tmp_path / "open/refsync.toml")
    assert "others may write its folder" in refusal()


@pytest.mark.parametrize("text", ["repository = 1", "[[repository]]\npath = 1", "a = " + "[" * 2000, "repository = ["])
def test_what_is_wrong_with_it_is_told_in_one_line_all_the_same(here: Path, text: str) -> None:
    (here / "refsync.toml").write_text(text)
    assert "\n" not in refusal().splitlines()[0]
