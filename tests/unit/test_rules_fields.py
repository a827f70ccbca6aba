"""The rules that need no schema."""

from __future__ import annotations

from typing import Any

import pytest

from refsync.rules.category_rules import CategoryRules, plain_violations

HASH = "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("rules", "record", "expected"),
    [
        (CategoryRules(required=("a", "b.c")), {"a": None, "b": {}}, ["b.c: is required"]),
        (CategoryRules(required=("b.c",)), {"b": 1}, ["b.c: is required"]),
        (CategoryRules(required=("f[].h",)), {"f": [{"h": 1}, {}]}, ["f.1.h: is required"]),
        (CategoryRules(required=("f.h",)), {"f": []}, []),
        (CategoryRules(required=("f.h",)), {}, ["f: is required"]),
        (CategoryRules(allowed={"a": (1, "x")}), {"a": 1.0}, ['a: 1.0 is none of 1, "x"']),
        (CategoryRules(allowed={"tags": ("x",)}), {"tags": ["x", "y"]}, ['tags.1: "y" is none of "x"']),
        (CategoryRules(allowed={"a": (1,)}), {"a": None}, []),
        (CategoryRules(patterns={"f[].h": "[0-9a-f]{64}"}), {"f": [{"h": HASH}, {"h": HASH + "0"}, {"h": 1}]},
         [f'f.1.h: "{HASH[:38]}… does not fit [0-9a-f]{{64}}', "f.2.h: 1 does not fit [0-9a-f]{64}"]),
        (CategoryRules(patterns={"a": "x|y"}), {"a": "xy"}, ['a: "xy" does not fit x|y']),
        (CategoryRules(patterns={"a": "x"}), {"a": "x\n"}, ['a: "x\\n" does not fit x']),
        (CategoryRules(https=("u",)), {"u": "http://x"}, ['u: "http://x" is no https URL']),
        (CategoryRules(https=("u",)), {"u": "HTTPS://x"}, []),
        (CategoryRules(https=("u",)), {"u": "https:///x"}, ['u: "https:///x" is no https URL']),
        (CategoryRules(no_placeholders=True), {"a": ["FIXME", {"b": "FIXME: later"}], "c": "todo", "d": "0" * 64},
         ['a.0: "FIXME" is a placeholder', 'a.1.b: "FIXME: later" is a placeholder', 'c: "todo" is a placeholder',
          f'd: "{"0" * 38}… is a placeholder']),
        (CategoryRules(no_placeholders=True), {"a": "todo list", "b": "0", "c": "a FIXME", "d": "000"}, []),
    ],
)  # fmt: skip
def test_each_rule_says_of_which_field_it_is_broken(
    rules: CategoryRules, record: dict[str, Any], expected: list[str]
) -> None:
    assert [str(each) for each in plain_violations(rules, record)] == expected
