"""``refsync probe``: whether the links in records hold."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, Annotated

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import counted, note, print_json, progress_bar, shown_text

if TYPE_CHECKING:
    from refsync.pending_queue.store.link_checks import LinkCheck
    from refsync.use_cases.probing import LinkChecks

_SHOWN_HASH = 12


def probe(
    ctx: typer.Context,
    category: Annotated[str | None, typer.Argument(help="One category; all by default.", show_default=False)] = None,
    models: Annotated[list[str] | None, typer.Argument(help="Some of its models.", show_default=False)] = None,
    again: Annotated[bool, typer.Option("--again", help="Ask also about what was asked a short while ago.")] = False,
    json: Json = False,
) -> None:
    """Ask hosts whether the files that records link to are there, with the hash and size that they tell."""
    from refsync.use_cases.probing import link_checks, prepare_probe

    context = context_of(ctx)
    with context.application() as application:
        name = None if category is None else context.category(category)
        found = prepare_probe(application, name, models or [], again=again)
        with progress_bar("probing", shown=not json) as tell:
            for progress in found.run():
                if tell is not None:
                    tell(progress.done, progress.total)
        checks = link_checks(application, list(found.models))
    print_json(checks) if json else _show(checks)
    if not checks.are_good:
        raise typer.Exit(1)


def _show(checks: LinkChecks) -> None:
    for check in checks.root:
        if check.verdict != "good":
            typer.echo(shown_text(f"{check.category} {check.model_name}: {_told(check)}: {check.url}"))
    counts = Counter(check.verdict for check in checks.root)
    told = ", ".join(f"{count} {verdict.replace('_', ' ')}" for verdict, count in counts.most_common())
    note(f"{counted(len(checks.root), 'link')}{': ' if told else ''}{told}")


def _told(check: LinkCheck) -> str:
    if check.verdict == "gone":
        return "gone" if check.elsewhere is None else f"gone; the same file is at {check.elsewhere}"
    if check.verdict == "login_needed":
        return "there only for those who log in"
    if check.verdict == "unknown":
        return f"unknown, {check.why}"
    differing = []
    if check.sha256 and check.said_sha256 and check.sha256 != check.said_sha256:
        differing.append(f"sha256 is {check.sha256[:_SHOWN_HASH]}…, the record says {check.said_sha256[:_SHOWN_HASH]}…")
    if check.size and check.said_size and check.size != check.said_size:
        differing.append(f"it has {check.size} bytes, the record says {check.said_size}")
    return "; ".join(differing)
