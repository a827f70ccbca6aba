"""Add the outbox, and how it stands with the targets that it is for."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"


def upgrade() -> None:
    """Add the tables, and up to which commit people were told of commits that are not refsync's."""
    op.create_table(
        "outbox",
        sa.Column("delivery_id", sa.Integer, primary_key=True),
        sa.Column("target", sa.String(255), nullable=False),
        sa.Column("message_id", sa.String(64), nullable=False),
        sa.Column("news", sa.JSON, nullable=False),
        sa.Column("at", sa.Float(53), nullable=False),
        sa.Column("died_at", sa.Float(53)),
    )
    op.create_index("outbox_by_target", "outbox", ["target", "died_at", "delivery_id"])
    op.create_table(
        "notify_targets",
        sa.Column("name", sa.String(255), primary_key=True),
        sa.Column("due_at", sa.Float(53), nullable=False),
        sa.Column("failures", sa.Integer, nullable=False),
        sa.Column("failing_since", sa.Float(53)),
        sa.Column("problem", sa.Text),
    )
    op.add_column("repositories", sa.Column("told_commit", sa.String(64)))
