"""Commits that landed and that no batch brought, told to people who want that, each once."""

from __future__ import annotations

from collections.abc import Iterator

from loguru import logger

from refsync.clone.history import LandedCommit
from refsync.errors import DocumentError
from refsync.file_patterns import means
from refsync.pending_queue.events import ForeignCommit, ModelChanged
from refsync.plain_text import one_line
from refsync.reference.kinds import records_at
from refsync.reference.view import at_commit
from refsync.review.changes import model_changes
from refsync.sync.turn import Turn

MOST_COMMITS = 50
"""Of one pass; of a longer history the newest are told."""


def tell_foreign_commits(turn: Turn, told: str | None) -> None:
    """Tell of those behind the commit up to which that was done.

    At the end of a turn, because only then is it known which commits batches came by; where the forge could not be
    asked it may not be known yet. Nothing is told of a history that is new to refsync, or was rewritten.
    """
    tip = turn.tip
    if told == tip or turn.outcome.forge_problem:
        return
    known = told is not None and turn.clone.relation(told, tip) == "ahead"
    commits = turn.clone.first_parent_history(told, tip, turn.reference.data_paths()) if known else []
    foreign = list(_foreign(turn, [each for each in commits if each.files]))
    if (left := len(foreign) - MOST_COMMITS) > 0:
        logger.warning("{}: people are not told of the oldest {} of foreign commits", turn.reference.name, left)
    turn.queue.tell_foreign_commits(
        turn.reference.name, [_told(turn, each) for each in foreign[-MOST_COMMITS:]], up_to=tip
    )


def _foreign(turn: Turn, commits: list[LandedCommit]) -> Iterator[LandedCommit]:
    """Those that no batch landed by: what their messages say anybody can write."""
    ours = turn.queue.batches_landed_in([each.sha for each in commits])
    return (each for each in commits if each.sha not in ours)


def _told(turn: Turn, commit: LandedCommit) -> ForeignCommit:
    return ForeignCommit(
        repository=turn.reference.name,
        commit=commit.sha,
        author=commit.author.rpartition(" <")[0] or commit.author,
        subject=one_line(commit.message.partition("\n")[0]),
        models=list(_models(turn, commit)),
    )


def _models(turn: Turn, commit: LandedCommit) -> Iterator[ModelChanged]:
    """What the commit did to models; nothing of a file that cannot be read, which ``status`` tells."""
    before, after = (at_commit(turn.clone, each or "", turn.versions) for each in (commit.parent, commit.sha))
    for category in turn.reference.files:
        path = turn.reference.written_file(category)
        if path is None or not any(means(each.path, [path]) for each in commit.files):
            continue
        described = turn.reference.catalogue[category]
        try:
            old, new = records_at(before, described, path), records_at(after, described, path)
        except DocumentError:
            continue
        for each in model_changes(described, old, new):
            yield ModelChanged(category, each.model, each.operation, each.fields if each.operation == "update" else ())
