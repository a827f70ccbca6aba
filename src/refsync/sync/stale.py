"""Whether a proposal can still be merged, asked of git and not of the forge."""

from __future__ import annotations

from refsync.documents.json_document import check_editable
from refsync.errors import DocumentError
from refsync.pending_queue.models import Batch
from refsync.sync.apply import content_at
from refsync.sync.turn import Turn

_CONFLICTS = 1


def merges_cleanly(turn: Turn, batch: Batch, head: str) -> bool:
    """Whether the target branch and a proposal merge by themselves, into files that can be read.

    Git merges lines: two people who each add a last member leave a text without a comma, and without a conflict.
    """
    clone = turn.clone
    merged = clone.run("merge-tree", "--write-tree", "--name-only", turn.tip, head, accept=(0, _CONFLICTS))
    if merged.code:
        return False
    tree = merged.output.decode().split("\n")[0].strip()
    for category in {change.category for change in turn.open_changes(batch)}:
        path = turn.reference.written_file(category)
        if path and not _is_readable(turn, tree, path):
            return False
    return True


def _is_readable(turn: Turn, tree: str, path: str) -> bool:
    try:
        content = content_at(turn.clone, tree, path)
        if content is not None:
            check_editable(content)
    except DocumentError:
        return False
    return True
