"""One table: it fits the terminal, is plain text elsewhere, and is drawn by rich only where there is a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

import typer

from refsync.cli.output import console, is_surely_no_terminal

if TYPE_CHECKING:
    from rich.console import Console

_LEAST_FOLD = 16  # a column that is folded narrower is hard to read

Styles = Mapping[str, Mapping[str, str]]
"""How cells look on a terminal, by the column's heading and the cell's text."""
_Columns = Sequence[tuple[str, Sequence[str]]]


def print_table(headings: Sequence[str], rows: Iterable[Sequence[str]], *, styles: Styles | None = None) -> None:
    """Print a plain table; where the terminal is too narrow for one, each row as a paragraph of its own.

    Columns that hold nothing but ``-`` are left out, and so is a table without rows; numbers stand to the right; long
    cells are folded, never cut.
    """
    if not (rows := list(rows)):
        return
    columns = [
        (heading, cells)
        for heading, cells in zip(headings, zip(*rows, strict=True), strict=True)
        if any(cell != "-" for cell in cells)
    ]
    if is_surely_no_terminal() or not (out := console()).is_terminal:
        _print_plain(columns)
    else:
        _print_on(out, columns, styles or {})


def _print_plain(columns: _Columns) -> None:
    """Where nothing has to fit: without what makes it slow."""
    from rich.cells import cell_len

    padded = []
    for heading, cells in columns:
        words = [heading, *cells]
        to_the_right, widths = all(word.isdecimal() for word in words[1:]), [*map(cell_len, words)]
        gaps = [" " * (max(widths) - width) for width in widths]
        padded.append([gap + word if to_the_right else word + gap for word, gap in zip(words, gaps, strict=True)])
    typer.echo("\n".join("  ".join(row).rstrip() for row in zip(*padded, strict=True)))


def _print_on(out: Console, columns: _Columns, styles: Styles) -> None:
    from rich.cells import cell_len
    from rich.table import Table
    from rich.text import Text

    least = [min(_LEAST_FOLD, max(map(cell_len, (heading, *cells)))) for heading, cells in columns]
    if sum(least) + 2 * len(least) > out.width:
        _print_paragraphs(out, columns, styles)
        return
    made = Table(box=None, pad_edge=False, header_style="bold")
    for (heading, cells), width in zip(columns, least, strict=True):
        numbers = all(cell.isdecimal() for cell in cells)
        made.add_column(heading, overflow="fold", min_width=width, justify="right" if numbers else "left")
    styled = [[Text(cell, style=styles.get(heading, {}).get(cell, "")) for cell in cells] for heading, cells in columns]
    for row in zip(*styled, strict=True):
        made.add_row(*row)
    with out.capture() as captured:
        out.print(made)
    for line in captured.get().splitlines():
        typer.echo(line.rstrip(), color=out.is_terminal)


def _print_paragraphs(out: Console, columns: _Columns, styles: Styles) -> None:
    """``heading value`` after ``heading value``, wrapped and indented from the second line on."""
    from rich.text import Text

    headings = [heading for heading, _ in columns]
    for row in zip(*(cells for _, cells in columns), strict=True):
        told = [
            Text.assemble((heading, "bold"), " ", (cell, styles.get(heading, {}).get(cell, "")))
            for heading, cell in zip(headings, row, strict=True)
            if cell != "-"
        ]
        for number, line in enumerate(Text("  ").join(told).wrap(out, out.width - 2)):
            out.print(Text("  " if number else "") + line)
