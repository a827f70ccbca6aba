"""A clone, opened for one pass: preflight, reading, and moving a branch by compare-and-swap."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import NamedTuple

import git

from refsync.clone.durability import durable
from refsync.clone.history import LOG_FORMAT, HistoryRelation, LandedCommit, parse_log
from refsync.clone.kinds import check_kind
from refsync.clone.process import DEFAULT_TIMEOUT_SECONDS, GitResult, run_git
from refsync.commands import command, git_command
from refsync.errors import BranchMovedError, CloneError, DocumentError, GitCommandError

_IN_PROGRESS = {
    "MERGE_HEAD": "merge",
    "rebase-merge": "rebase",
    "rebase-apply": "rebase",
    "CHERRY_PICK_HEAD": "cherry-pick",
    "REVERT_HEAD": "revert",
    "BISECT_LOG": "bisect",
}


class TreeFile(NamedTuple):
    """A file in a commit: git's octal mode (``0o100644``) and its blob id."""

    mode: int
    blob: str

    @property
    def is_regular(self) -> bool:
        """Whether it is a plain file: no symbolic link, no submodule."""
        return self.mode >> 12 == 0o10


class Repository:
    """One clone, opened for one pass; use it as a context manager.

    GitPython keeps a ``git cat-file`` child for each open repository, so a long-running process must close
    what it opens.
    """

    def __init__(self, path: Path, branch: str, *, timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS) -> None:
        """Open the clone without judging its state; see :meth:`preflight`.

        Raises:
            CloneError: the path is missing, not a repository, bare, or not ours to use.
        """
        self.path = path
        self.branch = branch
        self.timeout_seconds = timeout_seconds
        self._repo = _open(path)
        check_kind(path, self.common_directory)
        # The cat-file child must not be led astray by a GIT_DIR that we inherited from a hook.
        self._repo.git.update_environment(GIT_DIR=str(self._repo.git_dir), GIT_WORK_TREE=str(path))
        self._settings: dict[str, str] | None = None
        self._remote_urls: dict[str, list[str]] = {}

    def __enter__(self) -> Repository:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End git's children and free the descriptors."""
        self._repo.close()

    @property
    def git_directory(self) -> Path:
        """The ``.git`` folder of this work tree."""
        return Path(self._repo.git_dir)

    @property
    def common_directory(self) -> Path:
        """The ``.git`` folder that holds the refs; another one than ``git_directory`` in a linked work tree."""
        return Path(self._repo.common_dir)

    @property
    def ref(self) -> str:
        """The target branch's full name."""
        return f"refs/heads/{self.branch}"

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        accept: Collection[int] = (0,),
    ) -> GitResult:
        """Run a git command in the clone; see :func:`refsync.clone.process.run_git`."""
        return run_git(
            self.path,
            *arguments,
            stdin=stdin,
            environment=environment,
            timeout_seconds=self.timeout_seconds,
            accept=accept,
        )

    def setting(self, key: str) -> str | None:
        """What git's settings, read once, say of a key (its section and name in lower case); ``None`` for nothing."""
        if self._settings is None:
            listed = self.run("config", "-z", "--list").output.decode(errors="surrogateescape")
            pairs = (entry.partition("\n") for entry in listed.split("\0") if entry)
            self._settings = {name: value if separator else "true" for name, separator, value in pairs}
        return self._settings.get(key)

    def is_set(self, key: str) -> bool:
        """Whether a setting is there and says yes."""
        return (self.setting(key) or "").lower() in ("true", "yes", "on", "1")

    def change_setting(self, key: str, value: str) -> None:
        """Write a setting into the clone's own config."""
        self.run("config", key, value)
        self._settings = None

    def remote_urls(self, remote: str) -> list[str]:
        """Where git fetches a remote from and pushes to, looked up once; empty where there is no such remote."""
        if remote not in self._remote_urls:
            asked = (("remote", "get-url", "--all", *direction, "--", remote) for direction in ([], ["--push"]))
            found = b"".join(self.run(*arguments, accept=(0, 2, 128)).output for arguments in asked)
            self._remote_urls[remote] = list(dict.fromkeys(found.decode(errors="surrogateescape").splitlines()))
        return self._remote_urls[remote]

    @property
    def is_shallow(self) -> bool:
        """Whether its history is cut off."""
        return (self.common_directory / "shallow").exists()

    @property
    def is_partial(self) -> bool:
        """Whether it has left out objects that a remote promised to give."""
        self.setting("extensions.partialclone")
        return any(re.fullmatch(r"remote\..*\.(promisor|partialclonefilter)", key) for key in self._settings or ())

    def preflight(self) -> None:
        """See that the work tree shows the target branch and nobody is in the middle of something.

        Raises:
            CloneError: detached, on another branch, no commit yet, shallow, or a merge (rebase, ...) in progress.
        """
        if _is_empty(self.common_directory / self.ref):
            raise self._why_no_tip()
        head = self.run("symbolic-ref", "-q", "HEAD", accept=(0, 1)).output.decode(errors="surrogateescape").strip()
        if not head:
            raise CloneError(f"{self.path}: HEAD is detached; run: {self._checkout()}")
        if head != self.ref:
            raise CloneError(
                f"{self.path}: the clone is on branch {head.removeprefix('refs/heads/')!r}, not on the target "
                f"branch {self.branch!r}; set `branch` to that one, or run: {self._checkout()}"
            )
        for name, what in _IN_PROGRESS.items():
            if (self.git_directory / name).exists():
                raise CloneError(f"{self.path}: a {what} is in progress; finish or abort it")
        self.check_depth()

    def _checkout(self) -> str:
        """The commands that bring the work tree to the target branch, in their order."""
        remotes = self.run("remote").output.decode(errors="surrogateescape").split()
        if self.commit_of(self.ref) or not remotes:
            return git_command(self.path, "checkout", self.branch, "--")
        remote = "origin" if "origin" in remotes else remotes[0]
        return " && ".join(track_branch(self.path, remote, self.branch))

    def check_depth(self) -> None:
        """See that the history is whole, for the counters come of all of it.

        Raises:
            CloneError: the clone is shallow.
        """
        if self.is_shallow:
            raise CloneError(
                f"{self.path}: the clone is shallow: its history is cut off, and counters would be wrong; "
                f"run: {git_command(self.path, 'fetch', '--unshallow')}"
            )

    def tip(self) -> str:
        """The target branch's commit id.

        Raises:
            CloneError: the branch does not exist or has no commit yet.
        """
        found = self.run("rev-parse", "-q", "--verify", f"{self.ref}^{{commit}}", accept=(0, 1))
        if found.code:
            raise self._why_no_tip()
        return found.output.decode().strip()

    def _why_no_tip(self) -> CloneError:
        file = self.common_directory / self.ref
        if not _is_empty(file):
            return CloneError(f"{self.path}: there is no branch {self.branch!r} with a commit; name another `branch`")
        mended = command("rm", file)
        if (before := _last_of_reflog(self.common_directory / "logs" / self.ref)) and self.has(before):
            mended += f" && {git_command(self.path, 'update-ref', self.ref, before)}"
        return CloneError(
            f"{self.path}: the file of branch {self.branch!r} is empty, as a power cut leaves it; put back what it "
            f"held last: {mended}"
        )

    def commit_of(self, ref: str) -> str | None:
        """The commit that a ref (its full name) stands at; ``None`` where there is no such ref."""
        found = self.run("rev-parse", "-q", "--verify", f"{ref}^{{commit}}", accept=(0, 1, 128))
        return found.output.decode().strip() or None

    def set_ref(self, ref: str, commit: str) -> None:
        """Let a ref of refsync's own, or a tracking one, stand at a commit."""
        self.run(*durable(), "update-ref", ref, commit)

    def file_at(self, commit: str, path: str) -> TreeFile | None:
        """What a commit or tree holds at a path (``/`` between folders); ``None`` where it holds nothing.

        Raises:
            DocumentError: a part of the path that should be a folder is something else.
        """
        tree = git.Tree(self._repo, self._repo.tree(commit).binsha, path="")  # GitPython gives no path to a bare tree
        *folders, name = path.split("/")
        for folder in folders:
            found = _entry(tree, folder)
            if found is None:
                return None
            if not isinstance(found, git.Tree):
                raise DocumentError(f"{folder} is a file or a symbolic link, not a folder")
            tree = found
        entry = _entry(tree, name)
        return TreeFile(entry.mode, entry.hexsha) if entry else None

    def read_blob(self, blob: str) -> bytes:
        """The content of a blob, by its id.

        Raises:
            GitCommandError: the object is missing or damaged.
        """
        try:
            return self._repo.git.get_object_data(blob)[3]
        except (ValueError, git.GitCommandError, BrokenPipeError) as problem:
            raise GitCommandError(
                f"{self.path}: git cannot read blob {blob}: {problem}; run: {git_command(self.path, 'fsck')}"
            ) from None

    def first_parent_history(self, after: str | None, until: str) -> list[LandedCommit]:
        """The first-parent commits behind ``after`` (exclusive; ``None``: from the root) up to ``until``.

        Oldest first, each compared with its first parent.
        """
        return list(
            parse_log(
                self.run(
                    "log",
                    "--first-parent",
                    "--diff-merges=first-parent",
                    "--raw",
                    "--root",
                    "--no-abbrev",
                    "--no-renames",
                    "--no-show-signature",
                    "--encoding=UTF-8",
                    "--reverse",
                    "-z",
                    f"--format=tformat:{LOG_FORMAT}",
                    until,
                    *([f"^{after}"] if after else []),
                    "--",
                ).output
            )
        )

    def relation(self, after: str, until: str) -> HistoryRelation:
        """How the commit that was seen last stands to the one that is there now."""
        if after == until:
            return "same"
        if self.run("merge-base", "--is-ancestor", after, until, accept=(0, 1, 128)).code:
            return "rewritten"
        chain = self.run("rev-list", "--first-parent", "--parents", until, f"^{after}").output.decode().split("\n")
        oldest = [line for line in chain if line][-1].split(" ")
        return "ahead" if oldest[1:2] == [after] else "aside"

    def has(self, commit: str) -> bool:
        """Whether the object database holds a commit."""
        return self.run("cat-file", "-e", f"{commit}^{{commit}}", accept=(0, 1, 128)).code == 0

    def contains(self, commit: str, tip: str) -> bool:
        """Whether a commit is the tip or an ancestor of it; ``False`` also for one that is not there at all."""
        return self.run("merge-base", "--is-ancestor", commit, tip, accept=(0, 1, 128)).code == 0

    def entries(self, commit: str, folder: str) -> dict[str, tuple[int, str]]:
        """A folder's entries in a commit (``""``: the root): name to mode and object id; empty where it is not.

        Raises:
            DocumentError: something else than a folder is there.
        """
        if folder and self.file_at(commit, folder) is None:
            return {}
        listed = self.run("ls-tree", "-z", f"{commit}:{folder}").output.decode(errors="surrogateescape")
        entries: dict[str, tuple[int, str]] = {}
        for line in filter(None, listed.split("\0")):
            stat, _, name = line.partition("\t")
            mode, _, identity = stat.split(" ")
            entries[name] = (int(mode, 8), identity)
        return entries

    def move_branch(self, *, old: str, new: str, reason: str) -> None:
        """Move the target branch from ``old`` to ``new`` by compare-and-swap.

        Raises:
            BranchMovedError: the branch was no longer at ``old``.
        """
        update = (*durable(), "update-ref", "-m", reason, self.ref, new, old)
        moved = self.run(*update, accept=(0, 1, 128))
        if not moved.code:
            return
        if (now := self.tip()) != old:
            raise BranchMovedError(f"{self.path}: {self.branch} moved from {old[:12]} to {now[:12]} meanwhile")
        self.run(*update)


