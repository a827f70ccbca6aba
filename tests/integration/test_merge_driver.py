"""Git calls refsync to merge category files: in a merge, a rebase, a cherry-pick and a revert."""

from __future__ import annotations

import json
import random
import sys
from pathlib import Path
from typing import Any

import pytest

from refsync.documents.file_merge import merge_documents
from tests.support.command_line import Desk, Ended
from tests.support.repositories import Clone, dump, git

Records = dict[str, dict[str, Any]]
RECORDS: Records = {name: {"name": name, "version": "1", "nsfw": False} for name in ("Zeta", "alpha", "Mid")}
FILE = "clip.json"


@pytest.fixture
def clone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Clone:
    """A clone that no config knows, whose category files git gives to refsync."""
    clone = Clone.create(tmp_path / "clone", {FILE: RECORDS})
    monkeypatch.setattr(sys, "argv", [str(Path(sys.executable).with_name("refsync"))])
    told = installed(clone)
    assert told.startswith(f"git merges 1 file of {clone.path} by refsync: {FILE}\n")
    clone.commit({}, "merge record by record")
    return clone


def installed(clone: Clone) -> str:
    return refsync("merge", "--install", "--directory", clone.path).done.out


def refsync(*words: str | Path) -> Ended:
    """The command, where there is no config."""
    nowhere = Path(words[-1]).parent
    return Desk(Clone(nowhere), nowhere).bare(*words)


def on_branch(clone: Clone, branch: str, records: Records) -> str:
    git(clone.path, "checkout", "-q", "-B", branch, "main")
    clone.write(FILE, records)
    git(clone.path, "commit", "-q", "-a", "-m", branch)
    return git(clone.path, "rev-parse", "HEAD")


def two_sides(clone: Clone, ours: Records, theirs: Records) -> None:
    """Branch ``theirs``, and ours on ``main``, checked out."""
    on_branch(clone, "theirs", theirs)
    git(clone.path, "checkout", "-q", "main")
    clone.commit({FILE: ours}, "ours")


def test_both_add_a_model_at_the_end_and_a_merge_takes_both(clone: Clone) -> None:
    two_sides(clone, RECORDS | {"ours": {"n": 1}}, RECORDS | {"theirs": {"n": 2}})
    git(clone.path, "merge", "-q", "-m", "both", "theirs")
    assert clone.records(FILE) == RECORDS | {"ours": {"n": 1}, "theirs": {"n": 2}}


def test_a_conflict_stops_the_merge_with_markers_around_the_record_and_says_why(clone: Clone) -> None:
    changed = [RECORDS | {"alpha": RECORDS["alpha"] | {"version": v}, v: {"n": 1}} for v in "23"]
    two_sides(clone, *changed)
    said = git(clone.path, "-c", "core.editor=true", "merge", "theirs", check=False, GIT_MERGE_AUTOEDIT="no")
    assert "CONFLICT" in said
    text = clone.read(FILE).decode()
    assert text.count("<<<<<<< ours") == 1
    assert '<<<<<<< ours\n        "version": "2",\n=======\n        "version": "3",\n>>>>>>> theirs' in text
    git(clone.path, "checkout", "-q", "--ours", FILE)
    assert clone.records(FILE) == changed[0]


@pytest.mark.parametrize(
    ("command", "source"), [("rebase", "theirs"), ("cherry-pick", "theirs")], ids=["rebase", "cherry-pick"]
)
def test_other_ways_to_merge_are_merged_the_same_way(clone: Clone, command: str, source: str) -> None:
    two_sides(clone, RECORDS | {"ours": {"n": 1}}, RECORDS | {"theirs": {"n": 2}})
    git(clone.path, command, source)
    assert clone.records(FILE) == RECORDS | {"ours": {"n": 1}, "theirs": {"n": 2}}


def test_what_others_added_since_does_not_hinder_a_revert(clone: Clone) -> None:
    added = clone.commit({FILE: RECORDS | {"bad": {"n": 1}}})
    clone.commit({FILE: RECORDS | {"bad": {"n": 1}, "good": {"n": 2}}})
    git(clone.path, "revert", "--no-edit", added)
    assert clone.records(FILE) == RECORDS | {"good": {"n": 2}}


