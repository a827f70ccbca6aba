"""How proposals are made, as the config says."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from refsync.categories import CategoryName
from refsync.forges.base import Forge


@dataclass(frozen=True)
class PullRequestSettings:
    """How a batch's pull request is opened and followed; ``open_forge`` gives the forge of a remote's URL."""

    open_forge: Callable[[str], Forge]
    limit: int = 10
    labels: tuple[str, ...] = ()
    reviewers: tuple[str, ...] = ()
    team_reviewers: tuple[str, ...] = ()
    on_close: Literal["hold", "abandon"] = "hold"
    critical_fields: Mapping[CategoryName, tuple[str, ...]] = field(default_factory=dict)


@dataclass(frozen=True)
class ProposalSettings:
    """How batches are proposed; ``pull_requests`` is ``None`` where refsync opens none.

    ``prefix`` is that of proposal branches.
    """

    prefix: str = "refsync/"
    delete_branch: bool = True
    pull_requests: PullRequestSettings | None = None
