"""`refsync diff`, `check` and `model blame` on real clones."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from refsync.categories import SPECIFIED
from refsync.documents.csv_document import COLUMNS
from tests.support.command_line import Desk, Ended
from tests.support.repositories import Clone, Record, bare_remote, clean_environment, git
from tests.support.text_tables import derive_text, read_rows

FINE: dict[str, Record] = {"a": {"name": "a", "nsfw": False}, "b": {"name": "b"}, "c": {"name": "c"}}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    """A clone and no config: what is asked for here needs none."""
    return Desk(Clone.create(tmp_path / "clone", {"clip.json": FINE}), tmp_path)


def look(desk: Desk, command: str, *words: str) -> Ended:
    return desk.bare(command, "--directory", desk.clone.path, *words)


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
    assert "  cannot be compared: in HEAD: line 1, column 1: invalid JSON: the text ends too early" in out
    assert "  deleted c\n" in out


def test_a_link_in_the_place_of_a_file_is_told(desk: Desk) -> None:
    (desk.clone.path / "clip.json").rename(desk.clone.path / "other.json")
    (desk.clone.path / "clip.json").symlink_to("other.json")
    assert "in the work tree it is no regular file" in look(desk, "diff").done.out
    assert (
        look(desk, "check").out
        == "clip.json: is no regular file; put the file itself in the place of the link [regular-file]\n"
    )


def test_a_clone_of_the_primary_layout_shows_both_formats(desk: Desk) -> None:
    desk.clone.commit({"legacy/clip.json": FINE})
    desk.clone.write("clip.json", {})
    desk.clone.write("legacy/clip.json", {})
    out = look(desk, "diff").done.out
    assert "clip (v2)" in out
    assert "clip (legacy)" in out


def test_a_folder_inside_the_clone_will_do(desk: Desk) -> None:
    desk.clone.write("folder/clip.json", {})
    assert desk.bare("diff", "--directory", desk.clone.path / "folder", "HEAD", "HEAD").done.out == (
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
    assert desk.bare("diff", "--directory", outside).refusal == f"{outside}: there is no such folder"
    outside.mkdir()
    assert "is not in the work tree of a git repository" in desk.bare("check", "--directory", outside).refusal


def test_looking_changes_nothing(desk: Desk) -> None:
    desk.clone.write("clip.json", {})
    before = sorted((path, path.stat().st_mtime_ns) for path in desk.clone.path.rglob("*"))
    for words in (("diff",), ("check", "HEAD")):
        look(desk, *words)
    assert sorted((path, path.stat().st_mtime_ns) for path in desk.clone.path.rglob("*")) == before


def test_of_very_many_models_the_first_are_printed_and_the_others_counted(desk: Desk) -> None:
    desk.clone.write("clip.json", FINE | {f"m{number}": {} for number in range(600)})
    out = look(desk, "diff").done.out
    assert "  created m499\n  and 100 more models; --all shows them\n" in out
    assert look(desk, "diff", "--all").done.out.count("  created m") == 600


def test_a_list_that_got_an_element_in_front_shows_one_added_element(desk: Desk) -> None:
    desk.clone.commit({"clip.json": {"a": {"tags": ["x", "y"], "l": [{"p": 1}, {"q": 2}]}}})
    desk.clone.write("clip.json", {"a": {"tags": ["new", "x", "y"], "l": [{"n": 0}, {"p": 1}, {"q": 2, "r": 3}]}})
    assert '    + tags.0: "new"\n    + l.0.n: 0\n    + l.2.r: 3\n' in look(desk, "diff").done.out


# check


def test_a_fine_reference_passes(desk: Desk) -> None:
    assert look(desk, "check").done.out == "nothing wrong; 1 category file of the work tree checked\n"


def test_each_finding_is_a_line_and_the_exit_code_is_1(desk: Desk) -> None:
    desk.clone.write("clip.json", FINE | {"b": {"name": "x"}})
    desk.clone.write("blip.json", b'{"a": {},\n"a": {}}')
    checked = look(desk, "check")
    assert checked.code == 1
    assert checked.out.splitlines() == [
        'blip.json:2: "a": the key "a" is there twice; readers take the last one: delete the other [duplicate-key]',
        'clip.json:6: "b": its name is "x", unlike its key; make the two the same, as other records have them'
        " [name-unlike-key]",
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
    assert 'note: clip.json: "a": critical fields changed: nsfw [critical-fields]\n' in look(desk, "check").done.out


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
    assert found[0].endswith("; make db.json anew from models.csv [derived]")
    desk.clone.write("models.csv", csv.replace(b",7,", b",seven,"))
    assert "parameters_bn is" in look(desk, "check").out
    refused = look(desk, "check", "--fix")
    assert refused.code == 1
    told = 'models.csv: line 2: "a/one": parameters_bn is "seven", no number of billions; mend it first'
    assert refused.err == f"refsync: {told}\n"


def test_a_document_that_does_not_follow_its_table_is_made_anew(desk: Desk) -> None:
    csv = f"{','.join(COLUMNS)}\r\na/one,7,,,,,,,,\r\n".encode()
    desk.clone.commit({"models.csv": csv, "db.json": b"{}", "defaults.json": b"{}", "generation_params.json": b"{}"})
    assert look(desk, "check").code == 1
    mended = look(desk, "check", "--fix")
    assert mended.done
    (command,) = mended.err.splitlines()
    assert "then: git -C " in command
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
    assert desk.bare("check", "--directory", new).done.out.startswith("nothing wrong; 1 category file")


def test_a_clone_without_category_files_is_refused_and_told_what_was_looked_for(desk: Desk) -> None:
    desk.clone.commit({"clip.json": None, "image.json": FINE})
    for command in ("diff", "check"):
        refused = look(desk, command).refusal
        assert "no category file in the work tree, so there is nothing to look at: looked for blip.json, " in refused
        assert refused.endswith("under [repository.categories] of a config, and name it: --config FILE")


CATEGORIES = '[repository.categories]\nimage_generation = "data/image.json"\n'
ALIKE = {"a": {"x": 1}, "A": {"x": 1}}


def test_the_files_of_the_config_are_the_ones_that_are_looked_at(desk: Desk) -> None:
    desk.configure(CATEGORIES)
    desk.clone.commit({"data/image.json": FINE})
    desk.clone.write("data/image.json", b"broken")
    checked = desk("check", "--directory", desk.clone.path)
    assert checked.out.startswith("data/image.json:1: invalid JSON")
    desk.clone.write("data/image.json", FINE | {"a": {"name": "a", "trigger": ["x"]}})
    assert (
        "image_generation: data/image.json\n  updated a  critical\n"
        in desk("diff", "--directory", desk.clone.path).done.out
    )
    (desk.clone.path / "data/image.json").unlink()
    gone = desk("check", "HEAD", "--directory", desk.clone.path)
    assert (
        "data/image.json: the file of image_generation is gone; put it back: it is in HEAD [missing-file]" in gone.out
    )
    desk.clone.commit({})
    listed = desk("check", "--directory", desk.clone.path)
    assert "there is no such file, though the config lists it for image_generation" in listed.out


def test_a_config_found_by_default_counts_where_it_names_the_clone(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    desk.configure(CATEGORIES)
    desk.clone.commit({"data/image.json": b"broken"})
    monkeypatch.chdir(desk.folder)
    assert look(desk, "check").code == 1
    desk.config.write_text(desk.config.read_text().replace(str(desk.clone.path), str(desk.folder / "elsewhere")))
    assert look(desk, "check").done
    assert desk("check", "--directory", desk.clone.path).code == 1
    names = [each for each, it in SPECIFIED.descriptors.items() if it.upstream_repository == "image"]
    second = "".join(f'{each} = "{each}.json"\n' for each in names if each != "image_generation")
    tables = [f'[[repository]]\nname = "{name}"\npath = "{name}"\n' for name in "xy"]
    desk.config.write_text(f"{tables[0]}{CATEGORIES}{tables[1]}[repository.categories]\n{second}")
    refused = desk("check", "--directory", desk.clone.path).refusal
    assert refused.endswith(f"none of its repositories (x, y) is the clone {desk.clone.path}; name another config")


def test_a_rule_is_switched_off_by_its_name_and_the_summary_says_so(desk: Desk) -> None:
    desk.configure('[repository.check]\nswitched_off = ["look-alike", "deleted"]\n')
    desk.clone.write("clip.json", ALIKE)
    assert look(desk, "check").code == 1
    checked = desk("check", "--directory", desk.clone.path).done.out
    assert checked.endswith("checked; switched off: deleted, look-alike\n")
    assert "gone" not in checked
    desk.configure('[repository.check]\nswitched_off = ["look-alikes"]\n')
    refused = desk("check", "--directory", desk.clone.path).refusal
    assert "is no rule of refsync check; the nearest is look-alike" in refused


def test_a_file_that_is_gone_is_a_failure_and_models_that_are_gone_are_told(desk: Desk) -> None:
    desk.clone.commit({"blip.json": FINE, "clip.json": {"a": FINE["a"]}})
    told = look(desk, "check", "HEAD~1", "HEAD").done.out
    assert 'note: clip.json: 2 of 3 models are gone: "b", "c" [deleted]\n' in told
    desk.clone.commit({"blip.json": None})
    assert look(desk, "check", "HEAD~1", "HEAD").out.startswith("blip.json: the file of blip is gone; put it back")
    desk.clone.commit({"clip.json": {}})
    assert "1 of 1 model is gone: " in look(desk, "check", "HEAD~1").done.out


def merged(desk: Desk, result: dict[str, Record]) -> None:
    """A topic and the main branch each add and drop a model; somebody resolves the merge to this."""
    git(desk.clone.path, "checkout", "-q", "-b", "topic")
    desk.clone.commit({"clip.json": {name: FINE[name] for name in "ac"} | {"mine": {"x": 1}}})
    git(desk.clone.path, "checkout", "-q", "main")
    desk.clone.commit({"clip.json": {name: FINE[name] for name in "ab"} | {"theirs": {"x": 2}}})
    git(desk.clone.path, "merge", "-q", "--no-commit", "topic", check=False)
    desk.clone.commit({"clip.json": result})


def test_a_merge_that_lost_what_no_side_dropped_is_a_failure(desk: Desk) -> None:
    merged(desk, {"a": FINE["a"], "theirs": {"x": 2}})
    for words in (("HEAD^1", "HEAD"), ("HEAD^1",)):
        checked = look(desk, "check", *words)
        assert checked.code == 1
        (lost,) = (line for line in checked.out.splitlines() if line.endswith("[lost-in-merge]"))
        assert lost.startswith(f'clip.json: "mine": the merge {desk.clone.tip[:12]} lost it, and no side of it had')
    desk.clone.commit({"clip.json": {"a": FINE["a"], "theirs": {"x": 2}, "mine": {}}})
    assert look(desk, "check", "HEAD~1^1", "HEAD").done


def test_a_merge_that_lost_what_one_side_alone_did_is_a_failure(desk: Desk) -> None:
    git(desk.clone.path, "checkout", "-q", "-b", "topic")
    desk.clone.commit({"clip.json": {**FINE, "a": {**FINE["a"], "x": 1, "y": 1}}})
    git(desk.clone.path, "checkout", "-q", "main")
    desk.clone.commit({"clip.json": {**FINE, "b": {"z": 1}}})
    git(desk.clone.path, "merge", "-q", "--no-commit", "topic")
    desk.clone.commit({"clip.json": {**FINE, "b": {"z": 1}}})
    (lost,) = (line for line in look(desk, "check", "HEAD^1").out.splitlines() if line.endswith("[lost-in-merge]"))
    assert f"the merge {desk.clone.tip[:12]} lost what one side of it did to x, y; make the edit again" in lost
    desk.clone.commit({"clip.json": {**FINE, "a": {**FINE["a"], "x": 2, "y": 2}}})
    assert "lost-in-merge" not in look(desk, "check", "HEAD~2").out


def test_a_merge_that_keeps_what_both_sides_wanted_is_fine(desk: Desk) -> None:
    merged(desk, {"a": FINE["a"], "theirs": {"x": 2}, "mine": {"x": 1}})
    assert look(desk, "check", "HEAD^1", "HEAD").done
    assert look(desk, "check", "HEAD^2", "HEAD").done


def test_in_a_history_that_is_cut_off_no_merge_is_blamed_for_what_a_side_dropped(desk: Desk) -> None:
    merged(desk, {"a": FINE["a"], "theirs": {"x": 2}, "mine": {"x": 1}})
    git(desk.folder, "clone", "-q", "--depth", "2", f"file://{desk.clone.path}", "shallow")
    assert desk.bare("check", "HEAD^1", "HEAD", "--directory", desk.folder / "shallow").done


def test_what_is_no_model_is_told_as_what_it_is(desk: Desk) -> None:
    odd = {"$schema": "old.json", "tags": ["x"]}
    desk.clone.commit({"clip.json": odd | FINE})
    desk.clone.write("clip.json", odd | {"$schema": "new.json"} | FINE | {"b": None})
    out = look(desk, "diff").done.out
    assert '  what is no model\n    ~ $schema: "old.json" -> "new.json"\n    + b: null\n' in out
    assert "  deleted b\n" in out
    checked = look(desk, "check", "HEAD")
    assert 'clip.json:10: "b": was a record, and is null, no record; put the record back' in checked.out
    assert 'note: clip.json:2: "$schema": is a text, no record; refsync leaves it as it is [no-record]' in checked.out
    desk.clone.write("clip.json", odd | FINE)
    assert look(desk, "check", "HEAD").done


def test_a_key_that_stands_twice_is_dropped_where_readers_do_not_see_it(desk: Desk) -> None:
    desk.clone.write("clip.json", b'{"a": {"x": 1},\n "b": { },\n "a": {"x": 2, "x": 5}}')
    mended = look(desk, "check", "--fix").done
    assert desk.clone.read("clip.json") == b'{\n "b": { },\n "a": {"x": 5}}'
    command = mended.err.partition("then: ")[2]
    assert (
        subprocess.run(["sh", "-c", command], env=clean_environment(), capture_output=True, check=False).returncode == 0
    )
    assert desk.clone.status == ""


def test_a_record_that_went_to_another_name_is_told_as_renamed(desk: Desk) -> None:
    record = {"type": "x", "style": "y", "size": 5, "text": "z", "more": 1}
    desk.clone.commit({"clip.json": {"old": {"name": "old"} | record, "other": {"name": "other", "x": 1}}})
    desk.clone.write("clip.json", {"new": {"name": "new"} | record | {"more": 2}, "other": {"name": "other", "x": 1}})
    out = look(desk, "diff").done.out
    assert '  renamed old to new\n    ~ name: "old" -> "new"\n    ~ more: 1 -> 2\n' in out
    assert out.endswith("category  renamed\nclip            1\n")
    (change,) = look(desk, "diff", "--json").done.json["categories"][0]["models"]
    assert (change["operation"], change["model"], change["renamed_from"]) == ("rename", "new", "old")
    assert "- **renamed** `old` to `new`\n" in look(desk, "diff", "--markdown").done.out
    assert "gone" not in look(desk, "check").done.out


def test_a_bare_repository_is_compared_by_its_revisions(desk: Desk) -> None:
    desk.clone.commit({"clip.json": {"a": FINE["a"]}})
    bare = bare_remote(desk.clone.path, desk.folder / "bare.git")
    assert "deleted b" in desk.bare("diff", "main~1", "main", "--directory", bare).done.out
    assert desk.bare("check", "main~1", "main", "--directory", bare).done
    for command in ("diff", "check"):
        assert "is a bare repository, without a work tree" in desk.bare(command, "--directory", bare).refusal


def test_of_very_many_findings_the_first_are_printed_and_the_others_counted(desk: Desk) -> None:
    keys = ",\n".join(['"a": {}'] * 300)
    desk.clone.write("clip.json", f"{{{keys}}}".encode())
    checked = look(desk, "check")
    assert checked.out.splitlines()[100] == "and 199 more findings; --all shows them"
    assert "299 findings" in checked.err
    assert look(desk, "check", "--all").out.count("[duplicate-key]") == 299
    assert len(look(desk, "check", "--json").json["failures"]) == 299


@pytest.mark.parametrize("depth", [150, 500, 980, 20_000])
def test_what_is_nested_too_deeply_is_told_in_words_and_the_rest_is_looked_at(desk: Desk, depth: int) -> None:
    deep = '{"k": ' * depth + "1" + "}" * depth
    desk.clone.commit({"clip.json": f'{{"deep": {deep}, "a": {{"x": 1}}, "b": {{}},\n "b": {{}}}}'.encode()})
    desk.clone.write("clip.json", f'{{"deep": {deep}, "a": {{"x": 2}}}}'.encode())
    out = look(desk, "diff").done.out
    assert 'cannot be compared: in HEAD: line 1, column 2: "deep" is nested deeper than 100 levels\n' in out
    assert "  updated a\n    ~ x: 1 -> 2\n" in out
    for words in ((), ("HEAD~1",), ("HEAD~1", "HEAD"), ("--fix",)):
        checked = look(desk, "check", *words)
        assert checked.code == 1
        assert 'clip.json:1: "deep": "deep" is nested deeper than 100 levels; make it flatter [syntax]\n' in checked.out
    desk.configure()
    assert desk("model", "blame", "clip", "deep").code == 1


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
