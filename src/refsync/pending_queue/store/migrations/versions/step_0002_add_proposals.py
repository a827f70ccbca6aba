"""Add the proposals of batches."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    """Add the proposals of batches."""
    op.add_column("batches", sa.Column("proposal", sa.JSON))
