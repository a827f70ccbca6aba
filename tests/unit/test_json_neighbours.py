"""Where new models and list elements stand, what they look like beside their neighbours, and how a fault is told."""

from __future__ import annotations

from typing import Any

import pytest

from refsync.documents import alignment
from refsync.documents.json_document import edit_records, new_document, read_document, read_records
from refsync.documents.merge import MergeConflict, describe_conflict, describe_difference, merge_record
from refsync.errors import DocumentError


def names_after(names: list[str], *new: str) -> list[str]:
    text = "{" + ", ".join(f'"{name}": {{}}' for name in names) + "}"
    return list(read_records(edit_records(text.encode(), {name: {} for name in new})))


def with_list(before: str, after: list[Any]) -> str:
    """The text of a list in a record once it shall have these elements."""
    text = f'{{"m": {{"t": {before}}}}}'
    return edit_records(text.encode(), {"m": {"t": after}}).decode().removeprefix('{"m": {"t": ').removesuffix("}}")


# New models.


@pytest.mark.parametrize(
    ("new", "place"), [("aaa", 0), ("Bravo", 2), ("bravo", 2), ("Charlie", 2), ("eta", 3), ("Zeta", 4), ("zeta", 4)]
)
def test_a_file_sorted_without_regard_to_case_stays_so(new: str, place: int) -> None:
    names = ["alpha", "Beta", "delta", "Gamma"]
    assert names_after(names, new) == [*names[:place], new, *names[place:]]


def test_names_that_differ_in_case_only_are_sorted() -> None:
    assert names_after(["a", "A", "b", "d"], "C") == ["a", "A", "b", "C", "d"]


def test_names_sorted_by_code_points_stay_so() -> None:
    assert names_after(["A", "B", "a", "b"], "C", "c") == ["A", "B", "C", "a", "b", "c"]


MIXED = [
    '  "a": {"v": 1}',
    '  "b": {"v": 1}',
    '  "c": {"v": 1}',
    '  "x": {\n    "v": 1\n  }',
    '  "y": {\n    "v": 1\n  }',
    '  "z": {\n    "v": 1\n  }',
]


@pytest.mark.parametrize(
    ("name", "place", "written"),
    [
        ("0", 0, '  "0": {"v": 2}'),
        ("aa", 1, '  "aa": {"v": 2}'),
        ("bb", 2, '  "bb": {"v": 2}'),
        ("yy", 5, '  "yy": {\n    "v": 2\n  }'),
        ("zz", 6, '  "zz": {\n    "v": 2\n  }'),
    ],
)
def test_a_new_model_looks_like_its_neighbours(name: str, place: int, written: str) -> None:
    before = "{\n" + ",\n".join(MIXED) + "\n}\n"
    after = "{\n" + ",\n".join([*MIXED[:place], written, *MIXED[place:]]) + "\n}\n"
    assert edit_records(before.encode(), {name: {"v": 2}}).decode() == after


# Elements of lists.


@pytest.mark.parametrize(
    ("before", "after", "written"),
    [
        ("[1, 2,  4]", [1, 2, 3, 4], "[1, 2,  3,  4]"),
        ("[1,2,4]", [0, 1, 2, 4], "[0,1,2,4]"),
        ("[1 , 2]", [1, 2, 3], "[1 , 2, 3]"),
        ("[1]", [0, 1], "[0, 1]"),
        ("[1]", [1, 2], "[1, 2]"),
        ("[ 1 ]", [1, 2], "[ 1, 2 ]"),
        ("[1, 2]", [2], "[2]"),
        ("[1,   2, 3]", [2, 3], "[2, 3]"),
        ("[1,   2, 3]", [0, 2, 3], "[0,   2, 3]"),
        ("[1,   2, 3]", [9, 1, 2, 3], "[9,   1,   2, 3]"),
        ("[1,2,   3]", [2, 9, 3], "[2,   9,   3]"),
        ("[\n 1,\n 2\n]", [2], "[\n 2\n]"),
        ("[\n 1\n]", [1, 2], "[\n 1,\n 2\n]"),
        ("[\n 1,\n 2\n]", [1, 2, 3], "[\n 1,\n 2,\n 3\n]"),
        ("[\n 1,\n 2\n]", [0, 1, 2], "[\n 0,\n 1,\n 2\n]"),
        ("[\n 1, 2,\n 3, 4\n]", [1, 2, 4], "[\n 1, 2,\n 4\n]"),
        ("[\n 1, 2,\n 3, 4\n]", [1, 2, 5, 3, 4], "[\n 1, 2, 5,\n 3, 4\n]"),
        ("[\n 1, 2,\n 3, 4\n]", [2, 3, 4], "[\n 2,\n 3, 4\n]"),
        ('[{"a":1,"b":2}, {"c":1}]', [{"b": 2, "a": 1}, {"x": 1}, {"c": 1}], '[{"a":1,"b":2}, {"x": 1}, {"c":1}]'),
    ],
)
def test_elements_come_and_go_in_the_style_of_the_others(before: str, after: list[Any], written: str) -> None:
    assert with_list(before, after) == written


