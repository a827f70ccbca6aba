"""The store on a PostgreSQL server, which orders the writers of any number of machines.

**Isolation.** A reader is a REPEATABLE READ transaction that writes nothing: it sees one state, and waits for nobody. A
writer is READ COMMITTED and begins by locking one row, that of the store's version; the next one waits there. So it is
alone, and each of its statements sees all that was committed before it: what it reads is what it decides by, and no two
of ours can deadlock, for there is one lock and it comes first. The row also says whether a newer refsync has upgraded
the store meanwhile, and the number of the transaction, by which the server is asked whether it was committed where the
answer to the commit got lost.

**What does not answer.** A writer that stops in the middle (SIGSTOP, a machine asleep) would keep all others waiting:
the server ends its transaction after ``IDLE_SECONDS``. A server that is gone is noticed by keepalives.
"""

from __future__ import annotations

import sqlite3
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, BigInteger, Connection, Engine, RootTransaction, bindparam, event, func, select, text
from sqlalchemy.exc import DBAPIError, OperationalError, SQLAlchemyError

from refsync.commands import install_command
from refsync.errors import RefsyncError, StoreError, StoreUnavailableError, writable
from refsync.pending_queue.store import database, schema
from refsync.pending_queue.store.addresses import name_of
from refsync.pending_queue.store.failures import CREATE, explain, no_store, older_store
from refsync.pending_queue.store.filters import EVERY_SCRIPT
from refsync.pending_queue.store.news import News, announce, ear
from refsync.pending_queue.store.rows import json_column

if TYPE_CHECKING:
    from refsync.credentials import SecretSource

IDLE_SECONDS = 60.0
"""How long the server lets a transaction of ours do nothing."""
_CONNECTION: dict[str, Any] = {
    "application_name": "refsync",
    "client_encoding": "utf8",  # of a database in SQL_ASCII a driver gives bytes, which SQLAlchemy does not expect
    "connect_timeout": 10,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 25_000,
}
_READS = {"isolation_level": "REPEATABLE READ", "postgresql_readonly": True}
_WRITES = {"isolation_level": "READ COMMITTED"}
_ASK_AGAIN_SECONDS = 0.1

_MAKING = select(func.pg_advisory_xact_lock(0x7265667379))  # any number that means nothing to others
_TURN = select(schema.alembic_version.c.version_num, func.txid_current()).with_for_update()
_OUTCOME = select(func.txid_status(bindparam("number", type_=BigInteger)))
_KNOWS_TEXT = text("SELECT current_setting('server_encoding') = 'UTF8', to_regcollation(:every) IS NOT NULL")
_SESSION = """
SELECT set_config('lock_timeout', %s, false), set_config('idle_in_transaction_session_timeout', %s, false),
       CASE current_setting('synchronous_commit') WHEN 'off' THEN set_config('synchronous_commit', 'on', false) END
"""


