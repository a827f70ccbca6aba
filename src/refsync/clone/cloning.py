"""Cloning a reference: all of its history, but only the files that it is made of."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from urllib.parse import SplitResult, urlsplit

from refsync.clone.process import ANY_CODE, run_git
from refsync.clone.remotes import Remote, clone_from, prefetch_blobs
from refsync.clone.repository import Repository
from refsync.clone.sparse import show_only
from refsync.commands import git_command
from refsync.durable import flush_all, flush_folder
from refsync.durable_steps import durable_step
from refsync.errors import (
    CloneError,
    GitCommandError,
    GitTimeoutError,
    GitUnwritableError,
    RemoteRefusedError,
    RemoteUnavailableError,
    RequestError,
)
from refsync.scratch import Scratch, scratch_folder, sweep

PATIENCE_SECONDS = 3600.0
"""A person waits for a clone, and can interrupt it."""
_READ_BY_GIT = (".gitattributes", ".gitignore", ".gitmodules")


def is_url(source: str) -> bool:
    """Whether git would take this for a URL, not a path: ``scheme://`` or ``host:path``."""
    return "://" in source or (":" in source.partition("/")[0] and not Path(source).exists())


def check_url(url: str) -> None:
    """See that a URL holds no secret: git would keep it in the clone's config, and show it in its errors.

    Raises:
        RequestError: it may hold one, which the text does not show.
    """
    parts = _split(url)
    over_http = parts.scheme in ("http", "https")
    if parts.password is not None or (over_http and (parts.username is not None or parts.query)):
        raise RequestError(
            f"{parts.scheme}://{parts.hostname}: the URL holds a user name, password or token, which git would keep "
            "in the clone's config; leave it out, and name the file that holds the token by --token-file"
        )


def host_of(url: str) -> str:
    """The host in a URL, in small letters; empty where it names none."""
    return (_split(url).hostname or "") if "://" in url else url.partition(":")[0].rpartition("@")[2].lower()


def folder_name(url: str) -> str:
    """What the URL calls the repository: its last part."""
    last = re.split(r"[/:]", url.rstrip("/").removesuffix("/.git"))[-1]
    return last.removesuffix(".git").removesuffix(".bundle")


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url if "://" in url else "")
        parts.port  # noqa: B018  it is checked when it is asked for
    except ValueError:
        raise RequestError("the URL cannot be understood; correct it") from None
    return parts


@contextlib.contextmanager
def new_clone(url: str, target: Path, remote: Remote, *, branch: str | None = None) -> Iterator[Repository]:
    """A clone without files, under a name beside its target; put in place if the block ends well, else removed.

    Args:
        url: a URL without secrets, or an absolute path.
        target: where the clone shall be; nothing is there, or an empty folder.
        remote: what lets us in; ``cloned_from`` is the URL.
        branch: the target branch; else the remote's main one.

    Raises:
        CloneError: the target is taken, or the remote has no such branch.
        RemoteUnavailableError: the remote does not answer.
        RemoteRefusedError: it refuses.
    """
    _refuse_taken(target)
    _refuse_shallow(url)
    with scratch_folder(_kind_of_unfinished(target)) as unfinished:
        with _told_for_cloning(url, unfinished.path):
            folder = _clone(url, unfinished, remote, branch)
            with _opened(folder, _branch_of(folder, url), unfinished) as clone:
                yield clone
        _put_in_place(folder, target)


def is_clone_of(folder: Path, url: str) -> bool:
    """Whether a clone of this URL is there already, whole: as :func:`new_clone` puts it in place, or a person's own."""
    if not (folder / ".git").is_dir():
        return False
    with Repository(folder, "") as clone:
        return clone.setting(f"remote.{Remote.name}.url") == url


def sweep_unfinished(target: Path) -> None:
    """Remove what killed ones have left beside a clone while they made it."""
    sweep(_kind_of_unfinished(target))


@durable_step("check the new clone out")
def check_out(clone: Repository, remote: Remote, paths: Collection[str]) -> None:
    """Show only these paths, those that are not there yet, too, and fetch all versions of them in one go."""
    shown = [*paths, *_read_by_git(paths)]
    show_only(clone, shown)
    prefetch_blobs(clone, remote, None, clone.tip(), shown)
    clone.run("checkout", "-q", clone.branch, "--")


