"""Which names look alike, and in what they differ."""

from __future__ import annotations

import unicodedata

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from refsync.documents.names import Trait, differing_traits, folded, look_alike, look_alikes

NAMES = st.text(
    st.sampled_from("aAbBéÉßẞ\u0301\u200b\ufe0f \u00a0\tI\u0131\u0130Σς")
    | st.sampled_from(
        "\u0410\u0432\u0412\u0451\u0457\u03b2\u03d0\u00b5\u039c\u1fb3\uff21\U0001d400\u210d-\u2011/\u2215\uff76\uff9e"
    ),
    max_size=6,
)
CYRILLIC_A, GREEK_A, WIDE_A, BOLD_A = "\u0430", "\u03b1", "\uff41", "\U0001d41a"


@pytest.mark.parametrize(
    ("other", "traits"),
    [
        ("café au lait", ()),
        ("Café Au Lait", (Trait.case,)),
        ("cafe\u0301 au lait", (Trait.accents,)),
        (" café  au\u00a0lait", (Trait.blanks,)),
        ("caf\u200bé au lait\ufeff", (Trait.unseen,)),
        ("CAFE\u0301 au lait ", (Trait.accents, Trait.blanks, Trait.case)),
        *((f"c{a}fé au lait", (Trait.alike,)) for a in (CYRILLIC_A, GREEK_A, WIDE_A, BOLD_A)),
        ("cafe\u0301 au l\u0430it", (Trait.accents, Trait.alike)),
        ("C\u0410FÉ AU LAIT", (Trait.case, Trait.alike)),
    ],
)
def test_two_names_that_look_alike_are_told_with_what_they_differ_in(other: str, traits: tuple[Trait, ...]) -> None:
    (twins,) = look_alikes(["café au lait", "cafe au lait", other])
    assert (twins.first, twins.second, twins.traits) == ("café au lait", other, traits)


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("ViT-L/14", "ViT\u2011L\u221514"),
        ("VAE", "V\u0410\u0415"),
        ("Opus", "\u039f\u03c1us"),
        ("no\u00ebl", "no\u0451l"),
        ("HR", "\u041dR"),
        ("scope", "\u0455\u0441\u043e\u0440\u0435"),
    ],
)
def test_letters_and_signs_of_other_kinds_look_alike(name: str, other: str) -> None:
    assert [twins.traits for twins in look_alikes([name, other])] == [(Trait.alike,)]


@pytest.mark.parametrize(
    ("name", "other"),
    [("l0", "10"), ("modern", "modem"), ("v2", "v\u00b2"), ("\u043f\u0438\u0440", "nup"), ("uv", "vu")],
)
def test_names_that_a_reader_tells_apart_are_two(name: str, other: str) -> None:
    assert not list(look_alikes([name, other]))


def test_a_name_to_be_is_compared_with_those_that_are_there() -> None:
    assert look_alike("a", ["a", "b"]) is None
    found = look_alike("a", ["b", "A", "a "])
    assert found is not None
    assert found.first == "A"


@given(NAMES)
@example("\u03b1\u0345\u0301")
def test_a_name_looks_like_itself_however_it_is_written(name: str) -> None:
    taken_apart = unicodedata.normalize("NFD", name)  # before it is folded (Unicode, D145): U+0345 becomes a letter
    for written in (taken_apart.casefold(), taken_apart, f" {name} ", f"\u200d{name}"):
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
