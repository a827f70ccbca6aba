"""Pull requests on GitHub, or a GitHub Enterprise server."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from refsync.credentials import CredentialSource
from refsync.durable_steps import durable_step
from refsync.errors import ForgeRefusedError, ForgeUnavailableError
from refsync.forges.base import Account, Checks, Extra, Heard, PullRequest, RefusedExtra, Reviews
from refsync.forges.github_answers import (
    CheckRunsAnswer,
    CommentAnswer,
    EventAnswer,
    PullAnswer,
    RepositoryAnswer,
    ResultsAnswer,
    ReviewAnswer,
    StatusesAnswer,
    UserAnswer,
    checks_of,
    reviews_of,
)

if TYPE_CHECKING:
    from refsync.exchange import Answer
    from refsync.forges.pace import Pace
    from refsync.forges.rest import RestApi

T = TypeVar("T")

HEAD_PAUSES = (1.0, 2.0, 4.0)
"""GitHub may not know for a moment what was pushed to it just now."""
_CHECKS: tuple[tuple[str, type[ResultsAnswer], str], ...] = (
    ("check-runs", CheckRunsAnswer, "checks=read"),
    ("status", StatusesAnswer, "statuses=read"),
)
_ADDED_AT = {
    Extra.LABEL: ("/issues/{}/labels", "labels"),
    Extra.REVIEWER: ("/pulls/{}/requested_reviewers", "reviewers"),
    Extra.TEAM: ("/pulls/{}/requested_reviewers", "team_reviewers"),
}


def open_github(
    repository: str,
    *,
    base_url: str = "https://api.github.com",
    credential: CredentialSource | None,
    is_app: bool = False,
    timeout_seconds: float = 15.0,
    pace: Pace | None = None,
    heard: Heard = lambda status, left: None,
) -> GitHubForge:
    """The repository ``owner/name`` of the GitHub whose API is at ``base_url``; nothing is asked yet.

    Args:
        repository: ``owner/name``.
        base_url: of the API.
        credential: what refsync is let in by, ``None`` for what is public.
        is_app: whether that is an App's token, which is helped otherwise than a person's.
        timeout_seconds: that each step of a request may take.
        pace: of writes; a second lies between two, as GitHub asks of programs.
        heard: is told of each request.
    """
    from refsync.forges.github_customs import LetInBy, github_customs, requests_left
    from refsync.forges.rest import RestApi  # httpx costs a fifth of a second: only who needs it pays

    let_in_by = LetInBy.APP if is_app else LetInBy.TOKEN if credential else LetInBy.NOTHING
    customs = github_customs(let_in_by)

    def hear(answer: Answer | None) -> None:
        heard(answer and answer.status, answer and requests_left(answer))

    api = RestApi(base_url, credential, customs, timeout_seconds=timeout_seconds, pace=pace, heard=hear)
    return GitHubForge(api, repository)


class GitHubForge:
    """One repository on GitHub; a :class:`~refsync.forges.base.Forge`.

    ``full_name`` follows the repository when it is renamed or transferred.
    """

    def __init__(self, api: RestApi, repository: str) -> None:
        """``repository`` is ``owner/name``."""
        self._api = api
        self.full_name = repository

    def find(self, head: str | None = None) -> list[PullRequest]:
        """The open pull requests, or those of a branch in any state; newest first."""
        asked = self.full_name
        if head is None:
            found = list(self._items("/pulls", list[PullAnswer], "list the open pull requests", state="open"))
        else:
            owner, doing = asked.partition("/")[0], f"look for a pull request of {head}"
            listed = self._items("/pulls", list[PullAnswer], doing, state="all", head=f"{owner}:{head}")
            found = [each for each in listed if each.proposes(head)]
        if self.full_name != asked:  # the branch was looked for at its former owner's
            return self.find(head)
        by_number = {each.number: each.pull_request() for each in found}
        return sorted(by_number.values(), key=lambda pull: -pull.number)

    @durable_step("open a pull request")
    def open(self, *, head: str, base: str, title: str, body: str) -> PullRequest:
        """Open a pull request of ``head`` into ``base``, or give the open one that there is."""
        from refsync.forges.github_customs import invalid_fields
        from refsync.forges.rest import AnsweredRefusalError

        asked = {"head": head, "base": base, "title": title, "body": body}
        for pause in (*HEAD_PAUSES, None):
            try:
                return self._send("POST", "/pulls", asked, PullAnswer, f"open a pull request of {head}").pull_request()
            except AnsweredRefusalError as refused:
                if refused.answer.status != 422:
                    raise
                if present := self._present(head, base):
                    return present
                if pause is None or "head" not in invalid_fields(refused.answer):
                    raise
            self._api.pace.sleep(pause)
        raise AssertionError("the last try returns or raises")

    @durable_step("update a pull request")
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
        """Replace the body, add a comment, labels and asked reviewers; returns what was refused of the last three."""
        if body is not None:
            self._send("PATCH", f"/pulls/{number}", {"body": body}, object, f"write the text of pull request {number}")
        return [
            *self._comment(number, comment),
            *self._add(number, Extra.LABEL, labels),
            *self._add(number, Extra.REVIEWER, reviewers),
            *self._add(number, Extra.TEAM, team_reviewers),
        ]

    @durable_step("close a pull request")
    def close(self, number: int, *, comment: str | None = None) -> None:
        """Close a pull request that is open, with a last comment if it may be added."""
        if self._pull(number).pull_request().state != "open":
            return
        self._comment(number, comment)
        self._send("PATCH", f"/pulls/{number}", {"state": "closed"}, object, f"close pull request {number}")

    def state(self, number: int) -> PullRequest:
        """One pull request with all that GitHub knows of it, in few requests: four while it is open, else three."""
        answer = self._pull(number)
        pull = answer.pull_request()
        if pull.state == "open":
            return replace(pull, reviews=self._reviews(number, answer.asked()), checks=self._checks(pull))
        if pull.state == "closed":
            return replace(pull, closed_by=self._named(self._ending(number, "closed")[0]))
        if pull.merge_commit is None or pull.merged_by is None:  # newer versions of the API leave the commit out
            actor, commit = self._ending(number, "merged")
            pull = replace(pull, merge_commit=pull.merge_commit or commit, merged_by=pull.merged_by or actor)
        return replace(pull, merged_by=self._named(pull.merged_by))

    def lacking(self, commit: str) -> list[str]:
        """The permissions that the credential lacks, as GitHub calls them; what may be written, it hardly tells."""
        known = self._read("", RepositoryAnswer, "look at the repository")
        lacking = [] if known.permissions is None or known.permissions.push else ["contents=write"]
        asked: list[tuple[str, type[Any], str]] = [("/pulls", list[PullAnswer], "pull_requests=write")]
        asked += [(f"/commits/{commit}/{kind}", shape, permission) for kind, shape, permission in _CHECKS]
        for path, shape, permission in asked:
            if self._if_readable(partial(self._read, path, shape, f"see whether {permission} is given")) is None:
                lacking.append(permission)
        return lacking

    def _present(self, head: str, base: str) -> PullRequest | None:
        return next((pull for pull in self.find(head) if pull.state == "open" and pull.base == base), None)

    def _pull(self, number: int) -> PullAnswer:
        return self._read(f"/pulls/{number}", PullAnswer, f"read pull request {number}")

    def _reviews(self, number: int, asked: tuple[str, ...]) -> Reviews:
        path, doing = f"/pulls/{number}/reviews", f"read the reviews of pull request {number}"
        reviews = self._if_readable(lambda: list(self._items(path, list[ReviewAnswer], doing)))
        return Reviews(asked=asked, are_readable=False) if reviews is None else reviews_of(reviews, asked)

    def _checks(self, pull: PullRequest) -> Checks:
        """Check runs and commit statuses counted together; each kind has a permission of its own."""
        doing = f"read the checks of pull request {pull.number}"
        results: list[tuple[str, str]] = []
        lacking: list[str] = []
        for kind, shape, permission in _CHECKS:
            path = f"/commits/{pull.head_commit}/{kind}"
            pages = self._if_readable(partial(self._pages, path, shape, doing))
            results += [result for page in pages or () for result in page.results()]
            lacking += [] if pages is not None else [permission]
        return checks_of(results, lacking)

    def _if_readable(self, read: Callable[[], T]) -> T | None:
        """What is good to know and not needed; ``None`` where it may not be read."""
        from refsync.forges.rest import StrangeAnswerError

        try:
            return read()
        except (ForgeRefusedError, StrangeAnswerError):
            return None

    def _ending(self, number: int, event: str) -> tuple[Account | None, str | None]:
        """Who ended it by what commit, from a list that whoever may read pull requests may read."""
        path, doing = f"/issues/{number}/timeline", f"ask who ended pull request {number}"
        try:
            events = [each for each in self._items(path, list[EventAnswer], doing) if each.event == event]
        except (ForgeRefusedError, ForgeUnavailableError):  # only a name: the state is known without it
            return None, None
        last = events[-1] if events else EventAnswer()
        return last.actor.account() if last.actor else None, last.commit_id

    def _named(self, account: Account | None) -> Account | None:
        """The account with the person's name, where it can be had."""
        if account is None:
            return None
        path, doing = f"/users/{quote(account.login, safe='')}", f"ask for the name of {account.login}"
        try:
            return self._api.read(path, UserAnswer, doing=doing).account()
        except (ForgeRefusedError, ForgeUnavailableError):
            return account

    def _comment(self, number: int, text: str | None) -> list[RefusedExtra]:
        """Add a comment that is not there yet: the answer to an earlier one may have been lost."""
        if text is None:
            return []
        path, doing = f"/issues/{number}/comments", f"comment on pull request {number}"
        present = self._if_readable(lambda: list(self._items(path, list[CommentAnswer], doing))) or []
        if any(_same_text(each.body or "", text) for each in present):
            return []
        try:
            self._send("POST", path, {"body": text}, object, doing)
        except ForgeRefusedError as refused:
            return [RefusedExtra(Extra.COMMENT, "", str(refused))]
        return []

    def _add(self, number: int, kind: Extra, names: Sequence[str]) -> list[RefusedExtra]:
        """Add them all at once, or where one of them is refused one by one: a bad one must not cost the others."""
        from refsync.forges.rest import AnsweredRefusalError

        if not names:
            return []
        path, key = _ADDED_AT[kind]
        doing = f"add the {kind} {', '.join(names)} to pull request {number}"
        try:
            self._send("POST", path.format(number), {key: list(names)}, object, doing)
        except ForgeRefusedError as refused:
            is_about_one = isinstance(refused, AnsweredRefusalError) and refused.answer.status == 422
            if len(names) > 1 and is_about_one:
                return [each for name in names for each in self._add(number, kind, [name])]
            return [RefusedExtra(kind, name, str(refused)) for name in names]
        return []

    def _items(self, path: str, shape: type[list[T]], doing: str, **parameters: str) -> Iterator[T]:
        for page in self._pages(path, shape, doing, **parameters):
            yield from page

    def _pages(self, path: str, shape: type[T], doing: str, **parameters: str) -> list[T]:
        def read(path: str, doing: str) -> list[T]:
            return list(self._api.read_pages(path, shape, doing=doing, **parameters))

        return self._at_its_name(path, read, doing)

    def _read(self, path: str, shape: type[T], doing: str) -> T:
        return self._at_its_name(path, lambda path, doing: self._api.read(path, shape, doing=doing), doing)

    def _send(self, verb: str, path: str, body: dict[str, Any], shape: type[T], doing: str) -> T:
        def send(path: str, doing: str) -> T:
            return self._api.send(verb, path, body, shape, doing=doing)

        return self._at_its_name(path, send, doing)

    def _at_its_name(self, path: str, call: Callable[[str, str], T], doing: str) -> T:
        """Ask at the repository's name; where that redirects, nothing was done: learn the new name, ask once more."""
        from refsync.forges.rest import RedirectedError

        try:
            return call(f"/repos/{quote(self.full_name)}{path}", f"{doing} in {self.full_name}")
        except RedirectedError:
            self.full_name = self._present_name()
            return call(f"/repos/{quote(self.full_name)}{path}", f"{doing} in {self.full_name}")

    def _present_name(self) -> str:
        """The name of a repository that may have been renamed, however often."""
        from refsync.forges.rest import RedirectedError

        path, doing = f"/repos/{quote(self.full_name)}", f"find the present name of {self.full_name}"
        for _ in range(3):
            try:
                return self._api.read(path, RepositoryAnswer, doing=doing).full_name
            except RedirectedError as moved:
                path = moved.location
        raise ForgeRefusedError(f"cannot {doing}: it redirects without end; correct the name in the config")


def _same_text(one: str, other: str) -> bool:
    return one.replace("\r\n", "\n").strip() == other.strip()
