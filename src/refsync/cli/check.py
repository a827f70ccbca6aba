"""``refsync check``: the built-in checks, for people and for their CI."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from refsync.cli.diff import question_of
from refsync.cli.options import Json
from refsync.cli.output import counted, json_text, note, print_json, progress_bar, shown_text
from refsync.cli.revisions import Base, Directory, Head
from refsync.commands import command, git_command
from refsync.review.finding import Finding, Rule

if TYPE_CHECKING:
    from refsync.review.findings import CriticalChange, Deleted, Verdict
    from refsync.review.mending import Mended

_MOST = 100
_MOST_NAMES = 5


def check(
    ctx: typer.Context,
    base: Base = None,
    head: Head = None,
    directory: Directory = Path(),
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Drop keys that stand twice, make db.json anew, and say how to commit it."),
    ] = False,
    links: Annotated[
        bool, typer.Option("--links", help="Ask hosts about the links that changed records bring.")
    ] = False,
    markdown: Annotated[bool, typer.Option("--markdown", help="Print a comment for a pull request.")] = False,
    everything: Annotated[bool, typer.Option("--all", help="Print all, however many there are.")] = False,
    json: Json = False,
) -> None:
    """Check the category files of the work tree, or of HEAD; what is wrong in BASE already is no failure."""
    from refsync.errors import RequestError
    from refsync.use_cases.clones import check_clone, mend_clone

    if json and markdown:
        raise RequestError("--json and --markdown: give one of them")
    question = question_of(ctx, directory, base, head)
    if fix:
        for clone, mended in mend_clone(question):
            _tell_mended(clone, mended)
    with progress_bar("asking hosts", shown=links and not json) as tell:
        answer = check_clone(question, asks_hosts=links, progress=tell)
    if json:
        print_json(answer)
    elif markdown:
        from refsync.review.verdict_markdown import render_verdict

        typer.echo(render_verdict(answer.root), nl=False)
    else:
        _show(answer.root, everything=everything)
    if answer.root.failures:
        raise typer.Exit(1)


def _tell_mended(clone: Path, mended: Mended) -> None:
    note(
        f"{mended.what}; look at it ({command('refsync', 'diff', 'HEAD', '--directory', clone)}), then: "
        f"{git_command(clone, 'add', '--', *mended.commit_with)} && "
        f"{git_command(clone, 'commit', '-m', mended.subject, '--', *mended.commit_with)}"
    )


def _show(verdict: Verdict, *, everything: bool) -> None:
    base = shown_text(verdict.base.name) if verdict.base else ""
    _print("finding", map(_finding, verdict.failures), everything)
    _print("note", (f"note: {_finding(each)}" for each in verdict.notes), everything)
    _print("deletion", (f"note: {_deleted(each)}" for each in verdict.deleted), everything)
    _print("critical change", (f"note: {_critical(each)}" for each in verdict.critical), everything)
    _print("finding", (f"note: in {base} already: {_finding(each)}" for each in verdict.already), everything)
    off = f"; switched off: {', '.join(verdict.switched_off)}" if verdict.switched_off else ""
    checked = f"{counted(len(verdict.files), 'category file')} of {verdict.head.name} checked{off}"
    if verdict.failures:
        note(f"refsync: {counted(len(verdict.failures), 'finding')}; {checked}")
    else:
        typer.echo(f"nothing wrong; {shown_text(checked)}")


def _print(what: str, lines: Iterator[str], everything: bool) -> None:
    """Print the first of many lines, and say how to get the others."""
    for line in lines if everything else islice(lines, _MOST):
        typer.echo(line)
    if left := sum(1 for _ in lines):
        typer.echo(f"and {counted(left, f'more {what}')}; --all shows them")


def _finding(finding: Finding) -> str:
    place = finding.file if finding.line is None else f"{finding.file}:{finding.line}"
    model = "" if finding.model is None else f" {json_text(finding.model)}:"
    return shown_text(f"{place}:{model} {finding.what}; {finding.mend} [{finding.rule}]")


def _critical(touched: CriticalChange) -> str:
    fields = ", ".join(touched.fields)
    rule = Rule.critical_fields
    return shown_text(f"{touched.file}: {json_text(touched.model)}: critical fields changed: {fields} [{rule}]")


def _deleted(deleted: Deleted) -> str:
    names = ", ".join(json_text(each) for each in deleted.models[:_MOST_NAMES])
    more = f" and {len(deleted.models) - _MOST_NAMES} more" if len(deleted.models) > _MOST_NAMES else ""
    gone = f"{len(deleted.models)} of {counted(deleted.before, 'model')}"
    return shown_text(
        f"{deleted.file}: {gone} {'is' if len(deleted.models) == 1 else 'are'} gone: {names}{more} [{Rule.deleted}]"
    )
