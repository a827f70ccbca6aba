"""The options by which some changes of the queue are meant."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

if TYPE_CHECKING:
    from refsync.cli.context import Context
    from refsync.pending_queue.models import PendingChangeStatus, PendingQueueFilter

Statuses = Annotated[list[str] | None, typer.Option("--status", metavar="S", help="With this status; repeatable.")]
Categories = Annotated[list[str] | None, typer.Option("--category", metavar="C", help="Of this category; repeatable.")]
BatchNumber = Annotated[int | None, typer.Option("--batch", metavar="N", help="Of this batch.")]
ModelText = Annotated[str | None, typer.Option("--model", metavar="TEXT", help="With this text in the model's name.")]
Requesters = Annotated[
    list[str] | None, typer.Option("--requested-by", metavar="ID", help="Proposed by this identity; repeatable.")
]


class FilterOptions(NamedTuple):
    """What was given of them."""

    statuses: list[str] | None
    categories: list[str] | None
    batch: int | None
    model: str | None
    requested_by: list[str] | None

    def filter(self, context: Context) -> PendingQueueFilter | None:
        """The filter that they ask for, ``None`` where none was given.

        Raises:
            RequestError: there is no such status.
            UnknownCategoryError: there is no such category.
        """
        from refsync.pending_queue.models import PendingQueueFilter

        if not self.words():
            return None
        return PendingQueueFilter(
            statuses={_status(name) for name in self.statuses} if self.statuses else None,
            categories={context.category(name) for name in self.categories} if self.categories else None,
            batch_id=self.batch,
            model_name=self.model,
            requested_by=set(self.requested_by) if self.requested_by else None,
        )

    def words(self) -> list[str]:
        """The same as words of a command line."""
        given = {
            "--status": self.statuses or (),
            "--category": self.categories or (),
            "--batch": () if self.batch is None else (str(self.batch),),
            "--model": () if self.model is None else (self.model,),
            "--requested-by": self.requested_by or (),
        }
        return [f"{option}={value}" for option, values in given.items() for value in values]


def _status(name: str) -> PendingChangeStatus:
    from refsync.errors import RequestError
    from refsync.pending_queue.models import PendingChangeStatus

    try:
        return PendingChangeStatus(name)
    except ValueError:
        raise RequestError(f"unknown status {name!r}; it is one of {', '.join(PendingChangeStatus)}") from None
