"""A stand-in of GitHub on the loopback: real HTTP in front, a real bare repository behind.

What people do on the forge are its sentences: ``forge.merge(1, by="ada", style="squash")``. What goes wrong there,
too: ``forge.cut_next("POST")``. Pushes need no word: every request looks at the branches first.
"""

from __future__ import annotations

import subprocess
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self

from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat

from refsync.forges.pace import Pace
from tests.support.forge_api import Answer, Request, Server
from tests.support.forge_merging import GITHUB, Style, merged_commit
from tests.support.forge_routes import answer_to
from tests.support.repositories import PERSON, clean_environment, dump, git

SIGN_IN = "<html><body>Please sign in to the network</body></html>"

Fault = Literal["status", "delay", "drip", "cut", "garbage", "redirect"]


@dataclass
class Review:
    by: str
    state: str
    at: float


@dataclass
class Pull:
    """A pull request as it stands; ``head_commit`` is kept when the branch is gone."""

    number: int
    title: str
    body: str
    head: str
    base: str
    author: str
    head_commit: str
    fork: str | None = None
    opened_at: float = field(default_factory=time.time)
    updated_at: float = field(default_factory=time.time)
    closed_at: float | None = None
    closed_by: str | None = None
    merged_by: str | None = None
    merge_commit: str | None = None
    labels: list[str] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    asked_teams: list[str] = field(default_factory=list)
    comments: list[str] = field(default_factory=list)
    reviews: list[Review] = field(default_factory=list)
    events: list[tuple[str, str | None, str | None]] = field(default_factory=list)
    is_draft: bool = False
    is_locked: bool = False

    @property
    def merged(self) -> bool:
        return self.merge_commit is not None

    @property
    def state(self) -> Literal["open", "closed", "merged"]:
        return "merged" if self.merged else "open" if self.closed_at is None else "closed"

    @property
    def head_ref(self) -> str:
        return f"refs/forks/{self.fork}/{self.head}" if self.fork else f"refs/heads/{self.head}"

    def touch(self) -> None:
        self.updated_at = time.time()

    def close(self, by: str | None) -> None:
        self.closed_at, self.closed_by = time.time(), by
        self.events += [("merged", by, self.merge_commit)] if self.merged else []
        self.events.append(("closed", by, None))
        self.touch()


@dataclass
class Trouble:
    """One way to answer that GitHub has on a bad day; ``on`` is the method it waits for, empty for any."""

    kind: Fault
    on: str = ""
    status: int = 500
    seconds: float = 0.0
    location: str = ""
    text: str = ""


