"""`refsync diff`, `check` and `model blame` on real clones."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from refsync.documents.csv_document import COLUMNS, read_rows
from refsync.documents.text_derivation import derive_text
from tests.support.command_line import Desk, Ended
from tests.support.repositories import Clone, git

FINE = {"a": {"name": "a", "nsfw": False}, "b": {"name": "b"}, "c": {"name": "c"}}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A clone and no config: what is asked for here needs none."""
    return Desk(Clone.create(tmp_path / "clone", {"clip.json": FINE}), tmp_path)


def look(desk: Desk, command: str, *words: str) -> Ended:
    return desk(command, "--directory", desk.clone.path, *words)


# diff


def test_without_revisions_the_work_tree_is_compared_with_its_last_commit(desk: Desk) -> None:
    assert look(desk, "diff").done.out == "no category file differs\n"
    desk.clone.write("clip.json", FINE | {"a": {"name": "a", "nsfw": True}, "new": {}})
    out = look(desk, "diff").done.out
    assert out.startswith(
        "clip: clip.json\n  updated a  critical\n    ~ nsfw: false -> true  critical\n  created new\n\n"
    )
    assert out.endswith("category  created  updated  critical\nclip            1        1         1\n")


def test_two_revisions_are_compared_as_given(desk: Desk) -> None:
    first = desk.clone.tip
    desk.clone.commit({"clip.json": {"a": FINE["a"]}, "readme": b"hello"})
    desk.clone.write("clip.json", b"broken")
    for words in ((first, "main"), ("main~1", "HEAD"), (f"{first}..main",), (f"{first}..",)):
        out = look(desk, "diff", *words).done.out
        assert "  deleted b\n  deleted c\n" in out
        assert out.endswith("other files: readme (added)\n")


def test_three_dots_tell_what_a_branch_did(desk: Desk) -> None:
    git(desk.clone.path, "checkout", "-q", "-b", "topic")
    desk.clone.commit({"clip.json": FINE | {"mine": {}}})
    git(desk.clone.path, "checkout", "-q", "main")
    desk.clone.commit({"clip.json": FINE | {"theirs": {}}})
    git(desk.clone.path, "checkout", "-q", "topic")
    assert "deleted theirs" in look(desk, "diff", "main", "topic").done.out
    for words in ("main...", "main...topic"):
        out = look(desk, "diff", words).done.out
        assert "created mine" in out
        assert "theirs" not in out


def test_what_no_model_explains_is_told(desk: Desk) -> None:
    desk.clone.write("clip.json", json.dumps({"c": FINE["c"]} | FINE, indent=2).encode())
    out = look(desk, "diff").done.out
    assert "    moved: 3 lines, the first is 2; c\n" in out
    assert "    white space: 10 lines, the first is 2; c, a, b\n" in out
    assert "    final newline\n" in out


def test_a_version_that_cannot_be_read_is_told_and_the_others_are_compared(desk: Desk) -> None:
    desk.clone.commit({"blip.json": b"{\n"})
    desk.clone.write("blip.json", {})
    desk.clone.write("clip.json", {})
    out = look(desk, "diff").done.out
    assert "  cannot be compared: in HEAD: line 2, column 1: invalid JSON" in out
    assert "  deleted c\n" in out


def test_a_link_in_the_place_of_a_file_is_told(desk: Desk) -> None:
    (desk.clone.path / "clip.json").rename(desk.clone.path / "other.json")
    (desk.clone.path / "clip.json").symlink_to("other.json")
    assert "in the work tree it is no regular file" in look(desk, "diff").done.out
    assert look(desk, "check").out == "clip.json: is no regular file; put the file itself in the place of the link\n"


def test_a_clone_of_the_primary_layout_shows_both_formats(desk: Desk) -> None:
    desk.clone.commit({"legacy/clip.json": FINE})
    desk.clone.write("clip.json", {})
    desk.clone.write("legacy/clip.json", {})
    out = look(desk, "diff").done.out
    assert "clip (v2)" in out
    assert "clip (legacy)" in out


def test_a_folder_inside_the_clone_will_do(desk: Desk) -> None:
    desk.clone.write("folder/clip.json", {})
    assert desk("diff", "--directory", desk.clone.path / "folder", "HEAD", "HEAD").done.out == (
        "no category file differs\n"
    )


def test_a_comment_for_a_pull_request_is_markdown(desk: Desk) -> None:
    desk.clone.write("clip.json", FINE | {"@ada": {}})
    assert "- **created** `@ada`\n" in look(desk, "diff", "--markdown").done.out
    assert look(desk, "diff", "--markdown", "--json").refusal == "--json and --markdown: give one of them"


@pytest.mark.parametrize("words", [("nowhere",), ("HEAD", "nowhere"), ("nowhere...",), ("--", "-x")])
def test_a_revision_that_is_not_there_is_refused(desk: Desk, words: tuple[str, ...]) -> None:
    for command in ("diff", "check"):
        assert "there is no revision " in look(desk, command, *words).refusal


def test_a_folder_that_is_in_no_clone_is_refused(desk: Desk) -> None:
    outside = desk.folder / "outside"
    assert desk("diff", "--directory", outside).refusal == f"{outside}: there is no such folder"
    outside.mkdir()
    assert "is not in the work tree of a git repository" in desk("check", "--directory", outside).refusal


def test_looking_changes_nothing(desk: Desk) -> None:
    desk.clone.write("clip.json", {})
    before = sorted((path, path.stat().st_mtime_ns) for path in desk.clone.path.rglob("*"))
    for words in (("diff",), ("check", "HEAD")):
        look(desk, *words)
    assert sorted((path, path.stat().st_mtime_ns) for path in desk.clone.path.rglob("*")) == before


