"""Add where a new model is to stand, the other half of a rename, and what was noticed at submission."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add where a new model is to stand, the other half of a rename, and what was noticed at submission."""
    op.add_column("changes", sa.Column("after", sa.Text))
    op.add_column("changes", sa.Column("before", sa.Text))
    op.add_column("changes", sa.Column("lands_with", sa.BigInteger))
    op.add_column("changes", sa.Column("remarks", sa.JSON(none_as_null=True)))
