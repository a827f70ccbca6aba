"""Keep who vouches for an identity, whether a batch's deletions are confirmed, and what others deleted in mass."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Add the columns; whoever is in an older store was the operating system's."""
    for table, column in (("changes", "requested_provider"), ("events", "provider")):
        op.add_column(table, sa.Column(column, sa.Text, nullable=False, server_default="system"))
    op.add_column("batches", sa.Column("is_confirmed", sa.Boolean, nullable=False, server_default=sa.false()))
    op.add_column("repositories", sa.Column("mass_deletion", sa.JSON(none_as_null=True)))
