"""Where a clone keeps what is its own: its ``.git`` folder, and the one that linked work trees share."""

from __future__ import annotations

import os
from pathlib import Path

from refsync.clone.process import run_git
from refsync.errors import CloneError


def git_directory(path: Path) -> Path:
    """The ``.git`` folder of the clone whose work tree's root is at the path."""
    if not path.is_dir():
        raise CloneError(f"{path}: there is no such folder; clone the reference repository there, or correct `path`")
    try:
        found = _pointed_at(path / ".git")
        if _is_repository(found):
            _check_owner(path, found)
            return found
        if _is_repository(path):
            raise CloneError(f"{path}: the repository is bare; refsync needs a clone with a work tree")
    except PermissionError as problem:
        raise CloneError(f"{path}: {problem.strerror}; refsync must be able to read and write the clone") from None
    if (path / ".git").exists():
        run_git(path, "rev-parse", "--git-dir")  # git knows better why
    raise CloneError(f"{path}: this is not a git repository; clone the reference there, or correct `path`")


def _check_owner(*folders: Path) -> None:
    """Let git say whether it trusts a clone that is somebody else's: what is read without git asks nobody."""
    if any(folder.stat().st_uid != os.geteuid() for folder in folders):
        run_git(folders[0], "rev-parse", "--git-dir")


def _pointed_at(git: Path) -> Path:
    """Where a ``.git`` file points, as a linked work tree or a submodule has one; else the folder itself."""
    if not git.is_file():
        return git
    target = os.fsdecode(git.read_bytes()).removeprefix("gitdir:").strip()
    return git.parent / target


def common_directory(git: Path) -> Path:
    """Where objects and refs are; another folder in a linked work tree only."""
    pointer = git / "commondir"
    return (git / os.fsdecode(pointer.read_bytes()).strip()).resolve() if pointer.is_file() else git


def _is_repository(git: Path) -> bool:
    return (git / "HEAD").exists() and (common_directory(git) / "objects").is_dir()
