"""Which models went to another name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.review.renames import renames

Record = dict[str, Any]
BIG: Record = {"name": "old", "type": "ckpt", "style": "anime", "size": 5, "version": "1", "config": {"sha": "abc"}}


def test_a_record_that_is_the_same_or_nearly_so_was_renamed() -> None:
    assert renames({"old": BIG}, {"new": BIG | {"name": "new"}}) == {"new": "old"}
    assert renames({"old": BIG}, {"new": BIG | {"name": "new", "version": "2"}}) == {"new": "old"}


@pytest.mark.parametrize(
    ("gone", "come"),
    [
        ({"old": BIG}, {"new": BIG | {"name": "new", "type": "x", "style": "y", "size": 6}}),
        ({"old": {"name": "old"}}, {"new": {"name": "new"}}),
        ({"old": {}}, {"new": {}}),
        ({"old": BIG, "other": BIG | {"name": "other"}}, {"new": BIG | {"name": "new"}}),
        ({"old": BIG}, {"new": BIG | {"name": "new"}, "newer": BIG | {"name": "newer"}}),
    ],
)
def test_what_is_like_it_by_chance_or_like_several_was_not(gone: dict[str, Record], come: dict[str, Record]) -> None:
    assert renames(gone, come) == {}


RECORDS = st.dictionaries(
    st.sampled_from("abcdef"),
    st.dictionaries(st.sampled_from(["name", "x", "y"]), st.integers(0, 1) | st.sampled_from("ab"), max_size=3),
    max_size=5,
)


@given(RECORDS, RECORDS)
def test_no_model_is_renamed_twice_and_none_that_is_not_there(gone: dict[str, Record], come: dict[str, Record]) -> None:
    found = renames(gone, come)
    assert set(found) <= set(come)
    assert set(found.values()) <= set(gone)
    assert len(set(found.values())) == len(found)
