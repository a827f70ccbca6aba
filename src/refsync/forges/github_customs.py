"""How GitHub refuses, and what a person can do about it; how long it wants to be left alone."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from functools import partial

from pydantic import BaseModel, ValidationError

from refsync.exchange import Answer, asked_by_header, whole_number
from refsync.forges.rest import Customs, one_line

UNSAID_WAIT = 60.0
"""What GitHub asks for where a limit names no time."""


class LetInBy(Enum):
    """What a request is let in by."""

    NOTHING = "nothing"
    TOKEN = "token"
    APP = "a token of an App's installation"
    APP_KEY = "an App's own key"


_UNAUTHORIZED = {
    LetInBy.NOTHING: "a credential is needed; configure one",
    LetInBy.TOKEN: "the credential is wrong, expired or revoked; replace it",
    LetInBy.APP: "the App's token was revoked; see that it is still installed",
    LetInBy.APP_KEY: "check the App's id, its key and this machine's clock",
}


def github_customs(let_in_by: LetInBy) -> Customs:
    """What GitHub does in its own way; the advice fits what refsync is let in by."""
    return Customs(
        name="GitHub",
        example_url="https://api.github.com",
        headers={"accept": "application/vnd.github+json", "x-github-api-version": "2022-11-28"},
        said=_said,
        asked_wait=_asked_wait,
        advice=partial(_advice, let_in_by),
    )


def requests_left(answer: Answer) -> float | None:
    """How many more requests GitHub takes before its limit is reset."""
    return whole_number(answer.headers.get("x-ratelimit-remaining", ""))


class _Detail(BaseModel):
    resource: str | None = None
    field: str | None = None
    code: str | None = None
    message: str | None = None


class _Refusal(BaseModel):
    message: str | None = None
    errors: list[_Detail | str] | str | None = None


def invalid_fields(answer: Answer) -> set[str]:
    """The fields of a request that GitHub calls invalid."""
    return {detail.field for detail in _details(_read(answer)) if detail.code == "invalid" and detail.field}


def _read(answer: Answer) -> _Refusal:
    try:
        return _Refusal.model_validate_json(answer.content)
    except ValidationError:
        return _Refusal()


def _details(refusal: _Refusal) -> Iterator[_Detail]:
    told = [refusal.errors] if isinstance(refusal.errors, str) else refusal.errors or []
    for detail in told:
        yield _Detail(message=detail) if isinstance(detail, str) else detail


def _said(answer: Answer) -> str:
    refusal = _read(answer)
    details = [each.message or f"{each.field or each.resource or ''} {each.code or ''}" for each in _details(refusal)]
    return ": ".join(filter(None, (refusal.message, "; ".join(filter(None, map(str.strip, details))))))


def _asked_wait(answer: Answer, message: str, now: float) -> float | None:
    after = asked_by_header(answer, now)
    if after is not None:
        return after
    if requests_left(answer) == 0:
        until = whole_number(answer.headers.get("x-ratelimit-reset", ""))
        return (until or now + UNSAID_WAIT) - now
    # A secondary limit is known by its words alone, which were others once and still are on older servers.
    is_limit = answer.status == 429 or re.search("rate limit|abuse detection", message, re.IGNORECASE)
    return UNSAID_WAIT if is_limit else None


def _advice(let_in_by: LetInBy, answer: Answer, message: str) -> str:
    match answer.status:
        case 401:
            return f": {_UNAUTHORIZED[let_in_by]}"
        case 403 | 404 if let_in_by is LetInBy.APP_KEY:
            return "; check app_installation_id, and that the installation is neither suspended nor removed"
        case 403:
            return f"; {_forbidden(let_in_by, answer.headers, message)}"
        case 404:
            return "; check the repository's name and that the credential may see it"
        case 422 if let_in_by is LetInBy.APP_KEY:
            return "; grant the App contents=write and pull_requests=write, and let the installation accept them"
        case _:
            return ""


def _forbidden(let_in_by: LetInBy, headers: Mapping[str, str], message: str) -> str:
    single_sign_on = re.search(r"url=(https://\S+)", headers.get("x-github-sso", ""))
    if single_sign_on:
        return f"authorize the credential for the organization at {one_line(single_sign_on[1])}"
    if re.search("archived", message, re.IGNORECASE):
        return "unarchive the repository, or take it out of the config"
    if re.search("locked", message, re.IGNORECASE):
        return "unlock the conversation of the pull request"
    if re.search("suspended", message, re.IGNORECASE):
        return "lift the suspension of the account or installation"
    if let_in_by is LetInBy.APP:
        return f"grant the App {_permission(headers)} in its settings, and let the installation accept that"
    return f"give the credential {_permission(headers)}"


def _permission(headers: Mapping[str, str]) -> str:
    accepted = headers.get("x-accepted-github-permissions", "")
    if accepted:
        return f"the permission {one_line(accepted)}"
    scopes = headers.get("x-accepted-oauth-scopes", "")
    if "x-oauth-scopes" in headers and scopes:
        return f"the scope {one_line(scopes)} (it has: {one_line(headers['x-oauth-scopes']) or 'none'})"
    return "read and write access to pull requests"
