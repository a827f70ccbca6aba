"""Pull requests on GitHub, or a GitHub Enterprise server, through PyGithub."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal, TypeVar
from urllib.parse import quote

from refsync.credentials import CredentialSource
from refsync.errors import ForgeRefusedError
from refsync.forges.base import Account, PullRequest

if TYPE_CHECKING:
    from refsync.forges.github_api import GitHubApi

T = TypeVar("T")

PASSED = {"success", "neutral", "skipped"}
RUNNING = {"pending", "queued", "in_progress", "waiting", "requested"}
NAMED_FAILURES = 3


def open_github(
    repository: str,
    *,
    base_url: str = "https://api.github.com",
    credential: CredentialSource | None,
    timeout_seconds: float = 15.0,
    write_seconds: float = 1.0,
) -> GitHubForge:
    """The repository ``owner/name`` of the GitHub whose API is at ``base_url``; nothing is asked yet.

    Between two writes lie at least ``write_seconds``, as GitHub asks of programs.
    """
    from refsync.forges.github_api import GitHubApi  # PyGithub costs a third of a second: only who needs it pays

    api = GitHubApi(base_url, credential, timeout_seconds=timeout_seconds, write_seconds=write_seconds)
    return GitHubForge(api, repository)


class GitHubForge:
    """One repository on GitHub; a :class:`~refsync.forges.base.Forge`.

    ``full_name`` follows the repository when it is renamed or transferred.
    """

    def __init__(self, api: GitHubApi, repository: str) -> None:
        """``repository`` is ``owner/name``."""
        self._api = api
        self.full_name = repository

    def find(self, head: str | None = None) -> list[PullRequest]:
        """The open pull requests, or those of a branch in any state; newest first."""
        asked = self.full_name
        if head is None:
            found = self._list("/pulls", _pulls, "list the open pull requests", state="open")
        else:
            owner = asked.partition("/")[0]
            doing = f"look for a pull request of {head}"
            found = self._list("/pulls", partial(_pulls, head=head), doing, state="all", head=f"{owner}:{head}")
        if self.full_name != asked:  # the branch was looked for at its former owner's
            return self.find(head)
        return sorted({pull.number: pull for pull in found}.values(), key=lambda pull: -pull.number)

    def open(self, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request of ``head`` into ``base``, or give the open one that there is."""
        asked = {"head": head, "base": base, "title": title, "body": body}
        try:
            return self._send("POST", "/pulls", asked, f"open a pull request of {head}", _pull)
        except ForgeRefusedError as refused:
            if "already exists" not in str(refused):
                raise
            present = [pull for pull in self.find(head) if pull.state == "open" and pull.base == base]
            if not present:
                raise
            return present[0]

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
        """Replace the body, add a comment, labels and asked reviewers; returns what was refused of the last two."""
        if body is not None:
            self._send("PATCH", f"/pulls/{number}", {"body": body}, f"write the text of pull request {number}", bool)
        if comment is not None:
            self._comment(number, comment)
        return [
            *self._add(number, "label", labels, f"/issues/{number}/labels", "labels"),
            *self._add(number, "reviewer", reviewers, f"/pulls/{number}/requested_reviewers", "reviewers"),
            *self._add(number, "team", team_reviewers, f"/pulls/{number}/requested_reviewers", "team_reviewers"),
        ]

    def close(self, number: int, *, comment: str | None = None) -> None:
        """Close a pull request that is open, with a last comment."""
        if self._pull(number)[0].state != "open":
            return
        if comment is not None:
            self._comment(number, comment)
        self._send("PATCH", f"/pulls/{number}", {"state": "closed"}, f"close pull request {number}", bool)

    def state(self, number: int) -> PullRequest:
        """One pull request with all that GitHub knows of it, in at most five requests."""
        pull, asked = self._pull(number)
        pull = replace(pull, reviews=self._reviews(number, asked))
        if pull.state == "open":
            return replace(pull, checks=self._checks(pull))
        if pull.state == "merged":
            return replace(pull, merged_by=self._named(pull.merged_by))
        closer = self._read(f"/issues/{number}", _closer, f"ask who closed pull request {number}")
        return replace(pull, closed_by=self._named(closer))

    def _pull(self, number: int) -> tuple[PullRequest, tuple[str, ...]]:
        return self._read(f"/pulls/{number}", _pull_and_asked, f"read pull request {number}")

    def _reviews(self, number: int, asked: tuple[str, ...]) -> str | None:
        verdicts: dict[str, str] = {}
        for page in self._pages(f"/pulls/{number}/reviews", _verdicts, f"read the reviews of pull request {number}"):
            verdicts.update(page)  # oldest first: the last of each person stands
        return _reviews_in_words(verdicts, asked)

    def _checks(self, pull: PullRequest) -> str | None:
        """Checks and commit statuses counted together; a credential that may not see them sees none."""
        commit, doing = f"/commits/{quote(pull.head_commit)}", f"read the checks of pull request {pull.number}"
        results: list[tuple[str, str]] = []
        for path, understand in ((f"{commit}/check-runs", _check_runs), (f"{commit}/status", _statuses)):
            try:
                results += self._read(path, understand, doing, per_page="100")
            except ForgeRefusedError:
                continue
        return _checks_in_words(results)

    def _named(self, account: Account | None) -> Account | None:
        """The account with the person's name; one that is gone has none."""
        if account is None:
            return None
        doing = f"ask for the name of {account.login}"
        try:
            return self._api.read(f"/users/{quote(account.login, safe='')}", _account, doing=doing)
        except ForgeRefusedError:
            return account

    def _comment(self, number: int, text: str) -> None:
        self._send("POST", f"/issues/{number}/comments", {"body": text}, f"comment on pull request {number}", bool)

    def _add(self, number: int, kind: str, names: Sequence[str], path: str, key: str) -> list[str]:
        """Add them all at once, or where that is refused one by one, so that a bad one does not cost the others."""
        if not names:
            return []
        doing = f"add the {kind} {', '.join(names)} to pull request {number}"
        try:
            self._send("POST", path, {key: list(names)}, doing, bool)
        except ForgeRefusedError as refused:
            if len(names) == 1:
                return [str(refused)]
            return [warning for name in names for warning in self._add(number, kind, [name], path, key)]
        return []

    def _list(
        self, path: str, understand: Callable[[Any], list[PullRequest]], doing: str, **parameters: str
    ) -> list[PullRequest]:
        return [pull for page in self._pages(path, understand, doing, **parameters) for pull in page]

    def _pages(self, path: str, understand: Callable[[Any], T], doing: str, **parameters: str) -> list[T]:
        return self._at_its_name(path, partial(self._api.read_pages, understand=understand, **parameters), doing)

    def _read(self, path: str, understand: Callable[[Any], T], doing: str, **parameters: str) -> T:
        return self._at_its_name(path, partial(self._api.read, understand=understand, **parameters), doing)

    def _send(self, verb: str, path: str, body: dict[str, Any], doing: str, understand: Callable[[Any], T]) -> T:
        def send(path: str, doing: str) -> T:
            return self._api.send(verb, path, body, understand, doing=doing)

        return self._at_its_name(path, send, doing)

    def _at_its_name(self, path: str, call: Callable[..., T], doing: str) -> T:
        """Ask at the repository's name; where that redirects, nothing was done: learn the new name, ask once more."""
        from refsync.forges.github_api import RedirectedError

        try:
            return call(f"/repos/{quote(self.full_name)}{path}", doing=f"{doing} in {self.full_name}")
        except RedirectedError:
            self.full_name = self._api.present_name(quote(self.full_name))
            return call(f"/repos/{quote(self.full_name)}{path}", doing=f"{doing} in {self.full_name}")


