"""A message that anyone can write makes no change *applied* whose record is nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from refsync.pending_queue.models import Batch, PendingChangeStatus
from refsync.publishing.local import Local
from refsync.publishing.push import Push
from refsync.sync.evidence import bears_out
from refsync.sync.turn import Turn
from tests.support.published import PublishedReference
from tests.support.reference import Reference
from tests.support.repositories import git

ASKED = {"version": "2", "nsfw": False}
APPLIED = PendingChangeStatus.APPLIED

pytestmark = pytest.mark.usefixtures("bare_git")


class PowerCutError(BaseException):
    """Ends a pass where the power would."""


def reserved(reference: Reference, monkeypatch: pytest.MonkeyPatch) -> tuple[int, Batch]:
    """A change whose commit is built, and that a process which is dead since has not delivered."""

    def cut(*_: Any, **__: Any) -> None:
        raise PowerCutError

    change = reference.update("alpha", ASKED)
    with monkeypatch.context() as patch:
        patch.setattr(Local, "deliver", cut)
        patch.setattr(Push, "deliver", cut)
        patch.setattr(Turn, "settle", lambda *_: None)
        with pytest.raises(PowerCutError):
            reference.sync()
    (batch,) = reference.batches()
    assert (reference.change(change).status, bool(batch.commit)) == (PendingChangeStatus.APPLYING, True)
    return change, batch


def message_of(reference: Reference, batch: Batch) -> str:
    return git(reference.clone.path, "log", "-1", "--format=%B", str(batch.commit))


@pytest.mark.parametrize("publish", ["local", "push"])
@pytest.mark.parametrize(
    "forged", [{"alpha": {"version": "evil", "nsfw": True}}, {"beta": {"version": "1"}, "more": {}}]
)
def test_a_forged_trailer_makes_nothing_applied(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, publish: str, forged: dict[str, Any]
) -> None:
    reference = Reference(tmp_path) if publish == "local" else PublishedReference(tmp_path, publish)
    change, batch = reserved(reference, monkeypatch)
    hand = reference.person if isinstance(reference, PublishedReference) else reference.clone
    commit = hand.commit({"clip.json": forged}, message_of(reference, batch))
    if isinstance(reference, PublishedReference):
        git(hand.path, "push", "-q", "origin", "main")
    reference.sync()
    told = reference.change(change)
    assert told.commit != commit
    assert told.status is PendingChangeStatus.REJECTED  # it conflicts with what the forged commit did
    reference.close()


def test_ours_that_a_person_has_amended_is_known_by_its_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reference = Reference(tmp_path)
    change, batch = reserved(reference, monkeypatch)
    mended = {"alpha": ASKED, "beta": {"version": "1", "note": "mended"}}
    commit = reference.clone.commit({"clip.json": mended}, message_of(reference, batch))
    reference.sync()
    assert (reference.change(change).status, reference.change(change).commit) == (APPLIED, commit)
    reference.close()


def test_a_squash_with_the_token_that_has_nothing_of_the_proposal_leaves_it_proposed(tmp_path: Path) -> None:
    reference = PublishedReference(tmp_path, "branch")
    change = reference.update("alpha", ASKED)
    reference.sync()
    (batch,) = reference.batches()
    forged = {"alpha": {"version": "evil", "nsfw": True}, "beta": {"version": "1"}}
    reference.person.push({"clip.json": forged}, f"innocent\n\n{message_of(reference, batch)}")
    reference.sync()
    assert reference.change(change).status is not APPLIED
    reference.close()


BEFORE = {"a": 1, "b": 1}


@pytest.mark.parametrize(
    ("before", "asked", "now", "is_there"),
    [
        (None, {"a": 1}, {"a": 1}, True),
        (None, {"a": 1, "b": 2}, {"a": 1, "b": 3}, True),
        (None, {"a": 1}, {"a": 2}, False),
        (None, {"a": 1}, None, False),
        (BEFORE, {"a": 2, "b": 1}, {"a": 2, "b": 9}, True),
        (BEFORE, {"a": 2, "b": 1}, {"a": 3, "b": 1}, False),
        (BEFORE, {"a": 2, "b": 1}, BEFORE, False),
        (BEFORE, {"a": 1}, {"a": 5}, True),
        (BEFORE, None, None, True),
        (BEFORE, None, BEFORE, False),
        (BEFORE, BEFORE, BEFORE, True),
    ],
)
def test_what_is_there_bears_out_what_was_asked_for_by_one_field_at_least(
    before: dict[str, Any] | None, asked: dict[str, Any] | None, now: dict[str, Any] | None, is_there: bool
) -> None:
    assert bears_out(before, asked, now, {}) is is_there
