"""Note when a pass last did a repository well."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Add the column; the next pass fills it."""
    op.add_column("repositories", sa.Column("last_good_pass_at", sa.Float(53)))
