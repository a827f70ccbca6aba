"""Bytes that are no text, dates that are none: every door answers, and a pass goes on."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refsync.clone.history import LOG_FORMAT, parse_log
from tests.support.command_line import Desk, Ended
from tests.support.hostile import commit_raw, raw_git, write_bytes
from tests.support.published import PublishedReference
from tests.support.reference import Reference
from tests.support.repositories import Clone, git

LATIN = b"caf\xe9.json"
NAMES = st.one_of(
    st.sampled_from([LATIN, b"\xff\xfe", b"new\nline.json", b"\x1b[31m.csv", b'"quoted".json', b"-flag.json"]),
    st.binary(min_size=1, max_size=12).filter(
        lambda name: not set(name) & set(b"/\0") and name not in (b".", b"..") and name.lower() != b".git"
    ),
)
DATES = st.sampled_from(
    (
        b"",
        b" -5 +0000",
        b" 0 +0000",
        b" x +0000",
        b" 1700000000 +99999999",
        b" 4294967296000 +0000",
        b" 253402300800 -1200",
        b" 9223372036854775807 +9999",
        b" 99999999999999999999 +0000",
    )
)
PEOPLE = st.one_of(st.just(b"A"), st.binary(max_size=8).map(lambda name: name + b" <a@b>"))
COMMANDS = (
    ("config", "check"),
    ("sync",),
    ("sync", "--json"),
    ("status",),
    ("status", "--json"),
    ("metadata", "show"),
    ("metadata", "show", "--json"),
    ("metadata", "verify"),
    ("model", "history", "clip", "new"),
    ("model", "history", "clip", "new", "--json"),
    ("model", "blame", "clip", "new"),
    ("queue", "list"),
    ("batch", "list"),
    ("sync", "--dry-run"),
)


OWN = ("clip", "codeformer", "controlnet", "esrgan", "gfpgan", "safety_checker", "miscellaneous", "image_generation")


def answers(ended: Ended) -> bool:
    """Whether it is an answer: no bug, no traceback, and nothing that only a surrogate could be."""
    return ended.code in (0, 1) and "Traceback" not in ended.err and "bug in refsync" not in ended.out + ended.err


@settings(max_examples=3)
@given(st.lists(NAMES, min_size=1, max_size=3, unique=True), PEOPLE, DATES, PEOPLE, DATES, st.binary(max_size=20))
@example([LATIN], b"J\xe9r\xf4me <j@example.org>", b" 1700000000 +0000", b"A <a@b>", b"", b"\xff\xed\xa0\x80")
@example([b"new\nline.json"], b"A <a@b>", b" -1 +0000", b"", b" 99999999999999999999 +0000", b"")
def test_every_command_and_the_pass_answer_whatever_bytes_a_repository_holds(
    names: list[bytes], author: bytes, written: bytes, committer: bytes, committed: bytes, message: bytes
) -> None:
    strip = bytes.maketrans(b"\n\0", b"  ")
    with TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        patch.setenv("GIT_CONFIG_NOSYSTEM", "1")
        desk = Desk.at(Path(folder))
        for name in names:
            write_bytes(desk.clone.path, name, b"{}\n")
        desk.clone.write("clip.json", {"new": {"name": "new"}})
        commit_raw(
            desk.clone.path,
            author=author.translate(strip) + written,
            committer=committer.translate(strip) + committed,
            message=message.replace(b"\0", b"") + b"\n",
        )
        for name in names:
            write_bytes(desk.clone.path, name, b'{"edited": {}}\n')
        change = desk.add("create", "mine", {"name": "mine"})
        assert desk("queue", "approve", change, "--title", "Batch").code == 0
        for command in COMMANDS:
            assert answers(ended := desk(*command)), (command, ended)
        for review in (("check",), ("diff", "HEAD~1"), ("diff", "HEAD~1", "--json"), ("check", "--json")):
            assert answers(ended := desk(*review, "--directory", str(desk.clone.path))), (review, ended)
        assert desk.clone.records("clip.json")["mine"] == {"name": "mine"}
        assert desk("metadata", "verify").done


@pytest.mark.parametrize(
    ("date", "seconds"),
    [(b"", 0), (b" -5 +0000", 0), (b" 99999999999999999999 +0000", 0), (b" 7 +0000", 7), (b" x +0000", 0)],
)
def test_a_date_that_is_none_counts_as_git_shows_it(tmp_path: Path, date: bytes, seconds: int) -> None:
    clone = Clone.create(tmp_path / "clone", {"a.json": {}})
    commit = commit_raw(clone.path, committer=b"Ada <a@b>" + date)
    output = raw_git(clone.path, "log", "-1", "-z", f"--format=tformat:{LOG_FORMAT}", commit)
    (read,) = parse_log(output + b"\0")
    assert read.committed_at == seconds


def beside_another(folder: Path) -> str:
    """Lines of a config by which a second repository, with one model, holds a category."""
    Clone.create(folder / "text", {"llm.json": {"gpt": {"version": "1"}}})
    own = "".join(f'{name} = "{name}.json"\n' for name in OWN)
    second = '[[repository]]\nname = "text"\npath = "text"\n[repository.categories]\nblip = "llm.json"'
    return f"[repository.categories]\n{own}{second}"


def test_a_file_of_no_encoding_with_a_local_edit_holds_its_repository_alone(tmp_path: Path, bare_git: None) -> None:
    reference = PublishedReference(tmp_path, "push", repository=beside_another(tmp_path))
    write_bytes(reference.person.path, LATIN, b"{}\n")
    git(reference.person.path, "add", "-A")
    git(reference.person.path, "commit", "-qm", "a file of no encoding")
    git(reference.person.path, "push", "-q", "origin", "main")
    write_bytes(reference.clone.path, LATIN, b"mine\n")
    report = reference.sync()
    held, other = report.repositories
    assert held.problem is not None
    assert "caf\\udce9.json has local edits" in held.problem
    assert other.problem is None
    assert other.recorded == 1
    assert reference.application.queue.repository_notes()["image"].last_error == held.problem
    reference.close()


def test_a_note_that_cannot_be_kept_does_not_end_the_pass_of_the_others(tmp_path: Path, bare_git: None) -> None:
    reference = Reference(tmp_path, repository=beside_another(tmp_path))
    with closing(sqlite3.connect(tmp_path / "state" / "queue.db")) as store:
        store.execute(
            "create trigger refuse before insert on repositories when new.name = 'image' "
            "begin select raise(abort, 'no notes today'); end"
        )
    noted, other = reference.sync().repositories
    assert noted.problem is not None
    assert "no notes today" in noted.problem
    assert (noted.recorded, other.recorded, other.problem) == (2, 1, None)
    reference.close()
