"""Read ``models.csv``, and edit single rows in it without touching another byte."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

from refsync.documents.encoding import decode
from refsync.documents.model_places import Place, Standing, with_new
from refsync.errors import DocumentError

COLUMNS = (
    "name",
    "parameters_bn",
    "display_name",
    "url",
    "baseline",
    "description",
    "style",
    "tags",
    "instruct_format",
    "settings",
)

_CELL = re.compile(r'(?:(?P<quoted>"(?:[^"]++|"")*+)(?P<closing>"?))?(?P<plain>[^,\r\n]*)')
_BREAK = re.compile(r"\r\n|\r|\n")
_NEEDS_QUOTES = re.compile(r'[,"\r\n]')
_FORMULA = re.compile(r"[=@\t\r\n]|[+-](?!\d+(?:\.\d+)?\Z)")
"""What a spreadsheet takes for a formula begins so (OWASP, "CSV injection"); a number with a sign is none."""


@dataclass(frozen=True)
class Row:
    """One model's row.

    ``cells`` has every column, blank where the row is shorter; ``surplus`` what stands behind the last column; ``line``
    is where the row starts in its file, 0 for a new one.
    """

    cells: Mapping[str, str]
    surplus: tuple[str, ...] = ()
    line: int = field(default=0, compare=False)

    @property
    def name(self) -> str:
        """The model's base name."""
        return self.cells["name"]

    def formulas(self) -> dict[str, str]:
        """Column to cell of those that a spreadsheet would run when a person opens the table in one."""
        behind = {f"column {place}": text for place, text in enumerate(self.surplus, start=len(self.cells) + 1)}
        return {column: text for column, text in {**self.cells, **behind}.items() if _FORMULA.match(text)}


@dataclass(frozen=True)
class _Line:
    """A row as it stands in the text: its cells with their quotes, and its line end."""

    cells: tuple[str, ...]
    end: str
    number: int

    @property
    def blank(self) -> bool:
        return self.cells == ("",)

    @cached_property
    def values(self) -> tuple[str, ...]:
        """What the cells mean."""
        return tuple(map(_value, self.cells))


@dataclass(frozen=True)
class Table:
    """A file as it can be edited."""

    columns: Sequence[str]
    _mark: str
    _header: _Line
    _lines: Sequence[_Line]

    @cached_property
    def rows(self) -> list[Row]:
        """The rows in the file's order, each name as often as it is there; empty lines are no rows."""
        return [_row(self.columns, line) for line in self._lines if not line.blank]

    @property
    def content(self) -> bytes:
        """The whole file."""
        return (self._mark + "".join(",".join(line.cells) + line.end for line in (self._header, *self._lines))).encode()

    def edited(
        self,
        edits: Mapping[str, Row | None],
        *,
        places: Mapping[str, Place] | None = None,
        renames: Mapping[str, str] | None = None,
    ) -> Table:
        """The file with some of its rows written or removed, and every other byte as it was.

        In a row that is there only the cells that change are written, in quotes if they were or must be; a ragged row
        keeps its shape as far as its cells allow. Of a name that is there twice the last row counts and is written;
        removing the model removes all of them. New rows go to their place by name, see ``place_by_name``.

        Args:
            edits: base name to the row to write, or to ``None`` to remove the model. Removing a model that is not there
                changes nothing.
            places: new name to where it is asked to stand; a place next to a name that is not there counts as none.
            renames: base name to the new one, under which ``edits`` may have a row; it keeps its place.

        Returns:
            It; its rows know the lines that they had before.

        Raises:
            ValueError: a row has another name than the one it is given for.
        """
        for name, row in edits.items():
            if row is not None and row.name != name:
                raise ValueError(f"the row for {name!r} has the name {row.name!r}")
        lines = [self._header, *_edited(self.columns, self._lines, edits, places or {}, renames or {})]
        is_unended = not [self._header, *self._lines][-1].end
        header, *lines = _ended(lines, self._header.end or "\r\n", is_unended)
        return Table(self.columns, self._mark, header, lines)


def read_table(data: bytes) -> Table:
    """The file.

    Raises:
        DocumentError: no UTF-8, a quote that is never closed, or a header that doesn't name each column once; with the
            line and column.
    """
    mark, text = decode(data)
    header, *lines = _scan(text)
    return Table(_columns(header), mark, header, lines)


def _scan(text: str) -> list[_Line]:
    """The lines of the text, cells parted as Python's csv module does; at least one, for the header."""
    return list(_lines(text)) or [_Line(("",), "", 1)]


def _lines(text: str) -> Iterator[_Line]:
    at, number = 0, 1
    while at < len(text):
        start, end = at, _BREAK.search(text, at)
        stop = end.start() if end else len(text)
        if text.find('"', at, stop) < 0:
            cells = text[at:stop].split(",")
        else:
            cells, stop = _cells(text, at)
            end = _BREAK.match(text, stop)
        yield _Line(tuple(cells), end.group() if end else "", number)
        at = end.end() if end else stop
        number += len(_BREAK.findall(text, start, at))


