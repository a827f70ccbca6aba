"""The files of a commit outside the clone, as a checkout would give them."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from refsync.clone.repository import Repository


def tree_of(clone: Repository, commit: str) -> str:
    """The id of a commit's tree: the same for the same files."""
    return clone.run("rev-parse", f"{commit}^{{tree}}").output.decode().strip()


def export_tree(clone: Repository, tree: str, folder: Path) -> None:
    """Write all files of a tree (or commit) into a folder; the clone's own index and work tree stay as they are.

    Of a sparse clone, those that it shows. Not by ``git archive``, which leaves out what is marked
    ``export-ignore``: a repository's own checks, for one.
    """
    with TemporaryDirectory(dir=folder.parent, prefix="index-") as index_folder:
        index = {"GIT_INDEX_FILE": str(Path(index_folder) / "index")}
        clone.run(f"--work-tree={folder}", "read-tree", "-m", "-u", tree, environment=index)
