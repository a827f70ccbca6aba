from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from refsync.errors import ChangeStateError
from refsync.pending_queue.models import BatchState, PendingChangeStatus
from refsync.pending_queue.service import PendingQueueService
from refsync.pending_queue.store import PendingQueueStore
from tests.support.queue import review, submit

EACH = 200
TO_REVIEW = 40


def work(folder: Path, who: str) -> None:
    """One process: submit many changes, and review the same ones as the other does."""
    with PendingQueueStore(root_path=folder) as store:
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
    with PendingQueueStore(root_path=tmp_path) as store:
        service = PendingQueueService(store=store)
        for number in range(TO_REVIEW):
            submit(service, f"first {number}")
        command = [sys.executable, "-m", __name__, str(tmp_path)]
        root = Path(__file__).parents[2]
        workers = [subprocess.Popen([*command, who], stdout=subprocess.PIPE, cwd=root, text=True) for who in "ab"]
        said = [worker.communicate(timeout=90)[0] for worker in workers]
        assert [worker.returncode for worker in workers] == [0, 0]

        changes = service.list_changes().items
        assert [change.change_id for change in changes] == list(range(1, 2 * EACH + TO_REVIEW + 1))
        decided = [change for change in changes if change.status is not PendingChangeStatus.PENDING]
        assert [change.change_id for change in decided] == list(range(1, TO_REVIEW + 1))
        assert sum(map(int, said)) == TO_REVIEW
        assert len(service.list_batches({BatchState.open})) <= 1
        assert {change.batch_id for change in decided} <= {None, 1}


if __name__ == "__main__":
    work(Path(sys.argv[1]), sys.argv[2])
