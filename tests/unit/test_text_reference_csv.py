"""``models.csv`` as its editors see it."""

from __future__ import annotations

import pytest

from refsync.documents.csv_document import COLUMNS, Row
from refsync.errors import DocumentError
from tests.support.text_tables import edit_rows, read_rows

HEADER = ",".join(COLUMNS)


def table(*lines: str, newline: str = "\r\n") -> bytes:
    return "".join(line + newline for line in (HEADER, *lines)).encode()


def row(name: str, **cells: str) -> Row:
    return Row(dict.fromkeys(COLUMNS, "") | {"name": name} | cells)


def lines(data: bytes) -> list[str]:
    return data.decode().split("\r\n")


def test_a_cell_that_changes_is_written_and_the_others_keep_their_quotes() -> None:
    data = table('a,"7",,http://a,,"Says ""hi"", twice",chat,,,', "b,13,,,,,,,,")
    (one, _) = read_rows(data)
    changed = Row({**one.cells, "url": "http://new"})
    assert edit_rows(data, {"a": changed}) == data.replace(b"http://a", b"http://new")


def test_a_cell_that_was_quoted_stays_quoted() -> None:
    data = table('a,"7",,,,,,,,')
    assert edit_rows(data, {"a": row("a", parameters_bn="8")}) == table('a,"8",,,,,,,,')


def test_a_new_row_goes_to_the_end_of_a_file_that_is_not_sorted() -> None:
    data = table("c,1,,,,,,,,", "a,1,,,,,,,,", "d,1,,,,,,,,", "b,1,,,,,,,,")
    assert edit_rows(data, {"aa": row("aa", parameters_bn="2")}) == data + b"aa,2,,,,,,,,\r\n"


def test_a_new_row_goes_to_its_place_in_a_file_that_is_sorted_as_an_editor_sorts_lines() -> None:
    names = ["ai/bloom-7b1", "ai/bloom", "Ai/gpt2", "zai/x"]
    data = table(*(f"{name},1,,,,,,,," for name in names))
    after = edit_rows(data, {name: row(name) for name in ("ai/bloom-zz", "AI/falcon", "zz")})
    found = [each.name for each in read_rows(after)]
    assert found == ["ai/bloom-7b1", "ai/bloom-zz", "ai/bloom", "AI/falcon", "Ai/gpt2", "zai/x", "zz"]


def test_a_few_strays_do_not_make_a_sorted_file_unsorted() -> None:
    names = ["zz-first", *(f"m{number:03d}" for number in range(60))]
    after = edit_rows(table(*(f"{name},1,,,,,,,," for name in names)), {"m030a": row("m030a")})
    found = [each.name for each in read_rows(after)]
    assert found[found.index("m030a") - 1] == "m030"


def test_a_new_row_stands_in_front_of_the_empty_lines_at_the_end() -> None:
    assert edit_rows(table("a,1,,,,,,,,", ""), {"b": row("b")}) == table("a,1,,,,,,,,", "b,,,,,,,,,", "")


@pytest.mark.parametrize("newline", ["\r\n", "\n"])
def test_a_file_without_final_line_end_keeps_none(newline: str) -> None:
    data = table("a,1,,,,,,,,", newline=newline).removesuffix(newline.encode())
    added = edit_rows(data, {"b": row("b")})
    assert added == data + f"{newline}b,,,,,,,,,".encode()
    assert edit_rows(added, {"b": None}) == data
    assert edit_rows(added, {"a": None, "b": None}) == HEADER.encode()


def test_of_a_name_that_is_there_twice_the_last_row_is_written_and_all_are_removed() -> None:
    data = table("a,1,,,,,,,,", "b,1,,,,,,,,", "a,2,,,,,,,,")
    assert edit_rows(data, {"a": row("a", parameters_bn="3")}) == data.replace(b"a,2", b"a,3")
    assert edit_rows(data, {"a": None}) == table("b,1,,,,,,,,")


def test_a_row_that_is_too_short_or_too_long_keeps_its_shape() -> None:
    data = table("short,1,,", "long,1,,,,,,,,,,surplus")
    short, long = read_rows(data)
    assert (short.surplus, long.surplus) == ((), ("", "surplus"))
    edits = {each.name: Row({**each.cells, "parameters_bn": "2"}, each.surplus) for each in (short, long)}
    assert edit_rows(data, edits) == data.replace(b",1,", b",2,")


def test_a_short_row_grows_to_the_cell_that_is_written() -> None:
    assert edit_rows(table("a,1"), {"a": row("a", parameters_bn="1", url="u")}) == table("a,1,,u")


def test_a_row_may_run_over_several_lines_and_the_next_one_is_numbered_after_them() -> None:
    data = table('a,1,,,,"one\r\ntwo\nthree",,,,', "b,1,,,,,,,,")
    assert [(each.name, each.line) for each in read_rows(data)] == [("a", 2), ("b", 5)]
    assert lines(edit_rows(data, {"b": None})) == [HEADER, 'a,1,,,,"one', 'two\nthree",,,,', ""]


def test_removing_a_model_that_is_not_there_changes_nothing() -> None:
    assert edit_rows(table("a,1,,,,,,,,"), {"b": None}) == table("a,1,,,,,,,,")


def test_a_row_under_another_models_name_is_a_bug() -> None:
    with pytest.raises(ValueError, match="has the name 'b'"):
        edit_rows(table(), {"a": row("b")})


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"", "line 1: no header"),
        (b"bloom,176000000000\r\n", "line 1: no header"),
        (table().replace(b"url", b"link"), "line 1, column 33: the column 'link' is not known"),
        (table().replace(b"url", b"name"), "line 1, column 33: the column 'name' is there twice"),
        (table().replace(b",url", b""), "line 1: the column 'url' is missing"),
        (table("a,1,,,,,,,,", 'b,1,"never closed'), "line 3, column 5: a quote is never closed"),
        (table("a") + b"b,\xff", "line 3, column 3: not UTF-8"),
    ],
)
def test_a_file_that_cannot_be_edited_safely_is_refused_with_its_place(data: bytes, message: str) -> None:
    with pytest.raises(DocumentError, match=f"^{message}"):
        edit_rows(data, {})
    with pytest.raises(DocumentError, match=f"^{message}"):
        read_rows(data)
