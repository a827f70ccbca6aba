"""The revisions that a command compares, in any clone."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from refsync.clone.revisions import Snapshot

Base = Annotated[str | None, typer.Argument(help="The revision to compare with. A...B is what B did since it left A.")]
Head = Annotated[str | None, typer.Argument(help="The revision to look at. Default: the work tree.")]
Directory = Annotated[Path, typer.Option(metavar="DIR", help="The clone, or a folder in it.")]


def snapshots_of(
    clone: Path, base: str | None, head: str | None, folders: Collection[str]
) -> tuple[Snapshot | None, Snapshot]:
    """The two revisions as given, none of them moved to where they parted; without a head the work tree.

    ``A..B`` says the same in one word; ``A...B`` is the one way to compare with the point where the two parted. A
    side left out there is ``HEAD``.

    Raises:
        RequestError: there is no such revision, or the work tree of a bare repository is asked for.
    """
    from refsync.clone.revisions import at_revision, at_work_tree, merge_base

    if base is None:
        return None, at_work_tree(clone, folders)
    if head is not None or ".." not in base:
        return at_revision(clone, base, folders), at_work_tree(clone, folders) if head is None else at_revision(
            clone, head, folders
        )
    dots = "..." if "..." in base else ".."
    left, right = (side or "HEAD" for side in base.split(dots, 1))
    start = left if dots == ".." else merge_base(clone, left, right)
    return replace(at_revision(clone, start, folders), name=left), at_revision(clone, right, folders)
