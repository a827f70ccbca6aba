"""``refsync check``: the built-in checks, for people and for their CI."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refsync.cli.diff import revision
from refsync.cli.options import Json
from refsync.cli.output import counted, json_text, note, print_json, shown_text
from refsync.cli.revisions import Base, Directory, Head, snapshots_of

if TYPE_CHECKING:
    from refsync.clone.revisions import Snapshot
    from refsync.review.finding import Finding
    from refsync.review.findings import CriticalChange, Verdict


def check(
    base: Base = None,
    head: Head = None,
    directory: Directory = Path(),
    fix: Annotated[
        bool,
        typer.Option("--fix", help="Make db.json of the work tree anew from models.csv, and say how to commit it."),
    ] = False,
    json: Json = False,
) -> None:
    """Check the category files of the work tree, or of HEAD; what is wrong in BASE already is no failure."""
    from refsync.errors import RequestError
    from refsync.review.findings import check as check_snapshot

    old, new = snapshots_of(directory, base, head)
    if fix and new.commit is not None:
        raise RequestError("--fix mends the work tree: leave HEAD out")
    if fix:
        _mend(new)
        old, new = snapshots_of(directory, base, head)
    verdict = check_snapshot(new, old, old or _committed(new))
    if json:
        print_json(_document(verdict))
    else:
        _show(verdict)
    if verdict.failures:
        raise typer.Exit(1)


def _mend(work_tree: Snapshot) -> None:
    """Write what each table makes, by one rename; the person looks at it and commits."""
    from refsync.review.category_files import DERIVED, ROWS
    from refsync.review.text_findings import documents_made_anew

    for path, made in documents_made_anew(work_tree).items():
        target = work_tree.clone / path
        staged = target.with_name(f".{DERIVED}.refsync")
        staged.write_bytes(made)
        if target.exists():
            staged.chmod(target.stat().st_mode)
        staged.replace(target)
        table = path.removesuffix(DERIVED) + ROWS
        note(
            f"{path} is made anew from {table}; look at it (refsync diff HEAD), then, at the root of the clone: "
            f"git add {table} {path} && git commit -m 'Make {DERIVED} anew' {table} {path}"
        )


def _committed(work_tree: Snapshot) -> Snapshot | None:
    """What an edited work tree stands on; nothing before the first commit."""
    from refsync.clone.revisions import at_revision
    from refsync.errors import RequestError

    try:
        return at_revision(work_tree.clone, "HEAD")
    except RequestError:
        return None


def _document(verdict: Verdict) -> dict[str, Any]:
    return {
        "base": revision(verdict.base) if verdict.base else None,
        "head": revision(verdict.head),
        "files": verdict.files,
        "failures": [asdict(each) for each in verdict.failures],
        "already": [asdict(each) for each in verdict.already],
        "critical": [asdict(each) for each in verdict.critical],
    }


def _show(verdict: Verdict) -> None:
    for finding in verdict.failures:
        typer.echo(_finding(finding))
    for touched in verdict.critical:
        typer.echo(f"note: {_critical(touched)}")
    base = verdict.base.name if verdict.base else ""
    for finding in verdict.already:
        typer.echo(f"note: in {shown_text(base)} already: {_finding(finding)}")
    checked = f"{counted(len(verdict.files), 'category file')} of {verdict.head.name} checked"
    if verdict.failures:
        note(f"refsync: {counted(len(verdict.failures), 'finding')}; {checked}")
    else:
        typer.echo(f"nothing wrong; {shown_text(checked)}")


def _finding(finding: Finding) -> str:
    place = finding.file if finding.line is None else f"{finding.file}:{finding.line}"
    model = "" if finding.model is None else f" {json_text(finding.model)}:"
    return shown_text(f"{place}:{model} {finding.what}; {finding.mend}")


def _critical(touched: CriticalChange) -> str:
    fields = ", ".join(touched.fields)
    return shown_text(f"{touched.file}: {json_text(touched.model)}: critical fields changed: {fields}")
