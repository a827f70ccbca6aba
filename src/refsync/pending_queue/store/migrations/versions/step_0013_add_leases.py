"""Let several processes share a queue: who they are, and which of them works on which repository."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"


def upgrade() -> None:
    """Make both tables, empty: who runs an older refsync shares no queue."""
    op.create_table(
        "daemons",
        sa.Column("daemon_id", sa.String(32), primary_key=True),
        sa.Column("host", sa.Text, nullable=False),
        sa.Column("pid", sa.BigInteger, nullable=False),
        sa.Column("user", sa.Text, nullable=False),
        sa.Column("state_directory", sa.Text, nullable=False),
        sa.Column("role", sa.String(16), nullable=False),
        sa.Column("repositories", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("lease_seconds", sa.Float(53), nullable=False),
        sa.Column("joined_at", sa.Float(53), nullable=False),
        sa.Column("heard_at", sa.Float(53), nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("number", sa.BigInteger, nullable=False),
        sa.Column("holder", sa.String(32)),
    )
