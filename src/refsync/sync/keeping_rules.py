"""The rules of categories: a record that breaks some anew is refused or noted, and what would land so waits."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

from refsync.documents.merge import Record
from refsync.errors import BrokenRulesError, DocumentError
from refsync.pending_queue.holds import Hold, HoldKind
from refsync.pending_queue.models import PendingChangeRecord, Submission
from refsync.pending_queue.renames import RENAMED_FROM
from refsync.rules.judge import Judge
from refsync.rules.violation import Violation, told
from refsync.sync.plan import BatchPlan, Observed, Waiting, plan_batch
from refsync.sync.planned_models import Stamp


def remark_on_rules(submission: Submission, judge: Judge) -> Iterator[str]:
    """What of a submission breaks the category's rules, where that is noted; what a revert brings back always is.

    Raises:
        BrokenRulesError: it breaks some, and that is refused.
    """
    if submission.payload is None:
        return
    if judge.fault is not None:
        yield f"it is not checked by the schema: {judge.fault}"
    name = submission.model_name
    renamed_from = (submission.request_metadata or {}).get(RENAMED_FROM)
    old_names = {name: renamed_from} if isinstance(renamed_from, str) else {}
    edits = dict.fromkeys(old_names.values()) | {name: submission.payload}
    broken = judge.broken(edits, old_names).get(name)
    if not broken:
        return
    breaks = f"{submission.category} {name!r} {_breaks(broken)}"
    if judge.rules.refuses and submission.reverts is None:
        faults = [(each.shown.place, each.shown.what) for each in broken]
        raise BrokenRulesError(f"{breaks}; correct it", faults)
    yield breaks


def plan_within_rules(
    changes: Sequence[PendingChangeRecord], observed: Observed, stamp: Stamp | None = None
) -> BatchPlan:
    """The plan for a batch, without what would break rules: that waits, and so does all else of the same models.

    The arguments are those of ``plan_batch``.
    """
    waiting: dict[int, Waiting] = {}
    while True:
        kept = [change for change in changes if change.change_id not in waiting]
        plan = plan_batch(kept, observed, stamp)
        breaking = {each.change_id: each for each in _breaking(kept, plan, observed)}
        if not breaking:
            plan.waiting.extend(waiting.values())
            return plan
        waiting |= breaking


def _breaking(changes: Iterable[PendingChangeRecord], plan: BatchPlan, observed: Observed) -> Iterator[Waiting]:
    """The changes that break rules, each with the hold that it waits by."""
    holds = {
        (path, model): violations
        for path, judge in observed.judges.items()
        for model, violations in _broken(judge, plan, path, observed).items()
    }
    for change in changes if holds else ():
        broken = holds.get((observed.files.get(change.category, ""), change.model_name))
        if broken is None or change.reverts is not None or change.change_id not in plan.written:
            continue
        reason = f"{change.operation} {change.category} {change.model_name!r} {_breaks(broken)}"
        advice = "abandon it, or correct the rules"
        hold = Hold(kind=HoldKind.broken_rule, reason=f"{reason}; {advice}", about=change.category)
        yield from (Waiting(each, hold) for each in (change.change_id, change.lands_with) if each is not None)


def _broken(judge: Judge, plan: BatchPlan, path: str, observed: Observed) -> dict[str, list[Violation]]:
    files, edits = observed.opened[path], plan.edits.get(path, {})
    if not edits or isinstance(files, DocumentError):
        return {}
    variants = files.owners({*files.records, *edits})
    models: dict[str, Record | None] = {name: record for name, record in edits.items() if name not in variants}
    return judge.broken_in_order(models, {new: old for old, new in plan.renames.get(path, {}).items()})


def _breaks(violations: Sequence[Violation]) -> str:
    rules = "a rule" if len(violations) == 1 else f"{len(violations)} rules"
    return f"breaks {rules}: {told(violations)}"
