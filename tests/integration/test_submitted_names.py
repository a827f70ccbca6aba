"""What is told or refused of a submission's name and place, and what can be deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from refsync.errors import PayloadError, RequestError
from refsync.pending_queue.models import AuditOperation, PendingChangeStatus, Submission
from tests.support.command_line import Desk
from tests.support.reference import Reference
from tests.support.repositories import dump
from tests.support.text_files import DOCUMENT, TABLE, TEXT, text_reference

CREATE, DELETE = AuditOperation.CREATE, AuditOperation.DELETE
REJECTED = PendingChangeStatus.REJECTED
FILES: dict[str, Any] = {"clip.json": {"b": {"x": 1}, "a": {"x": 1}, "c": {"x": 1}}}


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.at(tmp_path, files=FILES)


def names(desk: Desk) -> list[str]:
    return list(desk.clone.records("clip.json"))


# A derived name that is somebody else's


@pytest.fixture
def table(tmp_path: Path, bare_git: None) -> Iterator[Reference]:
    made = text_reference(tmp_path)
    yield made
    made.close()


@pytest.fixture
def plain(tmp_path: Path, bare_git: None) -> Iterator[Reference]:
    records = {name: {"name": name} for name in ("acme/Alpha-7B", "aphrodite/acme/Alpha-7B", "koboldcpp/Alpha-7B")}
    made = Reference(tmp_path, {"text_generation.json": dump(records)}, repository='layout = "primary"')
    yield made
    made.close()


@pytest.mark.parametrize("name", ["table", "plain"])
def test_a_new_text_model_that_would_take_anothers_variant_is_refused(
    name: str, request: pytest.FixtureRequest
) -> None:
    reference: Reference = request.getfixturevalue(name)
    with pytest.raises(PayloadError, match="would take 'koboldcpp/Alpha-7B' from 'acme/Alpha-7B', whose record"):
        reference.submit("other/Alpha-7B", {"parameters": 7_000_000_000}, CREATE, category=TEXT)


def test_a_variant_that_was_taken_meanwhile_stays_whose_it_is(table: Reference) -> None:
    first = table.submit("acme/New", {"parameters": 8_000_000_000}, CREATE, category=TEXT)
    second = table.submit("other/New", {"parameters": 9_000_000_000}, CREATE, category=TEXT)
    table.approve(first, second)
    table.sync()
    assert table.statuses([second]) == [REJECTED]
    assert "would take 'koboldcpp/New' from 'acme/New'" in (table.change(second).reject_reason or "")
    assert table.clone.records(DOCUMENT)["koboldcpp/New"]["parameters"] == 8_000_000_000


# Names that look alike


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("A", "differs by case"),
        ("a ", "differs by blanks"),
        ("a\u2060", "differs by characters that cannot be seen"),
        ("\u0430", "differs by characters that look the same (of other alphabets, dashes, typefaces)"),
    ],
)
def test_a_name_that_looks_like_anothers_is_told_to_who_submits_and_who_reviews(
    desk: Desk, name: str, told: str
) -> None:
    added = desk("queue", "add", "create", "clip", "--payload", "-", "--", name, stdin=b"{}")
    assert "looks like that of 'a', from which it " + told in added.done.err
    assert "looks like that of 'a'" in desk("queue", "show", 1).done.out


def test_look_alikes_within_one_import_are_told_too(desk: Desk) -> None:
    names = ("\u00c9", "E\u0301")
    lines = [{"operation": "create", "category": "clip", "model_name": name, "payload": {}} for name in names]
    told = desk("queue", "import", "-", stdin="\n".join(map(json.dumps, lines)).encode()).done.err
    assert "note: change 2: the name" in told
    assert "NFC" in told


def test_an_update_that_asks_for_what_is_there_is_told_so(desk: Desk) -> None:
    added = desk("queue", "add", "update", "clip", "a", "--payload", "-", stdin=b'{"x": 1}')
    assert "note: the record is so already" in added.done.err


def test_stamps_that_a_payload_brings_are_told(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path, "stamp_records = true", FILES)
    payload = b'{"x": 2, "metadata": {"created_at": 5, "notes": "n"}}'
    added = desk("queue", "add", "update", "clip", "a", "--payload", "-", stdin=payload)
    assert "note: refsync writes metadata.{created_at} by itself: what the payload says of it is left out" in added.err
    refused = desk("queue", "add", "update", "clip", "a", "--payload", "-", stdin=b'{"metadata": 1}')
    assert "metadata: has to be an object" in refused.refusal


# Places


def test_a_new_model_stands_where_it_was_asked_to(desk: Desk) -> None:
    ids = [desk.add("create", "n", {"x": 1}, "--after", "b"), desk.add("create", "m", {"x": 1}, "--before", "b")]
    assert "right behind b" in desk("queue", "show", ids[0]).out
    desk.land(*ids)
    assert names(desk) == ["m", "b", "n", "a", "c"]


def test_a_place_comes_with_the_lines_of_an_import_and_goes_to_another_machine(desk: Desk, tmp_path: Path) -> None:
    lines = [
        {"operation": "create", "category": "clip", "model_name": "m", "payload": {}, "after": "n"},
        {"operation": "create", "category": "clip", "model_name": "n", "payload": {}, "before": "a"},
    ]
    assert "no place next to 'n'" in desk("queue", "import", "-", stdin=b"\n".join(map(dumped, lines))).refusal
    assert desk("queue", "import", "-", stdin=b"\n".join(map(dumped, reversed(lines)))).done
    (tmp_path / "there").mkdir()
    there = Desk.at(tmp_path / "there", files=FILES)
    assert there("queue", "import", "-", stdin=desk("queue", "export").out.encode()).done
    there.land(1, 2)
    assert names(there) == ["b", "n", "m", "a", "c"]


def dumped(line: object) -> bytes:
    return json.dumps(line).encode()


def test_a_new_row_of_a_table_stands_where_it_was_asked_to(table: Reference) -> None:
    asked = Submission(TEXT, "acme/New", CREATE, {"parameters": 8_000_000_000}, "1", "Ada", before="acme/Beta")
    [change] = table.application.queue.enqueue_many([asked])
    table.approve(change.change_id)
    table.sync()
    rows = [line.split(",")[0] for line in table.clone.read(TABLE).decode().splitlines()[1:]]
    assert rows == ["acme/Alpha-7B", "acme/New", "acme/Beta", "Gamma_3B"]
    with pytest.raises(RequestError, match="no place next to 'koboldcpp/Beta'"):
        table.application.queue.enqueue_many([replace(asked, model_name="acme/Newer", before="koboldcpp/Beta")])


def test_a_place_next_to_what_is_gone_meanwhile_falls_back_and_says_so(desk: Desk) -> None:
    change = desk.add("create", "n", {"x": 1}, "--after", "b")
    desk.land(desk.add("delete", "b"))
    desk.land(change)
    assert names(desk) == ["a", "c", "n"]
    assert "'b', right behind which it was to stand, is gone" in desk("queue", "show", change).done.out


def test_a_place_next_to_what_was_renamed_meanwhile_in_the_batch_is_next_to_it(desk: Desk) -> None:
    change = desk.add("create", "n", {"x": 1}, "--before", "a")
    assert desk("queue", "rename", "clip", "a", "z").done
    desk.land(change, 2)
    assert names(desk) == ["b", "n", "z", "c"]


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (
            ["create", "clip", "n", "--after", "bb"],
            "no place next to 'bb': clip has no such other model; the nearest is",
        ),
        (["create", "clip", "n", "--after", "n"], "no place next to 'n'"),
        (["create", "clip", "n", "--after", "a", "--before", "b"], "give one or the other"),
        (["update", "clip", "a", "--after", "b"], "only a new model is given a place"),
    ],
)
def test_a_place_that_cannot_be_had_is_refused(desk: Desk, words: list[str], told: str) -> None:
    assert told in desk("queue", "add", *words, "--payload", "-", stdin=b'{"x": 3}').refusal


# Whatever stands in a file can be deleted


ODD = ["", "  ", "two\nlines", "n" * 300, "bell\u0007", "\u2028"]


def test_a_record_can_be_deleted_whatever_its_name(tmp_path: Path) -> None:
    files = {"clip.json": {name: {"x": 1} for name in [*ODD, "nul\0", "good"]}}
    desk = Desk.at(tmp_path, "[guard]\ndeletions = { count = 100, share = 1.0 }\n", files)
    ids = [desk.add("delete", name) for name in ODD]
    line = {"operation": "delete", "category": "clip", "model_name": "nul\0"}
    assert desk("queue", "import", "-", stdin=dumped(line)).done
    assert desk("queue", "list").done
    assert desk("queue", "diff", *ids).done
    assert desk("queue", "export").done
    desk.land(*ids, 7)
    assert names(desk) == ["good"]


def test_an_odd_name_can_be_renamed_to_a_good_one(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path, files={"clip.json": {"two\nlines": {"x": 1}, "good": {"x": 2}}})
    assert desk("queue", "rename", "clip", "two\nlines", "one line").done
    desk.land(1)
    assert names(desk) == ["one line", "good"]


def test_a_record_can_be_deleted_however_large_it_is(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path, files={"clip.json": {"large": {"x": "y" * 1_200_000}, "good": {"x": 2}}})
    added = desk("queue", "add", "delete", "clip", "large").done
    assert "cannot be kept" in added.err
    desk.land(1)
    assert names(desk) == ["good"]


def test_a_name_that_no_new_model_may_have_is_still_refused(desk: Desk) -> None:
    for name in ("two\nlines", " ", "n" * 300):
        assert "model name" in desk("queue", "add", "create", "clip", name, "--payload", "-", stdin=b"{}").refusal
    assert "does not exist" in desk("queue", "add", "delete", "clip", "two\nlines").refusal


# What is written otherwise than it was asked for


def test_a_variant_that_is_asked_for_is_told(table: Reference) -> None:
    change = table.change(table.submit("aphrodite/acme/Beta", None, DELETE, category=TEXT))
    assert change.remarks == [
        "'aphrodite/acme/Beta' is a variant of 'acme/Beta', so that the change is one of that model"
    ]


def test_a_related_model_that_is_none_is_told(desk: Desk) -> None:
    line = {"operation": "delete", "category": "clip", "model_name": "a", "related_models": ["b"]}
    told = desk("queue", "import", "-", stdin=dumped(line)).done.err
    assert "the related model 'b' is not written with it" in told
