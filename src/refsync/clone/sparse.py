"""Sparse clones: which paths the work tree shows, and which it leaves out."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from pathlib import Path
from tempfile import gettempdir

from refsync.clone.repository import Repository
from refsync.durable import make_folder, write_durably
from refsync.durable_steps import durable_step
from refsync.file_patterns import means
from refsync.scratch import scratch_folder


def hidden_paths(repository: Repository, paths: Collection[str], wanted: Collection[str]) -> set[str]:
    """Those of the paths that the work tree leaves out.

    Of a path that the index has, the index says so itself; a new one is left out of a sparse clone unless its
    patterns name it. What is ``wanted`` is never left out of a sparse clone. In another clone a person has hidden
    a file of theirs from git, which is obeyed.
    """
    known = _skipped_by_path(repository)
    skipped = {path for path in paths if known.get(path)}
    if not is_sparse(repository):
        return skipped
    new = {path for path in paths if path not in known}
    return (skipped | (new - _named_by_patterns(repository, new))) - {path for path in paths if means(path, wanted)}


def is_sparse(repository: Repository) -> bool:
    """Whether the work tree shows a part of the files only."""
    return repository.is_set("core.sparsecheckout")


@durable_step("choose the sparse patterns")
def show_only(repository: Repository, paths: Iterable[str]) -> None:
    """Make the clone a sparse one that shows these paths at its next checkout, those that are not there yet, too."""
    repository.change_setting("core.sparseCheckout", "true")
    repository.change_setting("core.sparseCheckoutCone", "false")
    _write_patterns(repository, [f"/{path}" for path in paths])


@durable_step("widen the sparse patterns")
def show_too(repository: Repository, paths: Iterable[str]) -> None:
    """Have a sparse clone keep showing these paths at a person's next checkout.

    One in cone mode takes no patterns of single files, and shows all files at the root anyway.
    """
    patterns = _read_patterns(repository)
    missing = [f"/{path}" for path in paths if f"/{path}" not in patterns]
    if missing and is_sparse(repository) and not repository.is_set("core.sparsecheckoutcone"):
        _write_patterns(repository, [*patterns, *missing])


def _skipped_by_path(repository: Repository) -> dict[str, bool]:
    """Each path of the index, and whether the work tree leaves it out."""
    if index := repository.index.read():
        return {path: entry.skip_worktree for path, entry in index.entries.items()}
    listed = repository.run("ls-files", "-t", "-z").output.decode(errors="surrogateescape")
    return {line[2:]: line[0] == "S" for line in listed.split("\0") if line}


def _named_by_patterns(repository: Repository, paths: Collection[str]) -> set[str]:
    """Ask git: the patterns are written as those of .gitignore, so they are put to empty files elsewhere."""
    if not paths:
        return set()
    with scratch_folder(Path(gettempdir(), "refsync-sparse-")) as scratch:
        folder = scratch.path
        for path in paths:
            place = Path(folder, "files", path)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.touch()
        listed = repository.run(
            f"--work-tree={folder}/files",
            "ls-files",
            "-z",
            "--others",
            "--ignored",
            f"--exclude-from={_patterns_file(repository)}",
            environment={"GIT_INDEX_FILE": f"{folder}/index"},
        ).output.decode(errors="surrogateescape")
        return set(listed.split("\0")) & set(paths)


def _patterns_file(repository: Repository) -> Path:
    return repository.git_directory / "info" / "sparse-checkout"


def _read_patterns(repository: Repository) -> list[str]:
    try:
        return _patterns_file(repository).read_text(encoding="utf-8", errors="surrogateescape").splitlines()
    except FileNotFoundError:
        return []


def _write_patterns(repository: Repository, patterns: Iterable[str]) -> None:
    file = _patterns_file(repository)
    make_folder(file.parent)
    write_durably(file, "".join(f"{pattern}\n" for pattern in patterns))
