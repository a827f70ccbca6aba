"""`refsync init URL`: a clone of the files that a reference is made of, whole or not at all."""

from __future__ import annotations

import json
import os
import shutil
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from refsync.clone.export import export_tree
from refsync.clone.repository import Repository
from refsync.config import load_config
from tests.support.command_line import Desk, Ended, wait_until
from tests.support.daemon import command_line
from tests.support.dying import killed_at_durable_step
from tests.support.repositories import Clone, bare_remote, git, missing_blobs
from tests.support.text_files import ROWS, text_files

CATEGORIES = {"clip.json": {"a": {"name": "a"}}, "blip.json": {"b": {"name": "b"}}}
PICTURES = {f"pics/{number}.png": bytes([number]) * 5000 for number in range(20)}
FILES = {**CATEGORIES, **PICTURES, "README.md": b"hi\n", ".gitattributes": b"*.json -diff\n", ".gitignore": b"*.tmp\n"}


class Place:
    """A folder with a remote in it, where clones and configs go to another one, so that what is left can be seen."""

    def __init__(self, folder: Path) -> None:
        self.remote = folder / "models.git"
        self.work = folder / "work"
        self.work.mkdir()
        self.desk = Desk(Clone(self.work / "image"), self.work)

    @property
    def url(self) -> str:
        return f"file://{self.remote}"

    @property
    def left(self) -> list[str]:
        return sorted(path.name for path in self.work.iterdir())

    def init(self, *arguments: str | Path, **environment: Any) -> Ended:
        """Clone to ``image``."""
        words = arguments or (self.url, self.desk.clone.path)
        return self.desk("init", *words, "--state", self.desk.state, **environment)

    def init_locally(self, *more: str) -> Clone:
        """Clone to ``image``, for batches that land there; then the remote goes away."""
        assert self.init(self.url, self.desk.clone.path, "--publish", "local", *more).done
        self.remote.rename(self.remote.with_name("gone.git"))
        return self.desk.clone


@pytest.fixture
def place(tmp_path: Path) -> Place:
    bare_remote(Clone.create(tmp_path / "source", FILES).path, tmp_path / "models.git")
    return Place(tmp_path)


@pytest.fixture
def image(tmp_path: Path, image_bundle: Path) -> Place:
    bare_remote(image_bundle, tmp_path / "models.git")
    return Place(tmp_path)


def test_the_clone_shows_and_holds_the_category_files_alone(place: Place) -> None:
    place.init().done  # noqa: B018
    clone = place.desk.clone
    shown = sorted(path.name for path in clone.path.iterdir())
    assert shown == [".git", ".gitattributes", ".gitignore", "blip.json", "clip.json"]
    assert (clone.status, git(clone.path, "rev-parse", "--abbrev-ref", "main@{upstream}")) == ("", "origin/main")
    pictures = {git(place.remote, "rev-parse", f"main:{path}") for path in PICTURES}
    assert missing_blobs(clone.path) == pictures | {git(place.remote, "rev-parse", "main:README.md")}
    assert git(clone.path, "fsck", "--connectivity-only", "--strict") == ""
    assert place.left == ["image", "refsync.toml"]


def test_the_config_says_how_batches_are_published(place: Place) -> None:
    report = place.init(place.url, place.desk.clone.path, "--json").done.json
    assert report["repository"] == {
        "name": "image",
        "path": str(place.desk.clone.path),
        "branch": "main",
        "layout": "upstream",
        "publish": "branch",
    }
    assert place.desk("config", "check").done


