"""GitHub's answers: the fields that refsync reads, and what they mean; anything else in them is passed over."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, StringConstraints

from refsync.forges.base import Account, Checks, PullRequest, Reviews

Commit = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{40}([0-9a-f]{24})?$")]
"""The id of a commit; it is handed to git, so that nothing else may pass for one."""
_PASSED = frozenset({"success", "neutral", "skipped"})
_RUNNING = frozenset({"pending", "queued", "in_progress", "waiting", "requested", "expected"})
_VERDICTS = frozenset({"APPROVED", "CHANGES_REQUESTED", "DISMISSED"})


class UserAnswer(BaseModel):
    """Somebody, or an App's bot."""

    login: str
    name: str | None = None

    def account(self) -> Account:
        """As every forge tells it."""
        return Account(self.login, self.name or "")


class TeamAnswer(BaseModel):
    """A team of an organization."""

    name: str


class AccessAnswer(BaseModel):
    """What whoever asks may do in a repository."""

    push: bool = True


class RepositoryAnswer(BaseModel):
    """A repository; ``id`` stays when it is renamed, and what one may do is told only to who is known."""

    id: int
    full_name: str
    permissions: AccessAnswer | None = None


class HeadAnswer(BaseModel):
    """What is proposed; the fork that it comes from may be gone."""

    ref: str
    sha: Commit
    repo: RepositoryAnswer | None = None


class BaseAnswer(BaseModel):
    """What it is proposed for."""

    ref: str
    repo: RepositoryAnswer


class PullAnswer(BaseModel):
    """A pull request, as a list has it or whole."""

    number: Annotated[int, Field(ge=1, lt=2**63)]
    html_url: str
    state: str
    title: str
    body: str | None = None
    user: UserAnswer | None = None
    created_at: AwareDatetime
    updated_at: AwareDatetime
    merged_at: AwareDatetime | None
    merge_commit_sha: Commit | None = None
    merged_by: UserAnswer | None = None
    draft: bool | None = None
    requested_reviewers: list[UserAnswer] | None = None
    requested_teams: list[TeamAnswer] | None = None
    head: HeadAnswer
    base: BaseAnswer

    def proposes(self, head: str) -> bool:
        """Whether it proposes this branch of the repository itself; a fork may have a branch of the same name."""
        return self.head.ref == head and self.head.repo is not None and self.head.repo.id == self.base.repo.id

    def asked(self) -> tuple[str, ...]:
        """Who is asked to review it and has not."""
        people = [person.login for person in self.requested_reviewers or ()]
        return (*people, *(team.name for team in self.requested_teams or ()))

    def pull_request(self) -> PullRequest:
        """As every forge tells it."""
        return PullRequest(
            number=self.number,
            url=self.html_url,
            state=self._standing(),
            title=self.title,
            body=self.body or "",
            head=self.head.ref,
            head_commit=self.head.sha,
            base=self.base.ref,
            author=self.user.account() if self.user else Account("ghost"),
            opened_at=self.created_at.timestamp(),
            updated_at=self.updated_at.timestamp(),
            is_draft=bool(self.draft),
            merge_commit=self.merge_commit_sha if self.merged_at else None,  # of an open one it is a trial
            merged_by=self.merged_by.account() if self.merged_by else None,
        )

    def _standing(self) -> Literal["open", "closed", "merged"]:
        if self.merged_at:
            return "merged"
        return "open" if self.state == "open" else "closed"


class ReviewAnswer(BaseModel):
    """One review; a comment is one, too, and no verdict."""

    user: UserAnswer | None = None
    state: str


class CheckRunAnswer(BaseModel):
    """One check; it has a conclusion once it has ended."""

    name: str
    status: str
    conclusion: str | None = None

    def result(self) -> tuple[str, str]:
        """Its name and how it stands."""
        return self.name, self.conclusion or self.status


class ResultsAnswer(BaseModel):
    """A page of what was found out about a commit."""

    def results(self) -> list[tuple[str, str]]:
        """Each with its name and how it stands."""
        raise NotImplementedError


class CheckRunsAnswer(ResultsAnswer):
    """A page of the checks of a commit."""

    check_runs: list[CheckRunAnswer]

    def results(self) -> list[tuple[str, str]]:
        """Each with how it stands."""
        return [run.result() for run in self.check_runs]


class StatusAnswer(BaseModel):
    """One commit status, the older kind of check."""

    context: str
    state: str


class StatusesAnswer(ResultsAnswer):
    """A page of the statuses of a commit."""

    statuses: list[StatusAnswer]

    def results(self) -> list[tuple[str, str]]:
        """Each with how it stands."""
        return [(status.context, status.state) for status in self.statuses]


class EventAnswer(BaseModel):
    """What happened to a pull request; ``commit_id`` is the merge's where it was merged."""

    event: str | None = None
    actor: UserAnswer | None = None
    commit_id: Commit | None = None


class CommentAnswer(BaseModel):
    """A comment below a pull request."""

    body: str | None = None


class TokenAnswer(BaseModel):
    """A token of an App's installation."""

    token: str
    expires_at: AwareDatetime


def reviews_of(reviews: Iterable[ReviewAnswer], asked: tuple[str, ...]) -> Reviews:
    """Where the reviewers stand: the last verdict of each counts, and a comment takes none back."""
    verdicts = {
        review.user.login if review.user else "ghost": review.state for review in reviews if review.state in _VERDICTS
    }
    return Reviews(
        approved=tuple(person for person, verdict in verdicts.items() if verdict == "APPROVED"),
        refused=tuple(person for person, verdict in verdicts.items() if verdict == "CHANGES_REQUESTED"),
        asked=asked,
    )


def checks_of(results: Iterable[tuple[str, str]], lacking: Iterable[str]) -> Checks:
    """The results counted; what is neither known as good nor as running has failed."""
    told = list(results)
    return Checks(
        passed=sum(result in _PASSED for _, result in told),
        running=sum(result in _RUNNING for _, result in told),
        failed=tuple(name for name, result in told if result not in _PASSED | _RUNNING),
        lacking=tuple(lacking),
    )
