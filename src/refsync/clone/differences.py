"""In which paths two commits differ, and what a landing would have to write for it."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass

from refsync.clone.history import ABSENT
from refsync.clone.objects import TreeEntry
from refsync.clone.repository import Repository
from refsync.clone.sparse import hidden_paths
from refsync.clone.tree_walk import ChangedEntry, changed_entries

_ABSENT, _SUBMODULE = "000000", "160000"
_NOTHING = TreeEntry(0, ABSENT)


@dataclass(frozen=True)
class Difference:
    """A path in which two commits differ; ``hidden``: the work tree of a sparse clone leaves it out.

    Modes are git's octal ones, ``"000000"`` where there is nothing.
    """

    path: str
    old_blob: str
    new_mode: str
    new_blob: str
    hidden: bool = False

    @property
    def removed(self) -> bool:
        """Whether there is nothing any more."""
        return self.new_mode == _ABSENT

    @property
    def is_folder(self) -> bool:
        """Whether a submodule comes there, of which a clone shows an empty folder."""
        return self.new_mode == _SUBMODULE


def differences(repository: Repository, old: str, new: str, wanted: Collection[str] = ()) -> list[Difference]:
    """Every path in which two commits differ; ``wanted`` ones are shown even where a sparse clone would hide them."""
    changed = list(changed_entries(repository, repository.tree_of(old), repository.tree_of(new)))
    hidden = hidden_paths(repository, [each.path for each in changed], wanted)
    return [_difference(each, each.path in hidden) for each in changed]


def _difference(changed: ChangedEntry, hidden: bool) -> Difference:
    old, new = changed.old or _NOTHING, changed.new or _NOTHING
    return Difference(changed.path, old.id, f"{new.mode:06o}", new.id, hidden)


def missing_contents(repository: Repository, *, old: str, new: str, wanted: Collection[str] = ()) -> list[str]:
    """The paths that landing ``new`` would write and whose content a partial clone does not hold yet.

    A landing refuses then, so they have to be fetched before.
    """
    if not repository.is_partial:
        return []
    return without_content(repository, differences(repository, old, new, wanted), old=old, new=new)


def without_content(repository: Repository, found: Iterable[Difference], *, old: str, new: str) -> list[str]:
    """Those of the shown paths whose new content a partial clone does not hold."""
    if not repository.is_partial:
        return []
    listed = repository.run(
        "rev-list", "--objects", "--missing=print", f"{new}^{{tree}}", f"^{old}^{{tree}}"
    ).output.decode(errors="replace")
    missing = {line[1:] for line in listed.splitlines() if line.startswith("?")}
    return [each.path for each in found if not each.hidden and each.new_blob in missing]
