"""A number that was handed in keeps its text, by every way into a reference and out of the queue."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.command_line import Desk
from tests.support.repositories import dump

NUMBERS = '"lr": 0.00000035, "version": 2.50, "steps": 1E5, "exact": 123456789012345678.5'
PAYLOAD = f'{{"name": "new", {NUMBERS}, "l": [1.0e-400]}}'.encode()
SUBMIT = ("queue", "add", "create", "--payload", "-", "--", "clip", "new")


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk.at(tmp_path, files={"clip.json": {}})


def landed(desk: Desk) -> str:
    assert desk("queue", "approve", 1, "--title", "First").done
    assert desk("sync").done
    return desk.clone.read("clip.json").decode()


def test_the_numbers_of_a_payload_land_as_they_were_written(desk: Desk) -> None:
    assert desk(*SUBMIT, stdin=PAYLOAD).done
    for command in (("queue", "show", 1), ("queue", "show", 1, "--json"), ("queue", "diff", 1, "--json")):
        assert '"lr": 0.00000035' in desk(*command).done.out
    text = " ".join(landed(desk).split())
    assert NUMBERS in text
    assert '"l": [ 1.0e-400 ]' in text
    assert desk(
        *("queue", "add", "update", "--payload", "-", "--", "clip", "new"), stdin=PAYLOAD.replace(b"50", b"5")
    ).done
    assert desk("queue", "approve", 2, "--title", "Second").done
    tip = desk.clone.tip
    assert desk("sync").done
    assert desk.clone.tip == tip  # another spelling of the same numbers asks for nothing


def test_the_numbers_survive_export_import_and_the_stamps(desk: Desk, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    stamped = PAYLOAD.replace(b'"l"', b'"metadata": {"score": 7.10}, "l"')
    assert desk(*SUBMIT, stdin=stamped).done
    other = Desk.at(tmp_path / "other", "stamp_records = true\n", files={"clip.json": {}})
    exported = tmp_path / "queue.jsonl"
    exported.write_text(desk("queue", "export").done.out)
    assert other("queue", "import", exported).done
    text = " ".join(landed(other).split())
    assert NUMBERS in text
    assert '"score": 7.10 ' in text
    assert '"created_at": ' in text


def test_a_revert_writes_a_number_back_as_it_was(desk: Desk) -> None:
    before = b'{\n    "new": {\n        "n": 2.50,\n        "m": 1E5\n    }\n}\n'
    desk.clone.commit({"clip.json": before})
    assert desk(*("queue", "add", "update", "--payload", "-", "--", "clip", "new"), stdin=b'{"n": 3, "m": 4}').done
    assert landed(desk) == before.decode().replace("2.50", "3").replace("1E5", "4")
    assert desk("batch", "revert", 1).done
    assert desk("queue", "approve", 2, "--title", "Back").done
    assert desk("sync").done
    assert desk.clone.read("clip.json") == before


def test_a_new_field_lands_where_the_payload_has_it(desk: Desk) -> None:
    before = dump({"new": {"name": "new", "type": "t", "desc": "d", "av": 1}})
    desk.clone.commit({"clip.json": before})
    payload = b'{"name": "new", "type": "t", "inp": 1E5, "desc": "d", "av": 1}'
    assert desk(*("queue", "add", "update", "--payload", "-", "--", "clip", "new"), stdin=payload).done
    assert landed(desk) == before.decode().replace('"t",\n', '"t",\n        "inp": 1E5,\n')
