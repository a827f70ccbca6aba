"""Revisions and the work tree of any clone, as the files that they hold; nothing is opened and nothing is written."""

from __future__ import annotations

import os
import stat
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

from refsync.clone.addresses import LIST_SETTINGS, is_partial, parse_settings
from refsync.clone.own_settings import check_own_settings
from refsync.clone.process import ANY_CODE, GitResult, run_git
from refsync.clone.settings import neutralised_by_name
from refsync.errors import CloneError, DocumentError, RequestError
from refsync.regular_files import read_regular

WORK_TREE = "the work tree"
_LINK, _NO_FILE = 0o120000, 0o040000
USUAL_FOLDERS = ("", "legacy/")
"""Where category files are in both layouts: the root, and a folder."""

_CHANGES = {"A": "added", "D": "deleted", "M": "modified", "T": "type changed", "U": "unmerged"}


class StoredFile(NamedTuple):
    """A file's octal mode as git has it, and its blob id; ``None`` for a file of the work tree."""

    mode: int
    blob: str | None

    @property
    def is_regular(self) -> bool:
        """Whether it is a plain file: no symbolic link, no folder."""
        return self.mode >> 12 == 0o10


@dataclass(frozen=True)
class Snapshot:
    """The files in some folders, of a revision or (``commit`` is ``None``) of the work tree."""

    clone: Path
    name: str
    commit: str | None
    files: Mapping[str, StoredFile] = field(default_factory=dict)

    def has_file(self, path: str) -> bool:
        """Whether a plain file stands at the path."""
        return path in self.files and self.files[path].is_regular

    def read(self, path: str) -> bytes:
        """The content of one of the regular files."""
        blob = self.files[path].blob
        if blob is None:
            try:
                return read_regular(self.clone / path, within=self.clone)
            except OSError as problem:
                raise DocumentError(f"{path}: {problem.strerror}") from None
        return read_blob(self.clone, blob)


@dataclass(frozen=True)
class OtherFile:
    """A path that differs, and how."""

    file: str
    change: str


def read_blob(clone: Path, blob: str) -> bytes:
    """The content of a blob, by its id."""
    return ask(clone, "cat-file", "blob", blob).output


def ask(clone: Path, *arguments: str, accept: Collection[int] = (0,)) -> GitResult:
    """Run a git command in any clone, whose own config has no say in what is run.

    Raises:
        CloneError: the clone's own config holds what cannot be overruled.
    """
    settings = parse_settings(run_git(clone, *LIST_SETTINGS).output)
    check_own_settings(clone, settings, with_remotes=is_partial(settings))
    return run_git(clone, *arguments, settings=neutralised_by_name(each.key for each in settings), accept=accept)


def find_clone(folder: Path) -> Path:
    """The root of the work tree that a folder lies in, or the bare repository.

    Raises:
        CloneError: it lies in none.
    """
    if not folder.is_dir():
        raise CloneError(f"{folder}: there is no such folder")
    bare = run_git(folder, "rev-parse", "--is-bare-repository", accept=(0, 128)).output.strip() == b"true"
    asked = ("rev-parse", "--absolute-git-dir" if bare else "--show-toplevel")
    found = run_git(folder, *asked, accept=(0, 128))
    if found.code and "not a git repository" not in found.error and "must be run in a work tree" not in found.error:
        run_git(folder, *asked)  # it says better why: git may distrust the owner
    if found.code:
        raise CloneError(f"{folder}: is not in the work tree of a git repository; run this in a clone")
    return Path(os.fsdecode(found.output.rstrip(b"\n")))


def is_tracked(file: Path) -> bool:
    """Whether a file stands in the index of the repository that it lies in; where git cannot tell, it does."""
    listed = run_git(file.parent, "ls-files", "-z", "--", file.name, accept=ANY_CODE)
    return bool(listed.output) or (listed.code != 0 and "not a git repository" not in listed.error)


def common_directory(clone: Path) -> Path:
    """The folder with the refs of a clone: that of the clone that a linked work tree belongs to."""
    found = run_git(clone, "rev-parse", "--git-common-dir").output.rstrip(b"\n")
    return clone / os.fsdecode(found)


