"""The laws of editing on the valid versions of every category file in both real references.

Versions are the distinct blobs of ``*.json`` files at the root, over all commits: a sample of them, or all as
``tests/support/bundles.py`` says. Of each image version one model is updated and put back, one is created and taken
out, and the first, the middle and the last are deleted; of each version of the large text file one of these edits is
made, in turn.
"""

from __future__ import annotations

import json
import re
from collections.abc import Hashable
from difflib import SequenceMatcher
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from refsync.documents.field_order import common_order
from refsync.documents.json_document import edit_records, read_document, read_records
from refsync.documents.values import same_value
from refsync.errors import DocumentError
from tests.support.bundles import ALL, contents, git_output, mirror, sample

pytestmark = [pytest.mark.bundles, pytest.mark.timeout(600)]  # all versions take minutes on a busy machine

Record = dict[str, Any]


@pytest.fixture(scope="module")
def image_blobs(image_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    return _blobs(image_bundle, tmp_path_factory.mktemp("image"))


@pytest.fixture(scope="module")
def image_versions(image_blobs: list[bytes]) -> list[bytes]:
    return [data for data in sample(image_blobs, 8, _manner) if _refusal(data) is None]


@pytest.fixture(scope="module")
def text_versions(text_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> list[bytes]:
    blobs = _blobs(text_bundle, tmp_path_factory.mktemp("text"))
    assert len(blobs) > 300
    return [data for data in sample(blobs, 12, _manner) if _refusal(data) is None]


def test_a_version_of_the_image_files_is_updated_by_its_bytes(image_versions: list[bytes]) -> None:
    for data in image_versions:
        _check_updates(data)


def test_a_version_of_the_image_files_takes_and_returns_a_new_model(image_versions: list[bytes]) -> None:
    for data in image_versions:
        _check_create(data)


def test_a_version_of_the_image_files_loses_a_model_by_whole_lines(image_versions: list[bytes]) -> None:
    for data in image_versions:
        _check_deletes(data)


def test_a_version_of_the_text_file_keeps_the_laws(text_versions: list[bytes]) -> None:
    for data, check in zip(text_versions, cycle((_check_updates, _check_create, _check_deletes)), strict=False):
        check(data, sparing=True)


def test_a_dump_in_fixed_order_stays_one_after_any_update_or_create(image_blobs: list[bytes]) -> None:
    large = [data for data in image_blobs if len(data) > 100_000 and _refusal(data) is None]
    fixed = [data for data in large[: 200 : 10 if ALL else 20] if _is_dump(data) and _has_fixed_order(data)]
    assert len(fixed) > 5
    for share, data in enumerate(fixed):
        records = read_records(data)
        for name in list(records)[share::30]:
            shuffled = json.loads(json.dumps(records[name], sort_keys=True))
            assert _is_dump(edit_records(data, {name: shuffled | {"style": "é", "zz": {"new": [1]}}}))
            others = {each: record for each, record in records.items() if each != name}
            if shuffled.keys() <= set().union(*others.values()):
                # taken out and put in again, it has its fields in the same order, nested ones too
                again = edit_records(edit_records(data, {name: None}), {name: shuffled})
                assert again.rstrip() == json.dumps(others | {name: records[name]}, indent=4).encode()


def test_a_version_that_cannot_be_edited_is_refused_with_its_place(image_blobs: list[bytes]) -> None:
    assert len(image_blobs) > 500
    refused = [error for error in map(_refusal, image_blobs) if error]
    assert len(refused) > 5
    assert all(error.line and error.column for error in refused)
    assert any("invalid JSON" in error.reason for error in refused)
    assert any("not an object of models" in error.reason for error in refused)


def _check_updates(data: bytes, *, sparing: bool = False) -> None:
    records = read_records(data)
    assert edit_records(data, records) == data
    names = list(records)
    for name in [names[len(data) % len(names)]] if names else []:
        wanted = _updated(records[name])
        after = edit_records(data, {name: wanted})
        assert same_value(read_records(after), records | {name: wanted})
        removed, added = _changed_lines(data, after)
        assert removed <= 2  # the changed line, and the one that gets a comma
        assert added <= 3
        if not sparing:
            assert edit_records(after, {name: records[name]}) == data


def _check_create(data: bytes, *, sparing: bool = False) -> None:
    records = read_records(data)
    like = next(reversed(records.values()), {"name": "x"})
    after = edit_records(data, {"a new one": like})
    assert same_value(read_records(after), records | {"a new one": like})
    if records:
        removed, _ = _changed_lines(data, after)
        assert removed <= 1  # the one that gets a comma
        assert edit_records(after, {"a new one": None}) == data


def _check_deletes(data: bytes, *, sparing: bool = False) -> None:
    records = read_records(data)
    names = list(records)
    places = {len(names) - 1} if sparing else {0, len(names) // 2, len(names) - 1}
    for name in (names[place] for place in places if names):
        after = edit_records(data, {name: None})
        left = {each: record for each, record in records.items() if each != name}
        found = read_records(after)
        assert same_value(found, left)
        assert list(found) == list(left)
        removed, added = _changed_lines(data, after)
        assert removed > added
        assert added <= (name == names[-1])  # the line that loses its comma


def _updated(record: Record) -> Record:
    """The record with one field changed, at whatever depth, and one that no record has."""
    key = next((key for key, value in record.items() if isinstance(value, str)), "name")
    return {**record, key: f"{record.get(key)} — changed", "an unknown field": 1.50}


def _changed_lines(before: bytes, after: bytes) -> tuple[int, int]:
    """How many lines a diff takes away and adds, apart from what the ends of the files share."""
    old, new = before.split(b"\n"), after.split(b"\n")
    head = next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
    room = min(len(old), len(new)) - head
    tail = next((i for i in range(room) if old[-1 - i] != new[-1 - i]), room)
    old, new = old[head : len(old) - tail], new[head : len(new) - tail]
    steps = [step for step in SequenceMatcher(None, old, new, autojunk=False).get_opcodes() if step[0] != "equal"]
    return sum(step[2] - step[1] for step in steps), sum(step[4] - step[3] for step in steps)


def _is_dump(data: bytes) -> bool:
    return data.rstrip(b"\n") == json.dumps(read_records(data), indent=4).encode()


def _has_fixed_order(data: bytes) -> bool:
    sequences = [tuple(record) for record in read_records(data).values()]
    order = common_order(sequences)
    return all(tuple(key for key in order if key in keys) == keys for keys in sequences)


def _refusal(data: bytes) -> DocumentError | None:
    try:
        read_document(data).check_editable()
    except DocumentError as error:
        return error
    return None


def _manner(data: bytes) -> Hashable:
    """How a version is written, by what tells of it at a glance."""
    indent = re.search(rb"\n([ \t]*)\S", data)
    marks = tuple(mark in data for mark in (b"\r", b"\t", b"\\u", b"\xef\xbb\xbf"))
    return indent and indent[1], marks, data.endswith(b"\n"), data.isascii(), data.count(b"\n") < 4


def _blobs(bundle: Path, folder: Path) -> list[bytes]:
    """Every distinct ``*.json`` at the root of any commit, newest first."""
    clone = mirror(bundle, folder)
    listing = git_output(clone, "rev-list", "--all", "--objects").decode().splitlines()
    ids = [line.split(" ", 1)[0] for line in listing if line.endswith(".json") and "/" not in line]
    return list(contents(clone, ids))
