"""Keep what hosts said of the links in records."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"


def upgrade() -> None:
    """Add the table."""
    op.create_table(
        "link_checks",
        sa.Column("link_check_id", sa.Integer, primary_key=True),
        sa.Column("category", sa.String(64), nullable=False),
        sa.Column("model_name", sa.Text, nullable=False),
        sa.Column("url", sa.Text, nullable=False),
        sa.Column("host", sa.String(255), nullable=False),
        sa.Column("verdict", sa.String(32), nullable=False),
        sa.Column("said_sha256", sa.String(64)),
        sa.Column("said_size", sa.BigInteger),
        sa.Column("sha256", sa.String(64)),
        sa.Column("size", sa.BigInteger),
        sa.Column("why", sa.Text),
        sa.Column("elsewhere", sa.Text),
        sa.Column("checked_at", sa.Float(53), nullable=False),
    )
    op.create_index("link_checks_by_model", "link_checks", ["category", "model_name"])