class PostgreSQL(database.Database):
    """A store in a database of a server."""

    tells_news = True

    def __init__(self, url: URL, password: SecretSource | None, *, upgrades: bool = False) -> None:
        """Connect; make the tables if there are none.

        Args:
            url: of the database.
            password: what lets in, asked at every new connection.
            upgrades: whether an older store is upgraded; it is a person's to say, who knows what other machines run.
        """
        super().__init__(name_of(url))
        self._who = uuid.uuid4().hex
        self._secrets = {each for each in (url.password, url.query.get("password")) if isinstance(each, str)} - {""}
        try:
            with self._explained():
                self._engine = _engine_of(url, password and partial(self._remember, password))
        except ImportError as error:
            raise StoreError(
                f"{self.name}: its database driver is not installed ({error}); install it: "
                f"{install_command('postgres')}"
            ) from error
        try:
            self._bring_up_to_date(upgrades)
        except BaseException:
            self.close()
            raise

    def check_in_place(self) -> None:
        """Nothing: whoever gives the same name to a server meets the same database."""

    def _remember(self, password: SecretSource) -> str:
        """The password as it is now, which no text of ours may hold from then on."""
        secret = password()
        self._secrets.add(secret)
        return secret

    def _explain(self, error: SQLAlchemyError | sqlite3.Error) -> RefsyncError:
        return explain(self.name, error, self._secrets)

    def announce(self, connection: Connection) -> None:
        """Let those who listen know, once this transaction is committed, that it moved something."""
        announce(connection, self._who)

    @contextmanager
    def news(self) -> Iterator[News]:
        """Listen to what other processes do."""
        with self._explained():
            try:
                with ear(self._engine, self._who) as listening:
                    yield listening
            except self._engine.dialect.loaded_dbapi.Error as error:  # SQLAlchemy does not watch this connection
                raise OperationalError("LISTEN", None, error) from error

    @contextmanager
    def _read(self) -> Iterator[Connection]:
        with self._engine.connect() as plain:
            connection = plain.execution_options(**_READS)
            with connection.begin():
                yield connection

    @contextmanager
    def _write(self) -> Iterator[Connection]:
        with self._begun() as (connection, transaction):
            version, number = self._take_turn(connection)
            if self._is_older(version):
                raise older_store(self.name, version)
            yield connection
            self._commit(transaction, number)

    @contextmanager
    def beside(self) -> Iterator[Connection]:
        """A transaction that takes no turn, so that a long one of another writer does not hold it up."""
        with self._explained(), self._begun() as (connection, _):
            yield connection

    @contextmanager
    def _begun(self) -> Iterator[tuple[Connection, RootTransaction]]:
        with self._engine.connect() as plain:
            connection = plain.execution_options(**_WRITES)
            with connection.begin() as transaction:
                yield connection, transaction

    def _take_turn(self, connection: Connection) -> tuple[str, int]:
        """Be the only writer; returns the store's version, and the number of the transaction."""
        found = connection.execute(_TURN).first()
        if found is None:
            raise no_store(self.name)
        version, number = found
        return version, number

    def _commit(self, transaction: RootTransaction, number: int) -> None:
        """Commit; where the connection got lost over it, the server says later what became of it.

        Raises:
            StoreUnavailableError: nobody can say.
        """
        try:
            transaction.commit()
        except DBAPIError as error:
            if not error.connection_invalidated:
                raise
            match self._outcome(number):
                case "committed":
                    return
                case "aborted":
                    raise
            raise StoreUnavailableError(
                f"{self.name} went away just when this was to be stored, and whether it is nobody can say; "
                "look for it when the database is back, before you do it again"
            ) from error

    def _outcome(self, number: int) -> str | None:
        """What became of a transaction; ``None`` where the server does not come back to say so, or has forgotten."""
        deadline = time.monotonic() + database.BUSY_SECONDS
        while time.monotonic() < deadline:
            with suppress(DBAPIError), self._engine.connect() as connection:
                outcome: str | None = connection.execute(_OUTCOME, {"number": number}).scalar_one()
                if outcome != "in progress":
                    return outcome
            time.sleep(_ASK_AGAIN_SECONDS)
        return None

    def _bring_up_to_date(self, upgrades: bool) -> None:
        with self.reading() as connection:
            version = schema.read_version(connection)
        if version is None:
            self._make()
        elif self._is_older(version):
            if not upgrades:
                raise older_store(self.name, version)
            self._upgrade()

    def _make(self) -> None:
        with self._explained(), self._begun() as (connection, _):
            self._check_text(connection)
            connection.execute(_MAKING)
            if schema.read_version(connection) is None:  # no other process was faster
                schema.create(connection)

    def _check_text(self, connection: Connection) -> None:
        """See that the database keeps every script, and tells upper and lower case of it."""
        is_unicode, knows_case = connection.execute(_KNOWS_TEXT, {"every": f'"{EVERY_SCRIPT}"'}).one()
        if not is_unicode:
            raise StoreError(f"{self.name} does not keep every script; make another database: {CREATE}")
        if not knows_case:
            raise StoreError(f"{self.name} is of a server without ICU, which tells cases apart; take one that has it")

    def _upgrade(self) -> None:
        from refsync.pending_queue.store import migrations  # only where it is needed: importing it takes long

        with self._explained(), self._begun() as (connection, _):
            version, _number = self._take_turn(connection)
            if self._is_older(version):  # no other process was faster
                migrations.upgrade(connection, version)
                self.upgraded_from = version


def _engine_of(url: URL, password: Callable[[], str] | None) -> Engine:
    engine = database.engine_of(
        url,
        database.Texts(_is_taken, _as_taken),
        json_deserializer=_json_of,
        pool_pre_ping=True,
        pool_timeout=database.BUSY_SECONDS,
        connect_args={name: value for name, value in _CONNECTION.items() if name not in url.query},
    )
    event.listen(engine, "connect", _prepare)
    if password is not None:

        def let_in(_dialect: Any, _record: Any, _arguments: Any, parameters: dict[str, Any]) -> None:
            parameters["password"] = password()

        event.listen(engine, "do_connect", let_in)
    return engine


def _is_taken(text: str) -> bool:
    """A server takes no bytes of no encoding, and no null character."""
    return text.isascii() and "\0" not in text


def _as_taken(text: str) -> str:
    return writable(text).replace("\0", r"\x00")


def _json_of(content: bytes) -> Any:
    return json_column(content.decode())


def _prepare(connection: Any, _record: Any) -> None:
    """Let no session of ours wait for ever, keep others waiting for ever, or be told of a commit that is not kept."""
    connection.execute(_SESSION, [f"{database.BUSY_SECONDS:.3f}s", f"{IDLE_SECONDS:.3f}s"])
    connection.commit()
