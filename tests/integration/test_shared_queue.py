"""Several daemons on one queue: each repository is worked on by one of them, and who is gone is replaced."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine, event

from refsync.errors import AlreadyRunningError, LeaseLostError, StoreBusyError
from refsync.leasing import SharedQueue
from refsync.pending_queue.daemon_note import DaemonRole
from refsync.pending_queue.membership import Membership
from refsync.pending_queue.models import BatchState, PendingChangeStatus
from refsync.use_cases.serving import is_served
from refsync.use_cases.status import status
from tests.support import postgresql, stores
from tests.support.shared import SharedReference, queue_url, shared_references

APPLYING, APPROVED, APPLIED = (
    PendingChangeStatus.APPLYING,
    PendingChangeStatus.APPROVED,
    PendingChangeStatus.APPLIED,
)


class DatabaseClock:
    """The clock of every database that is opened meanwhile, ahead of this machine's by so many seconds."""

    ahead = 0.0

    def set_by(self, seconds: float) -> None:
        self.ahead += seconds
        for url in self._servers:
            postgresql.server().do_in(url, f"UPDATE clock SET ahead = {self.ahead}")

    def __init__(self) -> None:
        self._servers: list[str] = []

    def rule(self, url: str) -> None:
        """Let the server's database ask this clock; a SQLite file does."""
        if url.startswith("postgresql"):
            for statement in _SERVER_CLOCK:
                postgresql.server().do_in(url, statement)
            self._servers.append(url)

    def of_file(self, _: str) -> float:
        return (time.time() + self.ahead) / 86400 + 2440587.5


_SERVER_CLOCK = (
    "CREATE TABLE clock AS SELECT 0.0::float AS ahead",
    "CREATE FUNCTION public.clock_timestamp() RETURNS timestamptz LANGUAGE sql VOLATILE AS "
    "'SELECT pg_catalog.clock_timestamp() + make_interval(secs => (SELECT ahead FROM public.clock))'",
    "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET search_path = public, pg_catalog', current_database()); END $$",
)


@pytest.fixture
def clock() -> Iterator[DatabaseClock]:
    found = DatabaseClock()

    def prepare(connection: Any, _: object) -> None:
        if isinstance(connection, sqlite3.Connection):
            connection.create_function("julianday", 1, found.of_file)

    event.listen(Engine, "connect", prepare)
    yield found
    event.remove(Engine, "connect", prepare)


@pytest.fixture
def references(tmp_path: Path, clock: DatabaseClock) -> Iterator[Sequence[SharedReference]]:
    clock.rule(queue_url(tmp_path))
    found = shared_references(tmp_path, 2)
    for each in found:
        each.sync()
    yield found
    for each in found:
        each.close()


def membership(reference: SharedReference) -> Membership:
    leasing = reference.application.leasing
    assert isinstance(leasing, SharedQueue)
    assert leasing._membership is not None
    return leasing._membership


def test_a_change_that_one_submits_lands_by_whichever_is_first_and_is_counted_by_all(
    references: Sequence[SharedReference],
) -> None:
    one, other = references
    change = one.update("alpha", {"version": "2", "nsfw": False})
    assert [each.number for each in other.sync_image().landed] == [1]
    one.sync()
    assert one.statuses([change]) == [APPLIED]
    for each in references:
        each.assert_counted()
        assert each.in_step()
        assert each.counters().total_updates == 1


def test_what_another_works_on_is_followed_and_no_more(references: Sequence[SharedReference]) -> None:
    one, other = references
    one.update("alpha", {"version": "2", "nsfw": False})
    one.person.push({"blip.json": {"base": {"version": "by hand"}}})
    with one.application.leasing.for_repository("image"):
        report = other.sync_image()
        assert report.is_elsewhere
        assert not report.landed
        assert other.clone.records("blip.json")["base"]["version"] == "by hand"
        assert other.change(1).status is APPROVED
    assert other.sync_image().landed


def test_a_reservation_of_one_that_lives_is_neither_settled_nor_taken_by_another(
    references: Sequence[SharedReference],
) -> None:
    one, other = references
    change = one.update("alpha", {"version": "2", "nsfw": False})
    one.application.queue.seal_open_batch(lambda category: "image")
    with one.application.leasing.for_repository("image") as lease:
        assert lease is not None
        one.application.queue.under(lease).reserve_batch(1)
        other.sync()
        assert one.change(change).status is APPLYING
        assert one.application.queue.under(lease).reserve_batch(1) == [change]


def test_who_comes_after_one_that_was_killed_in_the_same_place_does_not_wait_for_its_lease(
    references: Sequence[SharedReference],
) -> None:
    one, other = references
    killed, following, elsewhere = (
        Membership(each.application.store, each.application.state.path, DaemonRole.single_pass, {}, 30.0)
        for each in (one, one, other)
    )
    for each in (killed, following, elsewhere):
        each.join()
    with one.application.store.writing() as queue:
        assert queue.leases.take("image", killed.presence.token) == 1
    with elsewhere.lease_of("image") as lease:
        assert lease is None
    with following.lease_of("image") as lease:
        assert lease is not None
        assert lease.number == 2


def test_one_that_was_away_for_an_hour_writes_nothing_and_is_replaced_meanwhile(
    references: Sequence[SharedReference], clock: DatabaseClock
) -> None:
    one, other = references
    change = one.update("alpha", {"version": "2", "nsfw": False})
    one.application.queue.seal_open_batch(lambda category: "image")
    with one.application.leasing.attend(), membership(one).lease_of("image") as lease:
        assert lease is not None
        door = one.application.queue.under(lease)
        door.reserve_batch(1)
        clock.set_by(3600)
        assert other.sync_image().landed
        before = one.application.queue.show_change(change)
        for write in (
            lambda: door.release_batch(1),
            lambda: door.land_batch(1, commit="0" * 40, applied_by=None),
            lambda: one.application.queue.under(membership(one).presence).note_repository("image", last_error="x"),
        ):
            with pytest.raises(LeaseLostError, match="others go on without it"):
                write()
        assert one.application.queue.show_change(change) == before
        assert one.sync().clean  # and begins anew
    assert [batch.state for batch in one.batches()] == [BatchState.landed]
    assert one.remote.subjects().count("New models") == 1


