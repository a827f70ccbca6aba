"""A category file's bytes: what is read, what is refused, what an edit leaves alone."""

from __future__ import annotations

import json
import sys
from typing import Any

import pytest

from refsync.documents.json_document import edit_records, new_document, read_document, read_records
from refsync.errors import DocumentError

PLAIN = (
    b'{\n    "a": {\n        "name": "a",\n        "version": "1"\n    },\n    "b": {\n        "name": "b"\n    }\n}\n'
)


def refusal(data: bytes) -> tuple[str, int | None, int | None]:
    with pytest.raises(DocumentError) as caught:
        read_document(data).check_editable()
    return caught.value.reason, caught.value.line, caught.value.column


def edited(text: str, **edits: dict[str, Any] | None) -> str:
    return edit_records(text.encode(), edits).decode()


# reading and refusing


def test_models_are_read_in_the_order_of_the_file() -> None:
    assert list(read_records(b'{"z": {}, "a": {"n": 1}}')) == ["z", "a"]


def test_a_byte_order_mark_is_tolerated_and_kept() -> None:
    assert read_records(b"\xef\xbb\xbf" + PLAIN) == read_records(PLAIN)
    assert edit_records(b"\xef\xbb\xbf" + PLAIN, {"b": None}) == b"\xef\xbb\xbf" + edit_records(PLAIN, {"b": None})


def test_a_reader_takes_the_last_of_two_values_for_a_key() -> None:
    assert read_records(b'{"a": {"n": 1}, "a": {"n": 2}}') == {"a": {"n": 2}}


