"""``refsync queue add``: one change, its record given, or filled from what the host of a URL tells."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refsync.cli.context import context_of
from refsync.cli.links import told
from refsync.cli.options import By, Json, Username
from refsync.cli.output import json_lines, note, print_json
from refsync.cli.submitted import read_source, say_if_unserved, tell_conflicts

if TYPE_CHECKING:
    from refsync.pending_queue.models import AuditOperation
    from refsync.use_cases.links.evidence import FilledRecord

Notes = Annotated[str | None, typer.Option("--notes", metavar="T", help="A word to the reviewer.")]


def add(
    ctx: typer.Context,
    operation: Annotated[str, typer.Argument(metavar="create|update|delete")],
    category: Annotated[str, typer.Argument(help="The category, such as image_generation.")],
    model: Annotated[
        str | None, typer.Argument(help="The model's name; with --from what the host calls it.", show_default=False)
    ] = None,
    payload: Annotated[
        str | None, typer.Option("--payload", metavar="FILE|-", help="The full record as JSON; - reads stdin.")
    ] = None,
    url: Annotated[
        str | None,
        typer.Option("--from", metavar="URL", help="Fill the record from what the URL's host tells of its file."),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="With --from: print the record, and submit nothing.")
    ] = False,
    after: Annotated[
        str | None, typer.Option("--after", metavar="MODEL", help="Let a new model stand right behind this one.")
    ] = None,
    before: Annotated[
        str | None, typer.Option("--before", metavar="MODEL", help="Let a new model stand right ahead of this one.")
    ] = None,
    file: Annotated[
        str | None, typer.Option("--file", metavar="PATH", help="The file of the category that a new model goes to.")
    ] = None,
    notes: Notes = None,
    by: By = None,
    username: Username = None,
    json: Json = False,
) -> None:
    """Submit a change; prints its id."""
    from refsync.pending_queue.payloads import parse_operation, parse_payload
    from refsync.use_cases.questions.changes import FILL, SUBMIT

    asked = parse_operation(operation)
    _check_given(asked, model, payload, url, dry_run)
    record = None if payload is None else parse_payload(read_source(payload))
    metadata: dict[str, Any] | None = None
    with context_of(ctx).desk(by, username) as desk:
        if url is not None:
            filled = desk.ask(FILL, operation=operation, category=category, url=url, model_name=model, payload=record)
            if dry_run:
                print_json(filled if json else filled.record)
                _tell_filled(filled)
                return
            if sys.stdin.isatty() and payload != "-" and not json and not _is_wanted(filled):
                note("nothing was submitted")
                raise typer.Exit(1)
            model, record = filled.model_name, filled.record
            metadata = {"evidence": filled.evidence.model_dump()}
        change = desk.ask(
            SUBMIT,
            operation=operation,
            category=category,
            model_name=model,
            payload=record,
            request_metadata=metadata,
            notes=notes,
            after=after,
            before=before,
            file=file,
        )
        say_if_unserved(desk)
    tell_conflicts(change)
    for link in change.links:
        note(f"note: {link.url}: {told(link)}")
    print_json(change) if json else typer.echo(change.change_id)


def _check_given(
    operation: AuditOperation, model: str | None, payload: str | None, url: str | None, dry_run: bool
) -> None:
    from refsync.errors import PayloadError, RequestError
    from refsync.pending_queue.models import AuditOperation

    if url is None and dry_run:
        raise RequestError("--dry-run shows what --from fills in: give a URL")
    if url is None and model is None:
        raise RequestError("name the model")
    if operation is AuditOperation.DELETE and (payload is not None or url is not None):
        raise PayloadError("a delete takes no payload: leave --payload and --from out")
    if operation is not AuditOperation.DELETE and payload is None and url is None:
        raise PayloadError(f"{operation} needs the full record: --payload FILE, or - for stdin; or --from URL")


def _is_wanted(filled: FilledRecord) -> bool:
    note(f"{filled.operation} {filled.category} {filled.model_name}")
    for line in json_lines(filled.record).split("\n"):
        note(line)
    _tell_filled(filled)
    typer.echo("Submit this? [y/N] ", nl=False, err=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _tell_filled(filled: FilledRecord) -> None:
    for field, key in filled.evidence.fields.items():
        note(f"note: {field}: {key}")
    if filled.lacking:
        note(f"note: all other records have {', '.join(filled.lacking)}: fill that in by --payload")
