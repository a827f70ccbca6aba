"""A batch on its way through review in git, as it is stored."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import Literal

from pydantic import ConfigDict, Field, computed_field

from refsync.deferred import Deferred

_NAMED_FAILURES = 3


class ProposalState(StrEnum):
    """Where a proposal stands: its pull request as the forge tells, or how it ended without landing.

    >>> ProposalState("branch deleted") is ProposalState.gone
    True
    """

    open = "open"
    merged = "merged"
    closed = "closed"
    """Its pull request was closed without being merged."""
    gone = "branch deleted"
    left = "not followed"
    """The config no longer leads to it."""


class WaitKind(StrEnum):
    """Kinds of what a proposal waits for; where nothing else is said, ``Wait.about`` is nothing.

    >>> WaitKind("review") is WaitKind.review
    True
    """

    review = "review"
    merge = "merge"
    """Somebody to merge it: it is approved."""
    checks = "checks"
    """Its checks to pass."""
    requested_changes = "requested_changes"
    """What its reviewers asked for."""
    draft = "draft"
    """Somebody to mark it as ready."""
    fetch = "fetch"
    """Its merge to be fetched."""
    merged_elsewhere = "merged_elsewhere"
    """Its merge to reach the target branch from the branch that it is about."""
    other_base = "other_base"
    """Its base to be the target branch again, or the branch that it is about to be merged there."""
    emptied_branch = "emptied_branch"
    """Whoever pushed to its branch, which holds nothing new any more."""
    outdated_branch = "outdated_branch"
    """Whoever pushed to its branch, which no longer merges."""
    forge = "forge"
    """The forge, which could not be asked for the reason that it is about."""


class Wait(Deferred):
    """What has to happen before a proposal can land.

    >>> tell_wait(Wait(kind=WaitKind.other_base, target="main", about="dev"))
    'its base to be main again, or dev to be merged there'
    """

    model_config = ConfigDict(frozen=True)

    kind: WaitKind
    target: str
    """The target branch."""
    about: str | None = None
    """The other branch, or the reason; ``kind`` says which."""


def tell_wait(wait: Wait) -> str:
    """What it waits for, in words that go on from "waits for"."""
    match wait.kind:
        case WaitKind.review:
            return "review"
        case WaitKind.merge:
            return "somebody to merge it"
        case WaitKind.checks:
            return "its checks to pass"
        case WaitKind.requested_changes:
            return "what its reviewers asked for"
        case WaitKind.draft:
            return "somebody to mark it as ready for review: it is a draft"
        case WaitKind.fetch:
            return "its merge to be fetched"
        case WaitKind.merged_elsewhere:
            return f"its merge to reach {wait.target}: it was merged into {wait.about}"
        case WaitKind.other_base:
            return f"its base to be {wait.target} again, or {wait.about} to be merged there"
        case WaitKind.emptied_branch:
            return f"whoever emptied its branch, which holds nothing that {wait.target} lacks"
        case WaitKind.outdated_branch:
            return f"whoever pushed to its branch to bring it up to date with {wait.target}"
        case WaitKind.forge:
            return f"the forge: {wait.about}"


class Checked(Deferred):
    """How the checks of a proposal stand: how many passed and run, and the names of those that failed.

    ``lacking`` are the permissions, as the forge calls them, without which some could not be read.

    >>> tell_checks(Checked(passed=1, failed=["lint"]))
    '1 of 2 failed: lint'
    """

    model_config = ConfigDict(frozen=True)

    passed: int = 0
    running: int = 0
    failed: list[str] = Field(default_factory=list)
    lacking: list[str] = Field(default_factory=list)


class Reviewed(Deferred):
    """Who approved a proposal, who wants changes, and who was asked and has not answered.

    >>> tell_reviews(Reviewed(approved=["ada"], asked=["bob"]))
    'approved by ada, bob asked'
    """

    model_config = ConfigDict(frozen=True)

    approved: list[str] = Field(default_factory=list)
    refused: list[str] = Field(default_factory=list)
    asked: list[str] = Field(default_factory=list)
    are_readable: bool = True


def tell_checks(checks: Checked) -> str | None:
    """``3 passed``, ``1 of 3 failed: lint``, ``2 of 3 running``, what cannot be read; ``None`` where there are none."""
    lacking = f"cannot be read: give the credential {' and '.join(checks.lacking)}" if checks.lacking else ""
    return "; ".join(filter(None, (_counted(checks), lacking))) or None


def _counted(checks: Checked) -> str:
    total = checks.passed + checks.running + len(checks.failed)
    if failed := checks.failed:
        more = f" and {len(failed) - _NAMED_FAILURES} more" if len(failed) > _NAMED_FAILURES else ""
        return f"{len(failed)} of {total} failed: {', '.join(failed[:_NAMED_FAILURES])}{more}"
    if checks.running:
        return f"{checks.running} of {total} running"
    return f"{checks.passed} passed" if checks.passed else ""


def tell_reviews(reviews: Reviewed) -> str | None:
    """``approved by ada``, ``changes requested by bob``, ``ada asked``; ``None`` where there are none."""
    words = (
        f"changes requested by {' and '.join(reviews.refused)}" if reviews.refused else "",
        f"approved by {' and '.join(reviews.approved)}" if reviews.approved else "",
        f"{' and '.join(reviews.asked)} asked" if reviews.asked else "",
        "" if reviews.are_readable else "cannot be read",
    )
    return ", ".join(filter(None, words)) or None


class Overlap(Deferred):
    """Somebody else's open pull request that touches some of the same models.

    >>> Overlap(number=7, author="ada", models=["ViT-L/14"]).number
    7
    """

    number: int
    author: str
    models: list[str]


class RefusedOnce(Deferred):
    """A label, reviewer or team that the forge refused the first time.

    >>> RefusedOnce(kind="label", name="models").name
    'models'
    """

    kind: Literal["label", "reviewer", "team"]
    name: str


class Proposal(Deferred):
    """A batch on its way through review in git: its branch, and its pull request where there is one.

    Times in Unix seconds.

    >>> Proposal(branch="refsync/batch-1-3f2a9c", head="0" * 40).number is None
    True
    """

    branch: str
    """On the remote, without ``refs/heads/``."""
    head: str
    """The commit that refsync pushed last."""
    opened_at: float = Field(default_factory=time.time)
    pushed_by_others: bool = False
    """Whether somebody else has pushed to the branch, which is theirs from then on."""
    number: int | None = None
    """Of the pull request; ``None`` where there is none, or not yet."""
    url: str | None = None
    state: ProposalState | None = None
    """``None`` where it has no pull request and has not ended."""
    checked: Checked | None = None
    """How the forge's checks stand; ``None`` before it was asked."""
    reviewed: Reviewed | None = None
    """What the reviewers say; ``None`` before the forge was asked."""
    wait: Wait | None = None
    """What has to happen before it can land."""
    warnings: list[str] = Field(default_factory=list)
    """What the forge refused of labels and reviewers."""
    overlaps: list[Overlap] = Field(default_factory=list)
    """Open pull requests of people that touch the same models."""
    is_complete: bool = False
    """Whether labels and reviews have been asked for."""
    refused_once: list[RefusedOnce] | None = None
    """What was refused of them the first time, which is asked for again: the forge may not have caught up."""
    is_draft: bool = False
    """Whether somebody made the pull request a draft."""
    merger_is_due: bool = False
    """Whether it landed while only the forge knew who merged it, and the forge was away."""
    is_stale: bool = False
    """Whether the pull request's text has yet to say that the branch was rebuilt."""
    is_over: bool = False
    """Whether, after the batch has ended, its branch and its pull request are cleared away."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def checks(self) -> str | None:
        """What the forge's checks say, in words; ``None`` where there are none."""
        return tell_checks(self.checked) if self.checked else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def reviews(self) -> str | None:
        """What the reviewers say, in words; ``None`` where there are none."""
        return tell_reviews(self.reviewed) if self.reviewed else None

    @computed_field  # type: ignore[prop-decorator]
    @property
    def waits_for(self) -> str | None:
        """What has to happen before it can land, in words."""
        return tell_wait(self.wait) if self.wait else None