class ForgeStandIn:
    """GitHub with one repository, ``owner/name``; ``remote`` is where to push, ``url`` the API's address.

    With a ``certificate`` (its key in the same file) it speaks https. ``bot`` is who the API's user is. ``pulls`` and
    ``requests`` are there to look at.
    """

    def __init__(self, folder: Path, repository: str = "owner/reference", *, certificate: Path | None = None) -> None:
        self.remote = folder / "forge.git"
        self.repository = repository
        self.former_names: list[str] = []
        self.bot = "refsync-bot"
        self.people: dict[str, str] = {}
        self.pulls: dict[int, Pull] = {}
        self.requests: list[Request] = []
        self.checks: dict[str, dict[str, str]] = {}
        self.statuses: dict[str, dict[str, str]] = {}
        self.token: str | None = None
        self.app: App | None = None
        self.permissions: dict[str, str] | None = None
        self.squash_keeps: Literal["commits", "request"] = "commits"
        self.button = GITHUB
        self.left_out_fields: set[str] = set()
        self.refused_labels: set[str] = set()
        self.refused_reviewers: set[str] = set()
        self.page_size = 100
        self.clock: Callable[[], float] = time.time
        self.lock = threading.RLock()
        self.closing = threading.Event()
        self._troubles: list[Trouble] = []
        self._lags = self._unknown_heads = 0
        self._limited_until = 0.0
        self._limit_kind = "primary"
        self._server = Server(self, certificate)
        self.remote.parent.mkdir(parents=True, exist_ok=True)
        if not self.remote.exists():
            git(self.remote.parent, "init", "-q", "--bare", "-b", "main", str(self.remote))

    def __enter__(self) -> Self:
        self._server.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.closing.set()
        self._server.stop()

    @property
    def url(self) -> str:
        return self._server.url

    # What people do

    def commit(
        self,
        branch: str,
        files: Mapping[str, bytes | Mapping[str, Any] | None],
        message: str = "by hand",
        *,
        start: str = "main",
        fork: str | None = None,
    ) -> str:
        """Push a commit to a branch, which begins at ``start`` where it is new; ``fork`` puts it into a fork."""
        target = f"refs/forks/{fork}/{branch}" if fork else f"refs/heads/{branch}"
        begin = self.tip(target) or self.tip(f"refs/heads/{start}")
        lines: list[bytes] = [
            f"commit {target}\ncommitter Ada <ada@example.org> now\n".encode(),
            _data(message.encode()),
        ]
        lines += [f"from {begin}\n".encode()] if begin else []
        for name, content in files.items():
            if content is None:
                lines.append(f"D {name}\n".encode())
            else:
                blob = content if isinstance(content, bytes) else dump(content)
                lines += [f"M 100644 inline {name}\n".encode(), _data(blob)]
        self.run("fast-import", "--quiet", "--date-format=now", stdin=b"".join(lines))
        return self.tip(target) or ""

    def open_by_person(
        self, head: str, title: str, *, base: str = "main", body: str = "", by: str = "ada", fork: str | None = None
    ) -> int:
        """Open a pull request of a branch that was pushed."""
        with self.lock:
            return self.open(head=head, base=base, title=title, body=body, by=by, fork=fork).number

    def merge(self, number: int, *, by: str = "ada", style: Style = "merge") -> str:
        """Merge as the button does; gives the commit that the forge names as merge commit."""
        with self.lock:
            self.observe()
            pull = self._open(number)
            old = self.tip(f"refs/heads/{pull.base}") or ""
            commit = merged_commit(self, pull, style, old, by)
            git(self.remote, "update-ref", f"refs/heads/{pull.base}", commit, old)
            pull.merged_by, pull.merge_commit = by, commit
            pull.close(by)
            return commit

    def close(self, number: int, *, by: str = "ada") -> None:
        with self.lock:
            self._open(number).close(by)

    def reopen(self, number: int) -> None:
        with self.lock:
            pull = self.pulls[number]
            assert pull.state == "closed", f"pull request {number} is {pull.state}"
            assert self.tip(pull.head_ref), "GitHub reopens nothing whose branch is gone"
            pull.closed_at = pull.closed_by = None
            pull.touch()

    def retitle(self, number: int, title: str) -> None:
        with self.lock:
            self.pulls[number].title = title
            self.pulls[number].touch()

    def retarget(self, number: int, base: str) -> None:
        with self.lock:
            self.pulls[number].base = base
            self.pulls[number].touch()

    def draft(self, number: int) -> None:
        with self.lock:
            self.pulls[number].is_draft = True
            self.pulls[number].touch()

    def lock_conversation(self, number: int) -> None:
        self.pulls[number].is_locked = True

    def relabel(self, number: int, *labels: str) -> None:
        with self.lock:
            self.pulls[number].labels = list(labels)
            self.pulls[number].touch()

    def rewrite(self, number: int, body: str) -> None:
        with self.lock:
            self.pulls[number].body = body
            self.pulls[number].touch()

    def review(
        self, number: int, by: str, verdict: Literal["approve", "request changes", "comment", "dismiss"] = "approve"
    ) -> None:
        words = {"approve": "APPROVED", "request changes": "CHANGES_REQUESTED", "comment": "COMMENTED"}
        with self.lock:
            pull = self.pulls[number]
            pull.reviews.append(Review(by, words.get(verdict, "DISMISSED"), time.time()))
            pull.asked = [person for person in pull.asked if person != by]
            pull.touch()

    def check(
        self,
        number: int,
        name: str,
        result: Literal["success", "failure", "running", "skipped"],
        *,
        kind: Literal["check run", "status"] = "check run",
    ) -> None:
        """A result for the commit that is proposed now; another commit has none yet."""
        with self.lock:
            self.observe()
            kept = self.checks if kind == "check run" else self.statuses
            kept.setdefault(self.pulls[number].head_commit, {})[name] = result

    def delete_branch(self, name: str, *, by: str = "ada") -> None:
        """Delete a branch of the remote, which closes its open pull requests."""
        with self.lock:
            self.observe()
            git(self.remote, "update-ref", "-d", f"refs/heads/{name}")
            self.observe(by=by)

    def rename(self, repository: str) -> None:
        """Give the repository another name; the former one redirects."""
        with self.lock:
            self.former_names.append(self.repository)
            self.repository = repository

    # What goes wrong

    def fail_next(self, status: int = 500, times: int = 1, on: str = "") -> None:
        self._troubles += [Trouble("status", on, status=status) for _ in range(times)]

    def delay_next(self, seconds: float, on: str = "") -> None:
        self._troubles.append(Trouble("delay", on, seconds=seconds))

    def drip_next(self, seconds: float, on: str = "") -> None:
        """Send the answer byte by byte, so long after each other."""
        self._troubles.append(Trouble("drip", on, seconds=seconds))

    def cut_next(self, on: str = "") -> None:
        """Do what is asked, then close the connection without an answer."""
        self._troubles.append(Trouble("cut", on))

    def garbage_next(self, text: str = SIGN_IN, times: int = 1, on: str = "") -> None:
        self._troubles += [Trouble("garbage", on, text=text) for _ in range(times)]

    def redirect_next(self, location: str, status: int = 301, on: str = "") -> None:
        self._troubles.append(Trouble("redirect", on, status=status, location=location))

    def mend(self) -> None:
        """Forget the trouble that nobody has met yet."""
        with self.lock:
            self._troubles.clear()

    def rate_limit(self, seconds: float, kind: Literal["primary", "secondary"] = "primary") -> None:
        """Answer nothing else for so long; 0 lifts it."""
        self._limited_until, self._limit_kind = self.clock() + seconds, kind

    def refuse_labels(self, labels: Iterable[str]) -> None:
        self.refused_labels = set(labels)

    def refuse_reviewers(self, logins: Iterable[str]) -> None:
        self.refused_reviewers = set(logins)

    def require_token(self, token: str | None) -> None:
        self.token = token

    def permit(self, **permissions: str) -> None:
        """Let the credential do only this, as ``pull_requests="write"``, ``checks="read"``."""
        self.permissions = permissions

    def lag(self, times: int) -> None:
        """Do not know a new pull request where labels and reviewers are kept, for so many requests."""
        self._lags = times

    def lag_behind_pushes(self, times: int) -> None:
        """Take the head of a pull request that is opened for unknown, so many times."""
        self._unknown_heads = times

    def lags(self) -> bool:
        self._lags -= 1
        return self._lags >= 0

    def takes_head_for_unknown(self) -> bool:
        self._unknown_heads -= 1
        return self._unknown_heads >= 0

    def permissions_of(self, secret: str) -> dict[str, str] | None:
        """What a credential may do; ``None`` for everything."""
        return self.app.granted.get(secret) if self.app else self.permissions

    def install_app(self, app_id: int = 7, installation_id: int = 42) -> Path:
        """Let in the tokens of this App's installation and nothing else; gives the file with the App's key."""
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        self.app = App(app_id, installation_id, public.decode())
        file = self.remote.parent / f"app-{app_id}.pem"
        file.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.TraditionalOpenSSL, NoEncryption()))
        return file

    # What the HTTP side asks

    def handle(self, request: Request) -> Answer | None:
        """The answer, ``None`` for a connection that is cut."""
        trouble = self._next_trouble(request.method)
        if trouble and trouble.kind == "delay":
            self.closing.wait(trouble.seconds)
        with self.lock:
            answer = self._troubled(trouble, request) or self._limited() or answer_to(self, request)
            self.requests.append(request)
            request.status = answer.status
            if trouble and trouble.kind == "drip":
                answer.drip_seconds = trouble.seconds
        return None if trouble and trouble.kind == "cut" else answer

    def open(self, *, head: str, base: str, title: str, body: str, by: str, fork: str | None = None) -> Pull:
        self.observe()
        number = len(self.pulls) + 1
        pull = Pull(number, title, body, head, base, by, head_commit="", fork=fork)
        pull.head_commit = self.tip(pull.head_ref) or ""
        assert pull.head_commit, f"no branch {head}"
        self.pulls[number] = pull
        self.observe()
        return pull

    def observe(self, by: str | None = None) -> None:
        """Draw the consequences of what was pushed and deleted since the last look."""
        for pull in self.pulls.values():
            if pull.state == "open":
                self._observe(pull, by)

    def tip(self, ref: str) -> str | None:
        return git(self.remote, "rev-parse", "--verify", "-q", ref, check=False) or None

    def contains(self, base: str, commit: str) -> bool:
        return git(self.remote, "rev-list", "-1", f"{base}..{commit}") == ""

    def _observe(self, pull: Pull, by: str | None) -> None:
        tip, base = self.tip(pull.head_ref), self.tip(f"refs/heads/{pull.base}")
        if tip and tip != pull.head_commit:
            pull.head_commit = tip
            pull.touch()
        if base and self.contains(base, pull.head_commit):
            pull.merge_commit, pull.merged_by = self._brought_by(base, pull.head_commit), by or "ada"
            pull.close(pull.merged_by)
        elif tip is None:
            pull.close(by)
        git(self.remote, "update-ref", f"refs/pull/{pull.number}/head", pull.head_commit)

    def _brought_by(self, base: str, commit: str) -> str:
        """The commit by which the base came to contain this one."""
        since = git(self.remote, "rev-list", "--first-parent", "--ancestry-path", f"{commit}..{base}").split()
        on_the_line = commit in git(self.remote, "rev-list", "--first-parent", base).split()
        return commit if on_the_line or not since else since[-1]

    def _next_trouble(self, method: str) -> Trouble | None:
        with self.lock:
            for trouble in self._troubles:
                if trouble.on in ("", method):
                    self._troubles.remove(trouble)
                    return trouble
        return None

    def _troubled(self, trouble: Trouble | None, request: Request) -> Answer | None:
        match trouble:
            case Trouble(kind="status", status=status):
                return Answer(status, {"message": "Server Error"})
            case Trouble(kind="garbage", text=text):
                return Answer(200, text)
            case Trouble(kind="redirect", status=status, location=location):
                return Answer(status, {"message": "Moved"}, {"Location": location + request.path})
        return None

    def _limited(self) -> Answer | None:
        left = self._limited_until - self.clock()
        if left <= 0:
            return None
        if self._limit_kind == "secondary":
            said = "You have exceeded a secondary rate limit. Please wait a few minutes before you try again."
            return Answer(403, {"message": said}, {"Retry-After": str(round(left))})
        reset = {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": str(round(self._limited_until))}
        return Answer(403, {"message": "API rate limit exceeded for user ID 1."}, reset)

    def _open(self, number: int) -> Pull:
        pull = self.pulls[number]
        assert pull.state == "open", f"pull request {number} is {pull.state}"
        return pull

    def run(self, *arguments: str, stdin: bytes, **environment: str) -> str:
        done = subprocess.run(
            ["git", "-C", str(self.remote), *arguments],
            env=clean_environment() | PERSON | self.button | environment,
            input=stdin,
            capture_output=True,
            check=True,
        )
        return done.stdout.decode().strip()

    def name_of(self, login: str) -> str:
        return self.people.get(login, login.title())


def unhurried() -> Pace:
    """Writes follow each other at once, and nothing is slept over."""
    return Pace(write_seconds=0.0, sleep=lambda seconds: None)


def _data(content: bytes) -> bytes:
    return b"data %d\n%s\n" % (len(content), content)


@dataclass
class App:
    """A GitHub App and the tokens that its one installation was given."""

    app_id: int
    installation_id: int
    public_key: str
    token_seconds: float = 3600.0
    suspended: bool = False
    permissions: dict[str, str] = field(
        default_factory=lambda: {"contents": "write", "pull_requests": "write", "checks": "read", "statuses": "read"}
    )
    tokens: list[str] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    granted: dict[str, dict[str, str]] = field(default_factory=dict)
