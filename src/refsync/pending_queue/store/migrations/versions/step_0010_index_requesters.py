"""Let an index find, and count, what one person has asked for."""

from alembic import op

revision = "0010"
down_revision = "0009"


def upgrade() -> None:
    """Let an index find, and count, what one person has asked for."""
    columns = ["requested_by", "change_id", "status", "requested_provider"]
    op.create_index("changes_by_requester", "changes", columns)
