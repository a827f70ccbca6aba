"""What refsync costs as a multiple of the floor: run by hand, `python -m tests.benchmarks.ratios [BUNDLE]`.

Each row sets our work against the least that could do it, in turn, in one run; only the ratio means something.
Without a bundle of a real reference repository a made-up one of the same size serves.
"""

from __future__ import annotations

import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from loguru import logger

from refsync.application import Application, open_application
from refsync.categories import MODEL_REFERENCE_CATEGORY
from refsync.config import parse_config
from refsync.documents.json_document import edit_records, read_records
from refsync.pending_queue.models import AuditOperation
from tests.support.repositories import Clone, git

CATEGORY = MODEL_REFERENCE_CATEGORY.image_generation
FILE = "stable_diffusion.json"
ROUNDS = 15


def main() -> None:
    logger.remove()
    with tempfile.TemporaryDirectory() as folder:
        clone = _clone(Path(folder) / "clone")
        config = f'state_directory = "{folder}/state"\n[[repository]]\nname = "image"\npath = "{clone.path}"\n'
        with open_application(parse_config(config, Path(folder) / "refsync.toml", {})) as application:
            _first_fold(application, clone)
            _edit(clone)
            _landing(application, clone)
            _idle_pass(application, clone)
            _cached_read(application, clone)
        _push(clone, Path(folder))


def _clone(path: Path) -> Clone:
    if len(sys.argv) > 1:
        return Clone.of_bundle(Path(sys.argv[1]).absolute(), path)
    files = [f"model_{number}.safetensors" for number in range(4)]
    records = {
        f"model {number}": {"name": f"model {number}", "nsfw": False, "config": {"files": files}, "size": number}
        for number in range(600)
    }
    return Clone.create(path, {FILE: records})


def _first_fold(application: Application, clone: Clone) -> None:
    started = time.perf_counter()
    application.run_pass()
    ours = time.perf_counter() - started
    blobs = git(clone.path, "log", "--first-parent", "--raw", "--no-abbrev", "--format=", "main").splitlines()
    wanted = "\n".join(line.split()[3] for line in blobs if line.startswith(":"))
    started = time.perf_counter()
    contents = [git(clone.path, "cat-file", "blob", blob) for blob in wanted.split()[:50]]
    for content in contents:
        json.loads(content or "{}")
    floor = (time.perf_counter() - started) / max(1, len(contents)) * len(wanted.split())
    _row("first fold of the history", "reading each version by git, and json.loads", ours, floor)


def _edit(clone: Clone) -> None:
    content = clone.read(FILE)
    name, record = next(iter(read_records(content).items()))
    changed = record | {"version": "edited"}
    _compare(
        "editing one record", "json.loads", lambda: edit_records(content, {name: changed}), lambda: json.loads(content)
    )


def _landing(application: Application, clone: Clone) -> None:
    def ours() -> None:
        _approve_one(application)
        application.run_pass()

    def floor() -> None:
        records = clone.records(FILE)
        next(iter(records.values()))["version"] = str(time.perf_counter_ns())
        clone.write(FILE, (json.dumps(records, indent=4) + "\n").encode())
        git(clone.path, "add", FILE)
        git(clone.path, "commit", "-q", "-m", "by hand")
        application.run_pass()

    _compare("submit, approve, land, record", "git add, git commit, record", ours, floor)


def _approve_one(application: Application) -> None:
    name, record = next(iter(application.tips().records(CATEGORY).items()))
    change = application.queue.enqueue_change(
        category=CATEGORY,
        model_name=name,
        operation=AuditOperation.UPDATE,
        payload=record | {"version": str(time.perf_counter_ns())},
        requestor_id="benchmark",
        requestor_username="benchmark",
    )
    application.queue.process_batch(
        approver_id="benchmark",
        approver_username="benchmark",
        batch_title="benchmark",
        approved_ids=[change.change_id],
        rejected_ids=None,
    )


def _idle_pass(application: Application, clone: Clone) -> None:
    _compare(
        "a pass with nothing to do", "git rev-parse", application.run_pass, lambda: git(clone.path, "rev-parse", "main")
    )


def _cached_read(application: Application, clone: Clone) -> None:
    backend = application.backends["image"]
    backend.fetch_category(CATEGORY)
    path = str(clone.path / FILE)
    _compare("a cached read", "os.stat", lambda: backend.fetch_category(CATEGORY), lambda: os.stat(path))


def _push(clone: Clone, folder: Path) -> None:
    """From the approval to the commit on a bare remote and in the clone; and a pass that finds nothing to push."""
    git(folder, "clone", "-q", "--bare", str(clone.path), str(folder / "remote.git"))
    git(clone.path, "remote", "remove", "origin", check=False)
    git(clone.path, "remote", "add", "origin", str(folder / "remote.git"))
    config = (
        f'state_directory = "{folder}/pushing"\n'
        f'[[repository]]\nname = "image"\npath = "{clone.path}"\npublish = "push"\n'
    )
    with open_application(parse_config(config, folder / "refsync.toml", {})) as application:
        application.run_pass()
        _compare(
            "approved to landed by a push",
            "git commit, git push",
            application.run_pass,
            lambda: (
                git(clone.path, "commit", "-q", "-m", "by hand", FILE),
                git(clone.path, "push", "-q", "origin", "main"),
            ),
            before_ours=lambda: _approve_one(application),
            before_floor=lambda: _edit_by_hand(application, clone),
        )
        _compare(
            "a pass with nothing to push",
            "git fetch",
            application.run_pass,
            lambda: git(clone.path, "fetch", "-q", "origin", "main"),
        )


def _edit_by_hand(application: Application, clone: Clone) -> None:
    application.run_pass()
    records = clone.records(FILE)
    next(iter(records.values()))["version"] = str(time.perf_counter_ns())
    clone.write(FILE, (json.dumps(records, indent=4) + "\n").encode())


def _compare(
    what: str,
    floor_name: str,
    ours: Callable[[], object],
    floor: Callable[[], object],
    *,
    before_ours: Callable[[], object] = lambda: None,
    before_floor: Callable[[], object] = lambda: None,
) -> None:
    pairs = [(_seconds(ours, before_ours), _seconds(floor, before_floor)) for _ in range(ROUNDS)]
    _row(what, floor_name, *(statistics.median(times) for times in zip(*pairs, strict=True)))


def _seconds(action: Callable[[], object], before: Callable[[], object]) -> float:
    before()
    started = time.perf_counter()
    action()
    return time.perf_counter() - started


def _row(what: str, floor_name: str, ours: float, floor: float) -> None:
    print(f"{what:<32} {ours * 1000:9.2f} ms  {ours / floor:7.2f} x  {floor_name} ({floor * 1000:.2f} ms)")


if __name__ == "__main__":
    main()
