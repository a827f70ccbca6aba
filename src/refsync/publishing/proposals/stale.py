"""Whether a proposal can still be merged, asked of git and not of the forge."""

from __future__ import annotations

from collections.abc import Collection

from refsync.categories import CategoryName
from refsync.clone.export import tree_of
from refsync.clone.merging import merged_tree
from refsync.documents.shape import shape_of
from refsync.errors import DocumentError
from refsync.file_patterns import is_pattern
from refsync.pending_queue.models import Batch
from refsync.reference.view import at_commit
from refsync.sync.look import Look


def merges_cleanly(turn: Look, batch: Batch, head: str) -> bool:
    """Whether the target branch and a proposal merge by themselves, into files that can be read.

    Git merges lines: two people who each add a last member leave a text without a comma, and without a conflict.
    """
    tree = merged_tree(turn.clone, turn.tip, head)
    if tree is None:
        return False
    touched: dict[CategoryName, set[str]] = {}
    for change in turn.queue.open_changes(batch.number):
        if turn.reference.written_file(change.category):
            touched.setdefault(change.category, set()).update((change.model_name, *(change.related_models or ())))
    return all(_is_readable(turn, tree, category, models) for category, models in touched.items())


def adds_nothing(turn: Look, head: str) -> bool:
    """Whether the target branch has all that a branch would bring to it."""
    return merged_tree(turn.clone, turn.tip, head) == tree_of(turn.clone, turn.tip)


def _is_readable(turn: Look, tree: str, category: CategoryName, models: Collection[str]) -> bool:
    """Whether a category can be read, and none of the models is there twice now."""
    view, path = at_commit(turn.clone, tree, turn.versions), turn.reference.written_file(category) or ""
    try:
        if is_pattern(path):
            return not any(map(turn.reference.open(category, view).fault_of, models))
        view.document(path, shape_of(turn.reference.catalogue[category], path)).check_editable(models)
    except DocumentError:
        return False
    return True
