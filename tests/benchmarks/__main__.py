"""What refsync costs beside the least that any program must do: ``python -m tests.benchmarks``.

Each figure and its floor are measured in turn, in one run: only their ratio means something, on any machine.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

from loguru import logger

from tests.benchmarks.chart import as_svg
from tests.benchmarks.ground import Bench
from tests.benchmarks.machine import describe
from tests.benchmarks.measuring import Figure
from tests.benchmarks.report import as_json, as_line, as_markdown
from tests.benchmarks.rows import ROWS, chosen


def main(arguments: Sequence[str]) -> int:
    """Run the rows asked for, and write the report."""
    asked = _parser().parse_args(arguments)
    try:
        rows = chosen(asked.row)
    except ValueError as mistake:
        print(f"benchmarks: {mistake}", file=sys.stderr)
        return 1
    logger.remove()
    figures: list[Figure] = []
    with TemporaryDirectory(prefix="refsync-benchmarks-") as folder:
        bench = Bench(Path(folder), quick=asked.quick)
        for run in rows.values():
            for figure in run(bench):
                figures.append(figure)
                print(as_line(figure), flush=True)
    _write(asked.output, figures)
    return 0


def _write(folder: Path, figures: Sequence[Figure]) -> None:
    machine = describe()
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "benchmarks.md").write_text(as_markdown(figures, machine))
    (folder / "benchmarks.json").write_text(json.dumps(as_json(figures, machine), indent=2) + "\n")
    (folder / "benchmarks.svg").write_text(as_svg(figures))
    print(f"the report is in {folder}: benchmarks.md, benchmarks.json and benchmarks.svg")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument(
        "row", nargs="*", help=f"rows to measure, or patterns of their names; all of: {', '.join(ROWS)}"
    )
    parser.add_argument("--quick", action="store_true", help="small sizes and few rounds: to see that it runs")
    parser.add_argument("--output", type=Path, default=Path("build"), help="folder of the report (default: build)")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
