"""What the forge's stand-in answers: GitHub's routes, permissions, fields, pages, ETags and refusals."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import jwt

from tests.support.forge_api import Answer, Request

if TYPE_CHECKING:
    from tests.support.forge import ForgeStandIn, Pull

Data = dict[str, Any]

NOT_FOUND = Answer(404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"})


def answer_to(forge: ForgeStandIn, request: Request) -> Answer:
    """What GitHub would answer on a good day."""
    forge.observe()
    refused = _let_in(forge, request)
    if refused:
        return refused
    answer = _moved(forge, request) or _routed(forge, request)
    return _with_etag(answer, request) if request.method == "GET" and answer.status == 200 else answer


def _let_in(forge: ForgeStandIn, request: Request) -> Answer | None:
    if request.path.startswith("/app/"):
        return None
    accepted = {forge.token} if forge.token else set(forge.app.tokens) if forge.app else None
    if accepted is not None and _secret(request) not in accepted:
        return Answer(401, {"message": "Bad credentials", "status": "401"})
    if forge.app and forge.app.suspended:
        return Answer(403, {"message": "This installation has been suspended"})
    return None


def _permitted(forge: ForgeStandIn, request: Request, needed: str) -> Answer | None:
    """Whether one of the permissions is there, as ``checks=read; pull_requests=read``; ``None`` if so."""
    held = forge.permissions_of(_secret(request))
    if held is None or not needed:
        return None
    for each in needed.split("; "):
        name, _, access = each.partition("=")
        if held.get(name) == "write" or held.get(name) == access:
            return None
    kind = "integration" if forge.app else "personal access token"
    said = {"message": f"Resource not accessible by {kind}", "status": "403"}
    return Answer(403, said, {"X-Accepted-GitHub-Permissions": needed})


def _secret(request: Request) -> str:
    kind, _, secret = (request.authorization or "").partition(" ")
    return base64.b64decode(secret).decode().partition(":")[2] if kind.lower() == "basic" else secret


def _moved(forge: ForgeStandIn, request: Request) -> Answer | None:
    for name in forge.former_names:
        tail = request.path.removeprefix(f"/repos/{name}")
        if tail != request.path and (not tail or tail.startswith("/")) and name != forge.repository:
            query = f"?{urlencode(request.query)}" if request.query else ""
            location = f"{request.root}/repositories/1{tail}{query}"
            return Answer(
                301 if request.method == "GET" else 307, {"message": "Moved Permanently"}, {"Location": location}
            )
    return None


def _routed(forge: ForgeStandIn, request: Request) -> Answer:
    tail = request.path
    for prefix in (f"/repos/{forge.repository}", "/repositories/1"):
        if request.path.lower().startswith(prefix.lower()):
            tail = f"/R{request.path[len(prefix) :]}"
    for method, pattern, needed, route in ROUTES:
        found = re.fullmatch(pattern, tail)
        if found and method == request.method:
            return _permitted(forge, request, needed) or route(forge, request, *found.groups())
    return NOT_FOUND


def _invalid(resource: str, said: str, **details: str) -> Answer:
    error = {"resource": resource, "code": "custom", "message": said} | details
    return Answer(422, {"message": "Validation Failed", "errors": [error], "status": "422"})


def _unresolved() -> Answer:
    """What GitHub says of a pull request that not all of its parts know yet."""
    told = ["Could not resolve to a node with the global id of 'PR_kwDOAA'."]
    return Answer(422, {"message": "Validation Failed", "errors": told, "status": "422"})


def _with_etag(answer: Answer, request: Request) -> Answer:
    etag = f'W/"{hashlib.sha256(json.dumps(answer.data).encode()).hexdigest()}"'
    if request.headers.get("if-none-match") == etag:
        return Answer(304, None, {"ETag": etag})
    return Answer(200, answer.data, answer.headers | {"ETag": etag})


# Routes


def _repository(forge: ForgeStandIn, request: Request) -> Answer:
    return Answer(200, _repository_data(forge.repository, 1))


def _list_pulls(forge: ForgeStandIn, request: Request) -> Answer:
    state, head = request.query.get("state", "open"), request.query.get("head")
    chosen = [
        _pull_data(forge, pull)
        for pull in sorted(forge.pulls.values(), key=lambda pull: -pull.number)
        if (state == "all" or (pull.state == "open") == (state == "open"))
        and (head is None or head == f"{_owner(forge, pull)}:{pull.head}")
    ]
    return _paged(forge, request, chosen)


def _paged(forge: ForgeStandIn, request: Request, items: list[Data]) -> Answer:
    size = min(int(request.query.get("per_page", "30")), forge.page_size)
    page = int(request.query.get("page", "1"))
    headers = {}
    if len(items) > page * size:
        query = urlencode(request.query | {"page": str(page + 1)})
        headers["Link"] = f'<{request.root}{request.path}?{query}>; rel="next"'
    return Answer(200, items[(page - 1) * size : page * size], headers)


def _open_pull(forge: ForgeStandIn, request: Request) -> Answer:
    head, base = request.body["head"], request.body["base"]
    tip, onto = forge.tip(f"refs/heads/{head}"), forge.tip(f"refs/heads/{base}")
    owner = forge.repository.partition("/")[0]
    if forge.takes_head_for_unknown():
        tip = None
    if tip is None or onto is None:
        return _invalid("PullRequest", "", field="base" if tip else "head", code="invalid")
    same = [pull for pull in forge.pulls.values() if (pull.head, pull.base, pull.state) == (head, base, "open")]
    if any(pull.fork is None for pull in same):
        return _invalid("PullRequest", f"A pull request already exists for {owner}:{head}.")
    if forge.contains(onto, tip):
        return _invalid("PullRequest", f"No commits between {base} and {head}")
    if len(request.body.get("body") or "") > 65536:
        return _invalid("PullRequest", "body is too long (maximum is 65536 characters)", field="body")
    pull = forge.open(
        head=head, base=base, title=request.body["title"], body=request.body.get("body") or "", by=forge.bot
    )
    return Answer(201, _whole_pull_data(forge, pull))


def _get_pull(forge: ForgeStandIn, request: Request, number: str) -> Answer:
    pull = forge.pulls.get(int(number))
    return Answer(200, _whole_pull_data(forge, pull)) if pull else NOT_FOUND


def _edit_pull(forge: ForgeStandIn, request: Request, number: str) -> Answer:
    pull = forge.pulls.get(int(number))
    if pull is None:
        return NOT_FOUND
    pull.title = request.body.get("title", pull.title)
    pull.body = request.body.get("body", pull.body)
    pull.base = request.body.get("base", pull.base)
    pull.touch()
    if request.body.get("state") == "closed" and pull.state == "open":
        pull.close(forge.bot)
    return Answer(200, _whole_pull_data(forge, pull))


def _get_issue(forge: ForgeStandIn, request: Request, number: str) -> Answer:
    pull = forge.pulls.get(int(number))
    if pull is None:
        return NOT_FOUND
    closer = _user(pull.closed_by) if pull.closed_by else None
    return Answer(200, {"number": pull.number, "state": _state(pull), "title": pull.title, "closed_by": closer})


def _timeline(forge: ForgeStandIn, request: Request, number: str) -> Answer:
    pull = forge.pulls.get(int(number))
    if pull is None:
        return NOT_FOUND
    begun: list[Data] = [{"event": "committed", "sha": pull.head_commit, "author": {"name": "Ada", "email": "a@b"}}]
    events = [
        {"event": event, "actor": _user(by) if by else None, "commit_id": commit} for event, by, commit in pull.events
    ]
    return _paged(forge, request, begun + events)


def _comments(forge: ForgeStandIn, request: Request, number: str) -> Answer:
    pull = forge.pulls.get(int(number))
    if pull is None:
        return NOT_FOUND
    return _paged(forge, request, [{"id": place, "body": text} for place, text in enumerate(pull.comments, 1)])


def _comment(forge: ForgeStandIn, request: Request, number: str) -> Answer:
    pull = forge.pulls.get(int(number))
    if pull is None:
        return NOT_FOUND
    if pull.is_locked:
        return Answer(403, {"message": "Unable to create comment because issue is locked.", "status": "403"})
    pull.comments.append(request.body["body"])
    pull.touch()
    return Answer(201, {"id": len(pull.comments), "body": request.body["body"], "user": _user(forge.bot)})


def _label(forge: ForgeStandIn, request: Request, number: str) -> Answer:
    pull = forge.pulls.get(int(number))
    if pull is None:
        return NOT_FOUND
    if forge.lags():
        return _unresolved()
    if forge.refused_labels & set(request.body["labels"]):
        return _invalid("Label", "", field="name", code="invalid")
    pull.labels += [label for label in request.body["labels"] if label not in pull.labels]
    pull.touch()
    return Answer(200, [{"name": label} for label in pull.labels])


def _ask_reviewers(forge: ForgeStandIn, request: Request, number: str) -> Answer:
    pull = forge.pulls.get(int(number))
    if pull is None:
        return NOT_FOUND
    if forge.lags():
        return NOT_FOUND
    people, teams = request.body.get("reviewers", []), request.body.get("team_reviewers", [])
    if pull.author in people:
        return Answer(422, {"message": "Review cannot be requested from pull request author."})
    if forge.refused_reviewers & {*people, *teams}:
        said = "Reviews may only be requested from collaborators. One or more of the users or teams you specified"
        return Answer(422, {"message": f"{said} is not a collaborator of the {forge.repository} repository."})
    pull.asked += [person for person in people if person not in pull.asked]
    pull.asked_teams += [team for team in teams if team not in pull.asked_teams]
    pull.touch()
    return Answer(201, _whole_pull_data(forge, pull))


def _reviews(forge: ForgeStandIn, request: Request, number: str) -> Answer:
    pull = forge.pulls.get(int(number))
    if pull is None:
        return NOT_FOUND
    reviews = [
        {"id": index, "user": _user(review.by), "state": review.state, "submitted_at": _moment(review.at)}
        for index, review in enumerate(pull.reviews, 1)
    ]
    return _paged(forge, request, reviews)


def _check_runs(forge: ForgeStandIn, request: Request, commit: str) -> Answer:
    runs = [
        {
            "name": name,
            "status": "in_progress" if result == "running" else "completed",
            "conclusion": None if result == "running" else result,
        }
        for name, result in forge.checks.get(commit, {}).items()
    ]
    page = _paged(forge, request, runs)
    return Answer(200, {"total_count": len(runs), "check_runs": page.data}, page.headers)


def _status(forge: ForgeStandIn, request: Request, commit: str) -> Answer:
    statuses = [
        {"context": name, "state": "pending" if result == "running" else result}
        for name, result in forge.statuses.get(commit, {}).items()
    ]
    page = _paged(forge, request, statuses)
    return Answer(200, {"sha": commit, "total_count": len(statuses), "statuses": page.data}, page.headers)


def _get_user(forge: ForgeStandIn, request: Request, login: str) -> Answer:
    return Answer(200, _user(login) | {"name": forge.name_of(login)})


def _mint(forge: ForgeStandIn, request: Request, installation: str) -> Answer:
    app, now = forge.app, forge.clock()
    if app is None or int(installation) != app.installation_id:
        return Answer(404, {"message": "Integration not found"})
    try:
        signed = jwt.decode(
            _secret(request), app.public_key, algorithms=["RS256"], options={"verify_iat": False, "verify_exp": False}
        )
    except jwt.InvalidTokenError:
        return Answer(401, {"message": "A JSON web token could not be decoded"})
    if signed["iss"] != str(app.app_id) or not signed["iat"] <= now < signed["exp"] <= now + 600:
        return Answer(401, {"message": "'Expiration time' claim ('exp') or 'Issued at' claim ('iat') is wrong"})
    if app.suspended:
        return Answer(403, {"message": "This installation has been suspended"})
    wish = request.body or {}
    permissions = wish.get("permissions", app.permissions)
    if any(app.permissions.get(name) not in (access, "write") for name, access in permissions.items()):
        return Answer(422, {"message": "The permissions requested are not granted to this installation."})
    if wish.get("repositories", [name := forge.repository.rpartition("/")[2]]) != [name]:
        return Answer(422, {"message": "There is at least one repository that does not exist or is not accessible."})
    app.tokens.append(f"ghs_{len(app.tokens)}_of_{app.app_id}")
    app.asked.append(wish)
    app.granted[app.tokens[-1]] = permissions
    return Answer(201, {"token": app.tokens[-1], "expires_at": _moment(now + app.token_seconds)})


READ, WRITE = "pull_requests=read", "pull_requests=write"
ISSUES_TOO, ISSUES_TOO_WRITE = f"issues=read; {READ}", f"issues=write; {WRITE}"

# With what a fine-grained token or an App has to hold: one of those named.
ROUTES: list[tuple[str, str, str, Callable[..., Answer]]] = [
    ("GET", "/R", "", _repository),
    ("GET", "/R/pulls", READ, _list_pulls),
    ("POST", "/R/pulls", WRITE, _open_pull),
    ("GET", r"/R/pulls/(\d+)", READ, _get_pull),
    ("PATCH", r"/R/pulls/(\d+)", WRITE, _edit_pull),
    ("GET", r"/R/pulls/(\d+)/reviews", READ, _reviews),
    ("POST", r"/R/pulls/(\d+)/requested_reviewers", WRITE, _ask_reviewers),
    ("GET", r"/R/issues/(\d+)", "issues=read", _get_issue),
    ("GET", r"/R/issues/(\d+)/timeline", ISSUES_TOO, _timeline),
    ("GET", r"/R/issues/(\d+)/comments", ISSUES_TOO, _comments),
    ("POST", r"/R/issues/(\d+)/comments", ISSUES_TOO_WRITE, _comment),
    ("POST", r"/R/issues/(\d+)/labels", ISSUES_TOO_WRITE, _label),
    ("GET", "/R/commits/([0-9a-f]+)/check-runs", "checks=read", _check_runs),
    ("GET", "/R/commits/([0-9a-f]+)/status", "statuses=read", _status),
    ("GET", "/users/([^/]+)", "", _get_user),
    ("POST", r"/app/installations/(\d+)/access_tokens", "", _mint),
]


# GitHub's fields


def _pull_data(forge: ForgeStandIn, pull: Pull) -> Data:
    number, head = pull.number, pull.fork or forge.repository
    fields = {
        "id": 1000 + number,
        "number": number,
        "html_url": f"{forge.url}/{forge.repository}/pull/{number}",
        "state": _state(pull),
        "title": pull.title,
        "body": pull.body or None,
        "user": _user(pull.author),
        "created_at": _moment(pull.opened_at),
        "updated_at": _moment(pull.updated_at),
        "closed_at": _moment(pull.closed_at),
        "merged_at": _moment(pull.closed_at) if pull.merged else None,
        "merge_commit_sha": pull.merge_commit or pull.head_commit,  # of an open one it is a trial merge
        "labels": [{"name": label} for label in pull.labels],
        "requested_reviewers": [_user(person) for person in pull.asked],
        "requested_teams": [{"name": team, "slug": team} for team in pull.asked_teams],
        "draft": pull.is_draft,
        "head": {
            "label": f"{_owner(forge, pull)}:{pull.head}",
            "ref": pull.head,
            "sha": pull.head_commit,
            "repo": _repository_data(head, 2 if pull.fork else 1),
        },
        "base": {
            "ref": pull.base,
            "sha": forge.tip(f"refs/heads/{pull.base}"),
            "repo": _repository_data(forge.repository, 1),
        },
    }
    return {name: value for name, value in fields.items() if name not in forge.left_out_fields}


def _whole_pull_data(forge: ForgeStandIn, pull: Pull) -> Data:
    merger = _user(pull.merged_by) if pull.merged_by else None
    more = {"merged": pull.merged, "merged_by": merger, "comments": len(pull.comments)}
    return _pull_data(forge, pull) | {name: more[name] for name in more.keys() - forge.left_out_fields}


def _repository_data(name: str, number: int) -> Data:
    return {"id": number, "name": name.partition("/")[2], "full_name": name, "private": False}


def _owner(forge: ForgeStandIn, pull: Pull) -> str:
    return (pull.fork or forge.repository).partition("/")[0]


def _user(login: str) -> Data:
    return {"login": login, "type": "Bot" if login.endswith("[bot]") else "User"}


def _state(pull: Pull) -> str:
    return "open" if pull.state == "open" else "closed"


def _moment(seconds: float | None) -> str | None:
    return None if seconds is None else datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
