"""What every forge promises. A new forge adds its stand-in here, and a file of what it does differently."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from refsync.errors import ForgeRefusedError, ForgeUnavailableError
from refsync.forges.base import Checks, Extra, Forge, PullRequest, Reviews
from refsync.forges.github import open_github
from tests.support.forge import ForgeStandIn, unhurried
from tests.support.forge_merging import Style
from tests.support.repositories import git

BRANCH = "refsync/batch-1-3f2a9c"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[ForgeStandIn]:
    with ForgeStandIn(tmp_path) as stand_in:
        stand_in.commit("main", {"image.json": {"a": {}}}, "first")
        stand_in.commit(BRANCH, {"image.json": {"a": {}, "b": {}}}, "Create b")
        yield stand_in


@pytest.fixture(params=["github"])
def remote(request: pytest.FixtureRequest, forge: ForgeStandIn) -> Forge:
    openers = {"github": open_github}
    return openers[request.param](forge.repository, base_url=forge.url, credential=None, pace=unhurried())


def propose(remote: Forge, head: str = BRANCH, base: str = "main") -> PullRequest:
    return remote.open(head=head, base=base, title="Batch 1", body="what it does")


def test_a_pull_request_that_was_opened_is_there(forge: ForgeStandIn, remote: Forge) -> None:
    opened = propose(remote)
    assert (opened.number, opened.state, opened.title, opened.body) == (1, "open", "Batch 1", "what it does")
    assert (opened.head, opened.base) == (BRANCH, "main")
    assert opened.head_commit == forge.tip(BRANCH)
    assert opened.author.login == forge.bot
    assert remote.find() == [opened]
    assert remote.find(BRANCH) == [opened]


def test_opening_twice_gives_the_same_one(forge: ForgeStandIn, remote: Forge) -> None:
    assert propose(remote) == propose(remote)
    assert len(forge.pulls) == 1


def test_one_that_was_opened_though_the_answer_never_came_is_found(forge: ForgeStandIn, remote: Forge) -> None:
    forge.cut_next()
    with pytest.raises(ForgeUnavailableError, match=r"connection .* broke"):
        propose(remote)
    assert [pull.title for pull in remote.find(BRANCH)] == ["Batch 1"]


def test_a_branch_is_found_in_any_state_newest_first_and_not_in_a_fork(forge: ForgeStandIn, remote: Forge) -> None:
    propose(remote)
    remote.close(1)
    propose(remote)
    forge.commit(BRANCH, {"x.json": {}}, fork="ada/reference")
    forge.open_by_person(BRANCH, "another's", fork="ada/reference")
    assert [(pull.number, pull.state) for pull in remote.find(BRANCH)] == [(2, "open"), (1, "closed")]
    assert [pull.title for pull in remote.find()] == ["another's", "Batch 1"]
    assert remote.find("refsync/other") == []


def test_a_long_list_is_read_to_its_end(forge: ForgeStandIn, remote: Forge) -> None:
    forge.page_size = 2
    for number in range(1, 6):
        forge.commit(f"topic-{number}", {f"{number}.json": {}})
        forge.open_by_person(f"topic-{number}", f"topic {number}")
    assert [pull.number for pull in remote.find()] == [5, 4, 3, 2, 1]


@pytest.mark.parametrize("style", ["merge", "squash", "rebase"])
def test_a_merge_of_any_style_names_its_commit_and_the_merger(forge: ForgeStandIn, remote: Forge, style: Style) -> None:
    forge.people["bob"] = "Bob Builder"
    propose(remote)
    commit = forge.merge(1, by="bob", style=style)
    merged = remote.state(1)
    assert (merged.state, merged.merge_commit) == ("merged", commit)
    assert merged.merged_by
    assert (merged.merged_by.login, merged.merged_by.name) == ("bob", "Bob Builder")
    assert git(forge.remote, "rev-parse", "main") == commit
    assert remote.find() == []
    assert [pull.state for pull in remote.find(BRANCH)] == ["merged"]


def test_a_branch_that_is_pushed_into_the_target_is_merged(forge: ForgeStandIn, remote: Forge) -> None:
    opened = propose(remote)
    git(forge.remote, "update-ref", "refs/heads/main", opened.head_commit)
    assert (remote.state(1).state, remote.state(1).merge_commit) == ("merged", opened.head_commit)


def test_a_closed_one_names_who_closed_it_and_goes_on_when_reopened(forge: ForgeStandIn, remote: Forge) -> None:
    forge.people["bob"] = "Bob Builder"
    propose(remote)
    forge.close(1, by="bob")
    closed = remote.state(1)
    assert closed.state == "closed"
    assert closed.closed_by
    assert (closed.closed_by.login, closed.closed_by.name) == ("bob", "Bob Builder")
    forge.reopen(1)
    assert (remote.state(1).state, remote.state(1).closed_by) == ("open", None)


def test_a_deleted_branch_closes_its_pull_request(forge: ForgeStandIn, remote: Forge) -> None:
    opened = propose(remote)
    forge.delete_branch(BRANCH, by="bob")
    closed = remote.state(1)
    assert (closed.state, closed.head_commit) == ("closed", opened.head_commit)


def test_what_people_change_of_it_is_seen(forge: ForgeStandIn, remote: Forge) -> None:
    propose(remote)
    git(forge.remote, "branch", "next", "main")
    forge.retitle(1, "a better title")
    forge.retarget(1, "next")
    pushed = forge.commit(BRANCH, {"c.json": {}}, "one more")
    seen = remote.state(1)
    assert (seen.title, seen.base, seen.head_commit) == ("a better title", "next", pushed)


def test_updating_replaces_the_text_and_adds_the_rest(forge: ForgeStandIn, remote: Forge) -> None:
    propose(remote)
    told = remote.update(1, body="new", comment="hello", labels=["a"], reviewers=["ada"], team_reviewers=["core"])
    pull = forge.pulls[1]
    assert told == []
    assert (pull.body, pull.comments, pull.labels, pull.asked, pull.asked_teams) == (
        "new",
        ["hello"],
        ["a"],
        ["ada"],
        ["core"],
    )


def test_a_label_or_reviewer_that_is_refused_does_not_cost_the_others(forge: ForgeStandIn, remote: Forge) -> None:
    propose(remote)
    forge.refuse_labels({"bad"})
    forge.refuse_reviewers({"nobody", "ghosts"})
    told = remote.update(
        1, labels=["bad", "good"], reviewers=["ada", "nobody", "bob"], team_reviewers=["core", "ghosts"]
    )
    pull = forge.pulls[1]
    assert (pull.labels, pull.asked, pull.asked_teams) == (["good"], ["ada", "bob"], ["core"])
    assert [(each.kind, each.name) for each in told] == [
        (Extra.LABEL, "bad"),
        (Extra.REVIEWER, "nobody"),
        (Extra.TEAM, "ghosts"),
    ]
    assert all(each.name in each.reason and "\n" not in each.reason for each in told)


def test_closing_comments_first_and_a_second_time_does_nothing(forge: ForgeStandIn, remote: Forge) -> None:
    propose(remote)
    remote.close(1, comment="superseded")
    remote.close(1, comment="superseded")
    assert (forge.pulls[1].state, forge.pulls[1].comments) == ("closed", ["superseded"])
    assert forge.pulls[1].closed_by == forge.bot


def test_a_merged_one_is_not_closed(forge: ForgeStandIn, remote: Forge) -> None:
    propose(remote)
    forge.merge(1)
    remote.close(1, comment="superseded")
    assert (forge.pulls[1].state, forge.pulls[1].comments) == ("merged", [])


def test_checks_and_statuses_are_told_together(forge: ForgeStandIn, remote: Forge) -> None:
    propose(remote)
    assert remote.state(1).checks == Checks()
    forge.check(1, "lint", "success")
    forge.check(1, "ci/old", "success", kind="status")
    assert remote.state(1).checks == Checks(passed=2)
    forge.check(1, "tests", "running")
    assert remote.state(1).checks == Checks(passed=2, running=1)
    forge.check(1, "lint", "failure")
    assert remote.state(1).checks == Checks(passed=1, running=1, failed=("lint",))
    forge.commit(BRANCH, {"c.json": {}}, "one more")
    assert remote.state(1).checks == Checks()


def test_many_failed_checks_are_counted(forge: ForgeStandIn, remote: Forge) -> None:
    propose(remote)
    for name in "abcde":
        forge.check(1, name, "failure")
    assert remote.state(1).checks.failed == tuple("abcde")


def test_the_last_review_of_each_person_counts(forge: ForgeStandIn, remote: Forge) -> None:
    propose(remote)
    assert remote.state(1).reviews == Reviews()
    remote.update(1, reviewers=["ada", "bob", "cy"])
    assert remote.state(1).reviews == Reviews(asked=("ada", "bob", "cy"))
    forge.review(1, "ada", "request changes")
    forge.review(1, "bob", "approve")
    assert remote.state(1).reviews == Reviews(approved=("bob",), refused=("ada",), asked=("cy",))
    forge.review(1, "ada", "approve")
    forge.review(1, "ada", "comment")
    forge.review(1, "bob", "dismiss")
    assert remote.state(1).reviews == Reviews(approved=("ada",), asked=("cy",))


def test_nothing_to_propose_is_refused_in_the_forge_s_own_words(forge: ForgeStandIn, remote: Forge) -> None:
    git(forge.remote, "branch", "same", "main")
    with pytest.raises(ForgeRefusedError, match="No commits between main and same"):
        propose(remote, head="same")


def test_a_pull_request_that_is_not_there_is_refused_by_number(remote: Forge) -> None:
    with pytest.raises(ForgeRefusedError, match=r"cannot read pull request 99 in owner/reference"):
        remote.state(99)


def test_a_failing_forge_is_unavailable_and_the_next_call_goes_through(forge: ForgeStandIn, remote: Forge) -> None:
    forge.fail_next(status=502)
    with pytest.raises(ForgeUnavailableError, match="502") as failed:
        remote.find()
    assert failed.value.retry_seconds is None
    assert remote.find() == []


def test_a_forge_that_asks_to_wait_says_how_long(forge: ForgeStandIn, remote: Forge) -> None:
    forge.rate_limit(120)
    with pytest.raises(ForgeUnavailableError, match=r"wait \d+ seconds") as limited:
        remote.find()
    assert limited.value.retry_seconds == pytest.approx(120, abs=5)
