"""How a proposal reached the target branch, and what of it did.

What landed decides, not what was proposed: the records before and after the commits that brought it are compared.
Not the tip's content, for somebody may have gone on from there; not trailers alone, for a squash indents them and
anybody can write them; not ancestry alone, for a squash has none.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import cache
from typing import Literal

from refsync.categories import CategoryName
from refsync.clone.ancestry import merge_base, parents
from refsync.clone.history import LandedCommit
from refsync.clone.repository import Repository
from refsync.documents.json_document import Record
from refsync.documents.merge import Stamps, same_record
from refsync.file_patterns import means
from refsync.pending_queue.models import Batch, PendingChangeRecord
from refsync.reference.versions import Versions
from refsync.reference.view import at_commit
from refsync.sync.evidence import bears_out
from refsync.sync.reference import ReferenceRepository

How = Literal["merge commit", "fast-forward", "rebase", "squash"]
Evidence = Literal["forge", "ancestry", "branch", "token", "content"]
"""What tells that a commit brought a proposal: the forge names it; it contains what refsync pushed, or only what others
made of the branch; its message carries the batch's token; or it does all that was proposed."""


@dataclass(frozen=True)
class Merge:
    """The first-parent commits behind ``before``, up to ``commit``, brought the proposal.

    ``by`` is ``Name <mail>``, ``None`` where git does not know who did it.
    """

    before: str
    commit: str
    how: How
    by: str | None
    evidence: Evidence = "forge"


@dataclass(frozen=True)
class Outcome:
    """What became of each change of a batch: ids of those that landed, those of them that were edited, the dropped.

    ``touched`` says whether the commits did anything to a model of the batch at all, ``is_partial`` whether the branch
    still proposes one that was dropped.
    """

    landed: list[int] = field(default_factory=list)
    edited: list[int] = field(default_factory=list)
    dropped: list[int] = field(default_factory=list)
    touched: bool = False
    is_partial: bool = False

    def is_borne_out(self, evidence: Evidence) -> bool:
        """Whether the records agree with what was taken for the merge: the weaker the evidence, the more has to."""
        if evidence in ("forge", "ancestry"):
            return True
        if evidence == "content":
            return self.touched and not self.edited and not self.dropped
        return self.touched and bool(self.landed) and not self.is_partial


def find_merges(
    clone: Repository,
    batch: Batch,
    paths: Collection[str],
    head: str | None,
    tip: str,
    *,
    merge_commit: str | None = None,
    seen: str | None = None,
    is_button: Callable[[str], bool] = lambda committer: False,
) -> Iterator[Merge]:
    """How a batch's proposal may have reached the target branch, the surest way first; nothing where git shows none.

    Args:
        clone: which has fetched the target branch.
        batch: with the commit that was built for it, and its base.
        paths: the files that its changes edit.
        head: where its branch stood last, with what others have pushed to it.
        tip: of the target branch.
        merge_commit: what the forge says it was merged by; without it git alone is asked.
        seen: the tip up to which the commits' messages and content told nothing before.
        is_button: whether a committer stands for whoever pressed a button of the forge.
    """
    assert batch.proposal
    assert batch.job
    named = merge_commit if merge_commit and clone.contains(merge_commit, tip) else None
    base = _base(clone, batch, f"{named}^" if named else tip)
    known = [each for each in dict.fromkeys((head, batch.proposal.head, batch.commit)) if each and clone.has(each)]
    heads = [each for each in known if base is None or not clone.contains(each, base)]
    contained = [(_evidence(clone, batch, each), each) for each in heads if clone.contains(each, tip)]
    sure: list[tuple[Evidence, str]] = [("forge", named)] if named else []
    if sure or contained:
        history = clone.first_parent_history(base, tip, paths)
        for evidence, commit in sure + contained:
            place = _first_with(clone, history, commit)
            yield _credited(_brought_by(clone, history, place, heads, base, evidence), history, is_button)
    after = seen if seen and clone.contains(seen, tip) else base
    news = clone.first_parent_history(after, tip, paths)
    for position in (place for place, each in enumerate(news) if batch.job in each.message):
        yield _credited(_brought_by(clone, news, position, heads, base, "token"), news, is_button)
    for each in news:
        if any(means(file.path, paths) for file in each.files):
            yield _credited(Merge(each.parent or "", each.sha, "squash", None, "content"), [each], is_button)


def _base(clone: Repository, batch: Batch, target: str) -> str | None:
    """What the proposal and the target branch have in common; ``None`` where that is nothing."""
    assert batch.proposal
    if batch.base_commit and clone.contains(batch.base_commit, target):
        return batch.base_commit
    return merge_base(clone, batch.proposal.head, target)