@pytest.mark.parametrize(
    ("data", "reason", "line", "column"),
    [
        (b"", "invalid JSON: the file is empty", 1, 1),
        (b'{\n "a": {,}}', "invalid JSON: Expecting property name enclosed in double quotes", 2, 8),
        (b'{"a": {}}\n{}', "invalid JSON: Extra data", 2, 1),
        (b'{\n  "a": {"n": NaN}}', "NaN is not a finite number", 2, 14),
        (b'{"a": {"n": [-Infinity]}}', "-Infinity is not a finite number", 1, 14),
        (b'{"a": {"n": 1e999}}', "1e999 is not a finite number", 1, 13),
        (b"NaN", "NaN is not a finite number", 1, 1),
        (b'{"a": {"n": NaN}, ', "invalid JSON: the text ends too early", 1, 17),
        (b"\n []", "not an object of models", 2, 2),
        ('{"\u00e9": {\n "é\udce9": 1}}'.encode(errors="surrogateescape"), "not UTF-8", 2, 4),
        (b'{"a": {"n": "\t"}}', "invalid JSON: Invalid control character at", 1, 14),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_place(data: bytes, reason: str, line: int, column: int) -> None:
    with pytest.raises(DocumentError) as caught:
        read_records(data)
    assert (caught.value.reason, caught.value.line, caught.value.column) == (reason, line, column)
    assert refusal(data) == (reason, line, column)


@pytest.mark.parametrize(
    ("data", "key", "line", "column"),
    [
        (b'{"a": {},\n "a": {}}', "a", 2, 2),
        (b'{"a": {"c": {"k": 1,\n\n    "k": 1}}}', "k", 3, 5),
        (b'{"a": {"c": [{"x": 1, "x": 2}]}}', "x", 1, 23),
        (b'{"a": {}, "\\u0061": {}}', "a", 1, 11),
    ],
)
def test_a_key_that_is_there_twice_is_refused_with_its_second_place(
    data: bytes, key: str, line: int, column: int
) -> None:
    assert refusal(data) == (f'the key "{key}" is there twice', line, column)
    with pytest.raises(DocumentError):
        edit_records(data, {"a": {}})
    assert edit_records(data, {"b": {}}).startswith(data[:-1].rstrip(b"}"))


def test_a_fault_of_syntax_is_named_before_a_duplicate_key() -> None:
    assert refusal(b'{"a": {"k": 1, "k": 2}, }')[0].startswith("invalid JSON")


def test_a_document_nested_too_deeply_is_refused() -> None:
    deep = b'{"a": {"n": ' + b"[" * 100_000 + b"]" * 100_000 + b"}}"
    assert refusal(deep) == ('"a" is nested deeper than 100 levels', 1, 2)
    with pytest.raises(DocumentError, match="line 1, column 2"):
        read_records(deep)
    with pytest.raises(DocumentError, match="deeper than 100"):
        read_records(b"[" * 100_000)


def test_large_integers_survive_and_absurd_ones_are_refused() -> None:
    digits = "9" * 4_000
    text = '{"a": {"n": ' + digits + ', "m": 1}}'
    assert edited(text, a={"n": int(digits), "m": 2}) == text.replace('"m": 1', '"m": 2')
    absurd = b'{"a": {"n": ' + b"9" * (sys.get_int_max_str_digits() + 1) + b"}}"
    assert refusal(absurd)[0] == "a whole number has too many digits to be read"


def test_a_record_that_is_no_json_is_the_callers_mistake() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        edit_records(PLAIN, {"a": {"n": float("nan")}})


def test_a_new_document_has_four_spaces_ascii_escapes_and_a_final_newline() -> None:
    assert new_document({"é": {"n": [1]}}) == (
        b'{\n    "\\u00e9": {\n        "n": [\n            1\n        ]\n    }\n}\n'
    )
    assert new_document({}) == b"{}\n"


# changing a record


def test_an_edit_that_is_there_already_changes_nothing() -> None:
    assert edit_records(PLAIN, {"a": {"version": "1", "name": "a"}, "gone": None}) == PLAIN


def test_only_the_changed_field_is_written_anew() -> None:
    odd = '{"a" :{ "x":1E5,\r\n  "y" : 1.50, "u":"\\u00e9\\/", "z":[ 1,2 ]}}'
    assert edited(odd, a={"z": [1, 2], "y": 2.5, "u": "é/", "x": 1e5}) == odd.replace("1.50", "2.5")


@pytest.mark.parametrize(("old", "new"), [("1", "1.0"), ("1", "true"), ("0", "false"), ("1.0", "1"), ("0.0", "-0.0")])
def test_true_one_and_one_point_zero_differ(old: str, new: str) -> None:
    text = f'{{"a": {{"n": {old}}}}}'
    assert edited(text, a={"n": json.loads(new)}) == f'{{"a": {{"n": {new}}}}}'


def test_nested_fields_keep_their_text_too() -> None:
    text = '{"a": {\n "c": {"f": [ {"p":1.0, "s": "x"},{"p": 2e0} ]}\n}}'
    assert edited(text, a={"c": {"f": [{"p": 1.0, "s": "y"}, {"p": 2.0}]}}) == text.replace('"x"', '"y"')


def test_elements_of_a_list_that_stay_keep_their_lines() -> None:
    text = '{\n\t"a": {\n\t\t"tags": [\n\t\t\t1e0,\n\t\t\t2e0,\n\t\t\t3e0\n\t\t]\n\t}\n}'
    assert edited(text, a={"tags": [2.0, 3.0, 4.0]}) == text.replace("\t\t\t1e0,\n", "").replace(
        "3e0", "3e0,\n\t\t\t4.0"
    )
    assert edited(text, a={"tags": [1.0, 3.0]}) == text.replace("\t\t\t2e0,\n", "")


def test_a_list_too_long_to_match_is_changed_in_pairs() -> None:
    old, new = list(range(600)), [-1, *range(600)]
    data = json.dumps({"a": {"n": old}}).encode()
    assert edit_records(data, {"a": {"n": new}}) == json.dumps({"a": {"n": new}}).encode()


def test_a_field_that_becomes_another_kind_of_value_is_written_in_the_style_around_it() -> None:
    assert edited(PLAIN.decode(), b={"name": {"x": [1]}}).endswith(
        '"name": {\n            "x": [\n                1\n            ]\n        }\n    }\n}\n'
    )
    assert edited(PLAIN.decode(), b={}).endswith('    "b": {}\n}\n')
    assert edited(edited(PLAIN.decode(), b={}), b={"name": "b"}) == PLAIN.decode()


def test_an_emptied_object_or_list_closes_on_the_same_line() -> None:
    text = '{\n  "a": {\n    "s": {\n      "t": 1\n    },\n    "l": [\n      1\n    ]\n  }\n}\n'
    assert edited(text, a={"s": {}, "l": []}) == '{\n  "a": {\n    "s": {},\n    "l": []\n  }\n}\n'


# where fields go

ORDERED = new_document(
    {
        "one": {"name": "1", "type": "t", "config": {"files": [{"path": "p", "md5": "m"}], "url": "u"}, "size": 1},
        "two": {"name": "2", "tags": ["x"], "config": {"files": [{"md5": "m", "sha": "s"}], "url": "u"}, "size": 2},
        "three": {"type": "t", "tags": ["x"], "nsfw": True, "config": {}},
        "bare": {"size": 1},
    }
)


def test_a_new_field_stands_where_the_other_records_have_it() -> None:
    after = read_records(edit_records(ORDERED, {"bare": {"size": 1, "new": 0, "nsfw": False, "tags": [], "name": "b"}}))
    assert list(after["bare"]) == ["name", "tags", "nsfw", "size", "new"]


def test_the_fields_of_a_new_record_have_the_common_order_at_every_depth() -> None:
    record = {"size": 3, "config": {"url": "", "files": [{"sha": "", "md5": "", "path": ""}]}, "type": "", "zz": {}}
    after = read_records(edit_records(ORDERED, {"new": record}))["new"]
    assert list(after) == ["type", "config", "size", "zz"]
    assert list(after["config"]) == ["files", "url"]
    assert list(after["config"]["files"][0]) == ["path", "md5", "sha"]


@pytest.mark.parametrize(("strays", "order"), [(1, "ab"), (2, "ba")])
def test_a_file_of_one_mind_decides_on_the_order_but_for_one_in_twenty(strays: int, order: str) -> None:
    alike = {f"m{number}": {"a": 1, "b": 1} for number in range(20)}
    odd = {f"s{number}": {"b": 1, "a": 1} for number in range(strays)}
    data = new_document({**alike, **odd, "w": {"b": 1}})
    assert list(read_records(edit_records(data, {"w": {"b": 1, "a": 1}}))["w"]) == list(order)
    assert list(read_records(edit_records(data, {"new": {"b": 1, "a": 1}}))["new"]) == list(order)


def test_a_new_field_stands_where_its_payload_has_it() -> None:
    data = new_document({name: dict.fromkeys(("name", "type", "desc", "av"), name) for name in "xyz"})
    payload = {"first": 0, "name": "y", "type": "y", "inp": 1, "inp2": 2, "desc": "y", "av": "y", "last": 3}
    after = read_records(edit_records(data, {"y": payload, "new": payload}))
    assert list(after["y"]) == list(after["new"]) == list(payload)
    shuffled = {"inp": 1, "av": "z", "last": 2, "name": "z"}
    assert list(read_records(edit_records(data, {"z": shuffled}))["z"]) == ["name", "inp", "av", "last"]


@pytest.mark.parametrize(("fields", "given", "order"), [("ACbd", "fdbECA", "ACEbdf"), ("AbDe", "FecDbA", "AbcDeF")])
def test_a_new_field_stands_by_its_name_where_fields_are_sorted(fields: str, given: str, order: str) -> None:
    data = new_document({name: dict.fromkeys(fields, 1) for name in "xyz"})
    payload = dict.fromkeys(given, 1)
    after = read_records(edit_records(data, {"y": payload, "new": payload}))
    assert "".join(after["new"]) == "".join(after["y"]) == order


def test_the_style_of_a_list_is_learnt_from_its_path_in_all_records() -> None:
    spread = '"sources": [\n      "c"\n    ]'
    records = [f'"r{number}": {{\n    "extensions": ["a", "b"],\n    {spread}\n  }}' for number in range(3)]
    records += [f'"q{number}": {{\n    {spread}\n  }}' for number in range(3)]
    text = "{\n  " + ",\n  ".join(records) + "\n}\n"
    record = {"extensions": ["a", "b"], "sources": ["c"]}
    assert edited(text, q9=record) == text.replace("  }\n}", "  },\n  " + records[0].replace("r0", "q9") + "\n}")
    assert edited(text, q2=record) == text.replace(records[5], records[0].replace("r0", "q2"))


def test_a_record_out_of_order_keeps_its_own() -> None:
    data = new_document({"x": {"a": 1, "b": 1, "c": 1}, "y": {"a": 1, "b": 1, "c": 1}, "z": {"c": 1, "a": 1}})
    assert list(read_records(edit_records(data, {"z": {"c": 1, "a": 1, "b": 1}}))["z"]) == ["c", "a", "b"]


def test_a_dump_in_fixed_order_stays_one() -> None:
    after = edit_records(ORDERED, {"é": {"name": "é", "tags": ["ü"], "size": 2**40}})
    assert after == new_document(read_records(after))


# where models go


def test_a_new_model_goes_to_the_end_in_the_style_of_its_neighbour() -> None:
    text = '{\r\n\t"b": {\r\n\t\t"n" : 1\r\n\t},\r\n    "a": {\r\n\t\t"n" : 2\r\n\t}\r\n}'
    expected = text.removesuffix("\r\n}") + ',\r\n    "c": {\r\n\t\t"n" : {\r\n\t\t\t"x" : 1\r\n\t\t}\r\n\t}\r\n}'
    assert edited(text, c={"n": {"x": 1}}) == expected


def test_new_models_go_to_their_places_in_a_sorted_file() -> None:
    text = new_document({name: {"n": 1} for name in "bdfh"}).decode()
    after = edited(text, a={"n": 1}, e={"n": 1}, i={"n": 1}, c={"n": 1})
    assert after.encode() == new_document({name: {"n": 1} for name in "abcdefhi"})
    assert edited(after, a=None, e=None, i=None, c=None) == text


def test_a_file_sorted_without_regard_to_case_stays_so() -> None:
    text = new_document({name: {} for name in ("alpha", "Beta", "gamma", "Zeta")}).decode()
    assert list(json.loads(edited(text, Delta={}))) == ["alpha", "Beta", "Delta", "gamma", "Zeta"]


def test_three_models_in_order_do_not_make_a_sorted_file() -> None:
    assert list(json.loads(edited('{"b": {}, "c": {}, "d": {}}', a={}))) == ["b", "c", "d", "a"]


def test_lists_on_one_line_are_written_on_one_line() -> None:
    text = '{\n  "a": {\n    "tags": ["x", "y"],\n    "o": { "k": 1 }\n  }\n}\n'
    assert edited(text, b={"tags": ["z", "w"], "o": {"k": 2}, "more": [1]}) == text.replace(
        "  }\n}\n", '  },\n  "b": {\n    "tags": ["z", "w"],\n    "o": { "k": 2 },\n    "more": [1]\n  }\n}\n'
    )
    assert edited(text, a={"tags": ["x", "y", "z"], "o": {"k": 1}}) == text.replace('"y"', '"y", "z"')


def test_one_record_a_line_stays_one_record_a_line() -> None:
    text = '{\n  "a": {"n": 1, "l": [1, 2]},\n  "b": {"n": 2, "l": [3]}\n}\n'
    assert edited(text, c={"n": 3, "l": [4, 5]}) == text.replace("]}\n}", ']},\n  "c": {"n": 3, "l": [4, 5]}\n}')
    assert edited(text, a=None) == '{\n  "b": {"n": 2, "l": [3]}\n}\n'


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"a":{"n":1}}', '{"a":{"n":1},"b":{"n":2,"l":[1,2]}}'),
        ('{"a": {"n": 1}}', '{"a": {"n": 1}, "b": {"n": 2, "l": [1, 2]}}'),
        ('{"x":{},"a":{"n":1}}\n', '{"x":{},"a":{"n":1},"b":{"n":2,"l":[1,2]}}\n'),
    ],
)
def test_a_compact_file_stays_compact(text: str, expected: str) -> None:
    assert edited(text, b={"n": 2, "l": [1, 2]}) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("{}", '{\n    "a": {\n        "n": 1\n    }\n}'),
        ("{\r\n}\r\n", '{\r\n    "a": {\r\n        "n": 1\r\n    }\r\n}\r\n'),
        ("{\n\n}\n", '{\n    "a": {\n        "n": 1\n    }\n\n}\n'),
    ],
)
def test_the_first_model_of_an_empty_file_gets_four_spaces(text: str, expected: str) -> None:
    assert edited(text, a={"n": 1}) == expected


