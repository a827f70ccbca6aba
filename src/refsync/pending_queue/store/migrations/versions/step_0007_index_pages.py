"""Let indices find the pages of a long queue in their order, and count their hits."""

from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    """Let indices find the pages of a long queue in their order, and count their hits."""
    op.drop_index("changes_by_status", "changes")
    op.drop_index("changes_by_model", "changes")
    op.create_index("changes_by_status", "changes", ["status", "change_id"])
    op.create_index("changes_by_category", "changes", ["category", "status", "change_id"])
    op.create_index("changes_by_model", "changes", ["category", "model_name", "change_id"])
    op.create_index("changes_by_reverts", "changes", ["reverts"])
