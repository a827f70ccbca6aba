"""What landed merges lost of a category's file."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import takewhile
from typing import Protocol

from refsync.clone.history import HistoryRelation, LandedCommit
from refsync.documents.merge_losses import Losses, Records, losses_of
from refsync.errors import DocumentError, GitCommandError
from refsync.metadata.models import RecordedError
from refsync.metadata.position import FollowedFile
from refsync.plain_text import cut
from refsync.reference.kinds import records_in
from refsync.reference.versions import Versions

_MOST_NAMES = 5
_LONGEST = 80  # characters of a name or of fields in a sentence


class MergeHistory(Protocol):
    """What is asked of a repository about its merges."""

    def relation(self, after: str, until: str) -> HistoryRelation:
        """How a commit stands to a later one."""
        ...

    def contains(self, commit: str, tip: str) -> bool:
        """Whether a commit is another one, or one of its ancestors."""
        ...

    def merge_bases(self, commits: Collection[str]) -> Sequence[str]:
        """Where commits parted; nowhere, where they have nothing in common."""
        ...

    def blobs_at(self, commit: str, path: str) -> dict[str, str]:
        """The blob of a plain file of a commit by its path, or of each that a pattern means."""
        ...


@dataclass(frozen=True)
class LandedMerge:
    """A merge that landed; each followed file is compared with what its parents and the points between them have."""

    commit: LandedCommit
    history: MergeHistory

    @property
    def parents(self) -> list[str]:
        """The commits that it joined."""
        return [each for each in (self.commit.parent, *self.commit.merged) if each]

    @cached_property
    def bases(self) -> Sequence[str]:
        """Where these parted, which a git says: once for all files."""
        return self.history.merge_bases(self.parents)


def new_merges(history: MergeHistory, walk: Sequence[LandedCommit], seen: str | None) -> list[LandedMerge]:
    """The merges of a walk that landed since a commit; none where that is not in the branch, or there is no such.

    A walk from the root is one over what was seen, too, unless the branch has it by another parent only.
    """
    merges = [LandedMerge(commit, history) for commit in walk if commit.merged]
    if seen is None or not merges or walk[0].parent == seen:
        return merges if seen else []
    if history.relation(seen, walk[-1].sha) == "rewritten":
        return []
    return [*takewhile(lambda merge: not history.contains(merge.commit.sha, seen), reversed(merges))][::-1]


def errors_of_merges(merges: Iterable[LandedMerge], file: FollowedFile, versions: Versions) -> Iterator[RecordedError]:
    """One error for each merge that lost something of a file; what cannot be read says nothing of it."""
    for merge in merges:
        try:
            lost = _losses(merge, file, versions)
        except (DocumentError, GitCommandError):
            continue
        if lost.models or lost.edits:
            commit = merge.commit
            told = f"{file.path}: the merge {commit.sha} lost {' and '.join(_told(lost))}"
            yield RecordedError(told, commit.committed_at, commit.sha, commit.author)


def _losses(merge: LandedMerge, file: FollowedFile, versions: Versions) -> Losses:
    blobs_at = merge.history.blobs_at
    result, *sides = (blobs_at(each, file.path) for each in (merge.commit.sha, *merge.parents))
    if all(side == result for side in sides):
        return Losses()
    bases = [blobs_at(each, file.path) for each in merge.bases]
    if len(bases) == 1 and all(side in (result, *bases) for side in sides):
        return Losses()  # whoever differs from the merge had changed nothing
    all_of_it = (result, *sides, *bases)
    differing = {
        path for each in all_of_it for path in each if any(other.get(path) != each[path] for other in all_of_it)
    }

    def read(blobs: Mapping[str, str]) -> Records:
        files = ((path, versions.of(blob)) for path, blob in blobs.items() if path in differing)
        return {name: record for path, each in files for name, record in records_in(each, file.described, path).items()}

    return losses_of(read(result), list(map(read, sides)), list(map(read, bases)))


def _told(lost: Losses) -> Iterator[str]:
    if lost.models:
        count = len(lost.models)
        those = "a model" if count == 1 else f"{count} models"
        yield f"{those} that no side of it had dropped: {_listed(list(map(repr, lost.models)))}"
    if lost.edits:
        edits = [f"{name!r} ({', '.join(fields)})" for name, fields in lost.edits.items()]
        yield f"what one side of it did to {_listed(edits)}"


def _listed(words: Sequence[str]) -> str:
    more = f" and {len(words) - _MOST_NAMES} more" if len(words) > _MOST_NAMES else ""
    return ", ".join(cut(each, _LONGEST) for each in words[:_MOST_NAMES]) + more
