"""Who is credited for what landed, and what history and blame know of it, however people merged."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import get_args

import pytest

from refsync.categories import MODEL_REFERENCE_CATEGORY
from refsync.clone.squashes import parse_quoted
from refsync.pending_queue.models import Actor, Batch, PendingChangeStatus
from refsync.use_cases.models import model_blame, model_history
from tests.support.forge import ForgeStandIn
from tests.support.forge_merging import ENTERPRISE, Style
from tests.support.published import PublishedReference, RequestedReference
from tests.support.queue import in_pass
from tests.support.reference import CLIP
from tests.support.repositories import git

ALPHA = {"version": "2", "nsfw": False}
CLIPS = MODEL_REFERENCE_CATEGORY(CLIP)


@pytest.fixture
def reference(tmp_path: Path, forge: ForgeStandIn) -> Iterator[RequestedReference]:
    forge.people = {"ada": "Ada Lovelace"}
    requested = RequestedReference(tmp_path, forge)
    yield requested
    requested.close()


def propose(reference: PublishedReference) -> Batch:
    reference.update("alpha", ALPHA)
    reference.sync()
    return reference.batches()[-1]


def last_touch(reference: PublishedReference) -> tuple[str, int | None, list[str], list[str]]:
    """Commit, batch, requester and approver of the last commit that touched alpha, alike in history and blame."""
    reference.application.close()
    reference.application = reference.open()
    last = model_history(reference.application, CLIPS, "alpha").root[-1]
    [origin] = {
        (each.commit, each.batch, *each.requested_by, *each.approved_by)
        for each in model_blame(reference.application, CLIPS, "alpha").root
        if each.field_path == "version"
    }
    assert origin == (last.commit, last.batch, *last.requested_by, *last.approved_by)
    return last.commit, last.batch, last.requested_by, last.approved_by


def people_of(reference: PublishedReference) -> tuple[list[str], list[str]]:
    change = reference.change(1)
    return [f"{change.requested_username} <{change.requested_by}>"], [
        f"{change.approved_username} <{change.approved_by}>"
    ]


@pytest.mark.parametrize("keeps", ["commits", "request"])
@pytest.mark.parametrize("style", get_args(Style))
def test_history_and_blame_know_the_batch_however_it_was_merged(
    reference: RequestedReference, forge: ForgeStandIn, style: Style, keeps: str
) -> None:
    forge.squash_keeps = "request" if keeps == "request" else "commits"
    propose(reference)
    merged = forge.merge(1, style=style)
    reference.look()
    assert last_touch(reference) == (merged, 1, *people_of(reference))


@pytest.mark.parametrize("style", get_args(Style))
def test_another_installation_knows_it_by_the_messages(
    reference: RequestedReference, forge: ForgeStandIn, tmp_path: Path, style: Style
) -> None:
    propose(reference)
    reference.person.push_to(reference.pull.head, {"notes.txt": b"x\n"}, "one more")
    forge.merge(1, style=style)
    reference.look()
    other = RequestedReference.beside(reference, tmp_path / "other")
    _, batch, *people = last_touch(other)
    assert (batch, tuple(people)) == (1, people_of(reference))
    other.close()


def test_a_commit_of_a_person_has_no_batch(reference: RequestedReference) -> None:
    clip = {**reference.clone.records("clip.json"), "alpha": {"version": "9", "nsfw": False}}
    pushed = reference.person.push({"clip.json": clip}, "by hand")
    reference.look()
    assert last_touch(reference) == (pushed, None, [], [])


TRAILERS = "Refsync-Job: 3f2a\nRefsync-Batch: 7\nRefsync-Changes: 1-2\nRequested-by: Ada <ada>"


@pytest.mark.parametrize(
    "message",
    [
        f"Title (#1)\n\n- create clip\n\n{TRAILERS}\n\nCo-authored-by: refsync <r@x>\n",
        f"Title (#1)\n\n- create clip\n\n{TRAILERS}\nCo-authored-by: refsync <r@x>\n",
        "Two (#1)\n\n* Title\n\n"
        + "\n".join(f"  {line}" for line in TRAILERS.split("\n"))
        + "\n\n* more\n\n---------\n",
        f"Title\r\n\r\n{TRAILERS}\r\n".replace("\n", "\r\n").replace("\r\r", "\r"),
    ],
)
def test_a_batch_is_read_from_a_squash(message: str) -> None:
    [told] = parse_quoted(message)
    assert (told.job, told.batch, told.change_ids, told.requested_by[0].id) == ("3f2a", 7, (1, 2), "ada")


# Who merged


def applied_by(reference: PublishedReference) -> tuple[str | None, str | None]:
    change = reference.change(1)
    assert change.status is PendingChangeStatus.APPLIED
    return change.applied_by, change.applied_username


@pytest.mark.parametrize("style", get_args(Style))
def test_a_merge_is_credited_to_whoever_pressed_the_button(
    reference: RequestedReference, forge: ForgeStandIn, style: Style
) -> None:
    propose(reference)
    forge.merge(1, by="ada", style=style)
    reference.look()
    assert applied_by(reference) == ("ada", "Ada Lovelace")


@pytest.mark.parametrize("button", ["github.com", "enterprise"])
def test_a_squash_noticed_while_the_forge_is_away_is_nobody_s_until_the_forge_tells(
    reference: RequestedReference, forge: ForgeStandIn, button: str
) -> None:
    if button == "enterprise":
        forge.button = ENTERPRISE
    propose(reference)
    forge.merge(1, by="ada", style="squash")
    forge.fail_next(502, times=100)
    reference.look()
    assert applied_by(reference) == (None, None)
    reference.look()
    forge.mend()
    reference.look()
    assert applied_by(reference) == ("ada", "Ada Lovelace")
    asked = len(forge.requests)
    reference.sync()
    reference.sync()
    assert len(forge.requests) == asked
    assert not reference.application.queue.landed_without_merger("image")


def test_a_merge_commit_and_a_rebase_are_credited_without_the_forge(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    propose(reference)
    forge.merge(1, by="ada", style="rebase")
    forge.fail_next(502, times=100)
    reference.look()
    assert applied_by(reference) == ("ada@users.noreply.github.com", "Ada Lovelace")


def test_a_merger_whom_the_forge_does_not_name_stays_unknown(
    reference: RequestedReference, forge: ForgeStandIn
) -> None:
    propose(reference)
    forge.merge(1, by="ada", style="squash")
    forge.fail_next(502, times=100)
    reference.look()
    forge.mend()
    forge.left_out_fields = {"merged_by"}
    forge.pulls[1].events.clear()
    reference.look()
    assert applied_by(reference) == (None, None)
    assert not reference.application.queue.landed_without_merger("image")


def test_a_landing_is_credited_once(reference: RequestedReference, forge: ForgeStandIn) -> None:
    propose(reference)
    forge.merge(1, by="ada")
    reference.look()
    in_pass(reference.application.queue).credit_landing(1, Actor("eve", "Eve"))
    assert applied_by(reference) == ("ada", "Ada Lovelace")


def test_a_squash_by_the_button_of_a_branch_without_a_forge_is_nobody_s(tmp_path: Path) -> None:
    reference = PublishedReference(tmp_path, "branch")
    propose(reference)
    [branch] = reference.remote.branches
    person = reference.person
    git(person.path, "fetch", "-q", "origin")
    git(person.path, "merge", "-q", "--squash", f"origin/{branch}")
    git(
        person.path,
        "commit",
        "-q",
        "-m",
        "Title (#1)",
        GIT_COMMITTER_NAME="GitHub",
        GIT_COMMITTER_EMAIL="noreply@github.com",
    )
    git(person.path, "push", "-q", "origin", "main")
    reference.look()
    assert applied_by(reference) == (None, None)
    reference.close()
