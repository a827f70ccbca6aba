"""The HTTP side of the forge's stand-in: GitHub's routes, fields, pages, ETags and refusals."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import json
import re
import socket
import ssl
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, unquote, urlencode, urlsplit

import jwt

if TYPE_CHECKING:
    from tests.support.forge import ForgeStandIn, Pull

Data = dict[str, Any]

ENTERPRISE = "/api/v3"  # before every path of a GitHub Enterprise server


@dataclass
class Request:
    """What was asked, and the status that it was answered with."""

    method: str
    path: str
    query: dict[str, str] = field(repr=False)
    headers: Mapping[str, str] = field(repr=False)
    body: Any = field(repr=False)
    root: str = ""
    at: float = field(default_factory=time.monotonic, repr=False)
    status: int = 0

    @property
    def authorization(self) -> str | None:
        return self.headers.get("authorization")


@dataclass
class Answer:
    status: int
    data: Any = None
    headers: dict[str, str] = field(default_factory=dict)


class Server:
    """Serves a stand-in on a free port, one thread for each connection; all have ended after ``stop``."""

    def __init__(self, forge: ForgeStandIn, certificate: Path | None = None) -> None:
        class Handler(_Handler):
            stand_in = forge

        self._server = _ThreadingServer(("127.0.0.1", 0), Handler, bind_and_activate=True)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), name="forge")
        self.url = f"http{'s' if certificate else ''}://127.0.0.1:{self._server.server_address[1]}"
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _ThreadingServer(ThreadingHTTPServer):
    daemon_threads = False

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients may go while they are answered; anything else is a fault of the stand-in."""
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    stand_in: ForgeStandIn
    timeout = 10

    def do_GET(self) -> None:
        self._serve()

    do_POST = do_PATCH = do_PUT = do_DELETE = do_GET  # noqa: N815

    def _serve(self) -> None:
        answer = self.stand_in.handle(self._request())
        if answer is None:
            with contextlib.suppress(OSError):  # the client may be gone already
                self.connection.shutdown(socket.SHUT_RDWR)
            return
        text = answer.data if isinstance(answer.data, str) else json.dumps(answer.data)
        body = b"" if answer.status in (204, 304) else text.encode()
        self.send_response_only(answer.status)
        kind = "text/html" if isinstance(answer.data, str) else "application/json; charset=utf-8"
        headers = {"Date": formatdate(self.stand_in.clock(), usegmt=True), "Content-Type": kind}
        for name, value in (headers | answer.headers | {"Content-Length": str(len(body))}).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def _request(self) -> Request:
        parts = urlsplit(self.path)
        content = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        query = {key: values[-1] for key, values in parse_qs(parts.query).items()}
        headers = {name.lower(): value for name, value in self.headers.items()}
        prefix = ENTERPRISE if parts.path.startswith(ENTERPRISE) else ""
        path, body = unquote(parts.path.removeprefix(prefix)), json.loads(content) if content else None
        return Request(self.command, path, query, headers, body, root=self.stand_in.url + prefix)

    def log_message(self, format: str, *args: Any) -> None:
        pass


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
    if forge.forbidden and request.method != "GET":
        said = {"message": "Resource not accessible by personal access token"}
        return Answer(403, said, {"X-Accepted-GitHub-Permissions": forge.forbidden})
    return None


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
    for method, pattern, route in ROUTES:
        found = re.fullmatch(pattern, tail)
        if found and method == request.method:
            return route(forge, request, *found.groups())
    return NOT_FOUND


def _with_etag(answer: Answer, request: Request) -> Answer:
    etag = f'W/"{hashlib.sha256(json.dumps(answer.data).encode()).hexdigest()}"'
    if request.headers.get("if-none-match") == etag:
        return Answer(304, None, {"ETag": etag})
    return Answer(200, answer.data, answer.headers | {"ETag": etag})


NOT_FOUND = Answer(404, {"message": "Not Found", "documentation_url": "https://docs.github.com/rest", "status": "404"})


def _invalid(resource: str, said: str, **details: str) -> Answer:
    error = {"resource": resource, "code": "custom", "message": said} | details
    return Answer(422, {"message": "Validation Failed", "errors": [error], "status": "422"})


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


def _comment(forge: ForgeStandIn, request: Request, number: str) -> Answer:
    pull = forge.pulls.get(int(number))
    if pull is None:
        return NOT_FOUND
    pull.comments.append(request.body["body"])
    pull.touch()
    return Answer(201, {"id": len(pull.comments), "body": request.body["body"], "user": _user(forge.bot)})


def _label(forge: ForgeStandIn, request: Request, number: str) -> Answer:
    pull = forge.pulls.get(int(number))
    if pull is None:
        return NOT_FOUND
    if forge.refused_labels & set(request.body["labels"]):
        return _invalid("Label", "", field="name", code="invalid")
    pull.labels += [label for label in request.body["labels"] if label not in pull.labels]
    pull.touch()
    return Answer(200, [{"name": label} for label in pull.labels])


def _ask_reviewers(forge: ForgeStandIn, request: Request, number: str) -> Answer:
    pull = forge.pulls.get(int(number))
    if pull is None:
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
    return Answer(200, {"total_count": len(runs), "check_runs": runs})


def _status(forge: ForgeStandIn, request: Request, commit: str) -> Answer:
    statuses = [
        {"context": name, "state": "pending" if result == "running" else result}
        for name, result in forge.statuses.get(commit, {}).items()
    ]
    return Answer(200, {"sha": commit, "total_count": len(statuses), "statuses": statuses})


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
    app.tokens.append(f"ghs_{len(app.tokens)}_of_{app.app_id}")
    return Answer(201, {"token": app.tokens[-1], "expires_at": _moment(now + app.token_seconds)})


ROUTES: list[tuple[str, str, Callable[..., Answer]]] = [
    ("GET", "/R", _repository),
    ("GET", "/R/pulls", _list_pulls),
    ("POST", "/R/pulls", _open_pull),
    ("GET", r"/R/pulls/(\d+)", _get_pull),
    ("PATCH", r"/R/pulls/(\d+)", _edit_pull),
    ("GET", r"/R/pulls/(\d+)/reviews", _reviews),
    ("POST", r"/R/pulls/(\d+)/requested_reviewers", _ask_reviewers),
    ("GET", r"/R/issues/(\d+)", _get_issue),
    ("POST", r"/R/issues/(\d+)/comments", _comment),
    ("POST", r"/R/issues/(\d+)/labels", _label),
    ("GET", "/R/commits/([0-9a-f]+)/check-runs", _check_runs),
    ("GET", "/R/commits/([0-9a-f]+)/status", _status),
    ("GET", "/users/([^/]+)", _get_user),
    ("POST", r"/app/installations/(\d+)/access_tokens", _mint),
]


# GitHub's fields


def _pull_data(forge: ForgeStandIn, pull: Pull) -> Data:
    number, head = pull.number, pull.fork or forge.repository
    return {
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
        "draft": False,
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


def _whole_pull_data(forge: ForgeStandIn, pull: Pull) -> Data:
    merger = _user(pull.merged_by) if pull.merged_by else None
    return _pull_data(forge, pull) | {"merged": pull.merged, "merged_by": merger, "comments": len(pull.comments)}


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
