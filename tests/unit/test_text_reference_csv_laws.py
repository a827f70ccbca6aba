"""Laws of reading and editing ``models.csv``, over files as people and programs leave them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import cycle

from hypothesis import assume, given
from hypothesis import strategies as st

from refsync.documents.csv_document import COLUMNS, Row
from refsync.errors import DocumentError
from tests.support.text_tables import edit_rows, read_rows

NAMES = st.text('abAB/-_.,"é \n', min_size=1, max_size=4)
TEXTS = st.text('a,"\r\n é\U0001f600', max_size=4)


@st.composite
def rows(draw: st.DrawFn, name: str) -> Row:
    cells = {column: draw(TEXTS) for column in draw(st.sets(st.sampled_from(COLUMNS[1:]), max_size=4))}
    surplus = draw(st.sampled_from([(), (), ("",), ("x", "")]))
    return Row(dict.fromkeys(COLUMNS, "") | cells | {"name": name}, surplus)


@dataclass(frozen=True)
class Hand:
    """How somebody writes CSV."""

    columns: Sequence[str]
    newline: str
    quotes: Sequence[bool]
    lengths: Sequence[int]
    blank_lines: Sequence[int]
    mark: str
    ended: bool

    def document(self, rows: Sequence[Row]) -> bytes:
        quotes = cycle(self.quotes)
        lines = [",".join(self.columns)]
        for row, length, blanks in zip(rows, cycle(self.lengths), cycle(self.blank_lines), strict=False):
            values = [*(row.cells[column] for column in self.columns), *row.surplus]
            while len(values) > length and len(values) <= len(self.columns) and not values[-1]:
                del values[-1]
            lines += [",".join(self._cell(value, next(quotes)) for value in values), *[""] * blanks]
        return (self.mark + self.newline.join(lines) + self.newline * self.ended).encode()

    def _cell(self, value: str, quoted: bool) -> str:
        if quoted or any(char in value for char in ',"\r\n'):
            return '"' + value.replace('"', '""') + '"'
        return value


HANDS = st.builds(
    Hand,
    columns=st.sampled_from([COLUMNS, (*COLUMNS[3:], *COLUMNS[:3])]),
    newline=st.sampled_from(["\r\n", "\n"]),
    quotes=st.lists(st.booleans(), min_size=1, max_size=3),
    lengths=st.lists(st.sampled_from([10, 10, 9, 4]), min_size=1, max_size=3),
    blank_lines=st.lists(st.sampled_from([0, 0, 1]), min_size=1, max_size=3),
    mark=st.sampled_from(["", "\ufeff"]),
    ended=st.booleans(),
)
TABLES = st.lists(NAMES.flatmap(rows), max_size=6, unique_by=lambda row: row.name)
Edits = dict[str, Row | None]


@st.composite
def edits_of(draw: st.DrawFn, table: Sequence[Row]) -> Edits:
    """Edits, of which some meet a row that is there."""
    names = st.sampled_from([row.name for row in table]) | NAMES if table else NAMES
    return {name: draw(st.none() | rows(name)) for name in draw(st.lists(names, max_size=3))}


@given(TABLES, HANDS)
def test_rows_are_read_as_they_were_written(table: list[Row], hand: Hand) -> None:
    assert read_rows(hand.document(table)) == table


@given(st.text('ab,"\r\n', max_size=20))
def test_cells_are_parted_as_python_parts_them(text: str) -> None:
    document = ",".join(COLUMNS) + "\r\n" + text
    try:
        found = read_rows(document.encode())
    except DocumentError:
        assume(False)  # a quote that is never closed: Python closes it at the end
    expected = list(csv.reader(io.StringIO(document, newline="")))[1:]
    padded = [[*cells, *[""] * (len(COLUMNS) - len(cells))] for cells in expected if cells]
    assert [[*row.cells.values(), *row.surplus] for row in found] == padded


@given(st.data(), TABLES, HANDS)
def test_after_an_edit_the_file_is_exactly_what_was_intended(data: st.DataObject, table: list[Row], hand: Hand) -> None:
    edits = data.draw(edits_of(table))
    after = read_rows(edit_rows(hand.document(table), edits))
    wanted = {row.name: row for row in table} | edits
    assert {row.name: row for row in after} == {name: row for name, row in wanted.items() if row is not None}
    assert len(after) == len({row.name for row in after})
    kept = [row.name for row in table if edits.get(row.name, row) is not None]
    assert [row.name for row in after if row.name in kept] == kept


@given(st.data(), TABLES, HANDS)
def test_an_edit_made_twice_is_made_once(data: st.DataObject, table: list[Row], hand: Hand) -> None:
    edits = data.draw(edits_of(table))
    once = edit_rows(hand.document(table), edits)
    assert edit_rows(once, edits) == once


@given(TABLES, HANDS)
def test_writing_what_is_there_changes_nothing(table: list[Row], hand: Hand) -> None:
    data = hand.document(table)
    assert edit_rows(data, {row.name: row for row in table}) == data


@given(st.data(), TABLES, HANDS)
def test_removing_what_was_added_restores_the_file(data: st.DataObject, table: list[Row], hand: Hand) -> None:
    before = hand.document(table)
    present = {row.name for row in table}
    added = {name: row for name, row in data.draw(edits_of([])).items() if name not in present}
    assert edit_rows(edit_rows(before, added), dict.fromkeys(added)) == before


@given(st.data(), TABLES.filter(bool), HANDS)
def test_only_the_bytes_of_one_changed_cell_change(data: st.DataObject, table: list[Row], hand: Hand) -> None:
    before = hand.document(table)
    place = data.draw(st.integers(0, len(table) - 1))
    column = data.draw(st.sampled_from(COLUMNS[1:]))
    row = table[place]
    text = data.draw(TEXTS)
    changed = Row({**row.cells, column: text}, row.surplus)
    after = edit_rows(before, {row.name: changed})
    head = _shared(before, after)
    tail = _shared(before[head:][::-1], after[head:][::-1])
    blanks = len(COLUMNS)  # a short row may need some to reach the cell
    assert len(before) - head - tail <= 2 + len(_written(row.cells[column]))
    assert len(after) - head - tail <= 2 + len(_written(text)) + blanks


@given(st.data(), TABLES.filter(bool), HANDS)
def test_changing_a_row_of_full_length_and_changing_it_back_restores_the_file(
    data: st.DataObject, table: list[Row], hand: Hand
) -> None:
    full = Hand(hand.columns, hand.newline, hand.quotes, [10], hand.blank_lines, hand.mark, hand.ended)
    plain = Hand(full.columns, full.newline, [data.draw(st.booleans())], [10], full.blank_lines, full.mark, full.ended)
    before = plain.document(table)
    row = data.draw(st.sampled_from(table))
    other = Row({**data.draw(rows(row.name)).cells}, row.surplus)
    changed = edit_rows(before, {row.name: other})
    back = edit_rows(changed, {row.name: row})
    assert read_rows(back) == table
    if plain.quotes == [True] or not any(_needs_quotes(text) for text in other.cells.values()):
        assert back == before


def _shared(one: bytes, other: bytes) -> int:
    """How many bytes the two begin with alike."""
    return next((at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other)))


def _written(text: str) -> bytes:
    return text.replace('"', '""').encode()


def _needs_quotes(text: str) -> bool:
    return any(char in text for char in ',"\r\n')
