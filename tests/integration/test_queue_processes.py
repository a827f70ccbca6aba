from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from refsync.errors import ChangeStateError
from refsync.pending_queue.models import BatchState, PendingChangeStatus
from refsync.pending_queue.service import PendingQueueService
from refsync.pending_queue.store import PendingQueueStore
from tests.support.queue import review, submit
from tests.support.stores import open_store, store_url

EACH = 200
TO_REVIEW = 40


def work(folder: Path, url: str, who: str) -> None:
    """One process: submit many changes, and review the same ones as the other does."""
    with PendingQueueStore(root_path=folder, url=url) as store:
        service = PendingQueueService(store=store)
        won = 0
        for number in range(EACH):
            submit(service, f"{who} {number}", by=who)
            if number < TO_REVIEW:
                won += decide(service, number + 1, who)
        print(won)


def decide(service: PendingQueueService, change_id: int, who: str) -> bool:
    """Whether this process was the one that decided; one approves what the other rejects."""
    try:
        if who == "a":
            review(service, [change_id])
        else:
            review(service, reject=[change_id])
    except ChangeStateError:
        return False
    return True


def test_two_processes_neither_share_an_id_nor_both_decide(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        service = PendingQueueService(store=store)
        for number in range(TO_REVIEW):
            submit(service, f"first {number}")
        said = ended("work", tmp_path, "ab")

        changes = service.list_changes().items
        assert [change.change_id for change in changes] == list(range(1, 2 * EACH + TO_REVIEW + 1))
        decided = [change for change in changes if change.status is not PendingChangeStatus.PENDING]
        assert [change.change_id for change in decided] == list(range(1, TO_REVIEW + 1))
        assert sum(map(int, said)) == TO_REVIEW
        assert len(service.list_batches({BatchState.open})) <= 1
        assert {change.batch_id for change in decided} <= {None, 1}


def submit_in_threads(folder: Path, url: str, who: str) -> None:
    """One process with four writers."""
    with PendingQueueStore(root_path=folder, url=url) as store:
        service = PendingQueueService(store=store)

        def write(thread: str) -> None:
            for number in range(EACH // 8):
                review(service, [submit(service, f"{who} {thread} {number}", by=who).change_id])

        threads = [threading.Thread(target=write, args=(thread,)) for thread in "abcd"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()


@pytest.mark.slow
def test_ids_come_without_doubles_or_gaps_under_sixteen_writers_in_four_processes(tmp_path: Path) -> None:
    with open_store(tmp_path) as store:
        ended("submit_in_threads", tmp_path, "abcd")
        changes = store.list_changes()[0]
        assert [change.change_id for change in changes] == list(range(1, 16 * (EACH // 8) + 1))
        assert {change.status for change in changes} == {PendingChangeStatus.APPROVED}
        assert {change.batch_id for change in changes} == {1}
        histories = PendingQueueService(store=store).histories([change.change_id for change in changes])
        assert {len(history) for history in histories.values()} == {2}


def ended(task: str, folder: Path, names: str) -> list[str]:
    """Run a task of this file in a process for each name, all at once; returns what they have said."""
    command = [sys.executable, "-m", __name__, task, str(folder), store_url(folder)]
    root = Path(__file__).parents[2]
    workers = [subprocess.Popen([*command, who], stdout=subprocess.PIPE, cwd=root, text=True) for who in names]
    said = [worker.communicate(timeout=90)[0] for worker in workers]
    assert [worker.returncode for worker in workers] == [0] * len(names)
    return said


if __name__ == "__main__":
    {"work": work, "submit_in_threads": submit_in_threads}[sys.argv[1]](Path(sys.argv[2]), sys.argv[3], sys.argv[4])
