"""Which shape a file has that nobody has described."""

from __future__ import annotations

from typing import Any

import pytest

from refsync.documents.shape_guess import guess_shape

ONE, TWO = {"cost": 1, "files": {"a": {"x": 1}, "b": {"x": 1}}}, {"cost": 2, "files": {"c": {"x": 1}}}


@pytest.mark.parametrize(
    ("root", "words"),
    [
        ({"a": ONE, "b": TWO}, ""),
        ({"$schema": "s", "a": ONE, "b": TWO, "c": ONE}, ""),
        ({"version": 1, "models": {"a": ONE, "b": TWO}}, "models"),
        ({"data": {"llm": {"a": ONE, "b": TWO}}}, "data.llm"),
        ([{"name": "a"} | ONE, {"name": "b"} | TWO], "[name]"),
        ([{"id": "a", "name": "x"}, {"id": "b", "name": "x"}], "[id]"),
        ({"vendor": "v", "models": [{"id": "a"} | ONE, {"id": "b"} | TWO]}, "models[id]"),
    ],
)
def test_records_are_found_where_the_most_that_look_alike_stand(root: Any, words: str) -> None:
    assert str(guess_shape(root)) == words


@pytest.mark.parametrize(
    "root",
    [{}, [], 1, {"name": "x", "scripts": {"a": "b"}}, [{"id": "a"}, {"id": "a"}], {"a": {"x": 1}, "b": {"y": 1}}],
)
def test_what_holds_no_records_is_not_taken_for_a_registry(root: Any) -> None:
    assert guess_shape(root) is None