def test_several_first_models_stand_on_lines_of_their_own() -> None:
    assert edit_records(b"{}\n", {"b": {"n": 1}, "a": {"n": 2}}) == new_document({"b": {"n": 1}, "a": {"n": 2}})


# removing models


def test_the_first_the_middle_the_last_and_the_only_model_can_go() -> None:
    text = '{\n\n  "a": {"n": 1},  \n\n    "b": {"n": 2} ,\n  "c": {"n": 3} \n\n}'
    assert edited(text, a=None) == '{\n\n    "b": {"n": 2} ,\n  "c": {"n": 3} \n\n}'
    assert edited(text, b=None) == '{\n\n  "a": {"n": 1},  \n  "c": {"n": 3} \n\n}'
    assert edited(text, c=None) == '{\n\n  "a": {"n": 1},  \n\n    "b": {"n": 2} \n\n}'
    assert edited(text, a=None, b=None, c=None) == "{\n\n}"


def test_what_shares_a_line_with_the_model_that_goes_stays_on_that_line() -> None:
    assert edited('{"a": {}, "b": {}, "c": {}}', a=None) == '{"b": {}, "c": {}}'
    assert edited('{"a": {}, "b": {}, "c": {}}', b=None) == '{"a": {}, "c": {}}'
    assert edited('{"a": {}, "b": {}, "c": {}}', c=None) == '{"a": {}, "b": {}}'
    assert edited('{ "a": {}\n, "b": {}, "c": {} }', a=None, b=None) == '{ "c": {} }'
    assert edited('{\n  "a": {},\n  "b": {}, "c": {}\n}', b=None) == '{\n  "a": {},\n  "c": {}\n}'


