"""What ``db.json`` holds of a row."""

from __future__ import annotations

import json
from typing import Any

import pytest

from refsync.documents.csv_document import COLUMNS, Row
from refsync.documents.json_document import new_document
from refsync.documents.text_derivation import Derivation, derive_document, model_name, row_to_record, variants
from refsync.errors import DocumentError
from tests.support.text_tables import derive_text, read_rows

DEFAULTS = {"baseline": "", "parameters": None, "style": "generalist", "nsfw": False}
PARAMS = {"temperature": 5}


def row(name: str = "a/b", parameters_bn: str = "7", **cells: str) -> Row:
    return Row(dict.fromkeys(COLUMNS, "") | {"name": name, "parameters_bn": parameters_bn} | cells)


def field(field: str, **cells: str) -> Any:
    return row_to_record(row(**cells), DEFAULTS, PARAMS).get(field)


def test_a_row_gives_three_records_that_differ_in_their_name() -> None:
    records = derive_document([row("org/Model_x-1")], DEFAULTS, PARAMS)
    assert list(records) == ["org/Model_x-1", "aphrodite/org/Model_x-1", "koboldcpp/Model_x-1"]
    assert [record["name"] for record in records.values()] == list(records)
    assert {record["model_name"] for record in records.values()} == {"Model_x-1"}


@pytest.mark.parametrize(
    ("name", "second", "kobold"),
    [("gpt2", "gpt2", "koboldcpp/gpt2"), ("a/b", "b", "koboldcpp/b"), ("a/b/c", "b", "koboldcpp/b")],
)
def test_a_name_with_no_slash_one_or_several(name: str, second: str, kobold: str) -> None:
    assert model_name(name) == second
    assert variants(name) == (f"aphrodite/{name}", kobold)


@pytest.mark.parametrize(
    ("parameters_bn", "number", "size"),
    [("7", 7 * 10**9, "7B"), ("4.1", 4099999999, "4B"), ("0.124", 124 * 10**6, "0B"), ("2.5", 25 * 10**8, "2B")],
)
def test_parameters_are_truncated_and_their_size_is_rounded_to_even(parameters_bn: str, number: int, size: str) -> None:
    assert field("parameters", parameters_bn=parameters_bn) == number
    assert field("tags", parameters_bn=parameters_bn) == [size]


def test_tags_are_those_of_the_cell_the_style_and_the_size_sorted_without_doubles() -> None:
    assert field("tags", tags="popular,  chat,7B", style="chat") == ["7B", "chat", "popular"]


def test_a_display_name_is_given_or_made_of_the_model_name() -> None:
    assert row_to_record(row("org/Some__Model-7B-"), DEFAULTS, PARAMS)["display_name"] == "Some Model 7B"
    assert field("display_name", display_name="Mine") == "Mine"


def test_fields_stand_as_name_defaults_and_columns_give_them() -> None:
    record = row_to_record(row(url="u", baseline="x", settings='{"temperature": 1}'), DEFAULTS, PARAMS)
    assert list(record) == [
        *("name", "model_name", "baseline", "parameters", "style", "nsfw"),
        *("display_name", "url", "tags", "settings"),
    ]
    assert (record["baseline"], record["style"], "description" in record) == ("x", "generalist", False)


def test_a_name_that_comes_again_replaces_the_record_and_keeps_its_place() -> None:
    records = derive_document([row("x/m", "1"), row("y/n", "2"), row("y/m", "3")], DEFAULTS, PARAMS)
    assert list(records)[2] == "koboldcpp/m"
    assert records["koboldcpp/m"]["parameters"] == 3 * 10**9


def test_cells_behind_the_last_column_are_a_field_named_null() -> None:
    record = row_to_record(Row(row().cells, ("", "x")), DEFAULTS, PARAMS)
    assert record["null"] == ["", "x"]


def test_the_text_has_four_spaces_ascii_escapes_and_one_line_end() -> None:
    text = derive_text([row(description="é")], DEFAULTS, PARAMS)
    assert text == (json.dumps(json.loads(text), indent=4) + "\n").encode()
    assert b"\\u00e9" in text


@pytest.mark.parametrize(
    ("cells", "reason"),
    [
        ("x,,,,,,,,", 'parameters_bn is "", no number of billions'),
        ("x,nan,,,,,,,", 'parameters_bn is "nan", no number of billions'),
        ("x,1e999,,,,,,,", 'parameters_bn is "1e999", no number of billions'),
        ("x,7,,,,,,,,{", "settings is no valid JSON"),
        ("x,7,,,,,,,,[]", "settings is no JSON object"),
        ('x,7,,,,,,,,"{""temperature"": NaN}"', "settings is no valid JSON"),
        ('x,7,,,,,,,,"{""temperature"": 1e999}"', "settings is no valid JSON"),
        ('x,7,,,,,,,,"{""heat"": 1}"', 'settings has "heat", which is not in generation_params.json'),
    ],
)
def test_a_row_that_nothing_can_be_made_of_is_refused_with_its_line(cells: str, reason: str) -> None:
    rows = read_rows(f"{','.join(COLUMNS)}\ny,1\n{cells}\n".encode())
    with pytest.raises(DocumentError) as caught:
        derive_document(rows, DEFAULTS, PARAMS)
    assert str(caught.value) == f'line 3: "x": {reason}'


def test_a_derivation_makes_of_each_table_what_it_would_make_of_it_alone() -> None:
    tables = [
        [row("x/m", "1"), row("y/n", "2")],
        [row("y/n", "2"), row("y/m", "3"), row("x/m", "1")],
        [row("y/m", "3")],
    ]
    derivation = Derivation(DEFAULTS, PARAMS)
    for rows in (*tables, *reversed(tables), [*tables[1], *tables[0]]):
        derived = derivation.of(rows)
        assert list(derived.records.items()) == list(derive_document(rows, DEFAULTS, PARAMS).items())
        assert derived.content == new_document(derived.records)


def test_a_row_that_was_there_before_is_not_made_again() -> None:
    derivation = Derivation(DEFAULTS, PARAMS)
    before = derivation.of([row("x/m", "1"), row("y/n", "2")]).records
    after = derivation.of([row("x/m", "1"), row("y/n", "3")]).records
    assert [name for name, record in after.items() if before[name] is not record] == [
        "y/n",
        "aphrodite/y/n",
        "koboldcpp/n",
    ]
