"""The history: folded from the root, and followed by one commit."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

from refsync.application import open_application
from refsync.categories import MODEL_REFERENCE_CATEGORY, SPECIFIED
from refsync.config import parse_config
from tests.benchmarks.ground import (
    IMAGE_FILE,
    TEXT_CONFIG,
    Bench,
    config_text,
    generated_clone,
    image_clone,
    site,
    text_clone,
)
from tests.benchmarks.measuring import Figure
from tests.support.bundles import git_output
from tests.support.repositories import Clone, dump
from tests.support.text_files import DOCUMENT

_FOLD = """
import sys
from pathlib import Path
from refsync.application import open_application
from refsync.config import load_config
with open_application(load_config(Path(sys.argv[1]), {})) as application:
    application.run_pass()
[peak] = [line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM:")]
print(peak)
"""


def folds(bench: Bench) -> Iterator[Figure]:
    """The real histories, from nothing."""
    for name, make, files, more in (
        ("image", image_clone, None, ""),
        ("text", text_clone, (DOCUMENT,), TEXT_CONFIG),
    ):
        with bench.room() as room:
            clone = make(room / "clone")
            yield _fold(bench, "fold", f"fold of the {name} history", room, clone, files=files, more=more)


def growth(bench: Bench) -> Iterator[Figure]:
    """Ever longer histories: from nothing, and one commit more."""
    for size in bench.sizes(100, 1_000, 5_000, 20_000):
        with bench.room() as room:
            clone = generated_clone(room / "clone", 5, size)
            work = f"fold of {size:,} commits"
            yield _fold(bench, "growth-history", work, room, clone, series="history: fold from nothing", size=size)
            yield _one_more(bench, room, clone, size)


def _one_more(bench: Bench, room: Path, clone: Clone, size: int) -> Figure:
    with site(room, clone) as ours:
        numbers = iter(range(1_000))

        def commit() -> None:
            records = clone.records(IMAGE_FILE)
            records["Model 0"]["version"] = f"by hand {next(numbers)}"
            clone.commit({IMAGE_FILE: dump(records)})

        times = bench.alone(ours.application.run_pass, before=commit, rounds=7)
    work, series = f"a person's commit on top of {size:,}", "history: one commit more"
    return Figure("growth-history", work, times, series=series, size=size)


def _fold(
    bench: Bench,
    row: str,
    work: str,
    room: Path,
    clone: Clone,
    *,
    files: tuple[str, ...] | None = None,
    more: str = "",
    series: str = "",
    size: int | None = None,
) -> Figure:
    folders = (room / f"fold {number}" for number in range(1_000))
    application = None

    def fresh() -> None:
        nonlocal application
        folder = next(folders)
        folder.mkdir()
        config = config_text(folder, {"reference": clone}, more)
        application = open_application(parse_config(config, folder / "refsync.toml", {}))

    def ours() -> None:
        assert application is not None
        application.run_pass()
        application.close()

    followed = files or tuple(_followed(clone))
    times = bench.beside(ours, lambda: _by_hand(clone.path, followed), before=fresh, rounds=5, warm=False)
    peak = _peak_megabytes(room, clone, more)
    floor = "git log --raw, cat-file --batch, json, compare"
    return Figure(row, work, *times, floor, 1.3, note=f"{peak:.0f} MB at its peak", series=series, size=size)


def _followed(clone: Clone) -> Iterator[str]:
    from refsync.categories import Layout

    for category in MODEL_REFERENCE_CATEGORY:
        yield from SPECIFIED[category].files(Layout.upstream).values()


def _by_hand(clone: Path, files: tuple[str, ...]) -> int:
    """Every version of the files along the first parents, each compared with the one before; the models that differ."""
    raw = git_output(
        clone, "log", "--first-parent", "-m", "--raw", "--no-abbrev", "-z", "--format=", "--reverse", "main"
    )
    fields = raw.split(b"\0")
    versions = [
        (path, entry.split()[3])
        for entry, path in zip(fields[::2], fields[1::2], strict=False)
        if path.decode() in files and not entry.split()[3].startswith(b"0" * 40)
    ]
    before: dict[bytes, dict[str, object]] = {}
    differences = 0
    for (path, _), content in zip(versions, _contents(clone, [blob for _, blob in versions]), strict=True):
        try:
            now = json.loads(content)
        except ValueError:
            continue
        if not isinstance(now, dict):
            continue
        old = before.get(path, {})
        differences += sum(old.get(name) != record for name, record in now.items()) + len(old.keys() - now.keys())
        before[path] = now
    return differences


def _contents(clone: Path, blobs: list[bytes]) -> Iterator[bytes]:
    """The blobs one after the other, by one stream that is never held whole."""
    with subprocess.Popen(
        ["git", "-C", str(clone), "cat-file", "--batch"], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as stream:
        assert stream.stdin is not None
        assert stream.stdout is not None
        for blob in blobs:
            stream.stdin.write(blob + b"\n")
            stream.stdin.flush()
            size = int(stream.stdout.readline().rsplit(b" ", 1)[1])
            yield stream.stdout.read(size)
            stream.stdout.read(1)


def _peak_megabytes(room: Path, clone: Clone, more: str) -> float:
    """The most memory that a process needs for a fold from nothing."""
    folder = room / "peak"
    folder.mkdir()
    config = folder / "refsync.toml"
    config.write_text(config_text(folder, {"reference": clone}, more))
    # Asked in the process itself: what wait4 tells of a child has the memory of the parent that it was forked from.
    words = [sys.executable, "-c", _FOLD, str(config)]
    return int(subprocess.run(words, capture_output=True, check=True).stdout) / 1024