# check


def test_a_fine_reference_passes(desk: Desk) -> None:
    assert look(desk, "check").done.out == "nothing wrong; 1 category file of the work tree checked\n"


def test_each_finding_is_a_line_and_the_exit_code_is_1(desk: Desk) -> None:
    desk.clone.write("clip.json", FINE | {"b": {"name": "x"}})
    desk.clone.write("blip.json", b'{"a": {},\n"a": {}}')
    checked = look(desk, "check")
    assert checked.code == 1
    assert checked.out.splitlines() == [
        'blip.json:2: "a": the key "a" is there twice; readers take the last one: delete the other',
        'clip.json:6: "b": its name is "x", unlike its key; make the two the same, as the records around it have them',
    ]
    assert checked.err == "refsync: 2 findings; 2 category files of the work tree checked\n"


def test_what_is_wrong_in_the_base_already_is_no_failure(desk: Desk) -> None:
    desk.clone.commit({"clip.json": FINE | {"b": {"name": "x"}}})
    desk.clone.commit({"clip.json": {"first": {"name": "first"}} | FINE | {"b": {"name": "x"}}})
    told = look(desk, "check", "HEAD~1", "HEAD").done.out
    assert 'note: in HEAD~1 already: clip.json:9: "b": its name' in told
    assert look(desk, "check", "HEAD~2", "HEAD").code == 1


def test_critical_fields_that_were_touched_are_notes(desk: Desk) -> None:
    desk.clone.write("clip.json", FINE | {"a": {"name": "a", "nsfw": True}})
    assert 'note: clip.json: "a": critical fields changed: nsfw\n' in look(desk, "check").done.out


def test_the_image_file_has_to_stay_a_dump(desk: Desk) -> None:
    desk.clone.commit({"stable_diffusion.json": FINE})
    assert look(desk, "check").done
    desk.clone.write("stable_diffusion.json", json.dumps(FINE, indent=2).encode())
    assert look(desk, "check").out.startswith('stable_diffusion.json:2: "a": is not written as json.dumps')
    desk.clone.commit({})
    assert look(desk, "check").done
    assert look(desk, "check", "HEAD~1").code == 1


def test_a_text_reference_has_to_agree_with_its_rows(desk: Desk) -> None:
    csv = f"{','.join(COLUMNS)}\r\na/one,7,,,,,,,,\r\n".encode()
    db = derive_text(read_rows(csv), {}, [])
    more = {"models.csv": csv, "defaults.json": b"{}", "generation_params.json": b"{}"}
    desk.clone.commit({"db.json": db, **more})
    assert look(desk, "check").done
    desk.clone.write("models.csv", csv.replace(b",7,", b",8,"))
    found = look(desk, "check").out.splitlines()
    assert found[0].startswith('models.csv:2: "a/one": tags: ')
    assert found[0].endswith("; make db.json anew from models.csv")
    desk.clone.write("models.csv", csv.replace(b",7,", b",seven,"))
    assert "parameters_bn is" in look(desk, "check").out


def test_a_document_that_does_not_follow_its_table_is_made_anew(desk: Desk) -> None:
    csv = f"{','.join(COLUMNS)}\r\na/one,7,,,,,,,,\r\n".encode()
    desk.clone.commit({"models.csv": csv, "db.json": b"{}", "defaults.json": b"{}", "generation_params.json": b"{}"})
    assert look(desk, "check").code == 1
    mended = look(desk, "check", "--fix")
    assert mended.done
    assert "git commit" in mended.err
    assert desk.clone.read("db.json") == derive_text(read_rows(csv), {}, [])
    assert desk.clone.status == "M db.json"
    refused = look(desk, "check", "HEAD", "HEAD", "--fix")
    assert refused.code == 1
    assert refused.err == "refsync: --fix mends the work tree: leave HEAD out\n"


def test_a_repository_without_a_commit_can_be_checked(desk: Desk) -> None:
    new = desk.folder / "new"
    new.mkdir()
    git(new, "init", "-q")
    (new / "clip.json").write_bytes(b"{}")
    assert desk("check", "--directory", new).done.out.startswith("nothing wrong; 1 category file")


# blame


@pytest.fixture
def history(tmp_path: Path) -> Desk:
    """Two fields by hand, then one of them by a batch."""
    desk = Desk.at(tmp_path, files={"clip.json": {"model": {"name": "model", "version": "1"}}})
    change = desk.add("update", "model", {"name": "model", "version": "2"}, "--by", "ada")
    desk("queue", "approve", change, "--title", "Version 2", "--by", "grace")
    assert desk("sync").done
    return desk


def test_each_field_has_the_commit_that_gave_it_its_value(history: Desk) -> None:
    first = git(history.clone.path, "rev-parse", "HEAD~1")
    name, version = history("model", "blame", "clip", "model", "--json").done.json
    assert (name["field_path"], name["commit"], name["batch"], name["author"]) == (
        "name",
        first,
        None,
        "Ada <ada@example.org>",
    )
    assert (version["value"], version["commit"], version["batch"]) == ("2", history.clone.tip, 1)
    assert (version["requested_by"], version["approved_by"]) == (["ada <ada>"], ["grace <grace>"])


def test_people_see_the_fields_of_each_commit(history: Desk) -> None:
    out = history("model", "blame", "clip", "model").done.out
    assert (
        f'{history.clone.tip[:12]}  batch 1  Version 2\n  by ada <ada>  approved by grace <grace>\n    version: "2"\n'
        in out
    )


def test_a_model_that_is_not_there_has_no_fields(history: Desk) -> None:
    assert history("model", "blame", "clip", "gone").refusal == "clip has no model 'gone' in what has landed"
