"""Which open pull requests of people touch the models of a batch."""

from __future__ import annotations

from collections.abc import Mapping

from loguru import logger

from refsync.categories import CategoryDescriptor
from refsync.clone.ancestry import merge_base
from refsync.clone.ref_files import refs_under
from refsync.clone.refs import delete_refs
from refsync.clone.remotes import fetch
from refsync.documents.json_document import Record
from refsync.documents.operations import operations_between
from refsync.errors import DocumentError, RefsyncError, RemoteUnavailableError
from refsync.file_patterns import is_pattern
from refsync.forges.base import PullRequest
from refsync.pending_queue.models import Batch, Overlap
from refsync.publishing.proposals.proposed import ProposalLook, ProposalTurn
from refsync.reference.kinds import records_at
from refsync.reference.view import View, at_commit

_KEPT = "refs/refsync/pull/"
Models = frozenset[tuple[str, str]]
"""Path of the file and name of the model."""


def overlaps_of(turn: ProposalLook, batch: Batch, pulls: Mapping[int, PullRequest]) -> list[Overlap]:
    """The open pull requests of others into the target branch that touch models of the batch, by number."""
    wanted = {
        (path, change.model_name)
        for change in turn.queue.open_changes(batch.number)
        if (path := turn.reference.written_file(change.category))
    }
    found = []
    for number, pull in sorted(pulls.items()):
        if pull.base == turn.reference.branch and not (batch.proposal and pull.head == batch.proposal.branch):
            models = sorted(model for path, model in _touched(turn, pull) & wanted)
            if models:
                found.append(Overlap(number=number, author=pull.author.login, models=models))
    return found


def _touched(turn: ProposalLook, pull: PullRequest) -> Models:
    """What a pull request does to which models; nothing where its commit cannot be had."""
    known = turn.memory.touched
    if pull.head_commit not in known:
        if not turn.clone.has(pull.head_commit) and not _fetch_head(turn, pull):
            return frozenset()
        known[pull.head_commit] = _compare(turn, pull)
    return known[pull.head_commit]


def _compare(turn: ProposalLook, pull: PullRequest) -> Models:
    clone = turn.clone
    base = merge_base(clone, turn.tip, pull.head_commit)
    if base is None:
        return frozenset()
    before, after = (at_commit(clone, commit, turn.versions) for commit in (base, pull.head_commit))
    touched = set()
    for name, formats in turn.reference.files.items():
        described = turn.reference.catalogue[name]
        for path in formats.values():
            try:
                operations = operations_between(*(_records(view, described, path) for view in (before, after)))
            except DocumentError:  # their text cannot be read as records: what it does to models is unknown
                continue
            touched |= {(path, each.model) for each in operations}
    return frozenset(touched)


def _records(view: View, category: CategoryDescriptor, path: str) -> Mapping[str, Record]:
    """The models of a file, none of an empty one."""
    return records_at(view, category, path) if is_pattern(path) or view.content(path) else {}


def _fetch_head(turn: ProposalLook, pull: PullRequest) -> bool:
    """Fetch a pull request, a courtesy to reviewers that must not stop the batch: whether the remote has answered."""
    kept = f"+refs/pull/{pull.number}/head:{_KEPT}{pull.number}"
    try:
        fetch(turn.clone, turn.upstream.remote, [kept], paths=turn.reference.data_paths())
    except RemoteUnavailableError:
        return False
    except RefsyncError as failure:  # this forge calls it otherwise: nothing will be found in it
        logger.debug("pull request {}: {}", pull.number, failure)
    return True


def drop_closed(turn: ProposalTurn, pulls: Mapping[int, PullRequest]) -> None:
    """Let git tidy away what was fetched of pull requests that are no longer open."""
    kept = refs_under(turn.clone.common_directory, _KEPT)
    delete_refs(turn.clone, [ref for ref in kept if int(ref.removeprefix(_KEPT)) not in pulls])