def _refuse_taken(target: Path) -> None:
    if not target.parent.is_dir():
        raise CloneError(f"{target.parent}: there is no such folder; make it, or clone elsewhere")
    if target.exists() and not (target.is_dir() and not any(target.iterdir())):
        raise CloneError(f"{target}: exists and is not an empty folder; name another one to clone to")


def _refuse_shallow(url: str) -> None:
    """Of what is on this machine: git before 2.44 clones such a one by calling itself without end."""
    source = Path(url.removeprefix("file://"))
    if not source.is_dir():
        return
    if run_git(source, "rev-parse", "--is-shallow-repository", accept=ANY_CODE).output.strip() == b"true":
        raise CloneError(
            f"{url}: its history is cut off (shallow), so nothing can be counted; complete it: "
            f"{git_command(source, 'fetch', '--unshallow')}"
        )


@contextlib.contextmanager
def _opened(folder: Path, branch: str, unfinished: Scratch) -> Iterator[Repository]:
    """A repository of which each git keeps what is unfinished locked, as long as it works on it."""
    with (
        Repository(folder, branch, timeout_seconds=PATIENCE_SECONDS) as repository,
        repository.inherited(unfinished.descriptor),
    ):
        yield repository


def _clone(url: str, unfinished: Scratch, remote: Remote, branch: str | None) -> Path:
    """Commits and folders of the one branch, whole; beside it an empty repository, by which the remote is asked."""
    asking, clone = unfinished.path / "asking", unfinished.path / "clone"
    run_git(unfinished.path, "init", "--quiet", str(asking), keep_open=(unfinished.descriptor,))
    with _opened(asking, "", unfinished) as repository:
        repository.run("remote", "add", "--", remote.name, url)
        clone_from(
            repository,
            remote,
            clone,
            "--no-checkout",
            "--no-local",  # else git takes all blobs of a repository on this machine
            "--reject-shallow",
            "--single-branch",
            "--no-tags",
            "--filter=blob:none",
            *([f"--branch={branch}"] if branch else []),
        )
    return clone


def _branch_of(clone: Path, url: str) -> str:
    head = run_git(clone, "rev-parse", "-q", "--verify", "--symbolic-full-name", "HEAD", accept=(0, 1)).output
    ref = head.decode(errors="surrogateescape").strip()
    if not ref.startswith("refs/heads/"):
        raise CloneError(f"{url}: it has no commit, or does not say which branch is the main one; name it by --branch")
    if (branch := ref.removeprefix("refs/heads/")).startswith("-"):  # git would take it for an option
        raise CloneError(f"{url}: its main branch is called {branch!r}, which is not taken; name another by --branch")
    return branch


@contextlib.contextmanager
def _told_for_cloning(url: str, unfinished: Path) -> Iterator[None]:
    """What fails of the clone, which is gone when that is read, is told of the URL."""
    try:
        yield
    except (
        RemoteRefusedError,
        RemoteUnavailableError,
        GitUnwritableError,
        GitCommandError,
        GitTimeoutError,
    ) as problem:
        text = re.sub(rf"^{re.escape(str(unfinished))}/\w+(?=: )", lambda _: url, str(problem))
        raise type(problem)(text.replace(f"{unfinished}/", "")) from None


def _read_by_git(paths: Collection[str]) -> Iterator[str]:
    """What git itself reads beside the paths; were it left out, git would fetch it when it looks."""
    for folder in sorted({PurePosixPath(path).parent for path in paths}):
        yield from (str(folder / name) for name in _READ_BY_GIT)


def _kind_of_unfinished(target: Path) -> Path:
    return target.with_name(f".{target.name}.refsync-")


@durable_step("put the new clone in place")
def _put_in_place(unfinished: Path, target: Path) -> None:
    try:
        flush_all(unfinished)  # git leaves most of a clone to the machine
        unfinished.replace(target)
    except OSError as problem:
        raise CloneError(f"{target}: the clone cannot be put there: {problem.strerror}") from None
    flush_folder(target.parent)
