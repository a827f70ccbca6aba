"""Add which batch a change is to undo."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Add which batch a change is to undo."""
    op.add_column("changes", sa.Column("reverts", sa.BigInteger))
