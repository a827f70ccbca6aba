"""What GitHub lets a credential see and do: what each permission is for, and what a refusal advises."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refsync.credentials import Credential
from refsync.errors import ForgeRefusedError, ForgeUnavailableError
from refsync.forges.base import Account, Checks, Extra
from refsync.forges.github import GitHubForge, open_github
from refsync.forges.github_app import app_credential
from refsync.forges.github_customs import LetInBy, github_customs
from refsync.forges.rest import RestApi
from tests.support.forge import ForgeStandIn, unhurried
from tests.support.forge_api import Answer, Request

BRANCH = "refsync/batch-1-3f2a9c"
NEEDED = {"contents": "write", "pull_requests": "write"}


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[ForgeStandIn]:
    with ForgeStandIn(tmp_path) as stand_in:
        stand_in.commit("main", {"image.json": {"a": {}}}, "first")
        stand_in.commit(BRANCH, {"image.json": {"a": {}, "b": {}}}, "Create b")
        yield stand_in


@pytest.fixture
def github(forge: ForgeStandIn) -> GitHubForge:
    return open_github(
        forge.repository, base_url=forge.url, credential=lambda: Credential("x", "ghp_secret"), pace=unhurried()
    )


class AnsweringForge(ForgeStandIn):
    """Answers some paths in a way of its own."""

    answers: dict[str, Answer]

    def handle(self, request: Request) -> Answer | None:
        for ending, answer in self.answers.items():
            if f"{request.method} {request.path}".endswith(ending):
                return answer
        return super().handle(request)


@pytest.fixture
def answering(tmp_path: Path) -> Iterator[AnsweringForge]:
    with AnsweringForge(tmp_path / "answering") as stand_in:
        stand_in.answers = {}
        stand_in.commit("main", {"image.json": {"a": {}}}, "first")
        stand_in.commit(BRANCH, {"image.json": {"a": {}, "b": {}}}, "Create b")
        yield stand_in


def ended(forge: ForgeStandIn, how: str) -> int:
    number = forge.open_by_person(BRANCH, "topic")
    if how != "open":
        (forge.merge if how == "merged" else forge.close)(number, by="bob")
    return number


# What the permissions that the README names are for


@pytest.mark.parametrize("outcome", ["open", "merged", "closed"])
def test_contents_and_pull_requests_are_enough_for_every_state_with_its_names(
    forge: ForgeStandIn, github: GitHubForge, outcome: str
) -> None:
    forge.permit(**NEEDED)
    pull = github.state(ended(forge, outcome))
    assert pull.state == outcome
    assert {"merged": pull.merged_by, "closed": pull.closed_by}.get(outcome, Account("bob", "Bob")) == Account(
        "bob", "Bob"
    )


def test_they_are_enough_for_all_that_is_written(forge: ForgeStandIn, github: GitHubForge) -> None:
    forge.permit(**NEEDED)
    number = github.open(head=BRANCH, base="main", title="t", body="b").number
    assert github.update(number, body="new", comment="word", labels=["l"], reviewers=["ada"]) == []
    github.close(number, comment="closed")
    assert (forge.pulls[number].state, forge.pulls[number].comments) == ("closed", ["word", "closed"])


@pytest.mark.parametrize(
    ("more", "checks"),
    [
        ({}, Checks(lacking=("checks=read", "statuses=read"))),
        ({"checks": "read"}, Checks(passed=1, lacking=("statuses=read",))),
        ({"statuses": "read"}, Checks(failed=("old",), lacking=("checks=read",))),
        ({"checks": "read", "statuses": "read"}, Checks(passed=1, failed=("old",))),
    ],
)
def test_what_cannot_be_read_of_the_checks_is_said(
    forge: ForgeStandIn, github: GitHubForge, more: dict[str, str], checks: Checks
) -> None:
    number = ended(forge, "open")
    forge.check(number, "lint", "success")
    forge.check(number, "old", "failure", kind="status")
    forge.permit(**NEEDED, **more)
    assert github.state(number).checks == checks


@pytest.mark.parametrize("status", [403, 404, 410, 422, 500])
@pytest.mark.parametrize("outcome", ["merged", "closed"])
def test_whatever_only_adds_a_name_is_not_needed_to_learn_a_state(
    answering: AnsweringForge, status: int, outcome: str
) -> None:
    number = ended(answering, outcome)
    answering.left_out_fields = {"merged_by", "merge_commit_sha", "requested_reviewers", "requested_teams", "draft"}
    answering.answers = {end: Answer(status, {"message": "no"}) for end in ("/timeline", "/users/bob", "/issues/1")}
    github = open_github(answering.repository, base_url=answering.url, credential=None)
    assert github.state(number).state == outcome


@pytest.mark.parametrize("path", ["/reviews", "/check-runs", "/status"])
@pytest.mark.parametrize("answer", [Answer(404, {}), Answer(410, {}), Answer(200, {"a": 1}), Answer(200, "<html>")])
def test_what_only_adds_to_an_open_one_is_not_needed_either(
    answering: AnsweringForge, path: str, answer: Answer
) -> None:
    number = ended(answering, "open")
    answering.answers = {path: answer}
    pull = open_github(answering.repository, base_url=answering.url, credential=None).state(number)
    assert pull.state == "open"
    assert not pull.reviews.are_readable or pull.checks.lacking


def test_a_merge_commit_that_is_left_out_is_asked_of_the_merge_event(forge: ForgeStandIn, github: GitHubForge) -> None:
    forge.left_out_fields = {"merge_commit_sha"}
    number = forge.open_by_person(BRANCH, "topic")
    commit = forge.merge(number, by="bob", style="squash")
    merged = github.state(number)
    assert (merged.state, merged.merge_commit, merged.merged_by) == ("merged", commit, Account("bob", "Bob"))


def test_the_last_who_closed_it_is_named(forge: ForgeStandIn, github: GitHubForge) -> None:
    number = ended(forge, "closed")
    forge.reopen(number)
    forge.close(number, by="cy")
    forge.page_size = 1
    assert github.state(number).closed_by == Account("cy", "Cy")


# All pages


def test_every_page_of_checks_and_statuses_is_read(forge: ForgeStandIn, github: GitHubForge) -> None:
    number = ended(forge, "open")
    forge.page_size = 2
    for place in range(5):
        forge.check(number, f"run {place}", "success" if place < 4 else "failure")
        forge.check(number, f"status {place}", "success" if place < 4 else "failure", kind="status")
    assert github.state(number).checks == Checks(passed=8, failed=("run 4", "status 4"))


def test_more_that_lies_on_another_host_is_not_fetched(tmp_path: Path, answering: AnsweringForge) -> None:
    with ForgeStandIn(tmp_path / "elsewhere") as elsewhere:
        answering.answers = {"/pulls": Answer(200, [], {"Link": f'<{elsewhere.url}/pulls?page=2>; rel="next"'})}
        github = open_github(answering.repository, base_url=answering.url, credential=lambda: Credential("x", "s"))
        with pytest.raises(ForgeUnavailableError, match="sends for more to another host"):
            github.find()
        assert elsewhere.requests == []


# A forge that has not caught up


def test_a_head_that_is_not_known_yet_is_asked_for_again_at_once(forge: ForgeStandIn) -> None:
    pauses: list[float] = []
    pace = unhurried()
    pace.sleep = pauses.append
    github = open_github(forge.repository, base_url=forge.url, credential=None, pace=pace)
    forge.lag_behind_pushes(2)
    assert github.open(head=BRANCH, base="main", title="t", body="b").number == 1
    assert pauses == [1.0, 2.0]


def test_a_head_that_stays_unknown_is_refused(forge: ForgeStandIn, github: GitHubForge) -> None:
    with pytest.raises(ForgeRefusedError, match="head invalid"):
        github.open(head="refsync/none", base="main", title="t", body="b")


# Comments


def test_a_comment_whose_answer_was_lost_is_not_made_twice(forge: ForgeStandIn, github: GitHubForge) -> None:
    number = ended(forge, "open")
    forge.cut_next("POST")
    with pytest.raises(ForgeUnavailableError):
        github.update(number, comment="Rebuilt on `abc`.")
    assert github.update(number, comment="Rebuilt on `abc`.") == []
    assert forge.pulls[number].comments == ["Rebuilt on `abc`."]


def test_a_comment_that_is_refused_keeps_nothing_open(forge: ForgeStandIn, github: GitHubForge) -> None:
    number = ended(forge, "open")
    forge.lock_conversation(number)
    [refused] = github.update(number, comment="word", labels=["models"])
    assert (refused.kind, forge.pulls[number].labels) == (Extra.COMMENT, ["models"])
    assert "unlock the conversation" in refused.reason
    github.close(number, comment="word")
    assert forge.pulls[number].state == "closed"


def test_a_draft_is_known_as_one(forge: ForgeStandIn, github: GitHubForge) -> None:
    number = ended(forge, "open")
    forge.draft(number)
    assert github.state(number).is_draft


# What a refusal says


def answer(status: int, message: str, **headers: str) -> Answer:
    return Answer(status, {"message": message}, {name.replace("_", "-"): text for name, text in headers.items()})


SSO = "required; url=https://github.com/orgs/acme/sso?authorization_request=A1"


@pytest.mark.parametrize(
    ("refusal", "advice"),
    [
        (answer(403, "Resource protected by organization SAML enforcement.", X_GitHub_SSO=SSO), SSO.split("url=")[1]),
        (answer(403, "Repository was archived so is read-only."), "unarchive the repository"),
        (answer(403, "Sorry. Your account was suspended."), "lift the suspension"),
        (answer(403, "no", X_Accepted_GitHub_Permissions="pull_requests=write"), "pull_requests=write"),
        (answer(403, "no", X_OAuth_Scopes="", X_Accepted_OAuth_Scopes="repo"), "the scope repo (it has: none)"),
    ],
)
def test_a_refusal_says_what_helps(answering: AnsweringForge, refusal: Answer, advice: str) -> None:
    answering.answers = {"/pulls": refusal}
    with pytest.raises(ForgeRefusedError) as refused:
        open_github(answering.repository, base_url=answering.url, credential=None).find()
    assert advice in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize("said", ["You have exceeded a secondary rate limit.", "You have triggered an abuse detection"])
def test_a_secondary_limit_is_one_by_its_newer_and_older_words(answering: AnsweringForge, said: str) -> None:
    answering.answers = {"/pulls": answer(403, said)}
    with pytest.raises(ForgeUnavailableError) as limited:
        open_github(answering.repository, base_url=answering.url, credential=None).find()
    assert limited.value.retry_seconds == 60


STRANGE: list[tuple[Any, str]] = [
    ([{"number": 1}], "0.html_url: Field required"),
    ([{"number": "x"}], "0.number: Input should be a valid integer"),
    ({"message": "hello"}, "Input should be a valid array"),
]


@pytest.mark.parametrize(("data", "field"), STRANGE)
def test_a_strange_answer_names_the_field(answering: AnsweringForge, data: Any, field: str) -> None:
    answering.answers = {"/pulls": Answer(200, data)}
    with pytest.raises(ForgeUnavailableError, match="answers what GitHub does not") as strange:
        open_github(answering.repository, base_url=answering.url, credential=None).find()
    assert field in str(strange.value)


def test_what_git_would_take_for_an_option_is_no_commit(answering: AnsweringForge) -> None:
    ended(answering, "open")
    [pull] = plain(answering, "/pulls")
    pull["head"]["sha"] = "--output=/tmp/x"
    answering.answers = {"/pulls": Answer(200, [pull])}
    with pytest.raises(ForgeUnavailableError, match=r"0\.head\.sha: String should match pattern"):
        open_github(answering.repository, base_url=answering.url, credential=None).find()


def plain(forge: ForgeStandIn, path: str) -> Any:
    api = RestApi(forge.url, None, github_customs(LetInBy.NOTHING))
    return api.read(f"/repos/{forge.repository}{path}", object, doing="look")


def test_an_answer_that_drips_ends(forge: ForgeStandIn) -> None:
    github = open_github(forge.repository, base_url=forge.url, credential=None, timeout_seconds=0.5)
    ended(forge, "open")
    forge.drip_next(0.05)
    with pytest.raises(ForgeUnavailableError, match=r"does not answer to the end within 2 seconds"):
        github.find()


# An App's token


def minted(forge: ForgeStandIn, key: Path, **more: Any) -> str:
    return app_credential(app_id=7, installation_id=42, key_file=key, base_url=forge.url, **more)().secret


def test_an_app_s_token_is_good_for_the_one_repository_and_what_is_needed(forge: ForgeStandIn) -> None:
    key = forge.install_app()
    minted(forge, key, repository=lambda: forge.repository)
    minted(forge, key, repository=lambda: forge.repository, is_for_review=False)
    assert forge.app
    assert [asked["repositories"] for asked in forge.app.asked] == [["reference"], ["reference"]]
    assert forge.app.asked[0]["permissions"] == NEEDED | {"checks": "read", "statuses": "read"}
    assert forge.app.asked[1]["permissions"] == {"contents": "write"}


def test_an_app_that_may_not_read_checks_gets_a_token_all_the_same(forge: ForgeStandIn) -> None:
    key = forge.install_app()
    assert forge.app
    forge.app.permissions = dict(NEEDED)
    secret = minted(forge, key, repository=lambda: forge.repository)
    assert forge.app.granted[secret] == NEEDED


def test_an_app_of_a_repository_that_was_renamed_gets_a_token(forge: ForgeStandIn) -> None:
    key = forge.install_app()
    forge.rename("owner/renamed")
    assert minted(forge, key, repository=lambda: "owner/reference")


def test_an_app_that_may_not_open_pull_requests_is_told_what_to_grant(forge: ForgeStandIn) -> None:
    key = forge.install_app()
    assert forge.app
    forge.app.permissions = {"contents": "read"}
    with pytest.raises(ForgeRefusedError, match="grant the App contents=write and pull_requests=write"):
        minted(forge, key, repository=lambda: forge.repository)


def test_an_app_s_own_key_is_advised_about_the_installation(forge: ForgeStandIn) -> None:
    key = forge.install_app()
    with pytest.raises(ForgeRefusedError, match="check app_installation_id"):
        app_credential(app_id=7, installation_id=43, key_file=key, base_url=forge.url)()


# Proxies


@pytest.mark.parametrize("proxy", ["socks5://me:hidden@127.0.0.1:9", "ftp://me:hidden@x", "http://[", "me:hidden@x:1"])
def test_a_proxy_that_cannot_be_used_is_one_line(
    forge: ForgeStandIn, github: GitHubForge, monkeypatch: pytest.MonkeyPatch, proxy: str
) -> None:
    monkeypatch.setenv("HTTP_PROXY", proxy)
    with pytest.raises(ForgeUnavailableError) as refused:
        github.find()
    assert "hidden" not in str(refused.value)
    assert forge.requests == []
