"""What only a server does: it is away, restarts, is promoted, asks for a password, and tells others at once."""

from __future__ import annotations

import os
import select
import signal
import tempfile
import threading
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import event

from refsync.daemon.listening import listening
from refsync.errors import StoreBusyError, StoreError, StoreUnavailableError, TemporaryError
from refsync.pending_queue.models import PendingChangeStatus
from refsync.pending_queue.service import PendingQueueService
from refsync.pending_queue.store import PendingQueueStore, database, postgresql, schema
from tests.support import old_stores
from tests.support.command_line import Desk
from tests.support.cut_off import CutOff
from tests.support.daemon import IMAGE, Site, image_clone, record, wait_for
from tests.support.postgresql import Server
from tests.support.queue import review, submit
from tests.support.reference import CLIP, Reference
from tests.support.repositories import git

pytestmark = pytest.mark.slow

APPLIED, APPROVED, PENDING = PendingChangeStatus.APPLIED, PendingChangeStatus.APPROVED, PendingChangeStatus.PENDING


@pytest.fixture
def url(server: Server) -> Iterator[str]:
    made = server.new_database()
    yield made
    server.drop(made)


@pytest.fixture
def store(url: str) -> Iterator[PendingQueueStore]:
    with PendingQueueStore(url=url) as opened:
        yield opened


@pytest.fixture
def service(store: PendingQueueStore) -> PendingQueueService:
    return PendingQueueService(store=store)


@pytest.fixture
def reference(tmp_path: Path, bare_git: None, url: str) -> Iterator[Reference]:
    made = Reference(tmp_path, more=f'[queue]\nurl = "{url}"')
    yield made
    made.close()


def name_of(url: str) -> str:
    return url.partition("@/")[2].partition("?")[0]


# being away


def test_a_server_that_is_away_is_told_in_one_line_and_is_worth_another_try(tmp_path: Path) -> None:
    with pytest.raises(StoreUnavailableError) as refusal:
        PendingQueueStore(url=f"postgresql+psycopg://ada:s3cret@/queue?host={tmp_path}")
    assert str(refusal.value).startswith("postgresql://ada@/queue?host=")
    assert "\n" not in str(refusal.value)
    assert "s3cret" not in str(refusal.value)


def test_while_the_server_is_away_models_are_read_on_and_all_else_waits(server: Server, reference: Reference) -> None:
    change = reference.create("new", {"version": "1"})
    server.stop()
    try:
        with pytest.raises(StoreUnavailableError) as refusal:
            reference.submit("another", {"version": "1"})
        assert "\n" not in str(refusal.value)
        assert not is_passed(reference)
        assert set(reference.application.backends["image"].fetch_category(CLIP) or ()) == {"alpha", "beta"}
        assert commits(reference) == 1
    finally:
        server.start()
    assert reference.sync().clean
    assert reference.statuses([change]) == [APPLIED]


def test_a_daemon_goes_on_once_the_server_is_back_and_is_woken_from_elsewhere(
    server: Server, tmp_path: Path, url: str
) -> None:
    site = Site(tmp_path)
    image_clone(site.clone.path)
    site.write_config(f'[queue]\nurl = "{url}"\n[watch]\nrescan_seconds = 3600')
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        server.stop()
        daemon.send(signal.SIGUSR1)
        daemon.wait_until_logged("cannot be reached")
        server.start()
        daemon.wait_until_logged("the pass failed: no longer")
        daemon.wait_until_logged("the queue's news are heard again")
        with PendingQueueStore(url=url) as store:  # of another machine, which touches no wake file here
            service = PendingQueueService(store=store)
            review(service, [submit(service, "new", category=IMAGE, payload=record("new")).change_id])
        wait_for("the landing", lambda: site.has_model("new"))
        assert daemon.stop() == 0
        assert daemon.lines("Traceback") == []


def test_a_restart_between_two_calls_is_not_noticed(server: Server, service: PendingQueueService) -> None:
    submit(service, "before")
    server.restart()
    assert submit(service, "after").change_id == 2


def test_a_restart_within_a_call_is_temporary_and_nothing_of_it_is_done(
    server: Server, store: PendingQueueStore, service: PendingQueueService
) -> None:
    def remove_all() -> None:
        with store.writing() as queue:
            queue.remove([1])
            server.restart()
            queue.remove([2])

    submit(service, "before")
    with pytest.raises(StoreUnavailableError):
        remove_all()
    assert service.list_changes().total == 1