def _cells(text: str, at: int) -> tuple[list[str], int]:
    """The cells of a line in which there are quotes, and where it ends."""
    cells: list[str] = []
    while not cells or text.startswith(",", at):
        at += bool(cells)
        match = _match(text, at)
        if match["quoted"] and not match["closing"]:
            raise _unclosed(text, at)
        cells.append(match.group())
        at = match.end()
    return cells, at


def _unclosed(text: str, at: int) -> DocumentError:
    breaks = list(_BREAK.finditer(text, 0, at))
    column = at - (breaks[-1].end() if breaks else 0) + 1
    return DocumentError("a quote is never closed", line=len(breaks) + 1, column=column)


def _match(text: str, at: int = 0) -> re.Match[str]:
    match = _CELL.match(text, at)
    assert match is not None  # it matches nothing at all, too
    return match


def _value(cell: str) -> str:
    """What a cell means; behind a closing quote all is taken as it stands."""
    if not cell.startswith('"'):
        return cell
    match = _match(cell)
    return (match["quoted"] or '"')[1:].replace('""', '"') + match["plain"]


def _columns(header: _Line) -> list[str]:
    columns = list(header.values)
    if "name" not in columns:
        raise DocumentError(f"no header; the first line has to be {','.join(COLUMNS)}", line=1)
    for place, column in enumerate(columns):
        if column not in COLUMNS or column in columns[:place]:
            start = sum(len(cell) + 1 for cell in header.cells[:place]) + 1
            what = "is there twice" if column in COLUMNS else "is not known"
            raise DocumentError(f"the column {column!r} {what}", line=1, column=start)
    for column in COLUMNS:
        if column not in columns:
            raise DocumentError(f"the column {column!r} is missing", line=1)
    return columns


def _row(columns: Sequence[str], line: _Line) -> Row:
    padded = (*line.values, *[""] * (len(columns) - len(line.values)))
    return Row(dict(zip(columns, padded, strict=False)), line.values[len(columns) :], line.number)


def _edited(
    columns: Sequence[str],
    lines: Sequence[_Line],
    edits: Mapping[str, Row | None],
    places: Mapping[str, Place],
    renames: Mapping[str, str],
) -> list[_Line]:
    """The lines below the header after the edits."""
    column = columns.index("name")
    lines = [_named_anew(line, column, renames) for line in lines] if renames else lines
    names = [None if line.blank else "".join(line.values[column : column + 1]) for line in lines]
    last = {name: place for place, name in enumerate(names)}
    standing = [Standing(name or "", place, name is not None) for place, name in enumerate(names)]
    new = [name for name, row in edits.items() if row is not None and name not in last]
    edited: list[_Line] = []
    for name, place, is_row in with_new(standing, new, (), places):
        row = edits.get(name) if is_row else None
        if place is None and row is not None:
            edited.append(_new_line(columns, row))
        elif place is not None and row is not None:
            edited.append(_rewritten(columns, lines[place], row) if place == last[name] else lines[place])
        elif place is not None and not (is_row and name in edits):
            edited.append(lines[place])
    return edited


def _named_anew(line: _Line, place: int, renames: Mapping[str, str]) -> _Line:
    if line.blank or place >= len(line.cells) or (name := renames.get(line.values[place])) is None:
        return line
    cells = list(line.cells)
    cells[place] = _written(name, cells[place])
    return replace(line, cells=tuple(cells))


def _rewritten(columns: Sequence[str], line: _Line, row: Row) -> _Line:
    wanted = [*(row.cells[column] for column in columns), *row.surplus]
    while len(line.cells) < len(wanted) <= len(columns) and not wanted[-1]:
        del wanted[-1]  # a row that was too short stays so
    present = [*line.cells, *[""] * (len(wanted) - len(line.cells))]
    return replace(line, cells=tuple(_written(value, cell) for value, cell in zip(wanted, present, strict=False)))


def _new_line(columns: Sequence[str], row: Row) -> _Line:
    values = [*(row.cells[column] for column in columns), *row.surplus]
    return _Line(tuple(_written(value, "") for value in values), "", 0)


def _written(value: str, cell: str) -> str:
    """The text of a cell that shall have this value, as far as possible as it is."""
    if _value(cell) == value:
        return cell
    quoted = cell.startswith('"') or _NEEDS_QUOTES.search(value)
    return '"' + value.replace('"', '""') + '"' if quoted else value


def _ended(lines: Sequence[_Line], newline: str, is_unended: bool) -> Iterator[_Line]:
    """The lines, all ended but, where the file is kept so, the last one."""
    for place, line in enumerate(lines):
        end = "" if is_unended and place + 1 == len(lines) else line.end or newline
        yield line if line.end == end else replace(line, end=end)
