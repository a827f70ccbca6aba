"""Two daemons and a person push to one remote at once: every change lands exactly once, in order per model.

``REFSYNC_RACE_BATCHES`` says how many batches, 8 without it; before a release run it with 200::

    REFSYNC_RACE_BATCHES=200 pytest -n 0 --timeout 3600 tests/acceptance/test_remote_race.py
"""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from refsync.clone.commits import parse_message
from refsync.clone.repository import Repository
from refsync.pending_queue.models import Actor, AuditOperation, PendingChangeStatus, Submission
from refsync.sync.sealing import seal_now
from tests.support.daemon import IMAGE, IMAGE_FILE, record, wait_for
from tests.support.published import Person, PublishedSite
from tests.support.repositories import git

BATCHES = int(os.environ.get("REFSYNC_RACE_BATCHES", "8"))
MODELS = ("one", "two", "three")
ADA = Actor("ada", "Ada")


@contextmanager
def a_person_pushing(person: Person) -> Iterator[list[int]]:
    """Somebody pushes to the same remote over and over; the list has the number of their commits afterwards."""
    done, made = threading.Event(), [0]

    def push() -> None:
        while not done.is_set():
            git(person.path, "pull", "-q", "--rebase", check=False)
            person.write("notes.txt", f"line {made[0]}\n".encode())
            git(person.path, "add", "-A")
            git(person.path, "commit", "-q", "-m", f"note {made[0]}")
            git(person.path, "push", "-q", "origin", "main", check=False)
            made[0] += 1
            done.wait(0.5)

    thread = threading.Thread(target=push)
    thread.start()
    try:
        yield made
    finally:
        done.set()
        thread.join()
        git(person.path, "pull", "-q", "--rebase")
        git(person.path, "push", "-q", "origin", "main")


def approve_counts(site: PublishedSite, field: str) -> None:
    """Half of the batches, each raising the site's own counter of one model, made from what the last one makes."""
    with site.application() as application:
        records = {model: application.tips().record(IMAGE, model) or {} for model in MODELS}
        for number in range(BATCHES // 2):
            model = MODELS[number % len(MODELS)]
            payload = {**records[model], field: number // len(MODELS) + 1}
            asked = Submission(
                IMAGE, model, AuditOperation.UPDATE, payload, "ada", "Ada", base=records[model], base_known=True
            )
            records[model] = payload
            [change] = application.queue.enqueue_many([asked])
            application.queue.process_batch(
                approver_id="bob",
                approver_username="Bob",
                batch_title=f"{field} {model} {payload[field]}",
                approved_ids=[change.change_id],
                rejected_ids=None,
            )
            seal_now(application.queue, application.repositories, actor=ADA)
            application.state.wake()


def has_models(site: PublishedSite) -> bool:
    return all(site.has_model(name) for name in MODELS)


def all_applied(site: PublishedSite) -> bool:
    with site.application() as application:
        changes = application.queue.list_changes().items
        rejected = [each.reject_reason for each in changes if each.status is PendingChangeStatus.REJECTED]
        assert rejected == []
        return len(changes) == BATCHES // 2 and all(each.status is PendingChangeStatus.APPLIED for each in changes)


def counts_in_order(site: PublishedSite, field: str, model: str) -> list[int]:
    """The values that a counter has had on the target branch, each once, oldest first."""
    seen: list[int] = []
    for commit in git(site.remote.path, "rev-list", "--first-parent", "--reverse", "main").splitlines():
        value = json.loads(git(site.remote.path, "show", f"{commit}:{IMAGE_FILE}")).get(model, {}).get(field, 0)
        if not seen or seen[-1] != value:
            seen.append(value)
    return seen


def test_every_change_lands_exactly_once_and_in_order(tmp_path: Path) -> None:
    first = PublishedSite(tmp_path / "first", "push", "[repository.push]\nattempts = 20\n")
    person = first.person()
    person.push({IMAGE_FILE: {name: record(name) for name in MODELS}}, "models")
    second = PublishedSite.beside(first, tmp_path / "second")
    with ExitStack() as stack:
        daemons = [stack.enter_context(site.daemon()) for site in (first, second)]
        for site in (first, second):
            wait_for("the models", partial(has_models, site))
        pushed = stack.enter_context(a_person_pushing(person))
        writers = [
            threading.Thread(target=approve_counts, args=(site, field))
            for site, field in ((first, "count_a"), (second, "count_b"))
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        for site in (first, second):
            wait_for("every change to be applied", partial(all_applied, site), seconds=60 + 5 * BATCHES)
        for daemon in daemons:
            assert daemon.stop() == 0
    assert pushed[0] > 0
    messages = git(first.remote.path, "log", "--first-parent", "--format=%B%x00", "main").split("\0")
    jobs = [parsed.job for text in messages if (parsed := parse_message(text.strip("\n") + "\n"))]
    assert len(jobs) == len(set(jobs)) == BATCHES // 2 * 2
    for field in ("count_a", "count_b"):
        for position, model in enumerate(MODELS):
            last = len(range(position, BATCHES // 2, len(MODELS)))
            assert counts_in_order(first, field, model) == list(range(last + 1))
    for site in (first, second):
        with site.application() as application:
            application.run_pass()
            [reference] = application.repositories
            with Repository(reference.path, reference.branch) as clone:
                assert reference.recorder.verify(clone, clone.tip()) == []
        assert site.in_step()
