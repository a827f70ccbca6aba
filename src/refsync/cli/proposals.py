"""What people see of a batch that is reviewed in git: its pull request or branch, and what that waits for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from refsync.cli.output import shown_age, shown_text

if TYPE_CHECKING:
    from refsync.pending_queue.models import Overlap, Proposal


def shown_place(proposal: Proposal) -> str:
    """Where people find it: its pull request, or its branch where there is none."""
    return shown_text(proposal.url or (f"#{proposal.number}" if proposal.number else proposal.branch))


def proposal_lines(proposal: Proposal, *, under_review: bool) -> Iterator[str]:
    """All there is to say; of one that is no longer under review only where it is."""
    what = f"{'draft ' if proposal.is_draft else ''}pull request {proposal.number}" if proposal.number else "branch"
    state = "" if under_review or proposal.state in (None, "open") else f", {proposal.state}"
    yield f"{what}, {shown_place(proposal)}, opened {shown_age(proposal.opened_at)}{state}"
    if not under_review:
        return
    if verdicts := list(_verdicts(proposal)):
        yield "; ".join(verdicts)
    if proposal.waits_for:
        yield f"waits for {shown_text(proposal.waits_for)}"
    if proposal.pushed_by_others:
        yield f"somebody else pushed to {shown_text(proposal.branch)}; refsync leaves it to them"
    yield from (_overlap(each) for each in proposal.overlaps)
    yield from (f"warning: {shown_text(each)}" for each in proposal.warnings)


def _verdicts(proposal: Proposal) -> Iterator[str]:
    if proposal.checks:
        yield f"checks: {shown_text(proposal.checks)}"
    if proposal.reviews:
        yield f"reviews: {shown_text(proposal.reviews)}"


def _overlap(other: Overlap) -> str:
    models = ", ".join(map(shown_text, other.models))
    return f"open pull request #{other.number} by {shown_text(other.author)} touches {models} too"
