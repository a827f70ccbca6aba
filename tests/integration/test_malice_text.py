"""What people call things tells nobody, closes nothing, hides nothing and runs nothing."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from refsync.clone.commits import BatchCommit, ChangeLine, Person, parse_message, render_message, tells_rename
from refsync.clone.journal import read_note
from refsync.config.loading import _masked
from refsync.pending_queue.models import AuditOperation
from tests.support.command_line import Desk
from tests.support.repositories import Clone, git
from tests.support.text_files import DOCUMENT, TABLE, TEXT, text_files, text_reference

LOUD = ["[skip ci]", "[CI skip]", "[no ci]", "[skip actions]", "***NO_CI***", "Fixes #1", "closes o/r#12", "cc @people"]
QUIET = ["FLUX.1 [dev]", "ViT-L/14@336px", "C#", "a * b", "#tag"]


def message(name: str = "model", title: str = "New models", person: str = "ada") -> str:
    line = ChangeLine(1, "create", "clip", name, renamed_from=f"{name} old")
    return render_message(BatchCommit(title, "j0b", 1, (line,), (Person("1", person),)))


@pytest.mark.parametrize("words", LOUD)
def test_nothing_that_people_type_is_heard_by_a_forge(words: str) -> None:
    told = message(words, title=words, person=words)
    assert words not in told
    assert parse_message(told)
    assert tells_rename(told, "clip", f"{words} old", words)


@pytest.mark.parametrize("name", QUIET)
def test_a_name_that_no_forge_hears_stands_as_it_is(name: str) -> None:
    assert f'"{name}"' in message(name)


@pytest.mark.parametrize(
    "title",
    ["# ------------------------ >8 ------------------------", "---", "--- a/x", "-- 8< --", "# comment", "%< - - -"],
)
def test_no_title_hides_the_trailers_from_git(tmp_path: Path, title: str) -> None:
    file = tmp_path / "message"
    file.write_text(message(title=title))
    assert "Refsync-Job: j0b" in git(tmp_path, "interpret-trailers", "--parse", str(file))
    git(tmp_path, "init", "-q")
    git(tmp_path, "commit", "-q", "--allow-empty", "--cleanup=scissors", "-F", str(file))
    assert "Refsync-Job: j0b" in git(tmp_path, "log", "-1", "--format=%(trailers)")


@pytest.mark.parametrize("key", ["password", "sslpassword", "Pwd", "api_key", "token"])
def test_a_password_in_the_query_of_a_url_is_masked(key: str) -> None:
    masked = _masked(f"postgresql://ada:pa@ss@db/queue?a=1&{key}=s3cret&b=2")
    assert masked == f"postgresql://ada:***@db/queue?a=1&{key}=***&b=2"


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"[" * 5000,
        b'{"holder": 1, "landing": {}}',
        b'{"holder": {"id": 1, "started": 1}, "landing": {"files": [], "index_found": [1e400, 1, 1, 1], "index": "",'
        b' "wanted": [], "locks": [], "old": "", "new": ""}}',
        b'{"holder": {"id": 1, "started": 1}, "landing": {"files": [], "index_found": null, "index": "/etc/passwd",'
        b' "wanted": [], "locks": [], "old": "", "new": ""}}',
        b'{"holder": {"id": 1, "started": 1}, "landing": {"files": [{"path": "../x", "mode": "", "blob": "",'
        b' "found": null}], "index_found": null, "index": "", "wanted": [], "locks": [], "old": "", "new": ""}}',
    ],
)
def test_a_malformed_journal_says_nothing(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "journal").write_bytes(text)
    with os.fdopen(os.open(tmp_path / "journal", os.O_RDONLY), "rb") as journal:
        assert read_note(journal).landing is None


FORMULAS = ("=1+1", "+cmd|' /C calc'!A0", "-2+3", "@SUM(A1)", "\t=1", "\r=1")


def test_what_a_spreadsheet_would_run_is_told_to_who_submits_and_who_reviews(tmp_path: Path, bare_git: None) -> None:
    with contextlib.closing(text_reference(tmp_path)) as text:
        record = text.clone.records(DOCUMENT)["acme/Alpha-7B"]
        for formula in FORMULAS:
            change = text.change(text.submit("acme/Alpha-7B", record | {"description": formula}, category=TEXT))
            assert change.remarks == [f"a spreadsheet takes for a formula what it writes into {TABLE}: description"]
        for plain in ("-2", "+1.5", "a = b", " =1", "mail@example.org"):
            assert not text.change(text.submit("acme/Alpha-7B", record | {"url": plain}, category=TEXT)).remarks
        new = text.change(
            text.submit("@acme/=New", {"parameters": 8_000_000_000}, AuditOperation.CREATE, category=TEXT)
        )
        assert "name" in (new.remarks or [""])[0]


def test_what_a_spreadsheet_would_run_is_a_note_of_check(tmp_path: Path) -> None:
    rows = [{"name": f"acme/{n}", "parameters_bn": "7", "url": cell} for n, cell in enumerate((*FORMULAS, "-2", "x"))]
    repository = Clone.create(tmp_path / "clone", text_files(*rows))
    checked = Desk(repository, tmp_path).bare("check", "--directory", repository.path).done.out
    assert checked.count("a spreadsheet takes it for a formula: url; ") == len(FORMULAS)


def test_a_main_branch_that_git_would_take_for_an_option_is_refused(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path)
    bare = tmp_path / "remote.git"
    git(tmp_path, "clone", "-q", "--bare", str(desk.clone.path), str(bare))
    name = "refs/heads/--pathspec-from-file=x"
    git(bare, "update-ref", name, "main")
    git(bare, "symbolic-ref", "HEAD", name)
    new = Desk(desk.clone, tmp_path / "new")
    new.folder.mkdir()
    told = new("init", f"file://{bare}", tmp_path / "new/image").refusal
    assert "its main branch is called '--pathspec-from-file=x', which is not taken" in told
    assert not (tmp_path / "new/image").exists()
