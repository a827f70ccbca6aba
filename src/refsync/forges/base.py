"""What refsync needs of a forge: a place where people review branches before they are merged."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from refsync.errors import ForgeRefusedError


@dataclass(frozen=True)
class Account:
    """Someone as the forge knows them; ``login`` is unique there."""

    login: str
    name: str = ""


@dataclass(frozen=True)
class PullRequest:
    """A pull request as the forge shows it; times in Unix seconds.

    ``checks``, ``reviews``, ``merged_by``, ``closed_by`` and ``merge_commit`` are filled by :meth:`Forge.state` alone.
    """

    number: int
    url: str
    state: Literal["open", "closed", "merged"]
    title: str
    body: str
    head: str
    """The branch that is proposed, without ``refs/heads/``."""
    head_commit: str
    head_repository: str | None
    """``owner/name``; another than the target's for a fork, ``None`` where it is gone."""
    base: str
    """The branch that it is to be merged into."""
    author: Account
    opened_at: float
    updated_at: float
    merge_commit: str | None = None
    merged_by: Account | None = None
    closed_by: Account | None = None
    checks: str | None = None
    """In words: ``3 passed``, ``1 of 3 failed: lint``, ``2 of 3 running``; ``None`` where there are none."""
    reviews: str | None = None
    """In words: ``approved by ada``, ``changes requested by bob``, ``ada asked``; ``None`` where there are none."""


class Forge(Protocol):
    """One repository on a forge.

    Every call may raise ForgeUnavailableError (try again, perhaps after ``retry_seconds``) and ForgeRefusedError
    (a person has to change something); their texts name what was asked for and what to do, and hold no secret.
    """

    def find(self, head: str | None = None) -> list[PullRequest]:
        """The open pull requests; with ``head`` those proposing this branch of this repository, in any state.

        Newest first. Asking again costs nothing where nothing changed, if the forge can tell.
        """
        ...

    def open(self, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request of ``head`` into ``base``; gives the open one that there is, if there is one."""
        ...

    def update(
        self,
        number: int,
        *,
        body: str | None = None,
        comment: str | None = None,
        labels: Sequence[str] = (),
        reviewers: Sequence[str] = (),
        team_reviewers: Sequence[str] = (),
    ) -> list[str]:
        """Replace the body, add a comment, add labels and ask for reviews, where given.

        Returns:
            What the forge refused of labels, reviewers and teams, one line each: none of it stops the others.
        """
        ...

    def close(self, number: int, *, comment: str | None = None) -> None:
        """Close a pull request without merging it; one that is closed or merged already stays as it is."""
        ...

    def state(self, number: int) -> PullRequest:
        """One pull request with all that the forge knows of it."""
        ...


def repository_of_url(url: str) -> str:
    """``owner/name`` of a remote's URL, as forges build them.

    Raises:
        ForgeRefusedError: the URL ends in no such name.

    >>> repository_of_url("git@github.com:Haidra-Org/AI-Horde-image-model-reference.git")
    'Haidra-Org/AI-Horde-image-model-reference'
    """
    path = re.sub(r"^[a-z+]+://[^/]*/|^[^/:]+:", "", url.rstrip("/")).removesuffix(".git")
    parts = path.split("/")[-2:]
    if len(parts) < 2 or not all(re.fullmatch(r"[A-Za-z0-9_.-]+", part) for part in parts):
        raise ForgeRefusedError("the remote's URL names no owner/name; set repository in [repository.pull_request]")
    return "/".join(parts)
