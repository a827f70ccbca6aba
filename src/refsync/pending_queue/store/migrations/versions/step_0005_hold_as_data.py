"""Keep what a held batch waits for as data; what is stored in words gets the kind that the words tell."""

import re
from collections.abc import Mapping
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

_batches = sa.table(
    "batches",
    sa.column("number", sa.BigInteger),
    sa.column("state", sa.String),
    sa.column("reason", sa.Text),
    sa.column("base_commit", sa.String),
    sa.column("hold", sa.JSON(none_as_null=True)),
)
_KINDS: Mapping[str, str] = {
    r"(?P<reason>.*); then: refsync batch retry \d+": "refused_push",
    r"(?P<reason>pull request (?P<about>\d+) was closed.*); reopen it, or: refsync batch retry \d+": "closed_request",
    r"(?P<reason>its branch (?P<about>\S+) was deleted .*); restore it, or: refsync batch retry \d+": "deleted_branch",
    r"(?P<reason>it was proposed as (?P<about>\S+), .*); set it back, or: refsync batch retry \d+": "left_proposal",
    r"(?P<reason>check `(?P<about>.*?)` .*)": "failed_check",
    r"(?P<reason>(?P<about>.*) has local edits in the clone; commit or undo them)": "local_edits",
    r"(?P<reason>(?P<about>.*?) cannot be edited safely: .*)": "unreadable_file",
    r"(?P<reason>batch (?P<about>\d+) touches .* too and has not landed)": "earlier_batch",
    r"(?P<reason>the batch's repository does not hold (?P<about>\w+) any more; .*)": "category_left",
    r"(?P<reason>no repository of the config holds .*)": "unserved",
    r"(?P<reason>somebody else was quicker \d+ times: .*)": "lost_races",
    r"(?P<reason>.*)": "other",
}
_ON_ONE_TIP = {"refused_push", "failed_check"}


def upgrade() -> None:
    """Add the column, and fill it for the batches that are held."""
    op.add_column("batches", sa.Column("hold", sa.JSON))
    connection = op.get_bind()
    held = connection.execute(sa.select(_batches).where(_batches.c.state == "held")).all()
    for batch in held:
        hold = _hold(batch.reason or "", batch.base_commit)
        connection.execute(sa.update(_batches).where(_batches.c.number == batch.number).values(hold=hold))


def _hold(told: str, base_commit: str | None) -> dict[str, Any]:
    kind, match = next((kind, match) for words, kind in _KINDS.items() if (match := re.fullmatch(words, told, re.S)))
    return {"kind": kind, "since_tip": base_commit if kind in _ON_ONE_TIP else None, "about": None, **match.groupdict()}
