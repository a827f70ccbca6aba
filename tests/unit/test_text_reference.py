"""``models.csv`` and ``db.json`` as one document."""

from __future__ import annotations

import json
from typing import Any

import pytest

from refsync.documents.csv_document import COLUMNS
from refsync.documents.model_places import Place
from refsync.documents.text_payload import complete_record
from refsync.documents.text_reference import base_name
from refsync.errors import DocumentError, PayloadError
from tests.support.text_tables import derive_text, disagreements, edit_text_reference, read_rows

Record = dict[str, Any]
DEFAULTS: Record = {"baseline": "", "parameters": None, "style": "generalist", "nsfw": False}
PARAMS = ["temperature"]


def table(*lines: str) -> bytes:
    return "".join(f"{line}\r\n" for line in (",".join(COLUMNS), *lines)).encode()


def derived(csv: bytes) -> bytes:
    return derive_text(read_rows(csv), DEFAULTS, PARAMS)


def edited(csv: bytes, db: bytes, **edits: Record | None) -> tuple[bytes, bytes]:
    return edit_text_reference(
        csv, db, DEFAULTS, PARAMS, {name.replace("__", "/"): each for name, each in edits.items()}
    )


def found(csv: bytes, records: Record) -> list[str]:
    return [str(each) for each in disagreements(csv, json.dumps(records).encode(), DEFAULTS, PARAMS)]


def model(name: str, **fields: Any) -> Record:
    return complete_record({"name": name, "parameters": 7 * 10**9, **fields}, DEFAULTS)


CSV = table("a/one,7,,,,,,,,", "b/two,7,,,,,,,,", "two,13,,,,,,,,")
DB = derived(CSV)


def test_a_change_edits_one_row_and_its_three_records() -> None:
    csv, db = edited(CSV, DB, a__one=model("a/one", url="http://one"))
    assert csv == CSV.replace(b"a/one,7,,,", b"a/one,7,,http://one,")
    assert db == derived(csv)
    changed = [name for name, record in json.loads(db).items() if record != json.loads(DB)[name]]
    assert changed == ["a/one", "aphrodite/a/one", "koboldcpp/one"]


def test_a_deleted_model_leaves_both_files_but_not_the_variant_it_shares() -> None:
    csv, db = edited(CSV, DB, two=None)
    assert csv == CSV.removesuffix(b"two,13,,,,,,,,\r\n")
    records = json.loads(db)
    assert "two" not in records
    assert records["koboldcpp/two"]["parameters"] == 7 * 10**9
    assert db == derived(csv)


def test_new_records_stand_where_the_derivation_puts_them_in_a_file_of_another_style() -> None:
    csv = table(*(f"{name},7,,,,,,,," for name in "aceg"))
    db = json.dumps(json.loads(derived(csv)), indent=2).encode()
    csv, db = edited(csv, db, b=model("b"), d=model("d"), h=model("h"), c=None)
    assert list(json.loads(db)) == list(json.loads(derived(csv)))
    assert db == json.dumps(json.loads(derived(csv)), indent=2).encode()


def test_a_change_that_is_there_already_changes_no_byte() -> None:
    assert edited(CSV, DB, a__one=json.loads(DB)["a/one"], gone=None) == (CSV, DB)


def test_a_disagreement_elsewhere_is_in_the_way_and_named() -> None:
    db = DB.replace(b'"parameters": 13000000000', b'"parameters": 12')
    with pytest.raises(DocumentError) as caught:
        edited(CSV, db, a__one=None)
    assert str(caught.value) == (
        'db.json is not what models.csv makes: "koboldcpp/two": parameters: by models.csv 13000000000, in db.json 12'
        " (and 2 more)"
    )


def test_a_disagreement_in_the_model_that_is_edited_is_mended_by_the_edit() -> None:
    db = json.dumps({**json.loads(DB), "a/one": {"name": "by hand"}}, indent=4).encode() + b"\n"
    csv, db = edited(CSV, db, a__one=model("a/one", url="u"))
    assert json.loads(db) == json.loads(derived(csv))


def test_a_variant_is_changed_by_its_model() -> None:
    with pytest.raises(PayloadError, match=r'"koboldcpp/two" is a variant; change "two", and it follows'):
        edited(CSV, DB, koboldcpp__two=None)


def test_a_record_is_that_of_the_model_it_is_given_for() -> None:
    with pytest.raises(PayloadError, match=r'name: has to be "a/one"'):
        edited(CSV, DB, a__one=model("a/two"))


def test_a_variant_that_rows_share_belongs_to_the_last_of_them() -> None:
    rows = read_rows(CSV)
    names = ("b/two", "aphrodite/b/two", "koboldcpp/two", "koboldcpp/three", "aphrodite/two")
    assert [base_name(name, rows) for name in names] == ["b/two", "b/two", "two", None, "two"]


def test_disagreements_are_listed_by_model_and_field() -> None:
    records = json.loads(DB)
    del records["a/one"]
    del records["b/two"]["nsfw"]
    records["aphrodite/b/two"] |= {"style": "chat", "metadata": {}}
    records["extra"] = {}
    assert found(CSV, records) == [
        '"a/one" is missing in db.json; line 2 of models.csv makes it',
        '"b/two": nsfw: by models.csv false, in db.json absent',
        '"aphrodite/b/two": style: by models.csv "generalist", in db.json "chat"',
        '"aphrodite/b/two": metadata: by models.csv absent, in db.json {}',
        '"extra" is in db.json, but no row of models.csv makes it',
    ]


def test_files_that_agree_have_no_disagreements_however_they_are_written() -> None:
    assert found(CSV, json.loads(DB)) == []


def test_a_record_with_a_key_twice_is_not_edited_and_the_others_are() -> None:
    db = DB.replace(b'"nsfw": false', b'"nsfw": false, "nsfw": false', 1)
    with pytest.raises(DocumentError, match="is there twice"):
        edited(CSV, db, a__one=None)
    assert db.count(b'"nsfw": false, "nsfw": false') == edited(CSV, db, b__two=None)[1].count(b'"nsfw": false, "nsfw"')


def test_a_renamed_model_keeps_its_row_and_its_records_with_their_places() -> None:
    record = json.loads(DB)["a/one"] | {"name": "c/three", "model_name": "three", "display_name": "three"}
    edits = {"a/one": None, "c/three": record}
    for db in (DB, DB.replace(b"    ", b"\t")):
        csv, document = edit_text_reference(CSV, db, DEFAULTS, PARAMS, edits, renames={"a/one": "c/three"})
        assert csv == CSV.replace(b"a/one,", b"c/three,")
        assert document == db.replace(b"a/one", b"c/three").replace(b"one", b"three")


def test_a_new_row_stands_where_it_is_asked_to() -> None:
    record = json.loads(DB)["a/one"] | {"name": "a/new", "model_name": "new", "display_name": "new"}
    csv, db = edit_text_reference(
        CSV, DB, DEFAULTS, PARAMS, {"a/new": record}, places={"a/new": Place("before", "a/one")}
    )
    names = [row.name for row in read_rows(csv)]
    assert names.index("a/new") + 1 == names.index("a/one")
    assert list(json.loads(db)).index("a/new") + 3 == list(json.loads(db)).index("a/one")
