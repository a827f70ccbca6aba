"""Many submitters and several daemons on one PostgreSQL: ``python -m tests.load``; ``--help`` says at which scale."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import quantiles

import psutil
import pytest
from loguru import logger

from refsync.application import Application
from refsync.clone.commits import parse_message
from refsync.clone.repository import Repository
from refsync.pending_queue.models import PendingChangeStatus, PendingQueueFilter
from tests.load.ground import Ground, category, prepare
from tests.support import postgresql
from tests.support.daemon import Daemon
from tests.support.repositories import clean_environment, git

_OPEN = {PendingChangeStatus.APPROVED, PendingChangeStatus.APPLYING}


def main(arguments: Sequence[str]) -> int:
    """Run it, print the table; 1 where a change was lost or doubled, or a counter is wrong."""
    asked = _parser().parse_args(arguments)
    logger.remove()
    with tempfile.TemporaryDirectory(prefix="refsync-load-", dir=asked.folder) as folder:
        try:
            url = asked.url or postgresql.server().new_database()
        except pytest.skip.Exception as missing:
            print(f"load: {missing}", file=sys.stderr)
            return 1
        try:
            ground = prepare(Path(folder), url, repositories=asked.repositories, daemons=asked.daemons)
            return _run(ground, asked)
        finally:
            postgresql.end_server()


def _run(ground: Ground, asked: argparse.Namespace) -> int:
    daemons = ground.start()
    began = time.time()
    try:
        approved, busy = _submit(ground, asked)
        submitted = time.time()
        with ground.desk.application() as application:
            _await_landing(application)
            landed = _landed(application)
    finally:
        shares = [len(daemon.lines(": landed as ")) for daemon in daemons]
        lost = [len(daemon.lines("others go on without it")) for daemon in daemons]
        worked = sum(_processor_seconds(daemon) for daemon in daemons)
        _end(daemons)
    waits = sorted(landed[change] - moment for change, moment in approved.items() if change in landed)
    faults = [*_faults(ground, approved)]
    centiles = quantiles(waits, n=100)
    rows = {
        "changes, repositories, daemons, submitters, approved together": (
            f"{len(approved)}, {asked.repositories}, {asked.daemons}, {asked.submitters}, {asked.together}"
        ),
        "submitted and approved": f"{len(approved) / (submitted - began):.0f}/s",
        "asked to try again, for the queue was busy for 10 s": str(busy),
        "landed": f"{len(landed) / (max(landed.values()) - began):.0f}/s",
        "approval to landed": f"p50 {centiles[49]:.2f} s, p99 {centiles[98]:.2f} s, at most {waits[-1]:.2f} s",
        "batches landed by each daemon": ", ".join(map(str, shares)),
        "processor time of the daemons, with git's": f"{worked:.1f} s, {1000 * worked / len(approved):.1f} ms a change",
        "leases lost": str(sum(lost)),
        "lost, doubled or counted wrong": "; ".join(faults) or "none",
    }
    for name, value in rows.items():
        print(f"| {name} | {value} |")
    return 1 if faults else 0


def _submit(ground: Ground, asked: argparse.Namespace) -> tuple[dict[int, float], int]:
    """When each change was approved, by its id, and how often the queue was too busy to take something at once."""
    states = [str(machine.state) for machine in ground.machines]
    each = asked.changes // asked.submitters
    words = [sys.executable, "-m", "tests.load.submitting", str(ground.desk.config_file)]
    running = [
        subprocess.Popen(
            [*words, str(number), str(each), str(asked.together), *states],
            env=clean_environment(),
            stdout=subprocess.PIPE,
            text=True,
        )
        for number in range(asked.submitters)
    ]
    approved: dict[int, float] = {}
    busy = 0
    for process in running:
        said, _ = process.communicate()
        moments, refusals = json.loads(said)
        approved |= {int(change): moment for change, moment in moments.items()}
        busy += refusals
    return approved, busy


def _await_landing(application: Application) -> None:
    """Until nothing is open any more."""
    wanted = PendingQueueFilter(statuses=_OPEN)
    while left := application.queue.list_changes(queue_filter=wanted, limit=0).total:
        print(f"load: {left} changes are still to land", file=sys.stderr, flush=True)
        time.sleep(1.0)


def _landed(application: Application) -> Mapping[int, float]:
    """When each applied change landed, by its id."""
    at = {batch.number: batch.landed_at for batch in application.queue.list_batches()}
    changes = application.queue.iterate_changes(PendingQueueFilter(statuses={PendingChangeStatus.APPLIED}))
    return {change.change_id: at[change.batch_id or 0] or 0.0 for change in changes}


def _processor_seconds(daemon: Daemon) -> float:
    """What a daemon and its commands have taken: where others use the machine, too, it says more than time."""
    return float(sum(psutil.Process(daemon.pid).cpu_times()[:4]))


def _end(daemons: Sequence[Daemon]) -> None:
    for daemon in daemons:
        daemon.process.terminate()
    for daemon in daemons:
        daemon.process.wait(30)


def _faults(ground: Ground, approved: Mapping[int, float]) -> list[str]:
    """What was lost or doubled on the remotes, and which counters are not what a fold gives."""
    found = Counter[int]()
    for remote in ground.remotes:
        for message in git(remote, "log", "--format=%B%x00", "main").split("\0"):
            if parsed := parse_message(message.strip("\n")):
                found.update(parsed.change_ids)
    faults = [f"change {change} landed {found[change]} times" for change in approved if found[change] != 1]
    records = sum(
        len(json.loads(git(remote, "show", f"main:{category(number)}.json"))) - 1
        for number, remote in enumerate(ground.remotes)
    )
    if records != len(approved):
        faults.append(f"the files hold {records} records, not {len(approved)}")
    for machine in ground.machines:
        with machine.application() as application:
            application.run_pass(waits=True)
            for reference in application.repositories:
                with Repository(reference.path, reference.branch) as clone:
                    faults += map(str, reference.recorder.verify(clone, clone.tip()))
    return faults[:20]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m tests.load", description=__doc__)
    parser.add_argument("--changes", type=int, default=100_000)
    parser.add_argument("--repositories", type=int, default=20)
    parser.add_argument("--daemons", type=int, default=3)
    parser.add_argument("--submitters", type=int, default=16)
    parser.add_argument("--together", type=int, default=10, help="changes that are submitted and approved at once")
    parser.add_argument("--url", default="", help="of the queue; without it a PostgreSQL server is started for it")
    parser.add_argument("--folder", help="where clones and remotes are made; a temporary folder unless told")
    return parser


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