@pytest.mark.timeout(600)
def test_a_server_that_restarts_in_the_middle_of_a_landing_leaves_nothing_doubled(
    server: Server, reference: Reference
) -> None:
    """Before every fifth statement that a pass has the server do, one landing after the other."""
    asked = Asked(reference, server.restart)
    for number in count():
        change = reference.create(f"model {number}", {"version": "1"})
        asked.until = 5 * number
        has_failed = not is_passed(reference)
        if asked.until is not None:
            break
        assert has_failed or reference.statuses([change]) == [APPLIED]
        assert reference.sync().clean
        assert reference.statuses([change]) == [APPLIED]
        assert commits(reference) == number + 2
    assert number > 5
    reference.assert_counted()


def is_passed(reference: Reference) -> bool:
    """Whether a pass got to its end; what else it came to is worth another try."""
    try:
        return not any(report.temporary for report in reference.sync().repositories)
    except TemporaryError:
        return False


class Asked:
    """Has something happen before the server is asked something: ``until`` that many questions more were asked."""

    def __init__(self, reference: Reference, happens: Callable[[], object]) -> None:
        self.until: int | None = None
        self._happens = happens
        database: Any = reference.application.store._database
        event.listen(database._engine, "before_cursor_execute", self._count)

    def _count(self, *_: Any) -> None:
        if self.until == 0:
            self.until = None
            self._happens()
        elif self.until is not None:
            self.until -= 1


def commits(reference: Reference) -> int:
    return int(git(reference.clone.path, "rev-list", "--count", "HEAD"))


@pytest.mark.parametrize("passes_on", [True, False])
def test_where_the_answer_to_a_commit_is_lost_the_server_says_later_what_became_of_it(
    server: Server, url: str, passes_on: bool
) -> None:
    with (
        tempfile.TemporaryDirectory(dir=server.folder.parent) as folder,
        CutOff(Path(folder), server.folder, passes_on=passes_on) as way,
        PendingQueueStore(url=url.replace(str(server.folder), folder)) as store,
    ):
        service = PendingQueueService(store=store)
        submit(service, "first")
        way.word = b"COMMIT\0"
        if passes_on:
            assert submit(service, "second").change_id == 2
        else:
            with pytest.raises(StoreUnavailableError, match="cannot be reached"):
                submit(service, "second")
        assert service.list_changes().total == 1 + passes_on


def test_where_the_server_never_says_so_a_person_is_told_to_look(
    server: Server, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.5)
    with (
        tempfile.TemporaryDirectory(dir=server.folder.parent) as folder,
        CutOff(Path(folder), server.folder, passes_on=True) as way,
        PendingQueueStore(url=url.replace(str(server.folder), folder)) as store,
    ):
        way.word = b"COMMIT\0"
        way.ends = True
        with pytest.raises(StoreUnavailableError, match=r"look for it when the database is back"):
            submit(PendingQueueService(store=store), "m")


def test_a_promoted_standby_that_had_not_heard_of_a_landing_has_nothing_landed_twice(
    server: Server, reference: Reference, url: str
) -> None:
    """What an asynchronous standby has not got yet is as if it were taken back: here, all since an approval."""
    change = reference.create("new", {"version": "1"})
    reference.application.close()
    server.do(f"CREATE DATABASE standby TEMPLATE {name_of(url)}")
    reference.application = reference.open()
    assert reference.sync().clean
    reference.reopen(name_of(url), "standby")
    try:
        assert reference.statuses([change]) == [APPROVED]
        assert reference.sync().clean
        assert reference.statuses([change]) == [APPLIED]
        assert commits(reference) == 2
        reference.assert_counted()
    finally:
        reference.application.close()
        server.drop(server.url("standby"))


