"""What a proposal waits for, told: one sentence for each kind."""

from __future__ import annotations

import pytest

from refsync.pending_queue.proposal import Proposal, ProposalState, Wait, WaitKind

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
    stored = {"branch": "b", "head": "0" * 40, "state": "branch deleted", "waits_for": "review"}
    proposal = Proposal.model_validate(stored)
    assert (proposal.state, proposal.waits_for) == (ProposalState.gone, None)
