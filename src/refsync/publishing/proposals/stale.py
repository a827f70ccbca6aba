"""Whether a proposal can still be merged, asked of git and not of the forge."""

from __future__ import annotations

from collections.abc import Collection

from refsync.clone.durability import git_version
from refsync.clone.export import tree_of
from refsync.clone.repository import Repository
from refsync.errors import DocumentError, GitCommandError
from refsync.pending_queue.models import Batch
from refsync.reference.view import at_commit
from refsync.sync.turn import Turn

_CONFLICTS = 1
_OLDEST_GIT = (2, 38)


def check_git(clone: Repository) -> None:
    """See that git can merge without a work tree, which following proposals needs.

    Raises:
        GitCommandError: it is too old.
    """
    if (version := git_version()) < _OLDEST_GIT:
        raise GitCommandError(
            f"{clone.path}: git {version[0]}.{version[1]} is too old to tell whether a proposal still merges; "
            "update git to 2.38 or newer, "
            "or publish another way"
        )


def merges_cleanly(turn: Turn, batch: Batch, head: str) -> bool:
    """Whether the target branch and a proposal merge by themselves, into files that can be read.

    Git merges lines: two people who each add a last member leave a text without a comma, and without a conflict.
    """
    clone = turn.clone
    merged = clone.run("merge-tree", "--write-tree", "--name-only", turn.tip, head, accept=(0, _CONFLICTS))
    if merged.code:
        return False
    tree = merged.output.decode().split("\n")[0].strip()
    touched: dict[str, set[str]] = {}
    for change in turn.open_changes(batch):
        if path := turn.reference.written_file(change.category):
            touched.setdefault(path, set()).update((change.model_name, *(change.related_models or ())))
    return all(_is_readable(turn, tree, path, models) for path, models in touched.items())


def adds_nothing(turn: Turn, head: str) -> bool:
    """Whether the target branch has all that a branch would bring to it."""
    merged = turn.clone.run("merge-tree", "--write-tree", turn.tip, head, accept=(0, _CONFLICTS))
    return not merged.code and merged.output.decode().split() == [tree_of(turn.clone, turn.tip)]


def _is_readable(turn: Turn, tree: str, path: str, models: Collection[str]) -> bool:
    """Whether a file can be read, and none of the models is there twice now."""
    try:
        document = at_commit(turn.clone, tree, turn.versions).document(path)
    except DocumentError:
        return False
    return not any(document.fault_of(name) for name in models)
