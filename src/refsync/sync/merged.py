"""How a proposal reached the target branch, and what of it did.

What landed decides, not what was proposed: the records before and after the commits that brought it are compared.
Not the tip's content, for somebody may have gone on from there; not trailers alone, for a squash indents them and
anybody can write them; not ancestry alone, for a squash has none.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from refsync.clone.history import LandedCommit
from refsync.clone.repository import Repository
from refsync.documents.json_document import read_records
from refsync.documents.merge import same_record
from refsync.errors import DocumentError
from refsync.pending_queue.models import Batch, PendingChangeRecord
from refsync.sync.apply import reader
from refsync.sync.reference import ReferenceRepository

How = Literal["merge commit", "fast-forward", "rebase", "squash"]
Evidence = Literal["forge", "ancestry", "token", "content"]
"""What tells that a commit brought a proposal: the forge names it, it contains what was pushed, its message carries the
batch's token, or it does all that was proposed."""
_FORGES = ("GitHub <noreply@github.com>",)
"""Committers that stand for whoever pressed the button, who is the author."""


@dataclass(frozen=True)
class Merge:
    """The first-parent commits behind ``before``, up to ``commit``, brought the proposal; ``by`` is ``Name <mail>``."""

    before: str
    commit: str
    how: How
    by: str
    evidence: Evidence = "forge"


@dataclass(frozen=True)
class Outcome:
    """What became of each change of a batch: ids of those that landed, those of them that were edited, the dropped.

    ``touched`` says whether the commits did anything to a model of the batch at all.
    """

    landed: list[int] = field(default_factory=list)
    edited: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    touched: bool = False

    def is_borne_out(self, evidence: Evidence) -> bool:
        """Whether the records agree with what was taken for the merge: the weaker the evidence, the more has to."""
        if evidence == "content":
            return self.touched and not self.edited and not self.dropped
        return evidence != "token" or (self.touched and bool(self.landed))


def find_merges(
    clone: Repository,
    batch: Batch,
    paths: Collection[str],
    head: str | None,
    tip: str,
    *,
    merge_commit: str | None = None,
    seen: str | None = None,
) -> Iterator[Merge]:
    """How a batch's proposal may have reached the target branch, the surest way first; nothing where git shows none.

    Args:
        clone: which has fetched the target branch.
        batch: with the commit that was built for it, and its base.
        paths: the files that its changes edit.
        head: where its branch stood last, with what others have pushed to it.
        tip: of the target branch.
        merge_commit: what the forge says it was merged by; without it git alone is asked.
        seen: the tip up to which the commits' content told nothing before.
    """
    assert batch.proposal
    assert batch.base_commit
    assert batch.job
    if not clone.contains(batch.base_commit, tip):
        return
    history = clone.first_parent_history(batch.base_commit, tip)
    heads = [each for each in dict.fromkeys((head, batch.proposal.head)) if each and clone.has(each)]
    shas = [each.sha for each in history]
    named: list[tuple[Evidence, int]] = [("forge", shas.index(merge_commit))] if merge_commit in shas else []
    for evidence, position in [*named, *_guessed(clone, batch.job, history, heads, tip)]:
        yield replace(_brought_by(clone, history, position, heads), evidence=evidence)
    touching = [each for each in history if not {file.path for file in each.files}.isdisjoint(paths)]
    for each in touching:
        if seen is None or not clone.contains(each.sha, seen):
            yield Merge(each.parent or "", each.sha, "squash", _person(each), "content")


def _guessed(
    clone: Repository, job: str, history: Sequence[LandedCommit], heads: Sequence[str], tip: str
) -> Iterator[tuple[Evidence, int]]:
    """Where in the history the proposal may have come in, and what tells so."""
    yield from (("ancestry", _first_with(clone, history, each)) for each in heads if clone.contains(each, tip))
    yield from (("token", position) for position, each in enumerate(history) if job in each.message)


def _first_with(clone: Repository, history: Sequence[LandedCommit], head: str) -> int:
    """Where in the history a commit is contained for the first time."""
    low, high = 0, len(history) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if clone.contains(head, history[middle].sha) else (middle + 1, high)
    return low


def _brought_by(clone: Repository, history: Sequence[LandedCommit], at: int, heads: Sequence[str]) -> Merge:
    """The commits around one of the history that together brought a proposal."""
    found = history[at]
    if len(clone.run("rev-parse", f"{found.sha}^@").output.split()) > 1:
        return Merge(found.parent or "", found.sha, "merge commit", _person(found))
    for head in heads:
        if together := _replayed(clone, history, at, head):
            first, last = together
            how: How = "fast-forward" if history[last].sha == head else "rebase"
            return Merge(history[first].parent or "", history[last].sha, how, _person(history[last]))
    return Merge(found.parent or "", found.sha, "squash", _person(found))


def _replayed(clone: Repository, history: Sequence[LandedCommit], at: int, head: str) -> tuple[int, int] | None:
    """First and last position of the branch's commits in the history, one by one, as a rebase leaves them."""
    branch = [_work(each) for each in clone.first_parent_history(history[0].parent, head)]
    landed = [_work(each) for each in history]
    if landed[at] not in branch:
        return None
    place = branch.index(landed[at])
    first, last = at, at
    while first > 0 and place - (at - first) > 0 and landed[first - 1] == branch[place - (at - first) - 1]:
        first -= 1
    while (
        last + 1 < len(landed)
        and place + (last - at) + 1 < len(branch)
        and (landed[last + 1] == branch[place + (last - at) + 1])
    ):
        last += 1
    return first, last


def _work(commit: LandedCommit) -> tuple[str, str]:
    """What a rebase keeps of a commit."""
    return commit.author, commit.message.rstrip()


def _person(commit: LandedCommit) -> str:
    return commit.author if commit.committer in _FORGES else commit.committer


def judge(
    clone: Repository,
    reference: ReferenceRepository,
    batch: Batch,
    merge: Merge,
    changes: Sequence[PendingChangeRecord],
) -> Outcome:
    """What became of each change: it landed if its model was touched or is as was proposed, else it was dropped."""
    assert batch.proposal
    before = _Versions(clone, merge.before)
    after = _Versions(clone, merge.commit)
    proposed = _Versions(clone, batch.proposal.head)
    outcome, touched = Outcome(), False
    for change in changes:
        path, model = reference.written_file(change.category) or "", change.model_name
        is_now, wanted = after.record(path, model), proposed.record(path, model)
        as_wanted, as_before = _same(is_now, wanted), _same(is_now, before.record(path, model))
        touched |= not as_before
        (outcome.dropped if as_before and not as_wanted else outcome.landed).append(change.change_id)
        if not as_wanted and not as_before:
            outcome.edited.append(change.change_id)
    return replace(outcome, touched=touched)


def _same(one: dict[str, Any] | None, other: dict[str, Any] | None) -> bool:
    if one is None or other is None:
        return one is other
    return same_record(one, other)


class _Versions:
    """The records of the files of one commit, each file read once."""

    def __init__(self, clone: Repository, commit: str) -> None:
        self._read = reader(clone, commit)
        self._known: dict[str, Mapping[str, dict[str, Any]]] = {}

    def record(self, path: str, model: str) -> dict[str, Any] | None:
        if path not in self._known:
            self._known[path] = self._records(path)
        return self._known[path].get(model)

    def _records(self, path: str) -> Mapping[str, dict[str, Any]]:
        try:
            return read_records(self._read(path) or b"{}")
        except DocumentError:  # broken in review: nothing of it can be seen
            return {}
