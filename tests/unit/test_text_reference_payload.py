"""A record of a text model and its row: both ways without loss, or refused by the field's name."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from refsync.documents.csv_document import COLUMNS, Row
from refsync.documents.text_derivation import row_to_record
from refsync.documents.text_payload import complete_record, record_to_row
from refsync.documents.values import same_value
from refsync.errors import PayloadError

Record = dict[str, Any]
DEFAULTS: Record = {
    "baseline": "",
    "parameters": None,
    "description": "",
    "version": "1",
    "style": "generalist",
    "nsfw": False,
}
PARAMS = ["temperature", "top_p", "rep_pen"]

TEXTS = st.text('ab ,é-_"\n', max_size=4)
NAMES = st.text("ab/-_é", min_size=1, max_size=6)
TAGS = st.lists(st.sampled_from(["chat", " chat", "generalist", "7B", "popular", "role play "]), max_size=3)
SETTINGS: st.SearchStrategy[Record] = st.dictionaries(
    st.sampled_from(PARAMS), st.sampled_from([1, 1.0, 0.75, [1], {"a": None}, "é"]), max_size=3
)
STYLES = st.sampled_from(["", "chat", "generalist", "Chat "])
SIZES = st.decimals(0, 2000, places=3) | st.integers(1, 10**13).map(lambda number: number / 10**9)


@st.composite
def rows(draw: st.DrawFn, name: str | None = None) -> Row:
    cells = {column: draw(TEXTS) for column in COLUMNS}
    settings, blank = draw(SETTINGS), draw(st.booleans())
    cells["name"] = name or draw(NAMES)
    cells["parameters_bn"] = str(draw(SIZES))
    cells["style"] = draw(STYLES)
    cells["tags"] = ",".join(draw(TAGS))
    cells["settings"] = json.dumps(settings) if settings or not blank else ""
    return Row(cells, draw(st.sampled_from([(), (), ("",), ("x", "")])))


def row(name: str = "org/Model-7B", parameters_bn: str = "7", **cells: str) -> Row:
    return Row(dict.fromkeys(COLUMNS, "") | {"name": name, "parameters_bn": parameters_bn} | cells)


def made(of: Row) -> Record:
    return row_to_record(of, DEFAULTS, PARAMS)


def put(record: Record, into: Row | None = None) -> Row:
    return record_to_row(record, into, DEFAULTS, PARAMS)


def refusal(record: Record, into: Row | None = None) -> str:
    with pytest.raises(PayloadError) as caught:
        put(record, into)
    assert "\n" not in str(caught.value)
    return str(caught.value)


@given(rows())
def test_a_row_comes_back_from_its_record_as_it_was(one: Row) -> None:
    assume(made(one)["parameters"])
    assert put(made(one), one) == one


@given(rows("org/model"), rows("org/model"))
def test_any_record_that_a_row_makes_is_put_into_any_other_row(one: Row, other: Row) -> None:
    assume(made(one)["parameters"] and _has_short_size(one))
    record = made(one)
    assert same_value(made(put(record, other)), record)
    assert same_value(made(put(record)), record)


@given(st.integers(1, 2_000_000), st.integers(0, 9))
def test_a_number_of_parameters_maps_to_the_shortest_decimal_that_gives_it(figures: int, places: int) -> None:
    text = f"{figures / 10**places:.{places}f}"
    text = text.rstrip("0").rstrip(".") if "." in text else text
    record = made(row(parameters_bn=text))
    assume(record["parameters"])
    found = put(record).cells["parameters_bn"]
    assert len(found) <= len(text)
    assert made(row(parameters_bn=found)) == record


def test_the_truncation_of_the_derivation_is_undone() -> None:
    record = made(row(parameters_bn="4.1"))
    assert record["parameters"] == 4099999999
    assert put(record).cells["parameters_bn"] == "4.1"
    assert put(record, row(parameters_bn=" 4.10")).cells["parameters_bn"] == " 4.10"


def test_a_number_that_the_truncation_leaves_out_gets_the_next_decimal_that_gives_it() -> None:
    record = made(row(parameters_bn="4.1")) | {"parameters": 4100000000}
    assert put(record).cells["parameters_bn"] == "4.100000001"


def test_a_number_that_no_decimal_gives_is_refused_with_one_that_is_near() -> None:
    assert refusal(made(row()) | {"parameters": 262714201234}) == (
        "parameters: no parameters_bn gives 262714201234; 262.714201234 gives 262714201233"
    )


@pytest.mark.parametrize("parameters", [None, 7.0, True, "7", 0, -1])
def test_what_is_no_number_of_parameters_is_refused(parameters: object) -> None:
    assert refusal(made(row()) | {"parameters": parameters}).startswith("parameters: ")


def test_derived_tags_are_not_written_into_the_cell() -> None:
    one = row(style="chat", tags="popular, MoE")
    assert put(made(one)).cells["tags"] == "MoE, popular"
    assert put(made(one), one).cells["tags"] == "popular, MoE"


def test_tags_that_stay_keep_their_order_and_spacing_and_new_ones_follow() -> None:
    one = row(tags="story,popular,  MoE")
    wanted = made(one) | {"tags": ["7B", "MoE", "chat", "popular"]}
    assert put(wanted, one).cells["tags"] == "popular,  MoE, chat"


def test_a_size_that_changes_takes_its_tag_along() -> None:
    one = row(tags="popular")
    wanted = made(one) | {"parameters": 13 * 10**9, "tags": ["13B", "popular"]}
    assert put(wanted, one) == row(parameters_bn="13", tags="popular")


def test_a_missing_derived_tag_is_refused() -> None:
    message = 'no row of models.csv makes this: tags: asked for ["popular"], would be ["7B", "popular"]'
    assert refusal(made(row()) | {"tags": ["popular"]}) == message


def test_the_default_style_stands_in_the_cell_only_where_it_is_a_tag() -> None:
    assert put(made(row(style="generalist"))).cells["style"] == "generalist"
    assert put(made(row())).cells["style"] == ""


def test_a_display_name_that_would_be_derived_is_not_written_but_stays() -> None:
    assert made(row())["display_name"] == "Model 7B"
    assert put(made(row())).cells["display_name"] == ""
    given_already = row(display_name="Model 7B")
    assert put(made(given_already), given_already) == given_already
    assert put(made(row()) | {"display_name": "Mine"}).cells["display_name"] == "Mine"


def test_a_setting_is_changed_in_the_text_of_the_cell() -> None:
    one = row(settings='{"temperature": 0.70, "rep_pen":1.18}')
    wanted = made(one) | {"settings": {"rep_pen": 1.2, "temperature": 0.7}}
    assert put(wanted, one).cells["settings"] == '{"temperature": 0.70, "rep_pen":1.2}'
    gone = {field: value for field, value in made(one).items() if field != "settings"}
    assert put(gone, one).cells["settings"] == ""


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"settings": {"mirostat": 2}}, 'settings: "mirostat" is not in generation_params.json'),
        ({"settings": [1]}, "settings: give an object"),
        ({"settings": {"top_p": float("nan")}}, "settings: a number is not finite"),
        ({"settings": {}}, "no row of models.csv makes this: settings: asked for {}, would be absent"),
        ({"trigger": [1], "size": 2}, 'no column of models.csv holds "trigger", "size"; leave it out'),
        ({"metadata": {}}, 'no column of models.csv holds "metadata"; leave it out'),
        ({"version": "2"}, 'no row of models.csv makes this: version: asked for "2", would be "1"'),
        ({"nsfw": True}, "no row of models.csv makes this: nsfw: asked for true, would be false"),
        ({"model_name": "x"}, 'no row of models.csv makes this: model_name: asked for "x", would be "Model-7B"'),
        ({"url": ""}, 'no row of models.csv makes this: url: asked for "", would be absent'),
        ({"url": None}, "url: give a text"),
        ({"url": "\ud800"}, "url: has a lone surrogate, which no file can hold"),
        ({"style": ""}, 'no row of models.csv makes this: style: asked for "", would be "generalist"'),
        ({"tags": "7B"}, "tags: give a list of texts"),
        ({"tags": ["7B", "a,b"]}, "no row of models.csv makes this: tags: "),
        ({"name": None}, "name: missing; give the model's name"),
    ],
)
def test_a_field_that_no_row_can_hold_is_refused_by_name(change: Record, message: str) -> None:
    assert refusal(made(row()) | change).startswith(message)


def test_a_field_of_every_model_cannot_be_left_out() -> None:
    record = {field: value for field, value in made(row()).items() if field != "nsfw"}
    assert refusal(record) == "no row of models.csv makes this: nsfw: asked for absent, would be false"


def test_a_record_is_completed_with_what_every_model_has() -> None:
    record = complete_record({"name": "org/Model-7B", "parameters": 7 * 10**9, "tags": ["popular", "chat"]}, DEFAULTS)
    assert same_value(made(put(record)), record)
    assert record["tags"] == ["7B", "chat", "popular"]
    assert record["display_name"] == "Model 7B"


@given(rows())
def test_a_record_that_is_whole_is_left_as_it_is(one: Row) -> None:
    assume(made(one)["parameters"] and _has_short_size(one))
    assert same_value(complete_record(made(one), DEFAULTS), made(one))


@pytest.mark.parametrize("record", [{}, {"name": 1}, {"name": "a"}, {"name": "a", "parameters": 1, "tags": [1]}])
def test_what_is_no_record_of_a_text_model_is_not_completed(record: Record) -> None:
    assert complete_record(record, DEFAULTS) == record


def _has_short_size(one: Row) -> bool:
    """Whether the size has no more places than parameters can be counted by."""
    return len(one.cells["parameters_bn"].partition(".")[2]) <= 9 and "e" not in one.cells["parameters_bn"].lower()
