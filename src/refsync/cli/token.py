"""``refsync token``: who may come in by the door."""

from __future__ import annotations

from typing import Annotated

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import counted, print_json, shown_text, shown_time

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Id = Annotated[str, typer.Argument(metavar="ID", help="Who it is, as changes and commits name them.")]


@app.command()
def add(
    ctx: typer.Context,
    id: Id,
    role: Annotated[str, typer.Option("--role", metavar="requestor|approver", help="What they may do.")],
    username: Annotated[str | None, typer.Option("--username", metavar="NAME", help="Their display name.")] = None,
    json: Json = False,
) -> None:
    """Make a token for somebody; it is printed this once, as the last word."""
    from refsync.use_cases.tokens import add_token

    made = add_token(context_of(ctx).config(), id, username=username, role=role)
    if json:
        print_json(made)
        return
    typer.echo(f"{shown_text(made.username)} ({shown_text(made.id)}) is let in as {made.role} by {made.token}")


@app.command(name="list")
def list_(ctx: typer.Context, json: Json = False) -> None:
    """List who has a token; the tokens themselves are kept nowhere."""
    from refsync.use_cases.tokens import list_tokens

    holders = list_tokens(context_of(ctx).config())
    if json:
        print_json(holders)
        return
    from refsync.cli.table import print_table

    rows = [
        (shown_text(each.id), shown_text(each.username), each.role, shown_time(each.made_at)) for each in holders.root
    ]
    print_table(("id", "name", "role", "made"), rows)
    typer.echo(counted(len(rows), "token"))


@app.command()
def revoke(ctx: typer.Context, id: Id, json: Json = False) -> None:
    """End every token of somebody, at once."""
    from refsync.use_cases.tokens import revoke_tokens

    ended = revoke_tokens(context_of(ctx).config(), id)
    print_json(ended) if json else typer.echo(f"{counted(ended.ended, 'token')} of {shown_text(id)} revoked")
