"""The tables of the queue store; ``migrations`` brings an older store to them, and says how to change them."""

from __future__ import annotations

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Connection,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    false,
    insert,
    inspect,
    select,
)

VERSION = "0014"
"""Of the tables below: the last step in ``migrations``."""

FIRST_VERSION = "0001"

MOVED = "moved"
"""In the place of a version: the queue goes on in another database. To any refsync it is a version too new for it."""

metadata = MetaData()

_JSON = JSON(none_as_null=True)

# Where alembic keeps the version; beside the other tables, for alembic compares those with a database.
alembic_version = Table("alembic_version", MetaData(), Column("version_num", String(32), primary_key=True))

# Where a refsync of before alembic looks, to refuse a store that is newer than it.
schema_version = Table("schema_version", metadata, Column("version", Integer, nullable=False))

# Numbers come from here and not from the tables, so that a purge frees none and a refused call burns none.
counters = Table(
    "counters",
    metadata,
    Column("name", String(32), primary_key=True),
    Column("value", BigInteger, nullable=False),
)

batches = Table(
    "batches",
    metadata,
    Column("number", BigInteger, primary_key=True, autoincrement=False),
    Column("title", Text, nullable=False),
    Column("state", String(32), nullable=False),
    Column("repository", Text),
    Column("job", String(64), unique=True),
    Column("reason", Text),
    Column("hold", _JSON),
    Column("base_commit", String(64)),
    Column("commit", String(64)),
    Column("is_confirmed", Boolean, nullable=False, server_default=false()),
    Column("split_from", BigInteger),
    Column("proposal", _JSON),
    Column("opened_at", Float(53), nullable=False),
    Column("last_approved_at", Float(53)),
    Column("sealed_at", Float(53)),
    Column("landed_at", Float(53)),
)
# The database itself refuses a second open batch.
_one_open_batch = Index(
    "one_open_batch",
    batches.c.state,
    unique=True,
    sqlite_where=batches.c.state == "open",
)
Index("batches_by_state", batches.c.state)

changes = Table(
    "changes",
    metadata,
    Column("change_id", BigInteger, primary_key=True, autoincrement=False),
    Column("category", String(64), nullable=False),
    Column("model_name", Text, nullable=False),
    Column("operation", String(32), nullable=False),
    Column("payload", _JSON),
    Column("requested_by", Text, nullable=False),
    Column("requested_username", Text, nullable=False),
    Column("requested_at", BigInteger, nullable=False),
    Column("status", String(32), nullable=False),
    Column("notes", Text),
    Column("batch_id", BigInteger, ForeignKey("batches.number"), index=True),
    Column("batch_title", Text),
    Column("approved_by", Text),
    Column("approved_username", Text),
    Column("approved_at", BigInteger),
    Column("rejected_by", Text),
    Column("rejected_username", Text),
    Column("rejected_at", BigInteger),
    Column("reject_reason", Text),
    Column("applied_at", BigInteger),
    Column("applied_by", Text),
    Column("applied_username", Text),
    Column("applied_job_id", Text),
    Column("updated_at", BigInteger, nullable=False),
    Column("request_metadata", _JSON),
    Column("related_models", _JSON),
    Column("base", _JSON),
    Column("base_known", Boolean, nullable=False),
    Column("commit", String(64)),
    Column("os_user", Text),
    Column("requested_provider", Text, nullable=False, server_default="system"),
    Column("reverts", BigInteger),
    Column("after", Text),
    Column("before", Text),
    Column("lands_with", BigInteger),
    Column("remarks", _JSON),
    Column("unknown_fields", _JSON),  # what an import brought and this refsync has no field for
)
# Each ends with the id, so that a page is found in its order, and a hit counted, without a look at the changes.
Index("changes_by_status", changes.c.status, changes.c.change_id)
Index("changes_by_category", changes.c.category, changes.c.status, changes.c.change_id)
Index("changes_by_model", changes.c.category, changes.c.model_name, changes.c.change_id)
Index(
    "changes_by_requester",
    changes.c.requested_by,
    changes.c.change_id,
    changes.c.status,
    changes.c.requested_provider,
)
Index("changes_by_reverts", changes.c.reverts)

