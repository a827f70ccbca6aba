"""Laws of what is made of GitHub's answers: whatever comes, it is understood or called strange, in one line."""

from __future__ import annotations

import json
from copy import deepcopy
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from refsync.exchange import Answer, moment, whole_number
from refsync.forges.base import Account
from refsync.forges.github_answers import PullAnswer, checks_of
from refsync.forges.github_customs import LetInBy, github_customs, invalid_fields
from refsync.forges.github_facts import is_button
from refsync.forges.rest import one_line

SIDE = {"ref": "topic", "sha": "a" * 40, "repo": {"id": 1, "full_name": "owner/reference"}}
PULL: dict[str, Any] = {
    "number": 1,
    "html_url": "https://example.org/1",
    "state": "open",
    "title": "t",
    "body": "b",
    "user": {"login": "ada", "name": "Ada"},
    "created_at": "2026-01-01T00:00:00Z",
    "updated_at": "2026-01-01T00:00:00Z",
    "merged_at": "2026-01-01T00:00:00Z",
    "merge_commit_sha": "b" * 40,
    "merged_by": {"login": "bob"},
    "draft": False,
    "requested_reviewers": [{"login": "cy"}],
    "requested_teams": [{"name": "core"}],
    "head": SIDE,
    "base": SIDE,
}
NULLABLE = ("body", "user", "merged_by", "merge_commit_sha", "draft", "requested_reviewers", "requested_teams")
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
header_text = st.text(st.characters(min_codepoint=32, max_codepoint=255))
headers = st.dictionaries(
    st.sampled_from(["retry-after", "x-ratelimit-remaining", "x-ratelimit-reset", "x-github-sso", "x-oauth-scopes"])
    | st.just("x-accepted-oauth-scopes"),
    header_text | st.integers().map(str),
)


@given(st.sampled_from(sorted(PULL)), json_values)
def test_a_pull_request_with_any_field_of_any_kind_is_understood_or_strange(name: str, value: Any) -> None:
    try:
        answer = PullAnswer.model_validate_json(json.dumps(PULL | {name: value}))
    except ValidationError as strange:
        named = {error["loc"][0] for error in strange.errors()}
    else:
        named = {name}
        assert answer.pull_request().state in ("open", "closed", "merged")
        assert all(isinstance(person, str) for person in answer.asked())
    assert named == {name}


@given(st.sets(st.sampled_from(NULLABLE)), st.booleans())
def test_what_github_may_leave_out_or_leave_empty_costs_no_state(names: set[str], is_null: bool) -> None:
    data = deepcopy(PULL)
    for name in names:
        del data[name]
        data |= {name: None} if is_null else {}
    pull = PullAnswer.model_validate(data).pull_request()
    assert pull.state == "merged"
    assert pull.author == (Account("ghost") if "user" in names else Account("ada", "Ada"))


@given(st.binary() | json_values.map(lambda value: json.dumps(value).encode()), headers, st.integers(400, 599))
def test_any_refusal_is_read_without_an_error(content: bytes, sent: dict[str, str], status: int) -> None:
    answer = Answer(status, sent, content)
    for let_in_by in LetInBy:
        customs = github_customs(let_in_by)
        said = one_line(customs.said(answer))
        assert isinstance(customs.asked_wait(answer, said, 0.0), float | None)
        assert "\n" not in customs.advice(answer, said)
    assert isinstance(invalid_fields(answer), set)


@given(header_text)
def test_any_header_is_a_time_or_none(text: str) -> None:
    assert isinstance(moment(text), float | None)
    assert isinstance(whole_number(text), float | None)


@given(st.lists(st.tuples(st.text(), st.text() | st.sampled_from(["success", "queued", "failure"]))))
def test_every_check_is_counted_once(results: list[tuple[str, str]]) -> None:
    assert checks_of(results, ()).total == len(results)


def test_a_button_is_known_by_its_committer_and_a_person_is_none() -> None:
    assert is_button("GitHub <noreply@github.com>")
    assert is_button("GitHub Enterprise <noreply@github.example.org>")
    assert not is_button("Ada <ada@example.org>")
    assert not is_button("GitHub <ada@example.org>")
    assert not is_button("GitHub <noreply@github.com> <x@y>")
