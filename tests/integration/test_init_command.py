from __future__ import annotations

import json
import os
import shlex
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from refsync.categories import MODEL_REFERENCE_CATEGORY, CanonicalFormat, Layout
from refsync.cli.context import Context
from refsync.cli.init import init
from refsync.config import Config, load_config
from refsync.errors import CloneError, ConfigError, RefsyncError
from tests.support.repositories import Clone, git
from tests.support.text_files import ROWS, TABLE, text_files

C = MODEL_REFERENCE_CATEGORY
RECORDS = {"a": {"name": "a"}}


@pytest.fixture(autouse=True)
def work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder that the commands are called in."""
    monkeypatch.delenv("REFSYNC_CONFIG", raising=False)
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


def call(*arguments: str | Path, config_file: Path | None = None) -> Result:
    app = typer.Typer()
    app.command()(init)
    return CliRunner().invoke(app, [str(argument) for argument in arguments], obj=Context(config_file))


def written(*arguments: str | Path, config_file: Path | None = None) -> Config:
    done = call(*arguments, config_file=config_file)
    assert done.exit_code == 0, done.exception
    return load_config(config_file or Path("refsync.toml"), {})


def refusal(*arguments: str | Path, config_file: Path | None = None) -> str:
    done = call(*arguments, config_file=config_file)
    assert isinstance(done.exception, RefsyncError), done.exception
    assert "\n" not in str(done.exception)
    return str(done.exception)


def test_the_real_image_clone_gets_every_category_file_and_a_reason_for_the_rest(
    image_bundle: Path, tmp_path: Path, work: Path
) -> None:
    clone = Clone.of_bundle(image_bundle, tmp_path / "image")
    done = call(clone.path, "--state", tmp_path / "state", "--json")
    report = json.loads(done.stdout)
    assert report["file"] == str(work / "refsync.toml")
    assert report["categories"] == {
        "blip": "blip.json",
        "clip": "clip.json",
        "codeformer": "codeformer.json",
        "controlnet": "controlnet.json",
        "esrgan": "esrgan.json",
        "gfpgan": "gfpgan.json",
        "safety_checker": "safety_checker.json",
        "image_generation": "stable_diffusion.json",
        "miscellaneous": "miscellaneous.json",
    }
    assert report["left_out"]["lora.json"] == "its category has no file in layout 'upstream'"
    assert report["left_out"]["db.json"] == "belongs to no category"
    assert report["next"][0] == "refsync run"
    config = load_config(work / "refsync.toml", {})
    (repository,) = config.repositories
    assert (repository.name, repository.path, repository.branch) == ("image", clone.path, "main")
    assert repository.categories == {C(name): file for name, file in report["categories"].items()}
    assert config.state_directory == tmp_path / "state"
    assert clone.status == ""


def test_the_real_text_clone_gets_its_table(text_bundle: Path, tmp_path: Path) -> None:
    clone = Clone.of_bundle(text_bundle, tmp_path / "text")
    (repository,) = written(clone.path).repositories
    assert repository.tables == repository.categories == {C.text_generation: "models.csv"}
    assert clone.status == ""


def test_of_a_text_clone_the_table_is_listed_and_its_document_left_out(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path / "text", text_files(*ROWS))
    report = json.loads(call(clone.path, "--json").stdout)
    assert report["categories"] == {"text_generation": "models.csv"}
    assert report["left_out"]["db.json"] == "is made from models.csv, and follows it"
    assert load_config(Path(report["file"]), {}).repositories[0].files[C.text_generation] == {
        CanonicalFormat.legacy: "db.json"
    }


@pytest.mark.parametrize(
    ("files", "reason"),
    [
        ({TABLE: b"name\r\n"}, "lacks the db.json that is made from it"),
        ({TABLE: b"no header\r\n", "db.json": b"{}"}, "line 1: "),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_with_the_reason(
    tmp_path: Path, work: Path, files: dict[str, bytes], reason: str
) -> None:
    clone = Clone.create(tmp_path / "text", files)
    assert f"models.csv: {reason}" in refusal(clone.path)
    assert list(work.iterdir()) == []


def test_a_table_in_a_clone_of_the_primary_layout_is_left_out(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path / "both", text_files(*ROWS) | {"legacy/blip.json": b"{}", "blip.json": b"{}"})
    (repository,) = written(clone.path).repositories
    assert repository.categories == {C.blip: "blip.json"}


def test_what_was_found_is_told_with_what_to_do_next(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path / "image", {"blip.json": RECORDS, "lora.json": b"[]", "notes.txt": b"", "x.csv": b""})
    lines = call(clone.path).stdout.splitlines()
    assert "  blip  blip.json" in lines
    assert any(line.startswith("  lora.json: ") for line in lines)
    assert "  x.csv: belongs to no category" in lines
    assert not any("notes.txt" in line for line in lines)
    assert lines[-4:] == [
        "Next:",
        "  refsync run",
        "  refsync queue add update blip MODEL --payload FILE",
        "  refsync status",
    ]


OWN = b'{"version": 1, "models": [{"id": "a", "n": 1}, {"id": "b", "n": 2}]}'


def test_a_file_of_records_that_belongs_to_no_category_is_offered_as_one_with_the_lines_to_write(
    tmp_path: Path,
) -> None:
    files: dict[str, Any] = {
        "blip.json": RECORDS,
        "my-Prices.json": OWN,
        "info.json": OWN,
        "package.json": b'{"name": "x"}',
    }
    clone = Clone.create(tmp_path / "image", files)
    lines = call(clone.path).stdout.splitlines()
    at = lines.index("my-Prices.json could be a category of your own, by these lines in the config:")
    table = ["[[category]]", 'name = "my_prices"', 'file = "my-Prices.json"', 'records = "models[id]"']
    assert lines[at + 1 : at + 5] == [f"  {line}" for line in table]
    assert '  name = "info_models"' in lines
    assert not any("package.json could" in line for line in lines)
    target = Path("refsync.toml")
    target.write_text(target.read_text() + "\n" + "\n".join(table))
    assert "my_prices" in load_config(target, {}).catalogue


@pytest.mark.parametrize(
    ("files", "lines"),
    [
        ({"m/a.json": b'{"cost": 1}', "m/b.json": b'{"cost": 2}'}, ['name = "m"', 'files = "m/*.json"']),
        ({"m/x.json": OWN, "m/y.json": OWN}, ['name = "m"', 'files = "m/*.json"', 'records = "models[id]"']),
        (
            {"m/x.json": b'{"a": {"n": 1}, "b": {"n": 2}}', "m/y.json": b'{"c": {"n": 1}, "d": {"n": 2}}'},
            ['records = ""'],
        ),
    ],
)
def test_so_are_the_files_of_a_folder_that_are_alike(tmp_path: Path, files: dict[str, Any], lines: list[str]) -> None:
    clone = Clone.create(tmp_path / "image", files | {"blip.json": RECORDS})
    told = call(clone.path).stdout.splitlines()
    assert "m/*.json could be a category of your own, by these lines in the config:" in told
    assert {f"  {line}" for line in lines} <= set(told)
    (blip,) = written(clone.path, "--force").repositories
    assert [*blip.categories] == [C.blip]


def test_a_category_of_ones_own_is_named_with_its_file_and_where_its_records_are(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path / "prices", {"prices.json": OWN})
    advice = "prices.json could be one of your own: --category 'prices=prices.json:models[id]'"
    assert refusal(clone.path).endswith(advice)
    config = written(clone.path, "--category", "prices=prices.json:models[id]")
    (own,) = config.own_categories
    assert (own.name, own.file, own.records) == ("prices", "prices.json", "models[id]")
    assert "no list at other" in refusal(clone.path, "--category", "prices=prices.json:other[id]", "--force")
    assert "name: metadata is a name of the specification" in refusal(clone.path, "--category", "metadata=prices.json")
    assert "records: must be a dotted path" in refusal(clone.path, "--category", "prices=prices.json:[", "--force")


def test_a_config_file_elsewhere_is_named_in_the_next_commands(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path / "image", {"blip.json": RECORDS})
    target = tmp_path / "my settings.toml"
    done = call(clone.path, config_file=target)
    assert f"  refsync --config {shlex.quote(str(target))} run" in done.stdout.splitlines()
    assert load_config(target, {}).repositories[0].path == clone.path


def test_a_legacy_folder_with_category_files_means_the_primary_layout(tmp_path: Path) -> None:
    clone = Clone.create(
        tmp_path / "both", {"lora.json": RECORDS, "blip.json": RECORDS, "legacy/blip.json": RECORDS, "legacy/x": b""}
    )
    (repository,) = written(clone.path).repositories
    assert repository.layout is Layout.primary
    assert repository.categories == {C.blip: "blip.json", C.lora: "lora.json"}


def test_a_legacy_folder_of_other_things_means_nothing(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path / "image", {"blip.json": RECORDS, "legacy/readme.md": b"old\n"})
    assert written(clone.path).repositories[0].layout is Layout.upstream


def test_the_layout_asked_for_wins(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path / "image", {"blip.json": RECORDS, "lora.json": RECORDS})
    done = call(clone.path)
    assert "  lora.json: its category has no file in layout 'upstream'" in done.stdout.splitlines()
    assert C.lora in written(clone.path, "--layout", "primary", "--force").repositories[0].categories


def test_files_that_cannot_be_edited_are_left_out_with_the_place(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path / "image", {"blip.json": RECORDS, "clip.json": b'{\n  "a": {},\n}\n'})
    (clone.path / "esrgan.json").symlink_to("blip.json")
    clone.commit({})
    left_out = json.loads(call(clone.path, "--json").stdout)["left_out"]
    assert left_out["clip.json"].startswith("line ")
    assert left_out["esrgan.json"] == "is no regular file"


def test_the_branch_decides_not_the_work_tree(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path / "image", {"blip.json": RECORDS})
    git(clone.path, "switch", "-q", "-c", "topic")
    clone.commit({"clip.json": RECORDS})
    clone.write("esrgan.json", RECORDS)
    (topic,) = written(clone.path).repositories
    assert (topic.branch, [*topic.categories]) == ("topic", [C.blip, C.clip])
    (main,) = written(clone.path, "--branch", "main", "--force").repositories
    assert (main.branch, [*main.categories]) == ("main", [C.blip])


@pytest.mark.parametrize("name", ['a "quoted" \\ name', "tab\tand\nline", "ünï 😀", "del\x7f", "#=[x]"])
def test_any_path_is_read_back_as_it_was(tmp_path: Path, name: str) -> None:
    clone = Clone.create(tmp_path / name, {"blip.json": RECORDS})
    config = written(clone.path, "--state", tmp_path / f"state {name}", "--name", "image")
    assert config.repositories[0].path == clone.path
    assert config.state_directory == tmp_path / f"state {name}"


def test_the_name_is_that_of_the_folder_made_fit(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path / ".my models!", {"blip.json": RECORDS})
    assert written(clone.path).repositories[0].name == "my-models"
    assert written(clone.path, "--name", "image", "--force").repositories[0].name == "image"
    assert "name: must be letters" in refusal(clone.path, "--name", "../x", "--force")


def test_a_relative_path_is_written_out(tmp_path: Path, work: Path) -> None:
    Clone.create(work / "image", {"blip.json": RECORDS})
    config = written("image", "--state", "state")
    assert config.repositories[0].path == work / "image"
    assert config.state_directory == work / "state"


def test_the_state_directory_falls_back_to_the_users_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone.create(tmp_path / "image", {"blip.json": RECORDS})
    monkeypatch.setattr("refsync.use_cases.init._SYSTEM_STATE", tmp_path / "missing" / "refsync")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "xdg"))
    assert written(clone.path).state_directory == tmp_path / "xdg" / "refsync"
    (tmp_path / "missing").mkdir()
    assert written(clone.path, "--force").state_directory == tmp_path / "missing" / "refsync"
    monkeypatch.setattr("refsync.use_cases.init._SYSTEM_STATE", tmp_path / "nowhere" / "refsync")
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    assert written(clone.path, "--force").state_directory == tmp_path / "home" / ".local" / "state" / "refsync"


def test_an_existing_file_is_kept_without_force(tmp_path: Path, work: Path) -> None:
    clone = Clone.create(tmp_path / "image", {"blip.json": RECORDS})
    (work / "refsync.toml").write_text("mine")
    assert "refsync.toml: exists; --force replaces it" in refusal(clone.path)
    assert (work / "refsync.toml").read_text() == "mine"
    assert written(clone.path, "--force").repositories[0].path == clone.path
    assert os.listdir(work) == ["refsync.toml"]


def test_nothing_is_written_into_the_clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    clone = Clone.create(tmp_path / "image", {"blip.json": RECORDS, "folder/x.json": RECORDS})
    (tmp_path / "link").symlink_to(clone.path)
    for inside in (clone.path / "refsync.toml", clone.path / "folder" / "r.toml", tmp_path / "link" / "r.toml"):
        assert "lies inside the clone" in refusal(clone.path, "--force", config_file=inside)
    monkeypatch.chdir(clone.path)
    assert "lies inside the clone" in refusal(".")
    assert "state_directory: lies inside the clone" in refusal(
        ".", "--state", "state", config_file=tmp_path / "refsync.toml"
    )
    assert clone.status == ""


def test_a_target_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path / "image", {"blip.json": RECORDS})
    assert "cannot be written: No such file or directory" in refusal(clone.path, config_file=tmp_path / "no" / "r.toml")


def test_what_is_no_clone_is_refused_with_one_line(tmp_path: Path, work: Path) -> None:
    (tmp_path / "plain").mkdir()
    git(tmp_path, "init", "-q", "--bare", str(tmp_path / "bare"))
    git(tmp_path, "init", "-q", "-b", "main", str(tmp_path / "empty"))
    clone = Clone.create(tmp_path / "image", {"folder/blip.json": RECORDS})
    assert "no such folder" in refusal(tmp_path / "gone")
    assert "not a git repository" in refusal(tmp_path / "plain")
    assert "bare" in refusal(tmp_path / "bare")
    assert "'main'" in refusal(tmp_path / "empty")
    assert "no category file of layout 'upstream' on branch 'main' (it holds no JSON file)" in refusal(clone.path)
    assert "git" in refusal(clone.path / "folder")
    assert ".git: " in refusal(clone.path / ".git")
    assert "'nowhere'" in refusal(clone.path, "--branch", "nowhere")
    git(clone.path, "switch", "-q", "--detach")
    assert "HEAD is detached; name the target branch with --branch" in refusal(clone.path)
    assert list(work.iterdir()) == []


def test_refusals_are_of_the_documented_kinds(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path / "image", {"blip.json": RECORDS})
    assert isinstance(call(tmp_path / "gone").exception, CloneError)
    assert isinstance(call(clone.path, "--branch=..").exception, (CloneError, ConfigError))


def test_a_file_of_another_name_is_listed_instead_of_the_usual_one(tmp_path: Path) -> None:
    files = {"models/image.json": RECORDS, "clip.json": RECORDS, "new.json": RECORDS}
    clone = Clone.create(tmp_path / "image", files)
    words = ("--category", "image_generation=./models/image.json", "--category", "clip=new.json")
    done = call(clone.path, "--state", tmp_path / "state", *words)
    assert "clip.json: the file of clip is new.json" in done.stdout
    (repository,) = load_config(Path("refsync.toml"), {}).repositories
    assert repository.categories == {C.clip: "new.json", C.image_generation: "models/image.json"}


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        (["clip"], "--category clip: write it as NAME=FILE, such as clip=models/clip.json"),
        (["clips=clip.json"], "'clip.json' is the file of clip (legacy) and of clips (legacy); give each its own"),
        (["clip=../clip.json"], "is a path outside the clone"),
        (["clip=a.json", "clip=clip.json"], "clip has the file a.json already"),
        (["clip=gone.json"], "branch 'main' has no file 'gone.json', which --category names"),
        (["clip=broken.json"], "broken.json: line 1, column 1: not an object of models; it cannot be the file of clip"),
        (["lora=clip.json"], "has no legacy format"),
    ],
)
def test_a_file_that_cannot_be_that_of_its_category_is_refused(tmp_path: Path, words: list[str], reason: str) -> None:
    clone = Clone.create(tmp_path / "image", {"clip.json": RECORDS, "broken.json": b"[]"})
    named = [word for each in words for word in ("--category", each)]
    assert reason in refusal(clone.path, "--state", tmp_path / "state", *named)
