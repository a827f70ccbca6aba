"""What hosts said of the links in records, kept beside the queue."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict
from sqlalchemy import Connection, and_, delete, func, insert, or_, select

from refsync.pending_queue.store.rows import understood
from refsync.pending_queue.store.schema import link_checks

_MODELS_AT_ONCE = 200


class LinkCheck(BaseModel):
    """What became of one link of a record.

    ``said_sha256`` and ``said_size`` are what the record says of the file, ``sha256`` and ``size`` (in bytes) what its
    host says; ``why`` is what is unknown, ``elsewhere`` another place of the same file. Times are Unix seconds.
    """

    model_config = ConfigDict(frozen=True)

    category: str
    model_name: str
    url: str
    host: str
    verdict: str
    said_sha256: str | None = None
    said_size: int | None = None
    sha256: str | None = None
    size: int | None = None
    why: str | None = None
    elsewhere: str | None = None
    checked_at: float


def keep(connection: Connection, models: Iterable[tuple[str, str]], checks: Iterable[LinkCheck]) -> None:
    """Keep these checks of some models, each by its category and name, in place of what was kept of them."""
    names = list(models)
    for start in range(0, len(names), _MODELS_AT_ONCE):
        some = names[start : start + _MODELS_AT_ONCE]
        of_model = [
            and_(link_checks.c.category == category, link_checks.c.model_name == name) for category, name in some
        ]
        connection.execute(delete(link_checks).where(or_(*of_model)))
    if rows := [check.model_dump() for check in checks]:
        connection.execute(insert(link_checks), rows)


def kept(connection: Connection, category: str | None = None, model: str | None = None) -> list[LinkCheck]:
    """What is kept, in all, of a category, or of a model, in the order of its links."""
    query = select(link_checks).order_by(link_checks.c.link_check_id)
    if category is not None:
        query = query.where(link_checks.c.category == category)
    if model is not None:
        query = query.where(link_checks.c.model_name == model)
    return [
        understood(LinkCheck, row, f"the link check of {row['model_name']}")
        for row in connection.execute(query).mappings()
    ]


def asked_since(connection: Connection, moment: float) -> Mapping[str, int]:
    """How many links of each host have been asked about since a moment."""
    query: Any = (
        select(link_checks.c.host, func.count()).where(link_checks.c.checked_at >= moment).group_by(link_checks.c.host)
    )
    return {host: int(count) for host, count in connection.execute(query)}