def test_a_file_that_is_no_json_any_more_is_merged_as_text(clone: Clone, tmp_path: Path) -> None:
    versions = [tmp_path / name for name in ("base", "ours", "theirs")]
    for path, text in zip(versions, ("{\na\nb\nc\nd\n", "{\nA\nb\nc\nd\n", "{\na\nb\nc\nD\n"), strict=True):
        path.write_text(text)
    ended = refsync("merge", *versions, FILE)
    assert (ended.code, versions[1].read_text()) == (0, "{\nA\nb\nc\nD\n")
    assert ended.err.startswith(
        "refsync: clip.json: merged as text, since it cannot be merged record by record: line 2"
    )


def test_installing_twice_adds_nothing_and_a_clone_without_category_files_is_refused(clone: Clone) -> None:
    before = clone.read(".gitattributes")
    assert "added" not in installed(clone)
    assert clone.read(".gitattributes") == before == b"/clip.json merge=refsync\n"
    other = Clone.create(clone.path.parent / "other", {"README": b"none"})
    ended = refsync("merge", "--install", "--directory", other.path)
    assert ended.refusal == f"{other.path}: has no category file that could be merged"


def test_without_versions_the_command_says_how_it_is_meant() -> None:
    assert refsync("merge").refusal.endswith("in this clone: refsync merge --install")


def _add(dice: random.Random, records: Records) -> None:
    records[f"new {dice.random()}"] = {"name": "new", "version": "1", "nsfw": dice.random() < 0.5}


@pytest.mark.parametrize("seed", range(20))
def test_what_git_alone_leaves_conflicted_is_merged(seed: int, tmp_path: Path) -> None:
    """Two people add at the end, or one removes a model there, and they edit neighbouring fields of one model."""
    dice = random.Random(seed)
    base: Records = {f"m{n}": {"name": f"m{n}", "version": "1", "nsfw": False} for n in range(10)}
    ours, theirs = (json.loads(dump(base)) for _ in range(2))
    if dice.random() < 0.3:
        del ours[dice.choice(["m8", "m9"])]
    else:
        _add(dice, ours)
    _add(dice, theirs)
    edited = dice.choice(["m0", "m1"])
    ours[edited]["version"], theirs[edited]["nsfw"] = dice.random(), True
    versions = [dump(each) for each in (base, ours, theirs)]
    for name, text in zip(("base", "ours", "theirs"), versions, strict=True):
        (tmp_path / name).write_bytes(text)
    assert "<<<<<<<" in git(tmp_path, "merge-file", "-p", "ours", "base", "theirs", check=False)

    result = merge_documents(*versions)

    assert not result.conflicts
    records = json.loads(result.content)
    assert set(records) == (set(ours) | set(theirs)) - (set(base) - set(ours))
    assert records[edited] == ours[edited] | {"nsfw": True}


def test_a_file_of_another_shape_is_merged_by_what_the_config_says_of_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", [str(Path(sys.executable).with_name("refsync"))])
    desk = Desk.at(tmp_path, '[[category]]\nname = "prices"\nfile = "p.json"\nrecords = "models[id]"\n', {})

    def write(*models: dict[str, Any]) -> None:
        text = json.dumps({"vendor": "v", "models": models}, indent=2)
        desk.clone.commit({"p.json": text.encode()}, str(len(models)))

    write({"id": "a", "n": 1})
    assert desk("merge", "--install", "--directory", desk.clone.path).done
    desk.clone.commit({}, "merge record by record")
    git(desk.clone.path, "checkout", "-q", "-b", "theirs")
    write({"id": "a", "n": 1}, {"id": "b", "n": 2})
    git(desk.clone.path, "checkout", "-q", "main")
    write({"id": "a", "n": 3}, {"id": "c", "n": 2})
    git(desk.clone.path, "merge", "-q", "-m", "both", "theirs")
    models = json.loads(desk.clone.read("p.json"))["models"]
    assert models == [{"id": "a", "n": 3}, {"id": "c", "n": 2}, {"id": "b", "n": 2}]
