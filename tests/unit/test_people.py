from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync import accounts
from refsync.errors import NotAllowedError
from refsync.pending_queue.models import REFSYNC, SYSTEM, Actor
from refsync.pending_queue.people import Identity, People, ReviewRules, Role, is_same_person


def people(*names: str) -> frozenset[Identity]:
    return frozenset(map(Identity.parse, names))


TEAM = People(people("ada"), people("bob", "horde:12"), {"clip": people("dave")}, people("carol"))


def system(name: str, *, user: str | None = None) -> Actor:
    return Actor(name, name, user or name)


@pytest.mark.parametrize(
    ("name", "roles"),
    [
        ("ada", {"submit"}),
        ("bob", {"submit", "clip", "blip", "all"}),
        ("dave", {"submit", "clip"}),
        ("carol", {"submit", "clip", "blip", "all", "operate"}),
        ("eve", set()),
    ],
)
def test_who_has_a_role_may_what_it_takes(name: str, roles: set[str]) -> None:
    asked = {
        "submit": TEAM.why_not(system(name), Role.requestor),
        "clip": TEAM.why_not(system(name), Role.approver, ["clip"]),
        "blip": TEAM.why_not(system(name), Role.approver, ["clip", "blip"]),
        "all": TEAM.why_not(system(name), Role.approver),
        "operate": TEAM.why_not(system(name), Role.operator),
    }
    assert {what for what, refusal in asked.items() if refusal is None} == roles
    assert all("\n" not in refusal and "who may" in refusal for refusal in asked.values() if refusal)


def test_nobody_is_whom_another_provider_vouches_for() -> None:
    assert TEAM.why_not(Actor("12", "Bob", provider="horde"), Role.approver, ["clip"]) is None
    assert TEAM.why_not(system("12"), Role.approver, ["clip"]) == (
        "12 may not review changes of clip; who may: bob, carol, dave, horde:12"
    )
    assert TEAM.why_not(Actor("bob", "Bob", provider="horde"), Role.requestor)


@pytest.mark.parametrize("actor", [system("bob", user="ada"), Actor("12", "Bob", "ada", "horde")])
def test_only_an_operator_acts_as_somebody_else(actor: Actor) -> None:
    refusal = f"ada may not act as {Identity.of(actor)}; who may act as others: carol"
    assert TEAM.why_not(actor, Role.approver, ["clip"]) == refusal
    claimed = Actor(actor.id, actor.username, "carol", actor.provider)
    assert TEAM.why_not(claimed, Role.approver, ["clip"]) is None
    assert TEAM.why_not(system("eve", user="carol"), Role.requestor)  # who is nobody stays nobody


def test_of_the_systems_people_the_process_has_to_say_whose_it_is() -> None:
    assert TEAM.why_not(Actor("bob", "Bob"), Role.requestor) == (
        "who does not say whose process it is may not act as bob; who may act as others: carol"
    )


def test_a_refusal_names_a_few_of_very_many() -> None:
    many = People(requestors=people(*(f"person{number:02}" for number in range(20))))
    refusal = many.why_not(system("eve"), Role.requestor)
    assert refusal is not None
    assert refusal.endswith("person06, person07 and 12 more")
    assert People().why_not(system("eve"), Role.operator) == "eve may not do that; who may: nobody"


ACTORS = st.builds(
    Actor,
    st.sampled_from("ab"),
    st.just("Name"),
    st.sampled_from([None, "a", "b"]),
    st.sampled_from([SYSTEM, "horde"]),
)


@given(ACTORS, ACTORS)
def test_two_are_one_person_by_identity_or_by_user(one: Actor, other: Actor) -> None:
    alike = (one.id, one.provider) == (other.id, other.provider) or (one.os_user == other.os_user is not None)
    assert is_same_person(one, other) == is_same_person(other, one) == alike
    if alike:
        with pytest.raises(NotAllowedError, match=r"change 7 was proposed by .*; another person has to approve it"):
            ReviewRules(two_persons=True).check_two_persons(7, one, other)
    else:
        ReviewRules(two_persons=True).check_two_persons(7, one, other)
    ReviewRules().check_two_persons(7, one, other)


def test_refsync_itself_may_and_who_only_calls_itself_so_may_not() -> None:
    ReviewRules(TEAM).check(REFSYNC, Role.operator)
    with pytest.raises(NotAllowedError):
        ReviewRules(TEAM).check(Actor("refsync", "refsync"), Role.requestor)


def test_only_root_is_believed_who_called_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("refsync.accounts.os.getuid", lambda: 0)
    assert accounts.acting_account({"SUDO_USER": "ada"}) == "ada"
    assert accounts.acting_account({}) == "root"
    monkeypatch.setattr("refsync.accounts.os.getuid", lambda: 987_654)
    assert accounts.acting_account({"SUDO_USER": "ada"}) == "987654"
