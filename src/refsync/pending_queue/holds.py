"""What a held batch waits for, as data, and the sentences made of it."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from pydantic import ConfigDict

from refsync.deferred import Deferred


class HoldKind(StrEnum):
    """Kinds of what a batch waits for; each says what ``Hold.about`` is.

    >>> HoldKind("local_edits") is HoldKind.local_edits
    True
    """

    local_edits = "local_edits"
    """A person's uncommitted edits of a file, which it is about."""
    unreadable_file = "unreadable_file"
    """A file that cannot be edited safely, which it is about."""
    category_left = "category_left"
    """Its repository no longer holds a category, which it is about."""
    unserved = "unserved"
    """No repository of the config holds its categories, or its repository is not in the config."""
    earlier_batch = "earlier_batch"
    """A batch that touches the same model, whose number it is about."""
    failed_check = "failed_check"
    """One of the operator's own checks, whose command it is about."""
    refused_push = "refused_push"
    """The remote refuses what refsync pushes."""
    refused_landing = "refused_landing"
    """A file of its commit cannot be written in the clone; it is tried again."""
    lost_races = "lost_races"
    """Somebody else was quicker each time; it is tried again."""
    broken_rule = "broken_rule"
    """A record breaks rules of its category, which it is about."""
    mass_deletion = "mass_deletion"
    """It deletes more of a category, which it is about, than it may without being confirmed."""
    closed_request = "closed_request"
    """Its pull request was closed, whose number it is about."""
    deleted_branch = "deleted_branch"
    """Its proposal branch was deleted, whose name it is about."""
    left_proposal = "left_proposal"
    """The config no longer leads to its proposal branch, whose name it is about."""
    other = "other"
    """Something that only its reason says."""


class Hold(Deferred):
    """What a held batch waits for.

    >>> hold = Hold(kind=HoldKind.refused_push, reason="origin refuses the push: a hook says no")
    >>> tell_with_command(hold, 7)
    'origin refuses the push: a hook says no; then: refsync batch retry 7'
    """

    model_config = ConfigDict(frozen=True)

    kind: HoldKind
    reason: str
    """What stands in the way, one line."""
    about: str | None = None
    """The file, batch, command or branch that stands in the way; ``kind`` says which."""
    since_tip: str | None = None
    """The target branch's commit that it was held on, where another commit lets it be tried again."""


_TAKING_BACK: Mapping[HoldKind, str] = {
    HoldKind.closed_request: "reopen it",
    HoldKind.deleted_branch: "restore it",
    HoldKind.left_proposal: "set it back",
}


def tell(hold: Hold) -> str:
    """What it waits for, one line, without a command."""
    taking_back = _TAKING_BACK.get(hold.kind)
    return f"{hold.reason}; {taking_back}" if taking_back else hold.reason


def retry_command(hold: Hold | None, number: int) -> str:
    """The command by which a person lets the batch of this number be tried again."""
    confirm = " --confirm" if hold is not None and hold.kind is HoldKind.mass_deletion else ""
    return f"refsync batch retry {number}{confirm}"


def tell_with_command(hold: Hold, number: int) -> str:
    """What the batch of this number waits for, and the command where only that lets it be tried again."""
    retry = retry_command(hold, number)
    if hold.kind is HoldKind.mass_deletion:
        return f"{tell(hold)}; if that is meant: {retry}"
    if hold.kind in _TAKING_BACK:
        return f"{tell(hold)}, or: {retry}"
    return f"{tell(hold)}; then: {retry}" if hold.kind is HoldKind.refused_push else tell(hold)
