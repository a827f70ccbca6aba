"""One submitter, a process of its own: ``python -m tests.load.submitting CONFIG NUMBER CHANGES TOGETHER WAKE...``.

It submits changes of all categories in turn, so many together, approves them and wakes the daemons. Where the queue is
too busy it tries again, as the refusal says. It prints for each change when it was approved, in Unix seconds, and how
often the queue was too busy.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TypeVar

from loguru import logger

from refsync.application import open_application
from refsync.config import load_config
from refsync.errors import StoreBusyError
from refsync.pending_queue.models import AuditOperation, Submission
from refsync.state_directory import prepare
from tests.load.ground import category

Result = TypeVar("Result")


def main(config_file: Path, number: int, changes: int, together: int, states: Sequence[Path]) -> None:
    """Submit and approve; print the moments by change id, as JSON."""
    logger.remove()
    config = load_config(config_file, {})
    woken = [prepare(state) for state in states]
    approved: dict[int, float] = {}
    busy: list[StoreBusyError] = []
    me = f"submitter {number}"
    with open_application(config, wakes_daemon=False) as application:
        for start in range(0, changes, together):
            wanted = range(start, min(start + together, changes))
            repository = (number + start // together) % len(config.repositories)
            asked = [
                Submission(
                    config.catalogue.parse(category(repository)), f"{me}, {n}", AuditOperation.CREATE, {"n": n}, me, me
                )
                for n in wanted
            ]
            submit = partial(application.queue.enqueue_many, asked)
            ids = [each.change_id for each in _until_it_is_done(submit, busy)]
            approve = partial(
                application.queue.process_batch,
                approver_id="bob",
                approver_username="Bob",
                batch_title="Load",
                approved_ids=ids,
                rejected_ids=None,
            )
            _until_it_is_done(approve, busy)
            approved |= dict.fromkeys(ids, time.time())
            for state in woken:
                state.wake()
    print(json.dumps([approved, len(busy)]))


def _until_it_is_done(work: Callable[[], Result], busy: list[StoreBusyError]) -> Result:
    while True:
        try:
            return work()
        except StoreBusyError as refusal:
            busy.append(refusal)


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), [*map(Path, sys.argv[5:])])
