"""Processes that submit to a queue, and that read a reference, all at once; each is started as a program of its own."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from refsync import GitBackend
from refsync.application import open_application
from refsync.categories import CanonicalFormat
from refsync.config import load_config
from refsync.pending_queue.models import AuditOperation, Submission
from tests.support.daemon import IMAGE, IMAGE_FILE, record
from tests.support.repositories import clean_environment

LONGEST_SUBMISSION = 100


def start(function: str, *arguments: str | int | Path) -> subprocess.Popen[str]:
    """Run a function of this module in a process of its own."""
    words = json.dumps([str(argument) for argument in arguments])
    program = f"import json; from tests.support import load; load.{function}(*json.loads({words!r}))"
    return subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=Path(__file__).parents[2],
        env=clean_environment(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )


def ended(processes: Sequence[subprocess.Popen[str]]) -> list[str]:
    """What each of them said, once all have ended well."""
    said = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0] * len(processes)
    return said


def submit_and_approve(config: str, who: str, first: str, count: str, title: str) -> None:
    """Submit updates of that many models from the first on, some at a time, and approve all of them as one batch."""
    names = [model_name(number) for number in range(int(first), int(first) + int(count))]
    with open_application(load_config(Path(config), {})) as application:
        ids: list[int] = []
        for begin in range(0, len(names), LONGEST_SUBMISSION):
            asked = [
                Submission(IMAGE, name, AuditOperation.UPDATE, record(name, by=title), who, who)
                for name in names[begin : begin + LONGEST_SUBMISSION]
            ]
            ids += [each.change_id for each in application.queue.enqueue_many(asked)]
        application.queue.process_batch(
            approver_id="bob", approver_username="Bob", batch_title=title, approved_ids=ids, rejected_ids=None
        )


def read_until(clone: str, stop: str, models: str) -> None:
    """Read the category until a file appears; say how often, and how often it was not whole."""
    legacy = CanonicalFormat.legacy
    backend = GitBackend(Path(clone), {IMAGE: {legacy: IMAGE_FILE}}, canonical_format=legacy)
    reads = broken = 0
    while not Path(stop).exists():
        found = backend.fetch_category(IMAGE)
        reads += 1
        broken += found is None or len(found) != int(models)
        time.sleep(0.001)  # else they leave the others no processor
    print(json.dumps([reads, broken]))


def model_name(number: int) -> str:
    return f"model {number}"