# Append-only, and without a reference to the change: what was purged keeps its history.
events = Table(
    "events",
    metadata,
    Column("event_id", Integer, primary_key=True),
    Column("change_id", BigInteger, nullable=False, index=True),
    Column("at", BigInteger, nullable=False),
    Column("from_status", String(32)),
    Column("to_status", String(32)),
    Column("why", Text),
    Column("by", Text, nullable=False),
    Column("username", Text, nullable=False),
    Column("provider", Text, nullable=False, server_default="system"),
    Column("os_user", Text),
    Column("batch_id", BigInteger),
)

repositories = Table(
    "repositories",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("last_landed_commit", String(64)),
    Column("last_landed_at", Float(53)),
    Column("last_error", Text),
    Column("last_error_at", Float(53)),
    Column("last_pass_at", Float(53)),
    Column("last_good_pass_at", Float(53)),
    Column("mass_deletion", _JSON),
    Column("told_commit", String(64)),  # up to which foreign commits were told of, while a target wants that
)

# Entries of an import that are no changes to us, word for word.
leftovers = Table(
    "leftovers",
    metadata,
    Column("leftover_id", Integer, primary_key=True),
    Column("content", Text, nullable=False),
    Column("problem", Text, nullable=False),
)

# What hosts said of links the last time that they were asked: of each by a digest of its URL and hash.
link_checks = Table(
    "link_checks",
    metadata,
    Column("key", String(64), primary_key=True),
    Column("standing", String(32), nullable=False),
    Column("sha256", String(64)),
    Column("size", BigInteger),
    Column("why", Text),
    Column("elsewhere", Text),
    Column("checked_at", Float(53), nullable=False),
)

# How many questions hosts were asked on a day, which is counted from the epoch.
hosts_asked = Table(
    "hosts_asked",
    metadata,
    Column("host", String(255), primary_key=True),
    Column("day", Integer, primary_key=True, autoincrement=False),
    Column("questions", Integer, nullable=False),
)

# The processes that share the queue, each heard of by the clock of the database.
daemons = Table(
    "daemons",
    metadata,
    Column("daemon_id", String(32), primary_key=True),
    Column("host", Text, nullable=False),
    Column("pid", BigInteger, nullable=False),
    Column("user", Text, nullable=False),
    Column("state_directory", Text, nullable=False),
    Column("role", String(16), nullable=False),
    Column("repositories", _JSON, nullable=False),
    Column("lease_seconds", Float(53), nullable=False),
    Column("joined_at", Float(53), nullable=False),
    Column("heard_at", Float(53), nullable=False),
)

# Which of them works on a repository; the number only grows, and is checked by every write of who works.
leases = Table(
    "leases",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("number", BigInteger, nullable=False),
    Column("holder", String(32)),
)

# News for the targets of the config: a row for each target, gone once that has taken it.
outbox = Table(
    "outbox",
    metadata,
    Column("delivery_id", Integer, primary_key=True),
    Column("target", String(255), nullable=False),
    Column("message_id", String(64), nullable=False),
    Column("news", _JSON, nullable=False),
    Column("at", Float(53), nullable=False),
    Column("died_at", Float(53)),
)
Index("outbox_by_target", outbox.c.target, outbox.c.died_at, outbox.c.delivery_id)

# How it stands with each target: nothing is sent to it before ``due_at``, which is also how a sender claims it.
notify_targets = Table(
    "notify_targets",
    metadata,
    Column("name", String(255), primary_key=True),
    Column("due_at", Float(53), nullable=False),
    Column("failures", Integer, nullable=False),
    Column("failing_since", Float(53)),
    Column("problem", Text),
)


def create(connection: Connection) -> None:
    """Make the tables of a new store."""
    if connection.dialect.name == "postgresql":  # set here, because it has SQLAlchemy import all of that dialect
        _one_open_batch.dialect_kwargs["postgresql_where"] = batches.c.state == "open"
    metadata.create_all(connection)
    alembic_version.create(connection)
    connection.execute(insert(counters), [{"name": "change", "value": 0}, {"name": "batch", "value": 0}])
    connection.execute(insert(schema_version).values(version=int(VERSION)))
    connection.execute(insert(alembic_version).values(version_num=VERSION))


def read_version(connection: Connection) -> str | None:
    """The version of the store, of which a later one sorts behind; ``None`` where it has no tables of ours."""
    tables = inspect(connection)
    if tables.has_table(alembic_version.name):
        version: str = connection.execute(select(alembic_version.c.version_num)).scalar_one()
        return version
    if tables.has_table(schema_version.name):
        return f"{connection.execute(select(schema_version.c.version)).scalar_one():04}"
    return None
