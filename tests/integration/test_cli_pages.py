"""Long lists: a page, the commands for the rest, and all of it as a stream."""

from __future__ import annotations

import json
import shlex
from pathlib import Path

import pytest

from refsync.use_cases.paging import window
from tests.support.command_line import Desk, Ended

COUNT = 120


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    """Many pending changes, and a batch of many; for tests that only look."""
    made = Desk.at(tmp_path_factory.mktemp("pages"))
    lines = [
        {"operation": "create", "category": "clip", "model_name": f"it's {n}", "payload": {"n": n}}
        for n in range(COUNT)
    ]
    assert made("queue", "import", "-", stdin="\n".join(map(json.dumps, lines)).encode()).done
    assert made("queue", "approve", *range(1, 61), "--title", "Sixty").done
    return made


def ids(shown: Ended) -> list[int]:
    rows = [line.split() for line in shown.done.out.splitlines()]
    return [int(row[0]) for row in rows if row[0].isdecimal() and row[1] in ("pending", "approved")]


def advised(shown: Ended, label: str) -> list[str]:
    (line,) = [line for line in shown.done.out.splitlines() if line.startswith(label + " ")]
    program, *words = shlex.split(line.removeprefix(label))
    assert program == "refsync"
    return words


def test_the_newest_fifty_are_shown_and_how_to_get_the_others(desk: Desk) -> None:
    shown = desk("queue", "list")
    assert ids(shown) == list(range(71, 121))
    assert "50 of 120 changes, the newest last\n" in shown.out
    before = desk(*advised(shown, "before"))
    assert ids(before) == list(range(21, 71))
    assert ids(desk(*advised(before, "before"))) == list(range(1, 21))
    assert ids(desk(*advised(before, "after"))) == list(range(71, 121))
    assert ids(desk(*advised(shown, "all"))) == list(range(1, 121))


def test_the_advised_commands_keep_the_filters(desk: Desk) -> None:
    shown = desk("queue", "list", "--status", "approved", "--model", "it's ")
    assert ids(shown) == list(range(11, 61))
    assert ids(desk(*advised(shown, "before"))) == list(range(1, 11))
    assert ids(desk(*advised(shown, "all"))) == list(range(1, 61))


def test_a_page_as_json_says_how_many_there_are_and_where_its_neighbours_begin(desk: Desk) -> None:
    page = desk("queue", "list", "--json").done.json
    assert ([each["change_id"] for each in page["items"]], page["total"]) == (list(range(71, 121)), COUNT)
    assert (page["offset"], page["limit"], page["previous"], page["next"]) == (70, 50, 20, None)
    first = desk("queue", "list", "--json", "--limit", 100).done.json
    assert (first["previous"], first["next"]) == (None, 100)
    assert len(desk("queue", "list", "--json", "--offset", first["next"]).done.json["items"]) == 20


def test_all_of_them_are_one_document_too(desk: Desk) -> None:
    page = desk("queue", "list", "--all", "--json").done.json
    assert [each["change_id"] for each in page["items"]] == list(range(1, 121))
    assert (page["total"], page["offset"], page["limit"], page["next"]) == (COUNT, 0, None, None)
    none = desk("queue", "list", "--all", "--json", "--status", "rejected").done.json
    assert (none["items"], none["total"]) == ([], 0)


def test_all_are_more_than_one_table(tmp_path: Path) -> None:
    many = Desk.at(tmp_path)
    lines = [{"operation": "create", "category": "clip", "model_name": str(n), "payload": {}} for n in range(2100)]
    assert many("queue", "import", "-", stdin="\n".join(map(json.dumps, lines)).encode()).done
    assert ids(many("queue", "list", "--all")) == list(range(1, 2101))


def test_all_and_a_part_exclude_each_other(desk: Desk) -> None:
    for words in (("queue", "list"), ("batch", "list"), ("model", "history", "clip", "old")):
        assert "give one or the other" in desk(*words, "--all", "--limit", 3).refusal


def test_a_batch_shows_a_page_of_its_changes(desk: Desk) -> None:
    shown = desk("batch", "show", 1)
    assert ids(shown) == list(range(11, 61))
    assert ids(desk(*advised(shown, "all"))) == list(range(1, 61))
    assert len(desk("batch", "show", 1, "--json").done.json["changes"]) == 60


def test_batches_and_the_commits_of_a_model_come_in_pages(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path)
    for number in range(4):
        desk.land(desk.add("update", "old", {"n": number}))
    shown = desk("batch", "list", "--limit", 3).done.out
    assert "3 of 4 batches, the newest last\nafter  refsync batch list --offset 3 --limit 3\n" in shown
    assert len(desk("batch", "list", "--json").done.json) == 4
    assert len(desk("batch", "list", "--json", "--offset", 1, "--limit", 2).done.json) == 2
    history = desk("model", "history", "clip", "old", "--limit", 2, "--offset", 1)
    assert "2 of 5 commits" in history.done.out
    again = desk(*advised(history, "after"))
    assert "before refsync model history --offset 1 --limit 2 -- clip old" in again.done.out
    assert len(desk("model", "history", "clip", "old", "--json").done.json) == 5


def test_every_page_leads_to_all_the_others() -> None:
    for total in range(8):
        for limit in range(1, 5):
            view, seen = window(total, None, limit), 0
            while True:
                seen += view.shown
                if view.next is None:
                    break
                assert window(total, view.next, limit).previous == view.offset
                view = window(total, view.next, limit)
            assert seen == total
