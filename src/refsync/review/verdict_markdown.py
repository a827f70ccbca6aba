"""What a check found, as a comment for a pull request, in which what people typed stands in code spans."""

from __future__ import annotations

from collections.abc import Iterator

from refsync.review.finding import Finding
from refsync.review.findings import Verdict
from refsync.review.markdown_text import code, fitting, names

_MAX_NAMES = 20


def render_verdict(verdict: Verdict) -> str:
    """The whole comment; what is too much for one is counted instead of shown."""
    lines = [_summary(verdict), "", *fitting(([line] for line in _findings(verdict)), "refsync check --all")]
    return "\n".join(lines).rstrip("\n") + "\n"


def _summary(verdict: Verdict) -> str:
    count = len(verdict.failures)
    found = f"**{count} finding{'' if count == 1 else 's'}**" if count else "Nothing wrong"
    files = len(verdict.files)
    return f"{found}; {files} category file{'' if files == 1 else 's'} checked."


def _findings(verdict: Verdict) -> Iterator[str]:
    for each in verdict.failures:
        yield f"- {_finding(each)}"
    for each in verdict.notes:
        yield f"- note: {_finding(each)}"
    for deleted in verdict.deleted:
        gone = f"{len(deleted.models)} of {deleted.before} models gone"
        yield f"- note: {code(deleted.file)}: {gone}: {names(deleted.models, _MAX_NAMES)}"
    for critical in verdict.critical:
        fields = names(critical.fields, _MAX_NAMES)
        yield f"- note: {code(critical.file)}: {code(critical.model)}: critical fields changed: {fields}"
    if verdict.already:
        yield f"- note: {len(verdict.already)} of the base already"


def _finding(finding: Finding) -> str:
    place = finding.file if finding.line is None else f"{finding.file}:{finding.line}"
    model = "" if finding.model is None else f" {code(finding.model)}"
    return f"{code(place)}{model} ({finding.rule}): {code(f'{finding.what}; {finding.mend}')}"
