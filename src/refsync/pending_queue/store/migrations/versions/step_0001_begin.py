"""Where the steps begin: the tables of the first version, which no step makes."""

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Nothing: a new store is made from the tables in ``schema``."""
