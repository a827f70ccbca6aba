"""The text reference's history as the oracle: what ``models.csv`` makes is what was committed as ``db.json``.

A sample of the history, or all of it as ``tests/support/bundles.py`` says.
"""

from __future__ import annotations

import csv
import io
import json
from collections import Counter
from collections.abc import Hashable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from refsync.documents.csv_document import Row
from refsync.documents.json_document import read_records
from refsync.documents.text_derivation import row_to_record, variants
from refsync.documents.text_payload import record_to_row
from refsync.documents.values import same_value
from refsync.errors import DocumentError
from tests.support.bundles import contents, git_output, mirror, sample
from tests.support.text_tables import derive_text, disagreements, edit_rows, edit_text_reference, read_rows

pytestmark = [pytest.mark.bundles, pytest.mark.timeout(600)]  # all versions take minutes on a busy machine

Record = dict[str, Any]
FILES = ("models.csv", "db.json", "defaults.json", "generation_params.json")


class Version(NamedTuple):
    """The four files as one commit of the main branch has them."""

    csv: bytes
    db: bytes
    defaults: Record
    params: Record

    @property
    def row_of(self) -> dict[str, Row]:
        """Base name to the row that counts."""
        return {row.name: row for row in read_rows(self.csv)}


@pytest.fixture(scope="module")
def clone(text_bundle: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mirror(text_bundle, tmp_path_factory.mktemp("text"))


@pytest.fixture(scope="module")
def tables(clone: Path) -> list[bytes]:
    """Every version of ``models.csv`` on main, newest first."""
    history = _history(clone, ("models.csv",))
    return list(dict.fromkeys(files["models.csv"] for files in history if "models.csv" in files))[::-1]


@pytest.fixture(scope="module")
def versions(clone: Path) -> list[Version]:
    """The last versions of main, oldest first: those with a header in their CSV."""
    found: dict[tuple[bytes, bytes], Version] = {}
    for files in _history(clone, FILES):
        table, db, *rest = (files.get(name, b"") for name in FILES)
        if table.startswith(b"name,"):
            found[table, db] = Version(table, db, *map(json.loads, rest))
    return list(found.values())


def test_the_history_is_there_whole(versions: list[Version]) -> None:
    assert len(versions) == 187


def test_a_version_is_made_of_its_rows_byte_for_byte(versions: list[Version]) -> None:
    for version in sample(versions[::-1], 4, _settings):
        assert derive_text(read_rows(version.csv), version.defaults, version.params) == version.db


def test_no_version_disagrees_with_itself(versions: list[Version]) -> None:
    for version in versions[::12]:
        assert disagreements(*version) == []


def test_a_table_is_read_as_python_reads_it_or_refused_for_its_header(tables: list[bytes]) -> None:
    for table in sample(tables, 6, _manner):
        if table.startswith(b"name,"):
            assert [_as_read_by_python(row) for row in read_rows(table)] == _read_by_python(table)
        else:
            with pytest.raises(DocumentError, match=r"line 1: no header"):
                read_rows(table)


def test_every_row_comes_back_from_its_record_as_it_was(versions: list[Version]) -> None:
    for version in versions[::12]:
        rows = version.row_of
        for row in rows.values():
            record = row_to_record(row, version.defaults, version.params)
            assert record_to_row(record, row, version.defaults, version.params) == row
            anew = record_to_row(record, None, version.defaults, version.params)
            assert same_value(row_to_record(anew, version.defaults, version.params), record)
        assert edit_rows(version.csv, rows) == version.csv


def test_the_changes_of_a_commit_are_made_in_both_files_and_touch_no_other_line(versions: list[Version]) -> None:
    for before, after in sample(list(pairwise(versions))[::-1], 12, _extent):
        edits = _edits_between(before, after)
        table, db = edit_text_reference(before.csv, before.db, before.defaults, before.params, edits)
        assert db == derive_text(read_rows(table), before.defaults, before.params)
        records, wanted = read_records(db), read_records(after.db)
        shared = _names_of_several_models(after)
        assert records.keys() == wanted.keys()
        assert all(same_value(records[name], wanted[name]) for name in wanted if name not in shared)
        assert _names_of_changed_lines(before.csv, table) <= edits.keys()


def test_a_file_written_in_another_way_keeps_that_and_gets_the_same_records_in_the_same_places(
    versions: list[Version],
) -> None:
    for before, after in list(pairwise(versions))[::30]:
        db = json.dumps(json.loads(before.db), indent="\t").replace("\n", "\r\n").encode()
        edits = _edits_between(before, after)
        table, edited = edit_text_reference(before.csv, db, before.defaults, before.params, edits)
        expected = json.loads(derive_text(read_rows(table), before.defaults, before.params))
        assert edited == json.dumps(expected, indent="\t").replace("\n", "\r\n").encode()


def _manner(table: bytes) -> Hashable:
    """How a table is written, by what tells of it at a glance."""
    marks = tuple(mark in table for mark in (b"\r\n", b'"', b"\xef\xbb\xbf"))
    return table.split(b"\n", 1)[0], marks, table.endswith(b"\n"), table.isascii()


def _settings(version: Version) -> Hashable:
    """What a version has besides its models, and how its table is written."""
    return json.dumps((version.defaults, version.params)), _manner(version.csv)


def _extent(pair: tuple[Version, Version]) -> Hashable:
    """Whether a commit takes and adds none, one or more lines of the table, and whether it changes the settings."""
    old, new = (Counter(version.csv.split(b"\r\n")) for version in pair)
    counts = (min(2, (old - new).total()), min(2, (new - old).total()))
    return counts, pair[0].defaults == pair[1].defaults, pair[0].params == pair[1].params


def _edits_between(before: Version, after: Version) -> dict[str, Record | None]:
    """What a commit did to the models, as records of its ``db.json``."""
    old, new, records = before.row_of, after.row_of, read_records(after.db)
    edits: dict[str, Record | None] = {name: None for name in old if name not in new}
    return edits | {name: records[name] for name, row in new.items() if old.get(name) != row}


def _names_of_several_models(version: Version) -> set[str]:
    """Names of variants that belong to more than one base name: whose record it is tells only the order of the rows."""
    counted = Counter(each for name in version.row_of for each in variants(name))
    return {name for name, count in counted.items() if count > 1}


def _names_of_changed_lines(before: bytes, after: bytes) -> set[str]:
    """The first cells of the lines that one of the two has and the other doesn't, or has more often."""
    old, new = (Counter(data.decode().split("\r\n")) for data in (before, after))
    return {next(csv.reader([line]))[0] for line in (old - new) + (new - old) if line}


def _read_by_python(table: bytes) -> list[dict[str | None, Any]]:
    return list(csv.DictReader(io.StringIO(table.decode(), newline=""), restval=""))


def _as_read_by_python(row: Row) -> dict[str | None, Any]:
    surplus: dict[str | None, Any] = {None: list(row.surplus)} if row.surplus else {}
    return surplus | dict(row.cells)


def _history(clone: Path, names: Sequence[str]) -> list[dict[str, bytes]]:
    """The files of every commit of main by first parent, oldest first; each distinct one is read once."""
    commits = git_output(clone, "rev-list", "--first-parent", "--reverse", "main").decode().split()
    places = [f"{commit}:{name}" for commit in commits for name in names]
    checked = git_output(clone, "cat-file", "--batch-check=%(objectname)", stdin="\n".join(places).encode()).decode()
    ids = [None if line.endswith(" missing") else line for line in checked.splitlines()]
    distinct = list(dict.fromkeys(each for each in ids if each))
    content = dict(zip(distinct, contents(clone, distinct), strict=True))
    per_commit = zip(*[iter(ids)] * len(names), strict=True)
    return [{name: content[each] for name, each in zip(names, found, strict=True) if each} for found in per_commit]
