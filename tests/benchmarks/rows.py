"""The rows of the report by their names, in its order."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from fnmatch import fnmatchcase

from tests.benchmarks import folding, growing, landing, processes, queueing, reading, server
from tests.benchmarks.ground import Bench
from tests.benchmarks.measuring import Figure

Row = Callable[[Bench], Iterator[Figure]]

ROWS: dict[str, Row] = {
    "landing": landing.image,
    "landing-generated": landing.generated,
    "landing-text": landing.text,
    "push": landing.push,
    "idle": landing.idle,
    "daemon": landing.daemon,
    "news": reading.news,
    "cached-read": reading.cached,
    "cold-read": reading.cold,
    "submit": queueing.submit,
    "import": queueing.imports,
    "page": queueing.pages,
    "postgresql": server.beside_sqlite,
    "fold": folding.folds,
    "commands": processes.commands,
    "daemon-at-rest": processes.at_rest,
    "growth-category": growing.category,
    "growth-files": growing.files,
    "growth-history": folding.growth,
    "growth-queue": queueing.page_growth,
    "growth-repositories": growing.repositories,
    "growth-threads": reading.threads,
}


def chosen(names: list[str]) -> dict[str, Row]:
    """The rows of these names, which may be patterns such as ``growth-*``; all without any.

    Raises:
        ValueError: a name that no row has.
    """
    for name in names:
        if not any(fnmatchcase(row, name) for row in ROWS):
            raise ValueError(f"no row is called {name!r}; there are: {', '.join(ROWS)}")
    return {row: run for row, run in ROWS.items() if not names or any(fnmatchcase(row, name) for name in names)}
