"""A clone, opened for one pass: what it holds, and git commands in it."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from types import TracebackType

from refsync.clone.addresses import LIST_SETTINGS, Setting, is_partial, parse_settings
from refsync.clone.cat_file import CatFile
from refsync.clone.commit_objects import StoredCommit, parse_commit
from refsync.clone.git_errors import unwritable
from refsync.clone.history import FIRST_PARENT_LOG, HistoryRelation, LandedCommit, parse_log
from refsync.clone.index_entries import IndexFile
from refsync.clone.kept_settings import settings_of
from refsync.clone.kinds import check_kind
from refsync.clone.object_reader import ObjectReader
from refsync.clone.objects import FOLDER, GitObject, TreeEntry, TreeFile, parse_tree
from refsync.clone.own_settings import check_own_settings
from refsync.clone.places import common_directory, git_directory
from refsync.clone.process import DEFAULT_TIMEOUT_SECONDS, BegunGit, GitResult, begun_git, run_git
from refsync.clone.recent_history import first_parents_between, recent_history
from refsync.clone.ref_files import is_empty, last_of_reflog, read_ref
from refsync.clone.settings import Settings, neutralised_by_name
from refsync.clone.work_files import WorkFiles
from refsync.commands import command, git_command
from refsync.durable_steps import durable_step
from refsync.errors import CloneError, DocumentError, GitCommandError
from refsync.file_patterns import folder_of, is_pattern, pathspecs, starred

_CHANGING_SETTINGS = ("config", "remote", "sparse-checkout")


class Repository:
    """One clone, opened for one pass; use it as a context manager.

    Once an object was read, packs may be mapped, and a ``git cat-file`` child may run, until it is closed.
    """

    def __init__(
        self,
        path: Path,
        branch: str,
        *,
        timeout_seconds: float = DEFAULT_TIMEOUT_SECONDS,
        objects: Path | None = None,
    ) -> None:
        """Open the clone without judging its state; see :mod:`refsync.clone.preflight`.

        New objects go to ``objects``, where that is given; see :mod:`refsync.clone.quarantine`.

        Raises:
            CloneError: the path is missing, not a repository, bare, or not ours to use.
        """
        self.path = path
        self.branch = branch
        self.timeout_seconds = timeout_seconds
        self.git_directory = git_directory(path)
        self.common_directory = common_directory(self.git_directory)
        check_kind(path, self.common_directory)
        self._objects_folder = objects or self.common_directory / "objects"
        self._environment = {"GIT_OBJECT_DIRECTORY": str(objects)} if objects else {}
        new_git = partial(CatFile, path, timeout_seconds, self._environment, lambda: neutralised_by_name(self.keys()))
        self._objects = ObjectReader(new_git, self._objects_folder)
        self.work_files = WorkFiles(self._objects.keep)
        self.index = IndexFile(self.git_directory / "index")
        self._meant: dict[tuple[str, str], dict[str, TreeFile]] = {}
        self._commits: dict[str, StoredCommit | None] = {}
        self._trees: dict[str, Mapping[str, TreeEntry]] = {}
        umask = ~self.git_directory.stat().st_mode & 0o077  # what git makes is for those of the clone, too
        self._git = partial(run_git, path, timeout_seconds=timeout_seconds, umask=umask)
        self._begun = partial(begun_git, path, timeout_seconds=timeout_seconds, umask=umask)
        self._settings: list[Setting] | None = None
        self._inherited: tuple[int, ...] = ()

    def __enter__(self) -> Repository:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End git's children and free the descriptors."""
        self._objects.close()

    @property
    def ref(self) -> str:
        """The target branch's full name."""
        return f"refs/heads/{self.branch}"

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        environment: Mapping[str, str] | None = None,
        settings: Settings = (),
        accept: Collection[int] = (0,),
    ) -> GitResult:
        """Run a git command in the clone; see :func:`refsync.clone.process.run_git`."""
        told = [*neutralised_by_name(self.keys()), *settings]
        result = self._git(
            *arguments,
            stdin=stdin,
            environment={**self._environment, **(environment or {})},
            settings=told,
            accept=accept,
            keep_open=self._inherited,
        )
        if arguments[0] in _CHANGING_SETTINGS:
            self._settings = None
        return result

    def begun(self, *arguments: str) -> contextlib.AbstractContextManager[BegunGit]:
        """Have a git command work in the clone beside this process; see :func:`refsync.clone.process.begun_git`."""
        return self._begun(
            *arguments,
            environment=self._environment,
            settings=neutralised_by_name(self.keys()),
            keep_open=self._inherited,
        )

    @contextlib.contextmanager
    def inherited(self, descriptor: int) -> Iterator[None]:
        """Meanwhile each git started here inherits this descriptor, and what is locked by it."""
        before = self._inherited
        self._inherited = (*before, descriptor)
        try:
            yield
        finally:
            self._inherited = before

    def settings(self) -> list[Setting]:
        """What git's settings say, read once; later ones are stronger. Sections and names are in lower case.

        Raises:
            CloneError: the clone's own config holds what refsync does not take from it.
        """
        if self._settings is None:
            settings = settings_of(self.git_directory, self.common_directory, os.environ, self._listed_settings)
            check_own_settings(self.path, settings, with_remotes=is_partial(settings))
            self._settings = settings
        return self._settings

    def _listed_settings(self) -> list[Setting]:
        return parse_settings(self._git(*LIST_SETTINGS).output)

    def keys(self) -> list[str]:
        """The keys of all settings."""
        return [setting.key for setting in self.settings()]

    def setting(self, key: str) -> str | None:
        """The value of a setting; ``None`` where there is none."""
        return next((setting.value for setting in reversed(self.settings()) if setting.key == key), None)

    def is_set(self, key: str) -> bool:
        """Whether a setting is there and says yes."""
        return (self.setting(key) or "").lower() in ("true", "yes", "on", "1")

    @durable_step("change a setting")
    def change_setting(self, key: str, value: str) -> None:
        """Write a setting into the clone's own config."""
        self.run("config", key, value)

    @property
    def is_shallow(self) -> bool:
        """Whether its history is cut off."""
        return (self.common_directory / "shallow").exists()

    @property
    def is_partial(self) -> bool:
        """Whether it has left out objects that a remote promised to give."""
        return is_partial(self.settings())

    def tip(self) -> str:
        """The target branch's commit id.

        Raises:
            CloneError: the branch does not exist or has no commit yet.
        """
        if found := self.commit_of(self.ref):
            return found
        raise self.why_no_tip()

    def why_no_tip(self) -> CloneError:
        """Why the target branch has no commit, and what to do."""
        file = self.common_directory / self.ref
        if not is_empty(file):
            return CloneError(f"{self.path}: there is no branch {self.branch!r} with a commit; name another `branch`")
        mended = command("rm", file)
        if (before := last_of_reflog(self.common_directory / "logs" / self.ref)) and self.has(before):
            mended += f" && {git_command(self.path, 'update-ref', self.ref, before)}"
        return CloneError(
            f"{self.path}: the file of branch {self.branch!r} is empty, as a power cut leaves it; put back what it "
            f"held last: {mended}"
        )

    def commit_of(self, ref: str) -> str | None:
        """The commit that a ref (its full name) stands at; ``None`` where there is no such ref."""
        if found := read_ref(self.common_directory, ref):
            return found
        asked = self.run("rev-parse", "-q", "--verify", f"{ref}^{{commit}}", accept=(0, 1, 128))
        return asked.output.decode().strip() or None

    def file_at(self, commit: str, path: str) -> TreeFile | None:
        """What a commit or tree holds at a path (``/`` between folders); ``None`` where it holds nothing.

        Raises:
            DocumentError: a part of the path that should be a folder is something else.
        """
        *folders, name = path.split("/")
        tree = self.tree(self.tree_of(commit))
        for folder in folders:
            found = tree.get(folder)
            if found is None:
                return None
            if found.mode != FOLDER:
                raise DocumentError(f"{folder} is a file or a symbolic link, not a folder")
            tree = self.tree(found.id)
        entry = tree.get(name)
        return TreeFile(entry.mode, entry.id) if entry else None

    def files_meant(self, commit: str, pattern: str) -> Mapping[str, TreeFile]:
        """What a pattern means in a commit, by path.

        Raises:
            DocumentError: a file, a link or a submodule stands where a folder should be.
            GitCommandError: there is no such commit, or a part of it is missing or damaged.
        """
        if (commit, pattern) not in self._meant:
            folder = folder_of(pattern)
            entries = self.entries(commit, folder)
            found = {f"{folder}/{name}".lstrip("/"): TreeFile(*entry) for name, entry in entries.items()}
            self._meant[commit, pattern] = {
                path: file for path, file in found.items() if starred(pattern, path) is not None
            }
        return self._meant[commit, pattern]

    def blobs_at(self, commit: str, path: str) -> dict[str, str]:
        """The blob of a plain file of a commit by its path, or of each that a pattern means."""
        try:
            found = self.files_meant(commit, path) if is_pattern(path) else {path: self.file_at(commit, path)}
        except DocumentError:
            return {}
        return {each: file.blob for each, file in found.items() if file is not None and file.is_regular}

    def merge_bases(self, commits: Collection[str]) -> list[str]:
        """Where commits parted; nowhere, as far as the clone knows their history."""
        more = () if len(commits) == 2 else ("--octopus",)
        return self.run("merge-base", "--all", *more, *commits, accept=(0, 1)).output.decode().split()

    def commit(self, id: str) -> StoredCommit | None:
        """What a commit says; ``None`` where it is none, or one that only git can read."""
        found = self._objects.read(id)
        if found is None or found.kind != "commit":
            return None
        if id not in self._commits:
            self._commits[id] = parse_commit(found.content)
        return self._commits[id]

    def tree_of(self, name: str) -> str:
        """The id of the tree of a commit; of a tree, its own.

        Raises:
            GitCommandError: it is missing or damaged.
        """
        if commit := self.commit(name):
            return commit.tree
        found = self._objects.read(name)
        if found is None or found.kind != "tree":
            found = self._objects.read(f"{name}^{{tree}}")
        if found is None:
            raise self._unreadable(f"{name}^{{tree}}")
        return found.id

    def tree(self, name: str) -> Mapping[str, TreeEntry]:
        """The entries of a tree, by name.

        Raises:
            GitCommandError: it is missing or damaged.
        """
        found = self._objects.read(name)
        if found is None or found.kind != "tree":
            raise self._unreadable(name)
        try:
            if name not in self._trees:
                self._trees[name] = parse_tree(found.content)
        except ValueError as problem:
            raise self._unreadable(f"the folder {name}: {problem}") from None
        return self._trees[name]

    def _unreadable(self, what: str) -> GitCommandError:
        return GitCommandError(f"{self.path}: git cannot read {what}; run: {git_command(self.path, 'fsck')}")

    def store(self, new: Iterable[GitObject]) -> None:
        """Write objects, and force them to disk.

        Raises:
            GitUnwritableError: the disk is full, or may not be written.
        """
        from refsync.clone.object_database import store_durably  # slow: it imports GitPython

        stored = list(new)
        try:
            store_durably(self._objects_folder, stored)
        except OSError as problem:
            raise unwritable(self.path, problem) from None
        for each in stored:
            self._objects.keep(each)

    def read_blob(self, blob: str) -> bytes:
        """The content of a blob, by its id.

        Raises:
            DocumentError: it is larger than anything that is read here.
            GitCommandError: the object is missing or damaged.
            GitInterruptedError: git was killed before it had given all of it.
        """
        found = self._objects.read(blob)
        if found is None:
            raise self._unreadable(f"blob {blob}: it is missing")
        return found.content

    def read_blobs(self, blobs: Iterable[str]) -> Generator[tuple[str, bytes]]:
        """Those of these blobs that are there, each with its id, in their order, read ahead: for a whole history.

        Raises:
            GitInterruptedError: git was killed before it had given all of it.
        """
        with contextlib.closing(self._objects.read_all(blobs)) as objects:
            for found in objects:
                yield found.id, found.content

    def first_parent_history(self, after: str | None, until: str, paths: Collection[str] = ()) -> list[LandedCommit]:
        """The first-parent commits behind ``after`` (exclusive; ``None``: from the root) up to ``until``.

        Oldest first, each compared with its first parent: at these paths, without any at all of them.
        """
        if after and (recent := recent_history(self, after, until, paths)) is not None:
            return recent
        limits = [until, *([f"^{after}"] if after else [])]
        limits += ["--sparse"] if paths else []  # those that change nothing there, too
        found = list(parse_log(self.run(*FIRST_PARENT_LOG, *limits, "--", *pathspecs(paths)).output))
        return [commit.only(paths) for commit in found] if any(map(is_pattern, paths)) else found

    def relation(self, after: str, until: str) -> HistoryRelation:
        """How the commit that was seen last stands to the one that is there now."""
        if after == until:
            return "same"
        if first_parents_between(self, after, until):
            return "ahead"
        if not self.contains(after, until):
            return "rewritten"
        chain = self.run("rev-list", "--first-parent", "--parents", until, f"^{after}").output.decode().split("\n")
        oldest = [line for line in chain if line][-1].split(" ")
        return "ahead" if oldest[1:2] == [after] else "aside"

    def has(self, commit: str) -> bool:
        """Whether the object database holds a commit."""
        return self.run("cat-file", "-e", f"{commit}^{{commit}}", accept=(0, 1, 128)).code == 0

    def contains(self, commit: str, tip: str) -> bool:
        """Whether a commit is the tip or an ancestor of it; ``False`` also for one that is not there at all."""
        if first_parents_between(self, commit, tip) is not None:
            return True
        if first_parents_between(self, tip, commit):  # it is the other way round
            return False
        return self.run("merge-base", "--is-ancestor", commit, tip, accept=(0, 1, 128)).code == 0

    def entries(self, commit: str, folder: str) -> Mapping[str, TreeEntry]:
        """A folder's entries in a commit (``""``: the root): name to mode and object id; empty where it is not.

        Raises:
            DocumentError: something else than a folder is there.
        """
        if folder:
            found = self.file_at(commit, folder)
            if found is None:
                return {}
            if found.mode != FOLDER:
                raise DocumentError(f"{folder} is a file or a symbolic link, not a folder")
            return self.tree(found.blob)
        return self.tree(self.tree_of(commit))
