"""The kinds of events that people can be told of."""

from __future__ import annotations

from enum import StrEnum


class EventKind(StrEnum):
    """What happened.

    >>> EventKind("landed") is EventKind.landed
    True
    """

    submitted = "submitted"
    approved = "approved"
    rejected = "rejected"
    held = "held"
    """A batch waits for a person, or for something that its reason says."""
    proposed = "proposed"
    """A batch can be reviewed in git: its pull request is open, or its branch there."""
    landed = "landed"
    reverted = "reverted"
    """What undoes an earlier batch has landed; who does not want this is told that it landed."""
    foreign_commit = "foreign_commit"
    """A commit that no batch brought has landed, and it changes category files."""
    pass_failing = "pass_failing"
    """Passes begin to fail in a repository."""