def _evidence(clone: Repository, batch: Batch, head: str) -> Evidence:
    """Ours is in it, or somebody has pushed something else in its place, which may be anything."""
    assert batch.proposal
    return "ancestry" if clone.contains(batch.proposal.head, head) or head == batch.commit else "branch"


def _first_with(clone: Repository, history: Sequence[LandedCommit], head: str) -> int:
    """Where in the history a commit is contained for the first time."""
    low, high = 0, len(history) - 1
    while low < high:
        middle = (low + high) // 2
        low, high = (low, middle) if clone.contains(head, history[middle].sha) else (middle + 1, high)
    return low


def _brought_by(
    clone: Repository,
    history: Sequence[LandedCommit],
    at: int,
    heads: Sequence[str],
    base: str | None,
    evidence: Evidence,
) -> Merge:
    """The commits around one of the history that together brought a proposal; who did it is told elsewhere."""
    found = history[at]
    if len(parents(clone, found.sha)) > 1:
        return Merge(found.parent or "", found.sha, "merge commit", None, evidence)
    for head in heads:
        if together := _replayed(history, at, clone.first_parent_history(base, head)):
            first, last = together
            how: How = "fast-forward" if history[last].sha == head else "rebase"
            return Merge(history[first].parent or "", history[last].sha, how, None, evidence)
    return Merge(found.parent or "", found.sha, "squash", None, evidence)


def _replayed(history: Sequence[LandedCommit], at: int, proposed: Sequence[LandedCommit]) -> tuple[int, int] | None:
    """First and last position of the branch's commits in the history, one by one, as a rebase leaves them."""
    branch = [_work(each) for each in proposed]
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


def _credited(merge: Merge, history: Sequence[LandedCommit], is_button: Callable[[str], bool]) -> Merge:
    """With who did it, as far as git knows: a button commits in the forge's own name.

    The author of a merge commit is then who pressed it; that of a squash or rebase is whoever wrote what was merged.
    """
    commit = next(each for each in history if each.sha == merge.commit)
    if not is_button(commit.committer):
        return replace(merge, by=commit.committer)
    return replace(merge, by=commit.author if merge.how == "merge commit" else None)


def judge(
    reference: ReferenceRepository,
    batch: Batch,
    head: str | None,
    merge: Merge,
    changes: Sequence[PendingChangeRecord],
    records: Records,
) -> Outcome:
    """What became of each change: it landed if its model was touched or is as was proposed, else it was dropped.

    Where only a token told of the commit, something of what the branch proposed has to be there.
    """
    assert batch.proposal
    outcome, touched, is_partial = Outcome(), False, False
    for change in changes:
        model = change.category, change.model_name
        is_now, wanted = records.of(merge.commit, *model), records.of(batch.proposal.head, *model)
        before, stamps = records.of(merge.before, *model), reference.stamps
        as_wanted, as_before = _same(is_now, wanted, stamps), _same(is_now, before, stamps)
        is_dropped = as_before and not as_wanted
        if merge.evidence == "token" and not is_dropped:
            proposed = [records.of(each, *model) for each in {batch.proposal.head, head or batch.proposal.head}]
            is_dropped = not any(bears_out(before, each, is_now, stamps) for each in proposed)
        touched |= not as_before
        is_partial |= is_dropped and head is not None and not _same(is_now, records.of(head, *model), stamps)
        (outcome.dropped if is_dropped else outcome.landed).append(change.change_id)
        if not as_wanted and not as_before:
            outcome.edited.append(change.change_id)
    for change in changes:
        if change.change_id in outcome.dropped and change.lands_with in outcome.landed:  # half of a rename is one
            outcome.dropped.remove(change.change_id)
            outcome.landed.append(change.change_id)
            outcome.edited.append(change.change_id)
    return replace(outcome, touched=touched, is_partial=is_partial)


def _same(one: Record | None, other: Record | None, stamps: Stamps) -> bool:
    if one is None or other is None:
        return one is other
    return same_record(one, other, stamps=stamps)


class Records:
    """The records in the commits of a clone."""

    def __init__(self, clone: Repository, reference: ReferenceRepository, versions: Versions) -> None:
        """Of the categories of a repository."""
        self._reference = reference
        self._view = cache(lambda commit: at_commit(clone, commit, versions))

    def of(self, commit: str, category: CategoryName, model: str) -> Record | None:
        """A model's record in a commit (empty: before the first); ``None`` where there is none that can be read."""
        return self._reference.record(self._view(commit), category, model)