@pytest.mark.parametrize("ahead", [3600.0, -3600.0])
def test_a_clock_that_is_set_ends_every_lease_and_prolongs_none(
    references: Sequence[SharedReference], clock: DatabaseClock, ahead: float
) -> None:
    one, other = references
    with one.application.leasing.attend(), membership(one).lease_of("image") as lease:
        assert lease is not None
        clock.set_by(ahead)
        with pytest.raises(LeaseLostError):
            one.application.queue.under(lease).open_batch(approved_until=0.0)
        one.update("alpha", {"version": "2", "nsfw": False})
        assert other.sync_image().landed


def test_a_lease_is_held_for_as_long_as_a_step_takes(
    references: Sequence[SharedReference], clock: DatabaseClock
) -> None:
    one, other = references
    with one.application.leasing.attend(), membership(one).lease_of("image") as lease:
        assert lease is not None
        for _ in range(5):
            clock.set_by(20)
            membership(one).be_heard()
        one.application.queue.under(lease).open_batch(approved_until=0.0)
        one.update("alpha", {"version": "2", "nsfw": False})
        assert other.sync_image().is_elsewhere


def test_status_tells_of_all_daemons_what_they_hold_and_who_is_gone(
    references: Sequence[SharedReference], clock: DatabaseClock
) -> None:
    one, other = references
    assert not is_served(other.application)
    with one.application.leasing.attend(), membership(one).lease_of("image"):
        [told] = status(other.application).daemons
        assert (told.role, told.holds, told.is_alive) == ("worker", ["image"], True)
        assert told.repositories == {"image": "push"}
        assert is_served(other.application)
        clock.set_by(31)
        [told] = status(other.application).daemons
        assert (told.holds, told.is_alive) == ([], False)
        assert not is_served(other.application)
    assert status(other.application).daemons == []


def test_a_reader_follows_and_counts_and_never_publishes(tmp_path: Path) -> None:
    [worker] = shared_references(tmp_path, 1)
    reader = worker.beside(tmp_path / "reader", more='[daemon]\nrole = "reader"')
    change = reader.update("alpha", {"version": "2", "nsfw": False})
    assert not reader.sync_image().landed
    assert reader.change(change).status is APPROVED
    assert not reader.application.backends["image"].supports_legacy_writes()
    with reader.application.leasing.attend():
        assert not is_served(worker.application)
        assert worker.sync_image().landed
        reader.sync()
    assert reader.in_step()
    reader.assert_counted()
    assert reader.counters().total_updates == 1
    worker.close()
    reader.close()


@pytest.mark.parametrize(("publish", "beside"), [("local", "local"), ("push", "local"), ("local", "push")])
def test_a_repository_that_lands_in_one_clone_alone_is_refused_to_a_second_daemon(
    tmp_path: Path, publish: str, beside: str
) -> None:
    first = SharedReference(tmp_path / "one", queue_url(tmp_path))
    one, other = (first.beside(tmp_path / way, publish=mode) for way, mode in (("a", publish), ("b", beside)))
    with ExitStack() as stack:
        stack.enter_context(one.application.leasing.attend())
        refusal = r'repository image is published "local", in one clone alone, and process \d+ of .* has it already'
        with pytest.raises(AlreadyRunningError, match=refusal):
            stack.enter_context(other.application.leasing.attend())
        with pytest.raises(AlreadyRunningError, match=refusal):
            other.sync()
        one.application.run_pass()  # of the same state directory
    other.sync()
    for each in (first, one, other):
        each.close()


def test_a_backend_writes_once_another_daemon_is_done_with_the_repository(
    references: Sequence[SharedReference],
) -> None:
    from tests.support.reference import CLIP

    one, other = references
    one.application.backends["image"].update_model_legacy(CLIP, "alpha", {"version": "3", "nsfw": False})
    assert other.clone.records("clip.json")["alpha"]["version"] == "1"
    other.application.backends["image"].update_model_legacy(CLIP, "beta", {"version": "3"})
    assert other.clone.records("clip.json")["alpha"]["version"] == "3"
    assert other.in_step()


@pytest.mark.skipif(not stores.ON_POSTGRESQL, reason="a SQLite file has one writer at a time")
def test_a_daemon_is_heard_of_beside_a_long_transaction_of_another(references: Sequence[SharedReference]) -> None:
    one, other = references
    with one.application.leasing.attend(), other.application.store.writing() as queue:
        assert queue.last_ids()
        before = one.application.queue.daemons()[0].heard_at
        membership(one).be_heard()
        assert one.application.queue.daemons()[0].heard_at > before


def test_one_that_the_database_forgot_and_that_cannot_join_anew_is_told_so_and_no_bug(
    references: Sequence[SharedReference], clock: DatabaseClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, _ = references
    with one.application.leasing.attend():
        clock.set_by(3600)
        with monkeypatch.context() as away:
            away.setattr(Membership, "join", refuse)
            with pytest.raises(StoreBusyError):
                membership(one).be_heard()
            with pytest.raises(LeaseLostError, match="others go on without it"):
                _ = membership(one).presence
        assert one.sync().clean


def refuse(_: Membership) -> None:
    raise StoreBusyError("the database is away; try again")
