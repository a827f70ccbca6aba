"""The options by which some changes of the queue are meant."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple

import typer

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

    def arguments(self) -> dict[str, Any]:
        """Those that restrict something, as arguments of a question."""
        given = {
            "statuses": self.statuses,
            "categories": self.categories,
            "batch_id": self.batch,
            "model_name": self.model,
            "requested_by": self.requested_by,
        }
        return {name: value for name, value in given.items() if value is not None and value != []}

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
