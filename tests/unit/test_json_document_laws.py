"""Laws of editing, over documents written in every style that a person or a program may have."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle, islice
from typing import Any

from hypothesis import example, given
from hypothesis import strategies as st

from refsync.documents.field_order import common_order
from refsync.documents.json_document import edit_records, new_document, read_document, read_records
from refsync.documents.json_text import scan_document
from refsync.documents.values import same_value
from refsync.errors import DocumentError

Record = dict[str, Any]

NAMES = st.text('abcé/ \\"\n\U0001f600,:{}[]', max_size=4)
SCALARS = (
    st.none()
    | st.booleans()
    | st.sampled_from([0, 1, -1, 2**70, 0.0, -0.0, 1.0, 1.5, 1e300])
    | st.text('aé"\\{[,:]}\n\U0001f600', max_size=5)
)
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
RECORDS = st.dictionaries(NAMES, VALUES, max_size=4)
DOCUMENTS = st.dictionaries(NAMES, RECORDS, max_size=5)


@dataclass(frozen=True)
class Hand:
    """How somebody writes JSON."""

    unit: str
    newline: str
    colon: str
    compact_from: int
    blanks: Sequence[str]
    blank_lines: Sequence[int]
    ascii: bool
    around: tuple[str, str]

    def write(self, value: Any, depth: int = 0) -> str:
        if not value or not isinstance(value, dict | list):
            return json.dumps(value, ensure_ascii=self.ascii)
        if isinstance(value, dict):
            parts = [
                json.dumps(k, ensure_ascii=self.ascii) + self.colon + self.write(v, depth + 1) for k, v in value.items()
            ]
            opening, closing = "{", "}"
        else:
            parts = [self.write(each, depth + 1) for each in value]
            opening, closing = "[", "]"
        if depth >= self.compact_from:
            return opening + ("," + self.colon.partition(":")[2]).join(parts) + closing
        leads = [blank + self.newline * (1 + lines) + self.unit * (depth + 1) for blank, lines in self._odd(len(parts))]
        body = ",".join(lead + part for lead, part in zip(leads, parts, strict=True))
        return opening + body + self.newline + self.unit * depth + closing

    def _odd(self, count: int) -> list[tuple[str, int]]:
        return list(islice(zip(cycle(self.blanks), cycle(self.blank_lines), strict=False), count))

    def document(self, records: Mapping[str, Record]) -> bytes:
        return (self.around[0] + self.write(records) + self.around[1]).encode()


HANDS = st.builds(
    Hand,
    unit=st.sampled_from(["", "  ", "    ", "\t"]),
    newline=st.sampled_from(["\n", "\r\n", "\r"]),
    colon=st.sampled_from([":", ": ", " : "]),
    compact_from=st.sampled_from([0, 1, 2, 99, 99]),
    blanks=st.lists(st.sampled_from(["", "", " ", "\t"]), min_size=1, max_size=3),
    blank_lines=st.lists(st.sampled_from([0, 0, 0, 1, 2]), min_size=1, max_size=3),
    ascii=st.booleans(),
    around=st.tuples(st.sampled_from(["", "\ufeff", "\n", " "]), st.sampled_from(["", "\n", "\r\n", "\n\n", "  "])),
)
EDITS = st.dictionaries(NAMES, st.none() | RECORDS, max_size=3)


@st.composite
def edited_documents(draw: st.DrawFn) -> tuple[bytes, dict[str, Record], dict[str, Record | None]]:
    """A document, its records, and edits of which some meet a model that is there."""
    records = draw(DOCUMENTS)
    edits: dict[str, Record | None] = dict(draw(EDITS))
    for name in draw(st.lists(st.sampled_from(sorted(records)), max_size=3)) if records else []:
        edits[name] = draw(st.none() | RECORDS | changes_of(records[name]))
    return draw(HANDS).document(records), records, edits


@st.composite
def changes_of(draw: st.DrawFn, record: Record) -> Record:
    """The record with some fields gone, changed, or added."""
    kept = {key: value for key, value in record.items() if draw(st.booleans())}
    return kept | draw(st.dictionaries(NAMES, VALUES, max_size=2))


def member_texts(data: bytes) -> dict[str | None, str]:
    text = data.decode().removeprefix("\ufeff")
    return {item.key: text[item.start : item.end] for item in scan_document(text).items}


def applied(records: Mapping[str, Record], edits: Mapping[str, Record | None]) -> dict[str, Record]:
    merged = {**records, **edits}
    return {name: record for name, record in merged.items() if record is not None}


@given(edited_documents())
def test_after_an_edit_the_file_is_exactly_what_was_intended(
    case: tuple[bytes, dict[str, Record], dict[str, Record | None]],
) -> None:
    data, records, edits = case
    after = edit_records(data, edits)
    read_document(after).check_editable()
    assert same_value(read_records(after), applied(records, edits))
    kept = [name for name in records if edits.get(name, records[name]) is not None]
    assert [name for name in read_records(after) if name in kept] == kept


@given(edited_documents())
def test_the_text_of_models_that_were_not_named_does_not_change(
    case: tuple[bytes, dict[str, Record], dict[str, Record | None]],
) -> None:
    data, records, edits = case
    before, after = member_texts(data), member_texts(edit_records(data, edits))
    assert all(after[name] == before[name] for name in records if name not in edits)


@given(edited_documents())
def test_an_edit_made_twice_is_made_once(case: tuple[bytes, dict[str, Record], dict[str, Record | None]]) -> None:
    data, _, edits = case
    once = edit_records(data, edits)
    assert edit_records(once, edits) == once


@given(DOCUMENTS, HANDS)
def test_writing_what_is_there_changes_nothing(records: dict[str, Record], hand: Hand) -> None:
    data = hand.document(records)
    turned = {name: dict(reversed(record.items())) for name, record in records.items()}
    assert edit_records(data, turned) == data


@given(DOCUMENTS.filter(bool), HANDS, st.dictionaries(NAMES, RECORDS, min_size=1, max_size=3))
def test_removing_what_was_added_restores_the_file(
    records: dict[str, Record], hand: Hand, new: dict[str, Record]
) -> None:
    # an empty document is left out: its brackets may have stood on one line, which nothing tells afterwards
    data = hand.document(records)
    added = {name: record for name, record in new.items() if name not in records}
    assert edit_records(edit_records(data, added), dict.fromkeys(added)) == data


@given(st.data(), DOCUMENTS.filter(bool), HANDS)
def test_only_the_bytes_of_one_changed_model_change(
    data: st.DataObject, records: dict[str, Record], hand: Hand
) -> None:
    before = hand.document(records)
    name = data.draw(st.sampled_from(sorted(records)))
    after = edit_records(before, {name: data.draw(RECORDS | changes_of(records[name]))})
    old, new = member_texts(before)[name].encode(), member_texts(after)[name].encode()
    start = next(each.start for each in scan_document(_text(before)).items if each.key == name)
    head = len(_mark(before)) + len(_text(before)[:start].encode())
    assert before[:head] == after[:head]
    assert before[head + len(old) :] == after[head + len(new) :]


@given(st.data(), DOCUMENTS.filter(bool), HANDS)
def test_changing_the_value_of_fields_and_changing_it_back_restores_the_file(
    data: st.DataObject, records: dict[str, Record], hand: Hand
) -> None:
    # plain scalars only, by others: a number's own spelling and a removed field's place are gone with them, and with
    # the last letter that is not ASCII how the file writes such
    before = hand.document(records)
    name = data.draw(st.sampled_from(sorted(records)))
    changed = {
        key: data.draw(st.integers(2, 9)) if not isinstance(value, dict | list) and str(value).isascii() else value
        for key, value in records[name].items()
    }
    assert edit_records(edit_records(before, {name: changed}), {name: records[name]}) == before


@given(st.data(), DOCUMENTS.filter(bool), HANDS)
def test_adding_fields_and_removing_them_restores_the_file(
    data: st.DataObject, records: dict[str, Record], hand: Hand
) -> None:
    before = hand.document(records)
    name = data.draw(st.sampled_from(sorted(records)))
    if records[name]:  # an empty one is written whole, and closed on the line it then starts on
        grown = data.draw(st.dictionaries(NAMES, VALUES, max_size=3)) | records[name]
        assert edit_records(edit_records(before, {name: grown}), {name: records[name]}) == before


@given(st.data(), DOCUMENTS.filter(lambda records: len(records) > 1), HANDS)
def test_removing_the_last_model_of_a_regular_file_and_adding_it_again_restores_it(
    data: st.DataObject, records: dict[str, Record], hand: Hand
) -> None:
    # regular: as the file's own hand writes it, without odd blanks and blank lines
    regular = Hand(hand.unit, hand.newline, hand.colon, hand.compact_from, [""], [0], True, hand.around)
    first = records[next(iter(records))]
    alike = {name: dict.fromkeys(["n", "m"], first) for name in records}
    last = sorted(alike)[-1]
    ordered = {name: alike[name] for name in sorted(alike)}
    before = regular.document(ordered)
    assert edit_records(edit_records(before, {last: None}), {last: alike[last]}) == before


@given(
    st.permutations("abcdefgh").flatmap(
        lambda order: st.lists(
            st.sets(st.sampled_from(order)).map(lambda keys: tuple(key for key in order if key in keys))
        )
    )
)
def test_the_common_order_of_agreeing_sequences_agrees_with_all_of_them(sequences: list[tuple[str, ...]]) -> None:
    order = common_order(sequences)
    assert len(order) == len(set(order)) == len(set().union(*sequences))
    assert all(tuple(key for key in order if key in keys) == keys for keys in sequences)


@given(st.lists(st.permutations("abcd").map(tuple), min_size=1))
def test_the_common_order_has_every_key_once_whatever_the_sequences_say(sequences: list[tuple[str, ...]]) -> None:
    assert sorted(common_order(sequences)) == list("abcd")


@given(st.lists(st.sampled_from(["{", "}", "[", "]", ",", ":", '"a"', '"b"', "{}", "1", " ", "\n", "x"]), max_size=9))
@example(["}"])
def test_what_can_be_edited_can_be_read_and_the_reverse(tokens: list[str]) -> None:
    data = "".join(tokens).encode()

    assert _refusal(lambda: read_document(data).check_editable()) == _refusal(lambda: read_records(data))


def _refusal(read: Callable[[], object]) -> str | None:
    try:
        read()
    except DocumentError as fault:
        return None if "twice" in str(fault) else str(fault)
    return None


@given(DOCUMENTS)
def test_a_new_document_is_what_json_writes_whatever_its_records_have_in_common(records: dict[str, Record]) -> None:
    every = records | {f"{name}/too": {**record, "name": name} for name, record in records.items()}
    every |= {f"{name}/again": {"name": f"{name}/again", **record} for name, record in every.items()}
    assert new_document(every).decode() == json.dumps(every, indent=4) + "\n"


def _mark(data: bytes) -> bytes:
    return data[:3] if data.startswith(b"\xef\xbb\xbf") else b""


def _text(data: bytes) -> str:
    return data.decode().removeprefix("\ufeff")