def _pulls(data: Any, head: str | None = None) -> list[PullRequest]:
    if not isinstance(data, list):
        raise TypeError("no list")  # an empty object must not look like "there are none"
    return [_pull(item) for item in data if head is None or _proposes(item, head)]


def _proposes(data: Any, head: str) -> bool:
    """Whether it proposes this branch of the repository itself; a fork may have a branch of the same name."""
    repository = data["head"]["repo"]
    return bool(data["head"]["ref"] == head and repository and repository["id"] == data["base"]["repo"]["id"])


def _pull(data: Any) -> PullRequest:
    merged = data["merged_at"] is not None
    head = data["head"]
    return PullRequest(
        number=int(data["number"]),
        url=str(data["html_url"]),
        state="merged" if merged else _open_or_closed(data["state"]),
        title=str(data["title"]),
        body=str(data["body"] or ""),
        head=str(head["ref"]),
        head_commit=str(head["sha"]),
        head_repository=str(head["repo"]["full_name"]) if head["repo"] else None,
        base=str(data["base"]["ref"]),
        author=_account(data["user"]) if data["user"] else Account("ghost"),
        opened_at=_seconds(data["created_at"]),
        updated_at=_seconds(data["updated_at"]),
        merge_commit=str(data["merge_commit_sha"]) if merged else None,  # of an open one it is a trial
        merged_by=_account(data["merged_by"]) if data.get("merged_by") else None,
    )


def _pull_and_asked(data: Any) -> tuple[PullRequest, tuple[str, ...]]:
    people = [str(person["login"]) for person in data["requested_reviewers"]]
    return _pull(data), (*people, *(str(team["name"]) for team in data["requested_teams"]))


def _open_or_closed(state: str) -> Literal["open", "closed"]:
    return "open" if state == "open" else "closed"


def _account(data: Any) -> Account:
    return Account(str(data["login"]), str(data.get("name") or ""))


def _closer(data: Any) -> Account | None:
    return _account(data["closed_by"]) if data["closed_by"] else None


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _verdicts(data: Any) -> dict[str, str]:
    """The verdict of each person; a comment is none and does not take an earlier one back."""
    return {
        (review["user"] or {"login": "ghost"})["login"]: review["state"]
        for review in data
        if review["state"] in ("APPROVED", "CHANGES_REQUESTED", "DISMISSED")
    }


def _reviews_in_words(verdicts: dict[str, str], asked: tuple[str, ...]) -> str | None:
    refused = [person for person, verdict in verdicts.items() if verdict == "CHANGES_REQUESTED"]
    approved = [person for person, verdict in verdicts.items() if verdict == "APPROVED"]
    words = [
        f"changes requested by {' and '.join(refused)}" if refused else "",
        f"approved by {' and '.join(approved)}" if approved else "",
        f"{' and '.join(asked)} asked" if asked else "",
    ]
    return ", ".join(filter(None, words)) or None


def _check_runs(data: Any) -> list[tuple[str, str]]:
    return [(str(run["name"]), str(run["conclusion"] or run["status"])) for run in data["check_runs"]]


def _statuses(data: Any) -> list[tuple[str, str]]:
    return [(str(status["context"]), str(status["state"])) for status in data["statuses"]]


def _checks_in_words(results: list[tuple[str, str]]) -> str | None:
    if not results:
        return None
    running = [name for name, result in results if result in RUNNING]
    failed = [name for name, result in results if result not in RUNNING | PASSED]
    if failed:
        more = f" and {len(failed) - NAMED_FAILURES} more" if len(failed) > NAMED_FAILURES else ""
        return f"{len(failed)} of {len(results)} failed: {', '.join(failed[:NAMED_FAILURES])}{more}"
    return f"{len(running)} of {len(results)} running" if running else f"{len(results)} passed"
