"""``refsync doctor``."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import typer

from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import print_json, shown_text

if TYPE_CHECKING:
    from refsync.use_cases.doctor.checks import Check, Diagnosis


def doctor(ctx: typer.Context, json: Json = False) -> None:
    """Tell all that is wrong with machine, config, state and clones, with the command that mends it; changes nothing.

    Exit code 1 if anything is. Remote and forge are asked.
    """
    from refsync.use_cases.doctor.examination import doctor as examine

    diagnosis = examine(context_of(ctx).found_config_file(), os.environ)
    print_json(diagnosis) if json else _show(diagnosis)
    if not diagnosis.is_well:
        raise typer.Exit(1)


def _show(diagnosis: Diagnosis) -> None:
    from refsync.use_cases.doctor.checks import Verdict

    for check in diagnosis.checks:
        if check.verdict is not Verdict.good:
            typer.echo(shown_text(_line(check)))
    if diagnosis.is_well:
        names = dict.fromkeys(str(check.name) for check in diagnosis.checks if check.verdict is Verdict.good)
        typer.echo(f"nothing is wrong; looked at: {', '.join(names)}")


def _line(check: Check) -> str:
    from refsync.use_cases.doctor.checks import Verdict

    if check.verdict is Verdict.unknown:
        return f"{check.where}: cannot be told: {check.what}"
    where = "" if (check.what or "").startswith(check.where) else f"{check.where}: "
    return f"{where}{check.what}{f'; mend it: {check.mend}' if check.mend else ''}"
