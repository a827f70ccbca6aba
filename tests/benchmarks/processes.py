"""Whole processes: how long a command takes to start, and what the daemon needs when nothing happens."""

from __future__ import annotations

import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from tests.benchmarks.ground import IMAGE, Bench, config_text, image_clone, site
from tests.benchmarks.measuring import Figure, Times, in_turn
from tests.support.daemon import Site as DaemonSite
from tests.support.repositories import clean_environment

_GOALS: dict[str, float] = {"--help": 0.1, "queue list": 0.3, "status": 0.3, "sync": 0.35, "model show": 0.3}
_AT_REST_SECONDS = 10.0


def commands(bench: Bench) -> Iterator[Figure]:
    """Each over an interpreter that does nothing."""
    with bench.room() as room:
        clone = image_clone(room / "clone")
        with site(room, clone) as ours:
            model = ours.models[0]
        config = room / "refsync.toml"
        config.write_text(config_text(room, {"reference": clone}))
        asked = {name: name.split() for name in _GOALS} | {"model show": ["model", "show", IMAGE.value, "--", model]}
        works = [_command(room, "-m", "refsync.cli.main", "--config", str(config), *words) for words in asked.values()]
        works = [_command(room, "-c", "pass"), *works]
        nothing, *times = in_turn(works, [None] * len(works), rounds=bench.rounds(9))
    for (name, goal), took in zip(_GOALS.items(), times, strict=True):
        yield Figure("commands", f"refsync {name}, over python -c pass", took.less(nothing), goal=goal)


def _command(folder: Path, *words: str) -> Callable[[], object]:
    """An installed package has its bytecode, whatever the environment says of writing it."""
    environment = clean_environment() | {"PYTHONPYCACHEPREFIX": str(folder / "bytecode")}
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def run() -> None:
        subprocess.run([sys.executable, *words], cwd=folder, env=environment, check=True, capture_output=True)

    return run


def at_rest(bench: Bench) -> Iterator[Figure]:
    """The daemon, left alone."""
    with bench.room() as room:
        clone = image_clone(room / "image")
        served = DaemonSite(room)
        served.config_file.write_text(config_text(room, {"reference": clone}) + '[log]\nlevel = "DEBUG"\n')
        with served.daemon() as daemon:
            daemon.wait_until_idle(1.0)
            process = psutil.Process(daemon.pid)
            before = sum(process.cpu_times()[:2])
            seconds = 1.0 if bench.quick else _AT_REST_SECONDS
            time.sleep(seconds)
            used = sum(process.cpu_times()[:2]) - before
            memory, children = process.memory_info().rss / 1e6, len(process.children())
    note = f"{used / seconds:.1%} CPU, {memory:.0f} MB, {children} children"
    yield Figure("daemon-at-rest", f"the daemon at rest, for {seconds:g} s", Times(used, used, 1), note=note)
