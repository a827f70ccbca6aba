"""What a proposal waits for, told: one sentence for each kind."""

from __future__ import annotations

import pytest

from refsync.pending_queue.proposal import Checked, Proposal, ProposalState, Reviewed, Wait, WaitKind

SENTENCES = {
    WaitKind.review: "review",
    WaitKind.merge: "somebody to merge it",
    WaitKind.checks: "its checks to pass",
    WaitKind.requested_changes: "what its reviewers asked for",
    WaitKind.draft: "somebody to mark it as ready for review: it is a draft",
    WaitKind.fetch: "its merge to be fetched",
    WaitKind.merged_elsewhere: "its merge to reach main: it was merged into dev",
    WaitKind.other_base: "its base to be main again, or dev to be merged there",
    WaitKind.emptied_branch: "whoever emptied its branch, which holds nothing that main lacks",
    WaitKind.outdated_branch: "whoever pushed to its branch to bring it up to date with main",
    WaitKind.forge: "the forge: dev",
}


@pytest.mark.parametrize("kind", WaitKind)
def test_it_is_told_in_words_where_programs_read_them(kind: WaitKind) -> None:
    proposal = Proposal(branch="b", head="0" * 40, wait=Wait(kind=kind, target="main", about="dev"))
    assert proposal.model_dump(mode="json")["waits_for"] == SENTENCES[kind]


def test_what_an_older_refsync_stored_is_read_and_its_words_are_told_anew_by_the_next_pass() -> None:
    words = {"waits_for": "review", "checks": "2 passed", "reviews": "approved by ada"}
    proposal = Proposal.model_validate({"branch": "b", "head": "0" * 40, "state": "branch deleted", **words})
    assert (proposal.state, proposal.waits_for) == (ProposalState.gone, None)
    assert (proposal.checks, proposal.reviews) == (None, None)


@pytest.mark.parametrize(
    ("checked", "told"),
    [
        (Checked(), None),
        (Checked(passed=3), "3 passed"),
        (Checked(passed=1, running=2), "2 of 3 running"),
        (Checked(passed=1, running=1, failed=["lint"]), "1 of 3 failed: lint"),
        (Checked(failed=list("abcde")), "5 of 5 failed: a, b, c and 2 more"),
        (Checked(passed=1, lacking=["checks=read"]), "1 passed; cannot be read: give the credential checks=read"),
    ],
)
def test_how_checks_stand_is_stored_as_numbers_and_told_in_words(checked: Checked, told: str | None) -> None:
    proposal = Proposal(branch="b", head="0" * 40, checked=checked)
    assert Proposal.model_validate_json(proposal.model_dump_json()) == proposal
    assert proposal.model_dump(mode="json")["checks"] == told


@pytest.mark.parametrize(
    ("reviewed", "told"),
    [
        (Reviewed(), None),
        (Reviewed(approved=["ada", "bob"]), "approved by ada and bob"),
        (Reviewed(approved=["a"], refused=["b"], asked=["c"]), "changes requested by b, approved by a, c asked"),
        (Reviewed(are_readable=False), "cannot be read"),
    ],
)
def test_what_reviewers_say_is_stored_as_names_and_told_in_words(reviewed: Reviewed, told: str | None) -> None:
    proposal = Proposal(branch="b", head="0" * 40, reviewed=reviewed)
    assert Proposal.model_validate_json(proposal.model_dump_json()) == proposal
    assert proposal.model_dump(mode="json")["reviews"] == told
