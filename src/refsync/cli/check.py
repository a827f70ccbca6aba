"""``refsync check``: the built-in checks, for people and for their CI."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import asdict
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from refsync.cli.conventions import conventions_of
from refsync.cli.diff import revision
from refsync.cli.options import Json
from refsync.cli.output import counted, json_text, note, print_json, shown_text
from refsync.cli.revisions import Base, Directory, Head, snapshots_of
from refsync.review.finding import Finding, Rule

if TYPE_CHECKING:
    from refsync.clone.revisions import Snapshot
    from refsync.review.conventions import Conventions
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
    everything: Annotated[bool, typer.Option("--all", help="Print all, however many there are.")] = False,
    json: Json = False,
) -> None:
    """Check the category files of the work tree, or of HEAD; what is wrong in BASE already is no failure."""
    from refsync.clone.revisions import find_clone
    from refsync.errors import RequestError
    from refsync.review.findings import check as check_snapshot

    clone = find_clone(directory)
    conventions = conventions_of(ctx, clone)
    old, new = snapshots_of(clone, base, head, conventions.folders)
    if fix and new.commit is not None:
        raise RequestError("--fix mends the work tree: leave HEAD out")
    if fix:
        _mend(new, conventions)
        old, new = snapshots_of(clone, base, head, conventions.folders)
    verdict = check_snapshot(new, old, old or _committed(new, conventions.folders), conventions)
    if json:
        print_json(_document(verdict))
    else:
        _show(verdict, everything=everything)
    if verdict.failures:
        raise typer.Exit(1)


def _mend(work_tree: Snapshot, conventions: Conventions) -> None:
    """Mend what can be mended without asking, each file by one rename; the person looks at it and commits."""
    from refsync.review.mending import mended_documents, mended_tables

    for mended in mended_documents(work_tree, conventions):
        _write(work_tree.clone, mended)
    for mended in mended_tables(work_tree, conventions):
        _write(work_tree.clone, mended)


def _write(clone: Path, mended: Mended) -> None:
    import shlex

    target = clone / mended.path
    staged = target.with_name(f".{target.name}.refsync")
    staged.write_bytes(mended.content)
    if target.exists():
        staged.chmod(target.stat().st_mode)
    staged.replace(target)
    paths = shlex.join(mended.commit_with)
    git = shlex.join(["git", "-C", str(clone)])
    note(
        f"{mended.what}; look at it (refsync diff HEAD --directory {shlex.quote(str(clone))}), then: "
        f"{git} add -- {paths} && {git} commit -m {shlex.quote(mended.subject)} -- {paths}"
    )


def _committed(work_tree: Snapshot, folders: Collection[str]) -> Snapshot | None:
    """What an edited work tree stands on; nothing before the first commit."""
    from refsync.clone.revisions import at_revision
    from refsync.errors import RequestError

    try:
        return at_revision(work_tree.clone, "HEAD", folders)
    except RequestError:
        return None


def _document(verdict: Verdict) -> dict[str, Any]:
    return {
        "base": revision(verdict.base) if verdict.base else None,
        "head": revision(verdict.head),
        "files": verdict.files,
        "failures": [asdict(each) for each in verdict.failures],
        "already": [asdict(each) for each in verdict.already],
        "notes": [asdict(each) for each in verdict.notes],
        "critical": [asdict(each) for each in verdict.critical],
        "deleted": [asdict(each) for each in verdict.deleted],
        "switched_off": verdict.switched_off,
    }


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
