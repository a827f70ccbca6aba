"""What grows with the reference: the file, and the number of repositories."""

from __future__ import annotations

from collections.abc import Iterator

from refsync.application import open_application
from refsync.categories import MODEL_REFERENCE_CATEGORY, CategoryName
from refsync.config import parse_config
from tests.benchmarks.ground import IMAGE_FILE, Bench, config_table, generated_clone, generated_records, site
from tests.benchmarks.landing import FLOOR, ByHand, landing
from tests.benchmarks.measuring import Figure
from tests.support.repositories import Clone

_MANY = """
[[category]]
name = "many"
files = "models/*.json"
"""


def category(bench: Bench) -> Iterator[Figure]:
    """One update of a file of ever more models."""
    for size in bench.sizes(100, 500, 1_000, 5_000):
        with bench.room() as room:
            clone = generated_clone(room / "clone", size)
            with site(room, clone) as ours:
                floor = ByHand(room, clone, IMAGE_FILE, ours)
                times = landing(bench, ours, floor, 1)
                floor.store.close()
        work, series = f"1 update of a file of {size:,} models", "category: one update landed"
        yield Figure("growth-category", work, *times, FLOOR, series=series, size=size)


def files(bench: Bench) -> Iterator[Figure]:
    """One update in a category of ever more files, one for each model."""
    for size in bench.sizes(10, 100, 500, 2_000):
        with bench.room() as room:
            records = generated_records(size)
            clone = Clone.create(room / "clone", {_file(name): {"record": record} for name, record in records.items()})
            with site(room, clone, CategoryName("many"), more=_MANY) as ours:
                floor = ByHand(room, clone, _file(next(iter(records))), ours)
                times = landing(bench, ours, floor, 1)
                floor.store.close()
        work, series = f"1 update in a category of {size:,} files", "files of a category: one update landed"
        yield Figure("growth-files", work, *times, FLOOR, series=series, size=size)


def _file(name: str) -> str:
    return f"models/{name}.json"


def repositories(bench: Bench) -> Iterator[Figure]:
    """A pass with nothing to do over ever more repositories; each holds a category of its own, so there are no more."""
    held = list(MODEL_REFERENCE_CATEGORY)
    for size in bench.sizes(1, 4, 8, len(held)):
        with bench.room() as room:
            config = f'state_directory = "{room}/state"\n'
            for number in range(size):
                files = {f"{each}.json": generated_records(20) for each in held[number::size]}
                clone = Clone.create(room / f"r{number}", files)
                config += config_table(clone.path.name, clone) + 'layout = "primary"\n[repository.categories]\n'
                config += "".join(f'{each} = "{each}.json"\n' for each in held[number::size])
            with open_application(parse_config(config, room / "refsync.toml", {})) as application:
                application.run_pass()
                times = bench.alone(application.run_pass)
        work, series = f"a pass over {size} repositories, nothing to do", "repositories: a pass with nothing to do"
        yield Figure("growth-repositories", work, times, series=series, size=size)
