"""``refsync notify``: whom events are told to."""

from __future__ import annotations

from typing import Annotated

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import counted, print_json, shown_text

app = typer.Typer(no_args_is_help=True, rich_markup_mode=None)

Target = Annotated[str, typer.Argument(metavar="TARGET", help="The name of a [[notify]] of the config.")]


@app.command(name="test")
def try_out(ctx: typer.Context, target: Target, json: Json = False) -> None:
    """Send a message to a target now, to see that it arrives."""
    from refsync.use_cases.notifying import try_target

    tried = try_target(context_of(ctx).config(), target)
    print_json(tried) if json else typer.echo(f"{shown_text(tried.target)} has taken {tried.message_id}")


@app.command()
def retry(ctx: typer.Context, target: Target, json: Json = False) -> None:
    """Have the daemon send again what it had given up."""
    from refsync.use_cases.notifying import retry_dead

    with context_of(ctx).application() as application:
        revived = retry_dead(application, target)
    told = f"{counted(revived.messages, 'message')} to {shown_text(target)} will be sent again"
    print_json(revived) if json else typer.echo(told)


@app.command()
def discard(ctx: typer.Context, target: Target, json: Json = False) -> None:
    """Forget what could not be delivered."""
    from refsync.use_cases.notifying import discard_dead

    with context_of(ctx).application() as application:
        discarded = discard_dead(application, target)
    told = f"{counted(discarded.messages, 'message')} to {shown_text(target)} forgotten"
    print_json(discarded) if json else typer.echo(told)
