"""The steps that bring an older store to the present tables; alembic takes them.

To add a step, say ``0005``:

1. Change the tables in ``schema.py`` and set its ``VERSION`` to ``0005``. A new store is made from these tables alone.
2. ``alembic revision --rev-id 0005 -m "what it does"`` in the project's folder makes the file in ``versions/``; or copy
   the last one. Write its ``upgrade()`` with ``op``; it names tables and columns itself and never imports ``schema`` or
   a model, for those go on changing. There is no downgrade: the copy made before an upgrade is the way back.
3. ``tests/integration/test_queue_migrations.py`` compares stores of every older version, upgraded, with a new one.

All steps are taken in one transaction of the only writer, so that a crash leaves the old store. Steps have to work on
SQLite and PostgreSQL: ``op.add_column`` and ``op.create_table`` do; a table that others refer to cannot be made anew
(``batch_alter_table``) on SQLite, because the transaction checks references. A step that is on the main branch is never
changed. alembic takes a tenth of a second to import, so only a store whose version differs loads this package.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection


def upgrade(connection: Connection, version: str) -> None:
    """Bring a store of this older version to the present one, within the caller's transaction."""
    config = Config(attributes={"connection": connection})
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    # Stores of before alembic kept their version in a table of their own.
    command.stamp(config, version)
    command.upgrade(config, "head")
