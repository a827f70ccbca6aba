"""A batch on its way through review in git, as it is stored."""

from __future__ import annotations

import time
from typing import Literal

from pydantic import BaseModel, Field


class Overlap(BaseModel):
    """Somebody else's open pull request that touches some of the same models.

    >>> Overlap(number=7, author="ada", models=["ViT-L/14"]).number
    7
    """

    number: int
    author: str
    models: list[str]


class RefusedOnce(BaseModel):
    """A label, reviewer or team that the forge refused the first time.

    >>> RefusedOnce(kind="label", name="models").name
    'models'
    """

    kind: Literal["label", "reviewer", "team"]
    name: str


class Proposal(BaseModel):
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
    state: str | None = None
    """The pull request's: ``open``, ``closed`` or ``merged``."""
    checks: str | None = None
    """What the forge's checks say, in words."""
    reviews: str | None = None
    """What the reviewers say, in words."""
    waits_for: str | None = None
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
