"""What refsync needs of a forge: a place where people review branches before they are merged."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal, Protocol

from refsync.errors import ForgeRefusedError


@dataclass(frozen=True)
class Account:
    """Someone as the forge knows them; ``login`` is unique there."""

    login: str
    name: str = ""


@dataclass(frozen=True)
class Checks:
    """How the checks of a commit stand: how many passed and run, and the names of those that failed.

    ``lacking`` are the permissions, as the forge calls them, without which some could not be read.
    """

    passed: int = 0
    running: int = 0
    failed: tuple[str, ...] = ()
    lacking: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """How many there are."""
        return self.passed + self.running + len(self.failed)


@dataclass(frozen=True)
class Reviews:
    """Who approved, who wants changes, and who was asked and has not answered."""

    approved: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()
    asked: tuple[str, ...] = ()
    are_readable: bool = True


@dataclass(frozen=True)
class PullRequest:
    """A pull request as the forge shows it; times in Unix seconds.

    ``checks``, ``reviews``, ``merged_by`` and ``closed_by`` are filled by :meth:`Forge.state` alone.
    """

    number: int
    url: str
    state: Literal["open", "closed", "merged"]
    title: str
    body: str
    head: str
    """The branch that is proposed, without ``refs/heads/``."""
    head_commit: str
    base: str
    """The branch that it is to be merged into."""
    author: Account
    opened_at: float
    updated_at: float
    is_draft: bool = False
    merge_commit: str | None = None
    """``None`` where it is not merged, or the forge does not say."""
    merged_by: Account | None = None
    closed_by: Account | None = None
    checks: Checks = Checks()
    reviews: Reviews = Reviews()


class Extra(StrEnum):
    """What can be added to a pull request beside its text."""

    LABEL = "label"
    REVIEWER = "reviewer"
    TEAM = "team"
    COMMENT = "comment"


@dataclass(frozen=True)
class RefusedExtra:
    """Something that the forge did not take, and its reason, one line; ``name`` is empty for a comment."""

    kind: Extra
    name: str
    reason: str


@dataclass(frozen=True)
class ForgeFacts:
    """What has to be known of a forge when it is not asked, or cannot be.

    ``is_button`` says of a committer, as ``Name <mail>``, whether it stands for whoever pressed a button;
    ``longest_body`` is in UTF-16 units.
    """

    is_button: Callable[[str], bool] = lambda committer: False
    longest_body: int = 65_000


Heard = Callable[[int | None, float | None], None]
"""Is told of each request: the status of the answer (``None``: there was none), and how many more requests the forge
takes for now (``None``: it does not say)."""


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
        """Open a pull request of ``head`` into ``base``; gives the open one that there is, if there is one.

        A forge that has not seen the pushed branch yet is given a moment.
        """
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
    ) -> list[RefusedExtra]:
        """Replace the body, add a comment, add labels and ask for reviews, where given.

        A comment that is there already, word for word, is not added again: the answer to it may have been lost.

        Returns:
            What the forge refused of comment, labels, reviewers and teams: none of it stops the others.
        """
        ...

    def close(self, number: int, *, comment: str | None = None) -> None:
        """Close a pull request without merging it; one that is closed or merged already stays as it is.

        The comment is a courtesy: one that is refused does not keep it open.
        """
        ...

    def state(self, number: int) -> PullRequest:
        """One pull request with all that the forge knows of it.

        What only adds to its state (who closed it, checks, reviews) is left out where it cannot be read.
        """
        ...

    def lacking(self, commit: str) -> list[str]:
        """The permissions that the credential lacks, as far as the forge tells, asked with a commit that it has."""
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


def page_of_url(url: str) -> str | None:
    """The page of the repository that a remote's URL leads to, ``None`` where it names no host of a forge.

    >>> page_of_url("git@github.com:Haidra-Org/AI-Horde-image-model-reference.git")
    'https://github.com/Haidra-Org/AI-Horde-image-model-reference'
    >>> page_of_url("/srv/reference.git") is None
    True
    """
    found = re.match(
        r"(?:https?://|ssh://)(?:[^/@]*@)?([A-Za-z0-9.-]+)(?::[0-9]+)?/|(?:[^/:@]+@)([A-Za-z0-9.-]+):", url
    )
    if found is None:
        return None
    try:
        return f"https://{found[1] or found[2]}/{repository_of_url(url)}"
    except ForgeRefusedError:
        return None