@pytest.mark.parametrize(
    ("url", "publish"),
    [
        ("https://github.com/owner/models", "pull_request"),
        ("git@github.com:owner/models.git", "pull_request"),
        ("ssh://git@GitHub.com/owner/models/", "pull_request"),
        ("https://git.example.org/github.com/models.git", "branch"),
    ],
)
def test_the_host_decides_how_batches_are_published_and_the_last_part_the_name(
    place: Place, monkeypatch: pytest.MonkeyPatch, url: str, publish: str
) -> None:
    monkeypatch.chdir(place.work)
    environment = {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": f"url.{place.url}.insteadOf", "GIT_CONFIG_VALUE_0": url}
    assert place.init(url, **environment).done
    (repository,) = load_config(place.desk.config, {}).repositories
    assert (repository.publish, repository.name, repository.path) == (publish, "models", place.work / "models")


def test_what_is_asked_for_wins_and_a_token_is_named_by_its_file_alone(place: Place) -> None:
    token = place.work / "token"
    token.write_text("hunter2\n")
    asked = ("--publish", "push", "--token-file", token, "--name", "models", "--branch", "main")
    ended = place.init(place.url, place.desk.clone.path, *asked).done
    (repository,) = load_config(place.desk.config, {}).repositories
    assert (repository.publish, repository.name, repository.branch) == ("push", "models", "main")
    assert repository.credentials.token_file == token
    config = (place.desk.clone.path / ".git/config").read_text()
    assert "hunter2" not in ended.out + ended.err + config + place.desk.config.read_text()


def test_a_path_is_cloned_where_another_is_given_and_an_empty_folder_is_taken(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(place.work)
    place.desk.clone.path.mkdir()
    assert place.init("../models.git", "image").done
    assert git(place.desk.clone.path, "remote", "get-url", "origin") == str(place.remote)
    assert missing_blobs(place.desk.clone.path)


def test_an_existing_clone_lands_locally(place: Place) -> None:
    git(place.work, "clone", "-q", str(place.remote), "image")
    assert place.init(place.desk.clone.path).done
    assert load_config(place.desk.config, {}).repositories[0].publish == "local"


def test_a_file_of_another_name_is_fetched_and_shown(tmp_path: Path) -> None:
    bare_remote(
        Clone.create(tmp_path / "source", {"data/clip.json": {"a": {}}, "b.png": b"b"}).path, tmp_path / "models.git"
    )
    place = Place(tmp_path)
    clone = place.init_locally("--category", "clip=data/clip.json")
    assert clone.read("data/clip.json")
    assert place.desk("config", "check").done
    assert place.desk("check", "--directory", clone.path).done.out == (
        "nothing wrong; 1 category file of the work tree checked\n"
    )


def test_a_server_that_cannot_leave_blobs_out_gives_them_all(place: Place) -> None:
    git(place.remote, "config", "uploadpack.allowFilter", "false")
    clone = place.init_locally()
    assert missing_blobs(clone.path) == set()
    assert not (clone.path / "pics").exists()
    assert (clone.status, place.desk("sync").code) == ("", 0)


def test_a_reference_of_the_primary_layout_shows_both_its_folders(tmp_path: Path) -> None:
    files = {
        "clip.json": b"{}\n",
        "legacy/clip.json": b"{}\n",
        "legacy/notes.md": b"n\n",
        "legacy/.gitignore": b"*.x\n",
    }
    bare_remote(Clone.create(tmp_path / "source", files).path, tmp_path / "models.git")
    place = Place(tmp_path)
    clone = place.init_locally()
    assert sorted(path.name for path in (clone.path / "legacy").iterdir()) == [".gitignore", "clip.json"]
    assert load_config(place.desk.config, {}).repositories[0].layout == "primary"
    assert clone.status == ""


# What the clone is good for, while the remote is gone


def test_a_batch_lands_and_readers_need_no_remote(place: Place) -> None:
    clone, desk = place.init_locally(), place.desk
    desk.land(desk.add("create", "c", {"name": "c"}), desk.add("create", "e", {"name": "e"}, category="esrgan"))
    assert clone.status == ""
    assert (clone.records("clip.json")["c"], clone.records("esrgan.json")) == ({"name": "c"}, {"e": {"name": "e"}})
    assert desk("status").done
    assert desk("diff", "HEAD~1", "--directory", clone.path).done
    git(clone.path, "sparse-checkout", "reapply")
    assert clone.records("esrgan.json") == {"e": {"name": "e"}}


def test_the_operators_checks_run_on_what_the_clone_shows(place: Place, tmp_path: Path) -> None:
    clone = place.init_locally()
    (tmp_path / "files").mkdir()
    with Repository(clone.path, "main") as opened:
        export_tree(opened, "main", tmp_path / "files")
    assert sorted(os.listdir(tmp_path / "files")) == [".gitattributes", ".gitignore", "blip.json", "clip.json"]


def test_the_real_image_reference_counts_as_in_a_whole_clone(image: Place, tmp_path: Path, image_bundle: Path) -> None:
    clone, desk = image.init_locally(), image.desk
    assert desk("sync").done
    whole = Desk(Clone.of_bundle(image_bundle, tmp_path / "whole"), tmp_path)
    assert whole("init", whole.clone.path, "--state", whole.state, "--name", "image").done
    assert whole("sync").done
    assert counters(desk) == counters(whole)
    assert desk("metadata", "verify", "--json").done.json == []
    assert clone.status == ""


def counters(desk: Desk) -> dict[str, object]:
    """What the history gives, which is not when and by whom it was written."""
    shown = desk("metadata", "show", "--json").done.json["image"]["legacy"]
    told = ("total_creates", "total_updates", "total_deletes", "total_models", "recorded_commit", "recorded_blob")
    assert shown["image_generation"]["total_creates"] > 100
    return {category: [metadata[field] for field in told] for category, metadata in shown.items()}


def test_the_real_image_reference_is_read_written_and_reviewed_without_its_remote(image: Place) -> None:
    clone, desk = image.init_locally(), image.desk
    missing = missing_blobs(clone.path)
    model = next(iter(clone.records("stable_diffusion.json")))
    record = clone.records("stable_diffusion.json")[model] | {"description": "Better."}
    change = desk.add("update", model, record, category="image_generation")
    assert desk("queue", "diff", change).done
    desk.land(change)
    assert clone.records("stable_diffusion.json")[model]["description"] == "Better."
    assert clone.status == ""
    assert desk("status").done
    assert desk("model", "history", "image_generation", model).done
    assert desk("model", "blame", "image_generation", model).done
    assert desk("diff", "HEAD~30", "--directory", clone.path).done
    assert desk("check", "HEAD~1", "HEAD", "--directory", clone.path).done
    assert missing_blobs(clone.path) == missing != set()


def test_a_text_reference_has_all_that_a_change_needs(tmp_path: Path) -> None:
    bare_remote(Clone.create(tmp_path / "source", text_files(*ROWS) | PICTURES).path, tmp_path / "models.git")
    place = Place(tmp_path)
    clone, desk = place.init_locally(), place.desk
    shown = {path.name for path in clone.path.iterdir()}
    assert shown == {".git", "models.csv", "db.json", "defaults.json", "generation_params.json"}
    model = next(name for name in clone.records("db.json") if "/" not in name)
    record = clone.records("db.json")[model] | {"description": "Better."}
    desk.land(desk.add("update", model, record, category="text_generation"))
    assert git(clone.path, "diff", "--name-only", "HEAD~1").split() == ["db.json", "models.csv"]
    assert desk("check", "--directory", clone.path).done
    assert clone.status == ""


# What leaves nothing behind


@pytest.mark.parametrize(
    "url",
    [
        "https://ada:hunter2@example.org/models.git",
        "https://hunter2@example.org/models.git",
        "https://example.org/models.git?private_token=hunter2",
        "ssh://git:hunter2@example.org/models.git",
    ],
)
def test_a_url_with_a_secret_is_refused_and_not_shown(place: Place, url: str) -> None:
    refusal = place.init(url, place.desk.clone.path).refusal
    assert "example.org: the URL holds a user name, password or token" in refusal
    assert "hunter2" not in refusal
    assert place.left == []


def test_what_is_there_already_is_left_as_it_is(place: Place) -> None:
    place.desk.clone.path.mkdir()
    (place.desk.clone.path / "mine").write_text("mine")
    assert "image: exists and is not an empty folder" in place.init().refusal
    assert place.left == ["image"]
    assert "no such folder" in place.init(place.url, place.work / "deep" / "image").refusal
    assert "does not say what the clone is to be called" in place.init("file:///").refusal
    place.desk.config.write_text("mine")
    assert "refsync.toml: exists; --force" in place.init(place.url, place.work / "other").refusal
    assert place.left == ["image", "refsync.toml"]


def no_such_repository(place: Place) -> str:
    shutil.rmtree(place.remote)
    return "there is no git repository at its URL; correct the URL"


def no_commit(place: Place) -> str:
    shutil.rmtree(place.remote)
    git(place.work, "init", "-q", "--bare", str(place.remote))
    return "it has no commit, or does not say which branch is the main one; name it by --branch"


def a_cut_off_history(place: Place) -> str:
    source = Clone(place.remote.with_name("source"))
    source.commit({"clip.json": {}})
    shutil.rmtree(place.remote)
    git(place.work, "clone", "-q", "--bare", "--depth=1", f"file://{source.path}", str(place.remote))
    return "its history is cut off (shallow), so nothing can be counted"


def no_category_file(place: Place) -> str:
    source = Clone.create(place.remote.with_name("other"), {"README.md": b"hi\n"})
    shutil.rmtree(place.remote)
    bare_remote(source.path, place.remote)
    return "no category file of layout 'upstream' on branch 'main' (it holds no JSON file)"


@pytest.mark.parametrize("broken", [no_such_repository, no_commit, a_cut_off_history, no_category_file])
def test_a_remote_that_cannot_be_used_is_told_of_by_its_url(place: Place, broken: Callable[[Place], str]) -> None:
    reason = broken(place)
    refusal = place.init().refusal
    assert refusal.startswith(f"{place.url}: ")
    assert reason in refusal
    assert place.left == []


def test_a_choice_that_does_not_fit_leaves_no_clone(place: Place) -> None:
    url, target = place.url, place.desk.clone.path
    assert "no branch nowhere; name another by --branch" in place.init(url, target, "--branch", "nowhere").refusal
    assert "name: must be letters" in place.init(url, target, "--name", "../x").refusal
    assert "lies inside the clone" in place.desk("init", url, target, "--state", target / "state").refusal
    assert "token_file" in place.init("https://127.0.0.1:1/x", target, "--token-file", place.work / "none").refusal
    assert place.left == []


def test_an_interrupt_removes_what_was_begun_and_ends_what_was_started(place: Place, tmp_path: Path) -> None:
    ssh = tmp_path / "ssh"
    ssh.write_text("#!/bin/sh\nexec sleep 1000\n")
    ssh.chmod(0o755)
    words = ("init", "ssh://git@example.org/models.git", place.desk.clone.path)
    with place.desk.running(*words, environment={"GIT_SSH": str(ssh), "GIT_SSH_VARIANT": "ssh"}) as process:

        def started() -> list[psutil.Process]:
            children = psutil.Process(process.pid).children(recursive=True)
            return children if any("sleep" in command_line(child) for child in children) else []

        wait_until(lambda: bool(started()), "git waits for ssh")
        children = started()
        assert any(name.startswith(".image.refsync-") for name in place.left)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=60) == 130
    wait_until(lambda: not any(child.is_running() for child in children), "git's children end")
    assert place.left == []


@pytest.mark.slow
@pytest.mark.parametrize("stride", [11, pytest.param(1, marks=pytest.mark.exhaustive)])
def test_killed_at_any_step_it_is_asked_for_again_and_nothing_is_left(place: Place, stride: int) -> None:
    number = 1
    while killed_at_durable_step(place.init, number):
        if not place.desk.config.exists():
            assert place.init().done
        assert place.left == ["image", "refsync.toml"], f"step {number}"
        assert place.desk("config", "check").done
        assert git(place.desk.clone.path, "fsck", "--connectivity-only", "--strict") == ""
        shutil.rmtree(place.desk.clone.path)
        place.desk.config.unlink()
        number += stride
    assert number > 60


def test_a_clone_that_is_there_without_a_config_is_taken_if_it_is_of_the_url(place: Place) -> None:
    assert place.init().done
    before = place.desk.config.read_text()
    place.desk.config.unlink()
    (place.work / ".image.refsync-0123456789abcdef").mkdir()
    assert "exists and is not an empty folder" in place.init(f"{place.url}/", place.desk.clone.path).refusal
    assert place.init().done
    assert place.desk.config.read_text() == before
    assert place.left == ["image", "refsync.toml"]


# Shallow clones


def test_a_shallow_clone_is_refused_with_the_command_that_deepens_it(place: Place) -> None:
    Clone(place.remote.with_name("source")).commit({"clip.json": {"c": {}}})
    git(place.remote.with_name("source"), "push", "-q", str(place.remote), "main")
    clone = place.desk.clone
    git(place.work, "clone", "-q", "--depth=1", place.url, str(clone.path))
    refusal = place.init(clone.path).refusal
    assert "the clone is shallow: its history is cut off, and counters would be wrong" in refusal
    place.desk.configure()
    (reported,) = place.desk("sync", "--json").json["repositories"]
    assert reported["problem"] == refusal
    git(place.work, *refusal.partition("run: git ")[2].split())
    assert place.desk("sync").done
    assert (
        json.loads(place.desk("metadata", "show", "--json").done.out)["image"]["legacy"]["clip"]["total_deletes"] == 1
    )