def test_one_call_may_write_remove_and_add() -> None:
    after = edited(PLAIN.decode(), a=None, b={"name": "B"}, c={"name": "c"})
    assert after.encode() == new_document({"b": {"name": "B"}, "c": {"name": "c"}})
    replaced = edit_records(PLAIN, {"a": None, "b": None, "c": {"name": "c"}})
    assert replaced == new_document({"c": {"name": "c"}})


def test_a_blank_line_that_is_an_exception_is_not_copied() -> None:
    text = '{\n "c": {},\n "a": {},\n\n "b": {}\n}'
    assert edited(text, d={}) == text.replace("{}\n}", '{},\n "d": {}\n}')


def test_blank_lines_between_all_models_are_kept_up() -> None:
    text = '{\n "c": {},\n\n "a": {},\n\n "b": {}\n}'
    assert edited(text, d={}) == text.replace("{}\n}", '{},\n\n "d": {}\n}')


# escapes


def test_text_is_escaped_as_the_file_has_it() -> None:
    assert '"ü"' in edited('{"é": {"n": 1}}', b={"n": "ü"})
    assert '"\\u00fc"' in edited('{"\\u00e9": {"n": 1}}', b={"n": "ü"})
    assert '"\\u00fc"' in edited('{"e": {"n": 1}}', b={"n": "ü"})
    assert '"\\u00fc"' in edited('{"\\u00e9\\u00e9": {"n": "é"}}', b={"n": "ü"})


def test_half_a_character_is_escaped_even_in_a_file_of_raw_text() -> None:
    after = edit_records('{"é": {"n": 1}}'.encode(), {"b": {"n": "\ud800"}})
    assert after == '{"é": {"n": 1}, "b": {"n": "\\ud800"}}'.encode()
