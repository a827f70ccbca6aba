"""Which names look alike, and in what they differ."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.documents.names import Trait, differing_traits, folded, look_alike, look_alikes

NAMES = st.text(st.sampled_from("aAbéÉßẞ\u0301\u200b\ufe0f \u00a0\tI\u0131\u0130Σς"), max_size=6)


@pytest.mark.parametrize(
    ("other", "traits"),
    [
        ("café au lait", ()),
        ("Café Au Lait", (Trait.case,)),
        ("cafe\u0301 au lait", (Trait.accents,)),
        (" café  au\u00a0lait", (Trait.blanks,)),
        ("caf\u200bé au lait\ufeff", (Trait.unseen,)),
        ("CAFE\u0301 au lait ", (Trait.accents, Trait.blanks, Trait.case)),
    ],
)
def test_two_names_that_look_alike_are_told_with_what_they_differ_in(other: str, traits: tuple[Trait, ...]) -> None:
    (twins,) = look_alikes(["café au lait", "cafe au lait", other])
    assert (twins.first, twins.second, twins.traits) == ("café au lait", other, traits)


def test_a_name_to_be_is_compared_with_those_that_are_there() -> None:
    assert look_alike("a", ["a", "b"]) is None
    found = look_alike("a", ["b", "A", "a "])
    assert found is not None
    assert found.first == "A"


@given(NAMES)
def test_a_name_looks_like_itself_however_it_is_written(name: str) -> None:
    for written in (name.casefold(), unicodedata.normalize("NFD", name), f" {name} ", f"\u200d{name}"):
        assert folded(written) == folded(name)


@given(NAMES, NAMES)
def test_names_that_look_alike_differ_in_something_unless_they_are_the_same(a: str, b: str) -> None:
    if folded(a) == folded(b):
        assert (differing_traits(a, b) == ()) == (a == b)
    else:
        assert list(look_alikes([a, b])) == []


@given(NAMES)
def test_ascii_is_no_special_case(name: str) -> None:
    plain = "".join(c for c in name if c.isascii())
    assert folded(plain) == folded(f"{plain}\u200b")