def at_revision(clone: Path, revision: str, folders: Collection[str] = USUAL_FOLDERS) -> Snapshot:
    """The files of a revision in some folders, each given with its final slash.

    Raises:
        RequestError: there is no such revision.
    """
    commit = _commit_of(clone, revision)
    return Snapshot(clone, revision, commit, dict(_listed(clone, commit, folders)))


def at_work_tree(clone: Path, folders: Collection[str] = USUAL_FOLDERS) -> Snapshot:
    """The files of these folders as they lie in the work tree, committed or not.

    Raises:
        RequestError: the clone has no work tree.
    """
    if not (clone / ".git").exists():
        raise RequestError(f"{clone}: is a bare repository, without a work tree; name two revisions: HEAD~1 HEAD")
    paths = (folder + name for folder in folders for name in _names_in(clone / folder))
    return Snapshot(clone, WORK_TREE, None, {path: _lying(clone / path) for path in paths})


def merge_base(clone: Path, left: str, right: str) -> str:
    """Where two revisions parted.

    Raises:
        RequestError: one of them does not exist, or they have nothing in common.
    """
    commits = [_commit_of(clone, revision) for revision in (left, right)]
    found = ask(clone, "merge-base", *commits, accept=(0, 1))
    if found.code:
        raise RequestError(f"{clone}: {left!r} and {right!r} have no commit in common; is the clone shallow?")
    return found.output.decode().strip()


class Merge(NamedTuple):
    """A merge commit, its parents, and where those parted: nowhere, as far as the clone knows its history."""

    commit: str
    parents: tuple[str, ...]
    bases: tuple[str, ...]


def merges_between(clone: Path, base: str, head: str) -> Iterator[Merge]:
    """The merge commits in the history of a commit that are not in another one's, newest first."""
    listed = ask(clone, "rev-list", "--min-parents=2", "--parents", head, f"^{base}").output.decode()
    for line in listed.splitlines():
        commit, *parents = line.split(" ")
        found = ask(clone, "merge-base", *_several(parents), *parents, accept=(0, 1)).output.decode().split()
        yield Merge(commit, tuple(parents), tuple(found))


def _several(parents: Collection[str]) -> tuple[str, ...]:
    return ("--all",) if len(parents) == 2 else ("--all", "--octopus")


def differing_files(old: Snapshot, new: Snapshot) -> list[OtherFile]:
    """Every tracked path in which two snapshots of a clone differ; the first one is of a revision."""
    commits = [each.commit for each in (old, new) if each.commit]
    listed = ask(old.clone, "diff", "--name-status", "--no-renames", "--no-relative", "-z", *commits, "--").output
    tokens = listed.decode(errors="surrogateescape").split("\0")[:-1]
    return [
        OtherFile(path, _CHANGES.get(letter, "changed")) for letter, path in zip(tokens[::2], tokens[1::2], strict=True)
    ]


def _commit_of(clone: Path, revision: str) -> str:
    found = ask(clone, "rev-parse", "-q", "--verify", "--end-of-options", f"{revision}^{{commit}}", accept=(0, 1, 128))
    if found.code:
        raise RequestError(f"{clone}: there is no revision {revision!r}; fetch it, or correct the name")
    return found.output.decode().split()[-1]


def _listed(clone: Path, commit: str, folders: Collection[str]) -> Iterator[tuple[str, StoredFile]]:
    for folder in folders:  # a folder that is not there lists as nothing
        listed = ask(clone, "ls-tree", "-z", "--full-tree", commit, *([folder] if folder else [])).output
        for line in listed.decode(errors="surrogateescape").split("\0")[:-1]:
            about, _, path = line.partition("\t")
            mode, _, blob = about.split(" ")
            yield path, StoredFile(int(mode, 8), blob)


def _names_in(folder: Path) -> list[str]:
    if not folder.is_dir():
        return []
    return sorted(os.listdir(folder))


def _lying(path: Path) -> StoredFile:
    mode = path.lstat().st_mode
    if stat.S_ISREG(mode):
        return StoredFile(0o100755 if mode & 0o100 else 0o100644, None)
    return StoredFile(_LINK if stat.S_ISLNK(mode) else _NO_FILE, None)