def test_who_stops_in_the_middle_of_a_transaction_keeps_nobody_waiting_for_long(
    url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def pause_while_others_write() -> None:
        with paused.writing() as queue:
            assert submit(PendingQueueService(store=other), "m").change_id == 1
            queue.remove([1])

    monkeypatch.setattr(postgresql, "IDLE_SECONDS", 0.3)
    with PendingQueueStore(url=url) as paused, PendingQueueStore(url=url) as other:
        with pytest.raises(StoreUnavailableError):
            pause_while_others_write()
        assert other.list_changes()[1] == 1


def test_a_writer_that_waits_too_long_is_told_that_the_store_is_busy(
    url: str, store: PendingQueueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database, "BUSY_SECONDS", 0.2)
    with PendingQueueStore(url=url) as impatient, store.writing(), pytest.raises(StoreBusyError, match="try again"):
        submit(PendingQueueService(store=impatient), "m")


def test_a_deadlock_with_somebody_else_is_tried_again(server: Server, url: str, service: PendingQueueService) -> None:
    submit(service, "m")
    with server.connect(name_of(url)) as other:
        other.execute("SET deadlock_timeout = '60s'")  # so that it is not the one that gives way
        other.execute("BEGIN; UPDATE changes SET notes = 'theirs'")
        approving = threading.Thread(target=review, args=(service, [1]))
        approving.start()
        wait_for("the row", lambda: server.do("SELECT 1 FROM pg_stat_activity WHERE wait_event = 'transactionid'"))
        other.execute("SELECT * FROM alembic_version FOR UPDATE")  # which is had once ours has given way
        other.execute("COMMIT")
        approving.join()
    approved_one = service.show_change(1)
    assert (approved_one.status, approved_one.notes) == (APPROVED, "theirs")


# news


def test_news_are_heard_of_what_others_commit_and_of_nothing_else(url: str, store: PendingQueueStore) -> None:
    reader, end = os.pipe()
    try:
        with PendingQueueStore(url=url) as other, store.news() as news:
            submit(PendingQueueService(store=store), "our own")
            with other.writing() as queue:
                queue.note_repository("image", {"last_pass_at": 1.0})  # which moves nothing
            assert not select.select([reader], [], [], 0)[0]
            submit(PendingQueueService(store=other), "theirs")
            assert news.wait(reader)
            os.write(end, b"x")
            assert not news.wait(reader)
    finally:
        os.close(reader)
        os.close(end)


def test_who_listens_is_woken_by_others_and_again_once_a_server_is_back(
    server: Server, url: str, store: PendingQueueStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refsync.daemon.listening._RETRY_SECONDS", 0.05)
    woken = threading.Semaphore(0)
    with PendingQueueStore(url=url) as other, listening(store, woken.release):
        service = PendingQueueService(store=other)
        assert woken.acquire(timeout=10)  # for what was before
        submit(service, "first")
        assert woken.acquire(timeout=10)
        server.restart()
        assert woken.acquire(timeout=10)  # for what nobody has heard
        submit(service, "second")
        assert woken.acquire(timeout=10)


# what lets in


@pytest.fixture
def guarded(server: Server, url: str) -> Iterator[str]:
    """The URL for a user with the password ``s3cret``."""
    access = server.folder / "data" / "pg_hba.conf"
    before = access.read_text()
    if not server.do("SELECT 1 FROM pg_roles WHERE rolname = 'guarded'"):
        server.do("CREATE ROLE guarded LOGIN SUPERUSER PASSWORD 's3cret'")
    access.write_text(f"local all guarded scram-sha-256\n{before}")
    server.do("SELECT pg_reload_conf()")
    yield url.replace("postgres@", "guarded@")
    access.write_text(before)
    server.do("SELECT pg_reload_conf()")


def test_a_password_comes_from_its_file_at_each_connection_and_is_never_told(
    tmp_path: Path, guarded: str, server: Server
) -> None:
    desk = Desk.at(tmp_path, f'[queue]\nurl = "{guarded}"\npassword_file = "secret"')
    secret = desk.config.parent / "secret"
    secret.write_text("wr0ng\n")
    refused = [desk("queue", "list"), desk("sync"), desk("store", "check"), desk("status")]
    secret.write_text("s3cret\n")
    done = [desk("queue", "list").done, desk("store", "check").done, desk("config", "show").done, desk("sync").done]
    secret.unlink()
    missing = desk("queue", "list")
    assert "password authentication failed" in refused[0].refusal
    assert "password_file" in missing.refusal
    for each in (*refused, *done, missing):
        assert "wr0ng" not in each.out + each.err
        assert "s3cret" not in each.out + each.err


def test_the_doctor_says_whether_the_server_lets_in(tmp_path: Path, guarded: str) -> None:
    desk = Desk.at(tmp_path, f'[queue]\nurl = "{guarded}"\npassword_file = "secret"')
    secret = desk.config.parent / "secret"
    told = {}
    for password in ("wr0ng", "s3cret"):
        secret.write_text(password)
        secret.chmod(0o644)
        told[password] = [each for each in desk("doctor", "--json").json["checks"] if each["name"] == "store"]
    assert [each["what"] for each in told["s3cret"]] == ["others may read or write the secret"]
    assert "password authentication failed" in told["wr0ng"][1]["what"]
    secret.chmod(0o640)
    [store] = [each for each in desk("doctor", "--json").json["checks"] if each["name"] == "store"]
    assert store["verdict"] == "good"


@pytest.mark.parametrize("query", ["", "?password=s3cret"])
def test_a_password_in_a_url_is_never_told(tmp_path: Path, query: str) -> None:
    url = f"postgresql+psycopg://ada:s3cret@localhost:1/queue{query}"
    desk = Desk.at(tmp_path, f'[queue]\nurl = "{url}"')
    for words in (
        ("queue", "list"),
        ("store", "check"),
        ("config", "show"),
        ("store", "move", url),
        ("--verbose", "sync"),
    ):
        ended = desk(*words)
        assert "s3cret" not in ended.out + ended.err


@pytest.mark.parametrize("url", ["postgresql+psycopg://ada:s3:cret@h:s3cret/q", "postgres://ada:s3cret@h/q", "s3cret"])
def test_a_url_that_is_none_is_not_told(url: str) -> None:
    with pytest.raises(StoreError) as refusal:
        PendingQueueStore(url=url)
    assert "s3cret" not in str(refusal.value)


# what the database has to be


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII"])
def test_a_database_that_does_not_keep_every_script_is_refused_in_one_line(server: Server, encoding: str) -> None:
    url = server.new_database(f"ENCODING '{encoding}' LOCALE 'C' TEMPLATE template0")
    try:
        with pytest.raises(StoreError, match=r"make another database: createdb --template=template0 --encoding=UTF8"):
            PendingQueueStore(url=url)
    finally:
        server.drop(url)


def test_texts_that_a_server_cannot_take_are_kept_with_what_is_wrong_escaped(service: PendingQueueService) -> None:
    change = submit(service, "m", payload={"name": "m", "x": "a\0b"})
    with service._store.writing() as queue:
        queue.update([change], {"notes": "a\0b \udce9"})
    kept = service.show_change(change.change_id)
    assert (kept.notes, kept.payload) == (r"a\x00b \udce9", {"name": "m", "x": "a\0b"})


def test_an_older_store_is_upgraded_when_a_person_says_so(server: Server, url: str, tmp_path: Path) -> None:
    desk = Desk.at(tmp_path, f'[queue]\nurl = "{url}"')
    with server.connect(name_of(url)) as connection:
        for statement in tables_of_version(3):
            connection.execute(statement.encode())
    advice = "stop the older refsync on every machine, and then: refsync store upgrade"
    assert advice in desk("queue", "list").refusal
    assert "upgraded from version 3 to " in desk("store", "upgrade").done.out
    assert "nothing to do" in desk("store", "upgrade").done.out
    assert "is whole" in desk("store", "check").done.out
    with PendingQueueStore(url=url) as store, store._database.reading() as found:
        schema._one_open_batch.dialect_kwargs["postgresql_where"] = schema.batches.c.state == "open"
        assert list(compare_metadata(MigrationContext.configure(found), schema.metadata)) == []


def tables_of_version(version: int) -> list[str]:
    """What makes an empty store of an older version, as its own code made it."""
    dump = (Path(old_stores.__file__).parent / f"version_{version}.sql").read_text()
    made = [each for each in dump.split(";\n") if each.lstrip().startswith("CREATE ")]
    counting = [each.replace("_id INTEGER NOT NULL", "_id SERIAL") for each in made]
    return [
        *counting,
        "INSERT INTO counters VALUES ('change', 0), ('batch', 0)",
        f"INSERT INTO schema_version VALUES ({version})",
        "CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)",
        f"INSERT INTO alembic_version VALUES ('{version:04}')",
    ]


def test_a_store_that_a_newer_refsync_has_upgraded_meanwhile_is_not_written(
    server: Server, url: str, service: PendingQueueService, store: PendingQueueStore
) -> None:
    server.do("UPDATE alembic_version SET version_num = '0999'", name_of(url))
    with pytest.raises(StoreError, match=r"is of store version 999, this refsync knows \d+: upgrade refsync"):
        submit(service, "m")
    with pytest.raises(StoreError, match="upgrade refsync"):
        PendingQueueStore(url=url)
