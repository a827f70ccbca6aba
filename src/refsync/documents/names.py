"""Names that people take for one and the same, though their characters differ."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection, Iterable, Iterator
from enum import StrEnum
from typing import NamedTuple

UNSEEN = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u180b\u180c\u180d\u180f\u2800\u3164\uffa0").union(
    map(chr, range(0xFE00, 0xFE10)), map(chr, range(0xE0100, 0xE01F0))
)
"""Printable, says Python, and yet nothing is seen of them: joiners, fillers, variation selectors."""

# Of Unicode's thousands of confusable characters (UTS 39) those of the alphabets and signs that names are typed in or
# pasted with. Its whole table takes 1 for l and rn for m, too, in which honest names differ. As two letters that differ
# in case are alike, these are, too, if they are alike in either case: Cyrillic ve as B, Greek nu as N.
_CYRILLIC = dict(zip("авсԁеһніјкӏморԛѕтуүѵԝх", "abcdehhijklmopqstyyvwx", strict=True))
_GREEK = dict(zip("αβεζηικμνορτυχϲϳ", "abezhikmnoptyxcj", strict=True))
_CAPITALS = {small.upper(): latin.upper() for small, latin in (_CYRILLIC | _GREEK).items()}
_DASHES = dict.fromkeys("\u2010\u2011\u2012\u2013\u2014\u2015\u2043\u2212\ufe58\ufe63", "-")
_SLASHES = dict.fromkeys("\u2044\u2215\u29f8", "/")
_ALIKE = str.maketrans(_CAPITALS | _CYRILLIC | _GREEK | _DASHES | _SLASHES)
_TYPEFACES = ("<wide>", "<narrow>", "<font>")


class Trait(StrEnum):
    """What two names can differ in and still look alike, in words that follow "differs by"."""

    unseen = "characters that cannot be seen"
    accents = "how its accents are composed (NFC, NFD)"
    blanks = "blanks"
    case = "case"
    alike = "characters that look the same (of other alphabets, dashes, typefaces)"


class Twins(NamedTuple):
    """Two names that look alike, the one that came first, and in what they differ: nothing, for the same name twice."""

    first: str
    second: str
    traits: tuple[Trait, ...]


def look_alikes(names: Iterable[str]) -> Iterator[Twins]:
    """Each name that stands behind one that it looks like, with the first such one.

    >>> [(twins.second, *twins.traits) for twins in look_alikes(["Alpha", "beta", "alpha", "beta"])]
    [('alpha', <Trait.case: 'case'>), ('beta',)]
    """
    first: dict[str, str] = {}
    for name in names:
        looks = folded(name)
        if looks in first:
            yield Twins(first[looks], name, differing_traits(first[looks], name))
        else:
            first[looks] = name


def look_alike(name: str, names: Iterable[str]) -> Twins | None:
    """The first of the other names that a name looks like.

    >>> look_alike("alpha", ["beta", "Alpha", "alpha"])
    Twins(first='Alpha', second='alpha', traits=(<Trait.case: 'case'>,))
    """
    looks = folded(name)
    other = next((each for each in names if each != name and folded(each) == looks), None)
    return None if other is None else Twins(other, name, differing_traits(other, name))


def folded(name: str) -> str:
    """A text that names have in common if and only if they look alike."""
    if name.isascii():
        return " ".join(name.split()).casefold()
    return _fold(name, frozenset(Trait))


def differing_traits(a: str, b: str) -> tuple[Trait, ...]:
    """In what two names that look alike differ: one that is enough, or each that is needed."""
    if a == b:
        return ()
    alone = next((trait for trait in Trait if _fold(a, {trait}) == _fold(b, {trait})), None)
    return (alone,) if alone else tuple(trait for trait in Trait if _needs(a, b, trait))


def _needs(a: str, b: str, trait: Trait) -> bool:
    others = set(Trait) - {trait}
    return _fold(a, others) != _fold(b, others)


def _fold(name: str, traits: Collection[Trait]) -> str:
    """The name without what the traits make of it; accents apart while case is folded, which takes them as they are.

    A styled letter has no case until it is plain, and some are of an alphabet only once it is folded (the micro sign).
    """
    if Trait.unseen in traits:
        name = "".join(c for c in name if c not in UNSEEN and unicodedata.category(c) != "Cf")
    if Trait.accents in traits:
        name = unicodedata.normalize("NFD", name)
    if Trait.alike in traits:
        name = "".join(map(_in_plain_type, name))
    if Trait.case in traits:
        name = name.casefold()
    if Trait.alike in traits:
        name = "".join(map(_in_latin, name))
    if Trait.accents in traits:
        name = unicodedata.normalize("NFC", name)
    return re.sub(r"\s+", " ", name).strip() if Trait.blanks in traits else name


def _in_plain_type(character: str) -> str:
    is_styled = unicodedata.decomposition(character).startswith(_TYPEFACES)
    return unicodedata.normalize("NFKC", character) if is_styled else character


def _in_latin(character: str) -> str:
    """The letter that it looks like, with its accents."""
    return unicodedata.normalize("NFC", unicodedata.normalize("NFD", character).translate(_ALIKE))