def test_an_element_is_known_again_with_its_keys_in_another_order() -> None:
    assert with_list('[{"z":1}, {"a":1,"b":2}]', [{"b": 2, "a": 1}]) == '[{"a":1,"b":2}]'


def test_an_element_is_known_again_among_many_of_its_kind() -> None:
    assert with_list(f"[9, {', '.join(['1e0'] * 250)}]", [1.0] * 250) == f"[{', '.join(['1e0'] * 250)}]"


@pytest.mark.parametrize("limit", [0, 8, 9, 100])
def test_a_list_too_long_to_compare_is_changed_place_by_place(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(alignment, "_LIST_LIMIT", limit)
    kept = limit >= 9
    assert with_list("[1.0,  1e1, 3]", [0, 1.0, 10.0]) == ("[0,  1.0,  1e1]" if kept else "[0,  1.0, 10.0]")
    assert with_list("[1.0,  1e1, 3]", [1.0, 10.0, 4]) == "[1.0,  1e1, 4]"


# Faults.


@pytest.mark.parametrize(
    ("text", "line", "column"),
    [
        ('{\n  "a": {"x": 1,\n        "x": 2},\n  "b": {}\n}\n', 3, 9),
        ('{\n  "a": {"x": 1, "x": 2}, "b": {},\n  "c": {}\n}\n', 2, 17),
    ],
)
def test_a_fault_is_told_with_its_place(text: str, line: int, column: int) -> None:
    with pytest.raises(DocumentError) as fault:
        read_document(text.encode()).check_editable()
    assert (fault.value.line, fault.value.column) == (line, column)


@pytest.mark.parametrize(("length", "told"), [(78, "k" * 78 + '"'), (79, "k" * 78 + "…"), (200, "k" * 78 + "…")])
def test_a_long_name_in_a_fault_is_cut_at_eighty_characters(length: int, told: str) -> None:
    with pytest.raises(DocumentError) as fault:
        read_document(f'{{"{"k" * length}": {{}}, "{"k" * length}": {{}}}}'.encode()).check_editable()
    assert fault.value.reason == f'the key "{told} is there twice'


@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_no_document_is_made_with_a_number_that_json_has_not(number: float) -> None:
    with pytest.raises(ValueError, match="JSON compliant"):
        new_document({"m": {"n": number}})


# Telling records apart.


@pytest.mark.parametrize(
    ("one", "other", "line"),
    [
        ({"n": 1}, {"n": None}, "n: was 1, is now null"),
        ({}, {"n": None}, "n: was absent, is now null"),
        ({"n": None}, {}, "n: was null, is now absent"),
        ({"n": {"x": 1}}, {"n": 2}, 'n: was {"x": 1}, is now 2'),
        ({"n": 2}, {"n": {"x": 1}}, 'n: was 2, is now {"x": 1}'),
        ({"n": {"x": 1, "y": 1}}, {"n": {"x": 2, "y": 1}}, "n.x: was 1, is now 2"),
        ({"a_b-c": 1, "é": 1}, {"a_b-c": 2, "é": 1}, "a_b-c: was 1, is now 2"),
        ({"é é": "é"}, {"é é": "è"}, '"é é": was "é", is now "è"'),
        ({"n": "\x7f\u2028"}, {"n": "\x9b"}, 'n: was "\\u007f\\u2028", is now "\\u009b"'),
        ({"n": "x" * 58}, {"n": "x" * 59}, f'n: was "{"x" * 58}", is now "{"x" * 58}…'),
        ({"n": 1, "metadata": 1}, {"n": 1, "metadata": 2}, "metadata: was 1, is now 2"),
    ],
)
def test_a_difference_is_told_with_both_values(one: dict[str, Any], other: dict[str, Any], line: str) -> None:
    assert describe_difference(one, other) == line


@pytest.mark.parametrize(("count", "more"), [(8, ""), (9, "; and 1 more"), (20, "; and 12 more")])
def test_eight_fields_are_told_and_then_how_many_more(count: int, more: str) -> None:
    names = [f"f{number}" for number in range(count)]
    shown = [f"{name}: was 1, is now 2" for name in names[:8]]
    assert describe_difference(dict.fromkeys(names, 1), dict.fromkeys(names, 2)) == "; ".join(shown) + more
    conflict = merge_record(dict.fromkeys(names, 0), dict.fromkeys(names, 1), dict.fromkeys(names, 2))
    assert isinstance(conflict, MergeConflict)
    told = [f"{name}: was 0, is now 1, wanted 2" for name in names[:8]]
    assert describe_conflict(conflict) == "; ".join(told) + more