def _entry(tree: git.Tree, name: str) -> git.objects.base.IndexObject | None:
    try:
        return tree[name]
    except KeyError:
        return None


def track_branch(clone: Path, remote: str, branch: str) -> tuple[str, ...]:
    """The commands, in their order, that check out a remote's branch also where the clone knows only another one."""
    git = partial(git_command, clone)
    return (
        git("remote", "set-branches", "--add", remote, branch),
        git("fetch", remote, branch),
        git("checkout", "-b", branch, "--track", f"{remote}/{branch}"),
    )


def _is_empty(file: Path) -> bool:
    try:
        return file.stat().st_size == 0
    except OSError:
        return False


def _last_of_reflog(log: Path) -> str | None:
    """The commit that a ref was brought to last, as its log tells."""
    try:
        lines = log.read_bytes().splitlines()
    except OSError:
        return None
    words = lines[-1].split(b" ", 2) if lines else []
    return words[1].decode(errors="replace") if len(words) > 2 else None


def _open(path: Path) -> git.Repo:
    if not path.is_dir():
        raise CloneError(f"{path}: there is no such folder; clone the reference repository there, or correct `path`")
    try:
        repo = git.Repo(path)
    except (git.InvalidGitRepositoryError, git.NoSuchPathError):
        if (path / ".git").exists():
            run_git(path, "rev-parse", "--git-dir")  # git knows better why: it may distrust the owner
        raise CloneError(
            f"{path}: this is not a git repository; clone the reference there, or correct `path`"
        ) from None
    except PermissionError as problem:
        raise CloneError(f"{path}: {problem.strerror}; refsync must be able to read and write the clone") from None
    if repo.bare:
        repo.close()
        raise CloneError(f"{path}: the repository is bare; refsync needs a clone with a work tree")
    return repo
