"""Keep what hosts said by the link that it is of, and count the questions."""

import sqlalchemy as sa
from alembic import op

revision = "0012"
down_revision = "0011"


def upgrade() -> None:
    """Begin anew: hosts are asked again."""
    op.drop_table("link_checks")
    op.create_table(
        "link_checks",
        sa.Column("key", sa.String(64), primary_key=True),
        sa.Column("standing", sa.String(32), nullable=False),
        sa.Column("sha256", sa.String(64)),
        sa.Column("size", sa.BigInteger),
        sa.Column("why", sa.Text),
        sa.Column("elsewhere", sa.Text),
        sa.Column("checked_at", sa.Float(53), nullable=False),
    )
    op.create_table(
        "hosts_asked",
        sa.Column("host", sa.String(255), primary_key=True),
        sa.Column("day", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("questions", sa.Integer, nullable=False),
    )
