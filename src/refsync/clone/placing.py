"""Files of a commit put into the work tree, each by one rename, so that a reader sees the old one or the new one."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from pathlib import Path

from refsync.clone.repository import Repository

_SUBMODULE, _EXECUTABLE = "160000", "100755"


def stage_files(repository: Repository, paths: Iterable[str], index: Mapping[str, str]) -> None:
    """Have git write files inside ``.git``, where no watcher and no ``git status`` sees them.

    By git, for its filters (a clone with converted line ends stays clean) and for symbolic links; by one call, since
    there may be hundreds.

    Args:
        repository: the clone.
        paths: entries of the index.
        index: the variables by which git finds the index.
    """
    remove_staged_files(repository)
    write = ("checkout-index", "-z", "--stdin", f"--prefix={_staging_folder(repository)}/")
    repository.run(*write, stdin=path_lines(paths), environment=index)


def replace_file(repository: Repository, path: str, mode: str) -> None:
    """Put a staged file in place; ``mode`` is git's octal one. The folder is left to be flushed."""
    target = repository.path / path
    target.parent.mkdir(parents=True, exist_ok=True)
    if mode == _SUBMODULE:
        target.mkdir(exist_ok=True)
        return
    staged = _on_file_system_of(target, _staging_folder(repository) / path)
    try:
        if not staged.is_symlink():
            _keep_permissions(staged, target, executable=mode == _EXECUTABLE)
            flush_file(staged)
        staged.replace(target)
    finally:
        staged.unlink(missing_ok=True)


def remove_file(repository: Repository, path: str) -> None:
    """Remove a file, and the folders that it leaves empty, as git does; of a submodule, its folder if it is empty."""
    target = repository.path / path
    is_folder = target.is_dir() and not target.is_symlink()
    if not is_folder:
        target.unlink(missing_ok=True)
    with contextlib.suppress(OSError):
        for folder in ([target] if is_folder else []) + list(target.parents):
            if folder == repository.path:
                return
            folder.rmdir()


def remove_staged_files(repository: Repository) -> None:
    """Remove what was staged and not put in place."""
    shutil.rmtree(_staging_folder(repository), ignore_errors=True)


def path_lines(texts: Iterable[str]) -> bytes:
    """Lines for a git command that takes them with ``-z``."""
    return "".join(f"{text}\0" for text in texts).encode(errors="surrogateescape")


def flush_file(path: Path) -> None:
    """Force a file's content to disk."""
    with path.open("rb") as handle:
        os.fsync(handle.fileno())


def _staging_folder(repository: Repository) -> Path:
    return repository.git_directory / "refsync-files"


def _on_file_system_of(target: Path, staged: Path) -> Path:
    """The staged file, or its copy beside the target if ``.git`` is on another file system."""
    if staged.lstat().st_dev == target.parent.stat().st_dev:
        return staged
    return Path(shutil.copy2(staged, target.with_name(f".{target.name}.refsync"), follow_symlinks=False))


def _keep_permissions(staged: Path, target: Path, *, executable: bool) -> None:
    """Who may read and write stays as it is, a group for one; whether it is executable is the commit's to say."""
    if target.is_symlink() or not target.is_file():
        return
    mode = stat.S_IMODE(target.stat().st_mode) & ~0o111
    staged.chmod(mode | ((mode & 0o444) >> 2 if executable else 0))
