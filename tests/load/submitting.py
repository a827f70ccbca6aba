"""One submitter, a process of its own: ``python -m tests.load.submitting CONFIG NUMBER CHANGES TOGETHER WAKE...``.

It submits changes of all categories in turn, so many together, approves them, wakes the daemons, and prints for each
change when it was approved, in Unix seconds.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from loguru import logger

from refsync.application import open_application
from refsync.config import load_config
from refsync.pending_queue.models import AuditOperation, Submission
from refsync.state_directory import prepare
from tests.load.ground import category


def main(config_file: Path, number: int, changes: int, together: int, states: Sequence[Path]) -> None:
    """Submit and approve; print the moments by change id, as JSON."""
    logger.remove()
    config = load_config(config_file, {})
    woken = [prepare(state) for state in states]
    approved: dict[int, float] = {}
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
            ids = [each.change_id for each in application.queue.enqueue_many(asked)]
            application.queue.process_batch(
                approver_id="bob", approver_username="Bob", batch_title="Load", approved_ids=ids, rejected_ids=None
            )
            approved |= dict.fromkeys(ids, time.time())
            for state in woken:
                state.wake()
    print(json.dumps(approved))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]), [*map(Path, sys.argv[5:])])
