"""Text in a clone of layout ``primary``: v2 records that are edited, and the legacy table that is read beside them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refsync.backends.git_backend import GitBackend
from refsync.categories import CanonicalFormat
from refsync.errors import DocumentError, PayloadError, RequestError
from refsync.pending_queue.models import AuditOperation, PendingChangeStatus
from tests.support.command_line import Desk
from tests.support.reference import Reference
from tests.support.repositories import dump, git
from tests.support.text_files import DEFAULTS, PARAMETERS, ROWS, TEXT, document, table

CREATE, DELETE = AuditOperation.CREATE, AuditOperation.DELETE
APPLIED, REJECTED = PendingChangeStatus.APPLIED, PendingChangeStatus.REJECTED
FILE, TABLE = "text_generation.json", "legacy/models.csv"
ALPHA, BETA, GAMMA = "acme/Alpha-7B", "acme/Beta", "Gamma_3B"
APHRODITE, KOBOLDCPP = f"aphrodite/{ALPHA}", "koboldcpp/Alpha-7B"


def v2(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "record_type": "text_generation", "parameters": 7, "nsfw": False} | fields


# Alpha has both variants, Beta one with a field of its own, Gamma none.
RECORDS = {name: v2(name) for name in (ALPHA, APHRODITE, KOBOLDCPP, BETA)}
RECORDS |= {"koboldcpp/Beta": v2("koboldcpp/Beta", context=4096), GAMMA: v2(GAMMA)}


@pytest.fixture
def text(tmp_path: Path, bare_git: None) -> Iterator[Reference]:
    files = {FILE: dump(RECORDS), TABLE: table(*ROWS)}
    made = Reference(tmp_path, files, repository='layout = "primary"\nstamp_records = false')
    yield made
    made.close()


def records(text: Reference) -> dict[str, dict[str, Any]]:
    return text.clone.records(FILE)


def backend_of(text: Reference) -> GitBackend:
    return text.application.backends["image"]


# Variants that are records of their own


@pytest.mark.parametrize("name", [ALPHA, APHRODITE, KOBOLDCPP])
def test_a_change_of_a_model_or_of_a_variant_lands_in_all_of_its_records(text: Reference, name: str) -> None:
    change = text.change(text.update(name, v2(name, nsfw=True), category=TEXT))
    assert (change.model_name, change.related_models) == (ALPHA, [APHRODITE, KOBOLDCPP])
    text.sync()
    assert text.statuses([change.change_id]) == [APPLIED]
    assert records(text) == RECORDS | {each: v2(each, nsfw=True) for each in (ALPHA, APHRODITE, KOBOLDCPP)}
    assert text.clone.numstat() == f"3\t3\t{FILE}"
    assert f'"{ALPHA}" with "{APHRODITE}", "{KOBOLDCPP}"\n' in git(text.clone.path, "log", "-1", "--format=%B")
    text.assert_counted()


def test_a_variant_keeps_the_fields_that_are_its_own(text: Reference) -> None:
    change = text.change(text.update(BETA, v2(BETA, parameters=8, url="x"), category=TEXT))
    assert change.related_models == ["koboldcpp/Beta"]
    text.sync()
    assert records(text)["koboldcpp/Beta"] == v2("koboldcpp/Beta", context=4096, parameters=8, url="x")
    assert "aphrodite/acme/Beta" not in records(text)


def test_a_change_of_a_field_in_which_the_variant_differs_is_rejected_with_the_values(text: Reference) -> None:
    change = text.update(BETA, v2(BETA, context=8192), category=TEXT)
    [rejected] = text.sync_image().rejected
    assert rejected.reason == (
        "its variant 'koboldcpp/Beta' differs from text_generation 'acme/Beta': "
        "context: was absent, is now 4096, wanted 8192"
    )
    assert text.statuses([change]) == [REJECTED]
    assert records(text) == RECORDS


def test_a_model_without_variants_stays_without(text: Reference) -> None:
    change = text.change(text.update(GAMMA, v2(GAMMA, nsfw=True), category=TEXT))
    text.sync()
    assert change.related_models is None
    assert records(text) == RECORDS | {GAMMA: v2(GAMMA, nsfw=True)}


def test_a_deleted_model_takes_its_variants_along(text: Reference) -> None:
    text.delete(KOBOLDCPP, category=TEXT)
    text.sync()
    assert records(text).keys() == RECORDS.keys() - {ALPHA, APHRODITE, KOBOLDCPP}


def test_a_new_model_gets_variants_where_the_file_keeps_them(text: Reference) -> None:
    first = text.submit("aphrodite/acme/New", v2("aphrodite/acme/New"), CREATE, category=TEXT)
    second = text.submit("acme/New", v2("acme/New", nsfw=True), category=TEXT)
    assert text.change(first).model_name == "acme/New"
    text.approve(first, second)
    text.sync()
    new = ("acme/New", "aphrodite/acme/New", "koboldcpp/New")
    assert records(text) == RECORDS | {each: v2(each, nsfw=True) for each in new}


def test_a_new_model_stands_alone_where_the_file_keeps_no_variants(text: Reference) -> None:
    text.clone.commit({FILE: {GAMMA: v2(GAMMA)}})
    text.create("acme/New", v2("acme/New"), category=TEXT)
    text.sync()
    assert records(text).keys() == {GAMMA, "acme/New"}


def test_a_variant_that_two_models_share_follows_the_last_one(text: Reference) -> None:
    text.clone.commit({FILE: RECORDS | {"other/Beta": v2("other/Beta")}})
    first = text.change(text.submit(BETA, v2(BETA, nsfw=True), category=TEXT))
    last = text.change(text.submit("koboldcpp/Beta", v2("koboldcpp/Beta", nsfw=True), category=TEXT))
    assert (first.related_models, last.related_models) == (None, ["koboldcpp/Beta"])
    assert last.model_name == "other/Beta"


def test_a_variant_without_its_base_model_cannot_be_created_but_changed_and_deleted(text: Reference) -> None:
    with pytest.raises(PayloadError, match=r"^name: 'koboldcpp/New' is that of a variant"):
        text.submit("koboldcpp/New", v2("koboldcpp/New"), CREATE, category=TEXT)
    text.clone.commit({FILE: RECORDS | {"koboldcpp/Left": v2("koboldcpp/Left")}})
    text.update("koboldcpp/Left", v2("koboldcpp/Left", nsfw=True), category=TEXT)
    text.sync()
    assert records(text)["koboldcpp/Left"]["nsfw"] is True
    text.delete("koboldcpp/Left", category=TEXT)
    text.sync()
    assert records(text) == RECORDS


def test_a_variant_that_stands_there_with_another_record_rejects_its_new_model(text: Reference) -> None:
    text.clone.commit({FILE: RECORDS | {"koboldcpp/Left": v2("koboldcpp/Left", nsfw=True)}})
    text.create("acme/Left", v2("acme/Left"), category=TEXT)
    [rejected] = text.sync_image().rejected
    assert "its variant 'koboldcpp/Left' exists already" in rejected.reason
    assert "acme/Left" not in records(text)


def test_a_variant_that_went_meanwhile_is_not_made_anew(text: Reference) -> None:
    change = text.update(ALPHA, v2(ALPHA, nsfw=True), category=TEXT)
    text.clone.commit({FILE: {name: record for name, record in RECORDS.items() if name != KOBOLDCPP}})
    text.sync()
    assert text.statuses([change]) == [APPLIED]
    assert KOBOLDCPP not in records(text)


def test_every_record_that_is_written_is_stamped(text: Reference) -> None:
    text.reopen("stamp_records = false", "stamp_records = true")
    text.update(ALPHA, v2(ALPHA, nsfw=True), category=TEXT)
    text.sync()
    stamps = [records(text)[name]["metadata"] for name in (ALPHA, APHRODITE, KOBOLDCPP)]
    assert stamps[0] == stamps[1] == stamps[2]
    text.update(ALPHA, v2(ALPHA), category=TEXT)
    text.sync()
    assert records(text)[KOBOLDCPP]["nsfw"] is False


def test_a_variant_named_beside_its_model_by_somebody_else_is_not_taken_for_one(text: Reference) -> None:
    asked: dict[str, Any] = {"payload": v2(GAMMA, nsfw=True), "base": v2(GAMMA), "base_known": True}
    change = text.application.queue.enqueue_change(
        category=TEXT,
        model_name=GAMMA,
        operation=AuditOperation.UPDATE,
        requestor_id="ada",
        requestor_username="Ada",
        related_models=[ALPHA, f"aphrodite/{GAMMA}"],
        **asked,
    )
    text.approve(change.change_id)
    text.sync()
    assert records(text) == RECORDS | {GAMMA: v2(GAMMA, nsfw=True)}


def test_a_listed_json_file_of_an_upstream_clone_keeps_its_variants_together(tmp_path: Path, bare_git: None) -> None:
    listed = f'[repository.categories]\n{TEXT} = "db.json"'
    text = Reference(tmp_path, {"db.json": dump(RECORDS)}, repository=listed)
    text.update(ALPHA, v2(ALPHA, nsfw=True), category=TEXT)
    text.sync()
    assert text.clone.records("db.json")[KOBOLDCPP]["nsfw"] is True
    text.close()


# The legacy table


def test_the_legacy_records_are_those_that_the_table_makes(text: Reference) -> None:
    backend = backend_of(text)
    assert backend.fetch_category(TEXT) == RECORDS
    legacy = backend.get_legacy_json(TEXT)
    assert legacy is not None
    assert legacy["koboldcpp/Beta"]["settings"] == {"temperature": 1.0}
    assert "version" not in legacy[ALPHA]


def test_defaults_beside_the_table_are_a_part_of_them(text: Reference) -> None:
    backend = backend_of(text)
    assert backend.get_legacy_json(TEXT)
    text.clone.commit({"legacy/defaults.json": DEFAULTS, "legacy/generation_params.json": PARAMETERS})
    assert TEXT in backend.mark_changed_categories()
    assert backend.get_legacy_json_string(TEXT) == document(table(*ROWS)).decode()


def test_a_table_that_changes_is_read_anew(text: Reference) -> None:
    backend = backend_of(text)
    assert backend.get_legacy_json(TEXT)
    text.clone.commit({TABLE: table(ROWS[0])})
    assert (backend.get_legacy_json(TEXT) or {}).keys() == {ALPHA, APHRODITE, KOBOLDCPP}


def test_a_json_file_is_read_where_there_is_no_table(text: Reference) -> None:
    backend = backend_of(text)
    text.clone.commit({TABLE: None, "legacy/text_generation.json": {"old": {"name": "old"}}})
    assert backend.get_legacy_json(TEXT) == {"old": {"name": "old"}}
    text.clone.commit({TABLE: table(*ROWS)})
    assert ALPHA in (backend.get_legacy_json(TEXT) or {})


def test_a_broken_table_keeps_the_last_good_records_until_what_is_beside_it_is_mended(text: Reference) -> None:
    backend = backend_of(text)
    good = backend.get_legacy_json(TEXT)
    text.clone.commit({"legacy/generation_params.json": {"top_k": 1}})
    backend.mark_changed_categories()
    assert backend.get_legacy_json(TEXT) == good
    with pytest.raises(DocumentError, match=r"not in generation_params\.json \(in .*models\.csv\)"):
        backend.get_legacy_json(TEXT, redownload=True)
    text.clone.commit({"legacy/generation_params.json": PARAMETERS})
    backend.mark_changed_categories()
    assert backend.get_legacy_json(TEXT, redownload=True) == good


def test_a_change_leaves_the_table_alone_and_legacy_writes_are_refused(text: Reference) -> None:
    backend_of(text).update_model(TEXT, APHRODITE, v2(APHRODITE, nsfw=True))
    assert text.clone.read(TABLE) == table(*ROWS)
    assert records(text)[ALPHA]["nsfw"] is True
    assert not backend_of(text).supports_legacy_writes()
    with pytest.raises(RequestError):
        backend_of(text).update_model(TEXT, "koboldcpp/None", v2("koboldcpp/None"))


def test_the_table_is_counted_as_the_records_that_it_makes(text: Reference) -> None:
    text.sync()
    text.clone.commit({TABLE: table(ROWS[0], ROWS[1] | {"parameters_bn": "14"})})
    text.sync()
    counted = text.image.metadata.stored_metadata(CanonicalFormat.legacy, TEXT)
    assert counted is not None
    assert (counted.total_creates, counted.total_updates, counted.total_deletes) == (9, 3, 3)
    assert counted.history_errors == 0
    text.assert_counted()


def test_all_that_legacy_records_are_made_of_is_listened_to(text: Reference) -> None:
    beside = {TABLE, "legacy/defaults.json", "legacy/generation_params.json", "legacy/text_generation.json"}
    assert beside <= {*text.image.data_paths()}
    assert all(backend_of(text).categories_of_path(text.clone.path / file) == {TEXT} for file in beside)


# The command line


@pytest.fixture
def desk(tmp_path: Path, bare_git: None) -> Desk:
    made = Desk.at(tmp_path, 'layout = "primary"\n')
    made.clone.commit({"clip.json": None, "blip.json": None, FILE: RECORDS, TABLE: table(*ROWS)})
    return made


def test_the_variants_are_shown_wherever_a_reviewer_looks(desk: Desk) -> None:
    change = desk.add("update", KOBOLDCPP, v2(KOBOLDCPP, nsfw=True), category=TEXT)
    both = f"{APHRODITE}, {KOBOLDCPP}"
    assert f"  variants     {both}" in desk("queue", "show", change).done.out.splitlines()
    assert f"  with its variants {both}" in desk("queue", "diff", change).done.out.splitlines()
    assert KOBOLDCPP in desk("queue", "list").done.out
    desk.land(change)
    assert f"updated {ALPHA}" in desk("diff", "--directory", desk.clone.path, "HEAD^", "HEAD").done.out


def test_status_and_check_name_a_row_that_nothing_can_be_made_of(desk: Desk) -> None:
    assert desk("check", "--directory", desk.clone.path).done
    desk.clone.commit({TABLE: table(*ROWS).replace(b"Beta,13", b"Beta,many")})
    found = desk("check", "--directory", desk.clone.path)
    assert found.code == 1
    assert f"{TABLE}:3:" in found.out
    assert f"{TABLE}" in desk("status").out


def test_a_document_beside_the_legacy_table_is_checked_and_mended(desk: Desk) -> None:
    beside = {"legacy/defaults.json": dump(DEFAULTS), "legacy/generation_params.json": dump(PARAMETERS)}
    desk.clone.commit({**beside, "legacy/db.json": b"{}"})
    assert desk("check", "--directory", desk.clone.path).code == 1
    mended = desk("check", "--directory", desk.clone.path, "--fix")
    assert mended.done
    assert " add -- legacy/models.csv legacy/db.json && git " in mended.err
    assert desk.clone.read("legacy/db.json") == document(table(*ROWS))


def test_a_diff_tells_what_happened_to_a_table_that_stands_alone(desk: Desk) -> None:
    desk.clone.commit({TABLE: table(*ROWS, {"name": "acme/New", "parameters_bn": "1"})})
    out = desk("diff", "--directory", desk.clone.path, "HEAD^", "HEAD").done.out
    assert f"text_generation: {TABLE}\n  created acme/New" in out
