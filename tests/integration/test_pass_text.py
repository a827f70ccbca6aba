"""A text reference: a change of one model lands in the table and in the document that is made from it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from refsync.errors import PayloadError, PermanentError, RequestError
from refsync.pending_queue.models import AuditOperation, PendingChangeStatus
from refsync.pending_queue.service import PendingQueueService
from refsync.use_cases.preview import plan_pass
from tests.support.command_line import Desk
from tests.support.reference import Reference
from tests.support.repositories import git
from tests.support.text_files import DOCUMENT, LISTED, ROWS, TABLE, TEXT, document, table, text_files, text_reference

ALPHA, BETA, GAMMA = (row["name"] for row in ROWS)
CREATE, DELETE = AuditOperation.CREATE, AuditOperation.DELETE
APPLIED, APPROVED, REJECTED = PendingChangeStatus.APPLIED, PendingChangeStatus.APPROVED, PendingChangeStatus.REJECTED
NEW = {"parameters": 8_000_000_000, "url": "https://example.org/new"}


@pytest.fixture
def text(tmp_path: Path, bare_git: None) -> Iterator[Reference]:
    made = text_reference(tmp_path)
    yield made
    made.close()


def record(text: Reference, name: str, /, **changed: Any) -> dict[str, Any]:
    """The record as readers get it, with some fields changed."""
    return text.clone.records(DOCUMENT)[name] | changed


def lines_changed(text: Reference) -> list[str]:
    """The lines of the table that the last commit took away or added."""
    shown = git(text.clone.path, "show", "--format=", "-U0", "--text", "HEAD", "--", TABLE).splitlines()
    return [line for line in shown if line.startswith(("+", "-")) and not line.startswith(("+++", "---"))]


def assert_made(text: Reference) -> None:
    """The document is what the table makes, byte for byte, and the clone shows what has landed."""
    assert text.clone.read(DOCUMENT) == document(text.clone.read(TABLE))
    assert text.clone.status == ""
    text.assert_counted()


# What lands


def test_an_update_changes_the_line_of_its_row_and_three_records(text: Reference) -> None:
    change = text.update(ALPHA, record(text, ALPHA, description='Now, "quoted"'), category=TEXT)
    text.sync()
    assert text.statuses([change]) == [APPLIED]
    assert lines_changed(text) == [
        '-acme/Alpha-7B,7,,,,"The first, of all",,"old, kept",,',
        '+acme/Alpha-7B,7,,,,"Now, ""quoted""",,"old, kept",,',
    ]
    assert text.clone.numstat() == "3\t3\tdb.json\n1\t1\tmodels.csv"
    assert_made(text)


def test_a_create_adds_a_row_and_three_records(text: Reference) -> None:
    text.create("acme/New", NEW, category=TEXT)
    text.sync()
    assert lines_changed(text) == ["+acme/New,8,,https://example.org/new,,,,,,"]
    records = text.clone.records(DOCUMENT)
    assert {"acme/New", "aphrodite/acme/New", "koboldcpp/New"} <= records.keys()
    assert records["koboldcpp/New"]["tags"] == ["8B"]
    assert_made(text)


def test_a_deleted_model_leaves_both_files(text: Reference) -> None:
    text.delete(BETA, category=TEXT)
    text.sync()
    assert lines_changed(text) == ['-acme/Beta,13,,,,,chat,,,"{""temperature"": 1.0}"']
    assert [name for name in text.clone.records(DOCUMENT) if "Beta" in name] == []
    assert_made(text)


def test_changes_of_one_batch_land_in_one_commit_on_both_files(text: Reference) -> None:
    ids = [
        text.submit("acme/New", NEW, CREATE, category=TEXT),
        text.submit(GAMMA, record(text, GAMMA, baseline="llama"), category=TEXT),
        text.submit(ALPHA, None, DELETE, category=TEXT),
    ]
    text.approve(*ids)
    [landed] = text.sync_image().landed
    assert landed.commit == text.clone.tip
    assert git(text.clone.path, "show", "--format=", "--name-only").splitlines() == [DOCUMENT, TABLE]
    assert text.statuses(ids) == [APPLIED] * 3
    assert_made(text)


def test_a_create_that_is_there_already_makes_no_commit(text: Reference) -> None:
    tip = text.clone.tip
    change = text.create(GAMMA, record(text, GAMMA), category=TEXT)
    text.sync()
    assert text.statuses([change]) == [APPLIED]
    assert text.clone.tip == tip


def test_rows_that_people_left_ragged_or_twice_stay_as_they_are(text: Reference) -> None:
    rows = text.clone.read(TABLE) + b"twice,1,,,,,,,,\r\nshort,1\r\ntwice,2,,,,,,,,\r\n"
    text.clone.commit({TABLE: rows, DOCUMENT: document(rows)})
    text.update(GAMMA, record(text, GAMMA, baseline="llama"), category=TEXT)
    text.sync()
    assert text.clone.read(TABLE) == rows.replace(b"gamma,,", b"gamma,llama,")
    assert_made(text)


def test_a_document_written_in_another_way_keeps_it(text: Reference) -> None:
    written = text.clone.read(DOCUMENT).replace(b"    ", b"\t").replace(b"\n", b"\r\n")
    text.clone.commit({DOCUMENT: written})
    text.update(GAMMA, record(text, GAMMA, version="2", baseline="llama") | {"version": "1"}, category=TEXT)
    text.sync()
    assert text.clone.read(DOCUMENT).startswith(b'{\r\n\t"acme/Alpha-7B"')
    assert text.clone.numstat() == "3\t3\tdb.json\n1\t1\tmodels.csv"


# Base models, their variants and what is derived


@pytest.mark.parametrize("name", [ALPHA, f"aphrodite/{ALPHA}", "koboldcpp/Alpha-7B"])
def test_a_change_of_a_variant_is_one_of_its_base_model(text: Reference, name: str) -> None:
    change = text.change(text.update(name, record(text, name, baseline="llama"), category=TEXT))
    assert (change.model_name, (change.payload or {})["name"]) == (ALPHA, ALPHA)
    assert change.related_models == [f"aphrodite/{ALPHA}", "koboldcpp/Alpha-7B"]
    text.sync()
    assert {record(text, each)["baseline"] for each in (ALPHA, *change.related_models)} == {"llama"}


def test_a_variant_of_a_model_that_is_about_to_be_created_is_that_model(text: Reference) -> None:
    text.submit("acme/New", NEW, CREATE, category=TEXT)
    change = text.submit("aphrodite/acme/New", NEW | {"baseline": "llama"}, category=TEXT)
    assert text.change(change).model_name == "acme/New"


def test_a_variant_without_its_base_model_cannot_be_created(text: Reference) -> None:
    with pytest.raises(PayloadError, match=r"^name: 'koboldcpp/New' is that of a variant"):
        text.submit("koboldcpp/New", NEW, CREATE, category=TEXT)


def test_the_commit_names_the_variants(text: Reference) -> None:
    text.delete(BETA, category=TEXT)
    text.sync()
    message = git(text.clone.path, "log", "-1", "--format=%B")
    assert '- delete text_generation "acme/Beta" with "aphrodite/acme/Beta", "koboldcpp/Beta"\n' in message


def test_a_new_size_takes_the_old_size_out_of_the_tags(text: Reference) -> None:
    text.update(ALPHA, record(text, ALPHA, parameters=8_000_000_000), category=TEXT)
    text.sync()
    assert record(text, ALPHA)["tags"] == ["8B", "kept", "old"]
    assert lines_changed(text)[1].startswith("+acme/Alpha-7B,8,")
    assert_made(text)


def test_a_new_style_takes_the_old_style_out_of_the_tags(text: Reference) -> None:
    text.update(BETA, record(text, BETA, style="story"), category=TEXT)
    text.sync()
    assert record(text, BETA)["tags"] == ["13B", "story"]
    assert_made(text)


def test_a_style_that_is_tagged_though_it_is_the_default_stays_as_it_is(text: Reference) -> None:
    rows = table(*ROWS[:2], ROWS[2] | {"style": "generalist"})
    text.clone.commit({TABLE: rows, DOCUMENT: document(rows)})
    text.update(GAMMA, record(text, GAMMA, baseline="llama"), category=TEXT)
    text.sync()
    assert text.clone.read(TABLE) == rows.replace(b"gamma,,", b"gamma,llama,")


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"trigger": ["a"]}, '"trigger"'),
        ({"settings": {"warmth": 1}}, 'settings: "warmth"'),
        ({"version": "2"}, "version"),
        ({"parameters": "7B"}, "parameters"),
        ({"nsfw": True}, "nsfw"),
        ({"url": 7}, "url"),
        ({"metadata": {}}, "a v2 record"),
        ({"name": "acme/Other"}, "name: has to be"),
        ({"model_name": "Other"}, "model_name"),
    ],
)
def test_what_no_row_can_hold_is_refused_at_once_with_its_field(
    text: Reference, changed: Mapping[str, Any], reason: str
) -> None:
    with pytest.raises(PayloadError) as refusal:
        text.submit(ALPHA, record(text, ALPHA, **changed), category=TEXT)
    assert reason in str(refusal.value)
    assert "\n" not in str(refusal.value)
    assert text.application.queue.list_changes().total == 0


# Conflicts


def test_edits_of_different_fields_are_merged(text: Reference) -> None:
    change = text.update(GAMMA, record(text, GAMMA, baseline="llama"), category=TEXT)
    meanwhile = table(*ROWS[:2], ROWS[2] | {"style": "chat"})
    text.clone.commit({TABLE: meanwhile, DOCUMENT: document(meanwhile)})
    text.sync()
    assert text.statuses([change]) == [APPLIED]
    assert (record(text, GAMMA)["style"], record(text, GAMMA)["baseline"]) == ("chat", "llama")
    assert_made(text)


def test_edits_of_the_same_field_conflict(text: Reference) -> None:
    bad = text.submit(GAMMA, record(text, GAMMA, baseline="llama"), category=TEXT)
    good = text.submit("acme/New", NEW, CREATE, category=TEXT)
    text.approve(bad, good)
    meanwhile = table(*ROWS[:2], ROWS[2] | {"baseline": "mistral"})
    text.clone.commit({TABLE: meanwhile, DOCUMENT: document(meanwhile)})
    text.sync()
    assert text.statuses([bad, good]) == [REJECTED, APPLIED]
    reason = text.change(bad).reject_reason or ""
    assert "mistral" in reason
    assert "llama" in reason
    assert_made(text)


@pytest.mark.parametrize(
    ("name", "operation", "payload"),
    [
        ("koboldcpp/Beta", DELETE, None),
        ("koboldcpp/Beta", AuditOperation.UPDATE, NEW),
        ("acme/New", CREATE, NEW),
        ("acme/New", CREATE, NEW | {"name": "other"}),
    ],
)
def test_what_no_row_can_hold_in_a_queue_that_knows_no_reference_loses_that_change_only(
    text: Reference, name: str, operation: AuditOperation, payload: dict[str, Any] | None
) -> None:
    queue = PendingQueueService(store=text.application.store)
    bad = queue.enqueue_change(
        category=TEXT,
        model_name=name,
        operation=operation,
        payload=payload,
        requestor_id="1",
        requestor_username="Ada",
    )
    good = text.submit(GAMMA, record(text, GAMMA, baseline="llama"), category=TEXT)
    text.approve(bad.change_id, good)
    text.sync()
    assert text.statuses([bad.change_id, good]) == [REJECTED, APPLIED]
    assert ": name: " in (text.change(bad.change_id).reject_reason or "")
    assert_made(text)


# What waits


def test_a_disagreement_in_another_model_holds_the_change_until_a_person_mends_it(text: Reference) -> None:
    change = text.update(GAMMA, record(text, GAMMA, baseline="llama"), category=TEXT)
    good = text.clone.read(DOCUMENT)
    text.clone.commit({DOCUMENT: good.replace(b"The first, of all", b"By hand")})
    [held] = text.sync_image().held
    assert held.reason.startswith(f"{DOCUMENT} cannot be edited safely: it is not what {TABLE} makes: ")
    assert '"acme/Alpha-7B": description' in held.reason
    assert text.statuses([change]) == [APPROVED]
    text.clone.commit({DOCUMENT: good})
    assert text.sync().clean
    assert text.statuses([change]) == [APPLIED]
    assert_made(text)


def test_a_disagreement_in_the_model_itself_is_mended_by_its_change(text: Reference) -> None:
    by_hand = text.clone.read(DOCUMENT).replace(b"The first, of all", b"By hand")
    text.clone.commit({DOCUMENT: by_hand})
    change = text.update(ALPHA, record(text, ALPHA, baseline="llama"), category=TEXT)
    text.sync()
    assert text.statuses([change]) == [APPLIED]
    assert record(text, ALPHA)["description"] == "By hand"
    assert_made(text)


def test_a_model_that_only_the_document_has_can_be_deleted(text: Reference) -> None:
    rows = table(*ROWS, {"name": "acme/Ghost", "parameters_bn": "1"})
    text.clone.commit({DOCUMENT: document(rows)})
    change = text.delete("acme/Ghost", category=TEXT)
    text.sync()
    assert text.statuses([change]) == [APPLIED]
    assert_made(text)


@pytest.mark.parametrize("path", [TABLE, DOCUMENT])
def test_local_edits_of_either_file_hold_the_change(text: Reference, path: str) -> None:
    change = text.update(GAMMA, record(text, GAMMA, baseline="llama"), category=TEXT)
    before = text.clone.read(path)
    text.clone.write(path, before + b"\n")
    [held] = text.sync_image().held
    assert "local edits" in held.reason
    assert text.clone.read(path) == before + b"\n"
    text.clone.write(path, before)
    text.sync()
    assert text.statuses([change]) == [APPLIED]


@pytest.mark.parametrize("path", ["defaults.json", "generation_params.json", TABLE, DOCUMENT])
def test_a_missing_file_holds_the_change_and_is_named(text: Reference, path: str) -> None:
    change = text.update(GAMMA, record(text, GAMMA, baseline="llama"), category=TEXT)
    before = text.clone.read(path)
    text.clone.commit({path: None})
    [held] = text.sync_image().held
    assert f"{path} is missing" in held.reason
    text.clone.commit({path: before})
    text.sync()
    assert text.statuses([change]) == [APPLIED]


def test_a_change_submitted_while_a_file_is_missing_waits_for_it(text: Reference) -> None:
    wanted, before = record(text, GAMMA, baseline="llama"), text.clone.read("defaults.json")
    text.clone.commit({"defaults.json": None})
    change = text.update(GAMMA, wanted, category=TEXT)
    text.sync()
    text.clone.commit({"defaults.json": before})
    text.sync()
    assert text.statuses([change]) == [APPLIED]
    assert_made(text)


def test_a_row_that_nothing_can_be_made_of_holds_the_change_with_its_line(text: Reference) -> None:
    change = text.update(GAMMA, record(text, GAMMA, baseline="llama"), category=TEXT)
    text.clone.commit({TABLE: text.clone.read(TABLE).replace(b"Beta,13", b"Beta,many")})
    [held] = text.sync_image().held
    assert "line 3" in held.reason
    assert "parameters_bn" in held.reason
    assert text.statuses([change]) == [APPROVED]


# Readers, counters and the command line


def test_readers_get_the_document_and_hear_of_a_landing(text: Reference) -> None:
    backend = text.application.backends["image"]
    assert backend.get_legacy_json(TEXT) == text.clone.records(DOCUMENT)
    text.update(GAMMA, record(text, GAMMA, baseline="llama"), category=TEXT)
    text.sync()
    assert backend.mark_touched([text.clone.path / DOCUMENT]) == [TEXT]
    found = backend.get_legacy_json(TEXT)
    assert found is not None
    assert found[f"aphrodite/{GAMMA}"]["baseline"] == "llama"


def test_the_backend_writes_a_text_model_with_its_variants(text: Reference) -> None:
    backend = text.application.backends["image"]
    backend.update_model_legacy(TEXT, "acme/New", NEW)
    backend.delete_model_legacy(TEXT, BETA)
    found = backend.get_legacy_json(TEXT)
    assert found is not None
    assert "koboldcpp/New" in found
    assert f"aphrodite/{BETA}" not in found
    with pytest.raises(RequestError, match="trigger"):
        backend.update_model_legacy(TEXT, GAMMA, record(text, GAMMA, trigger="x"))
    assert_made(text)


def test_a_write_that_has_to_wait_is_given_up_with_the_reason(text: Reference) -> None:
    text.clone.commit({DOCUMENT: text.clone.read(DOCUMENT).replace(b"The first", b"By hand")})
    with pytest.raises(PermanentError, match=r"was not written: db\.json cannot be edited safely"):
        text.application.backends["image"].update_model_legacy(TEXT, "acme/New", NEW)


def test_the_counters_are_those_of_the_document(text: Reference) -> None:
    text.create("acme/New", NEW, category=TEXT)
    text.update(GAMMA, record(text, GAMMA, baseline="llama"), category=TEXT)
    text.sync()
    counted = text.counters(TEXT)
    assert (counted.total_creates, counted.total_updates, counted.total_deletes) == (12, 3, 0)
    assert counted.total_models == len(text.clone.records(DOCUMENT))


def test_a_preview_shows_the_diff_of_both_files(text: Reference) -> None:
    text.update(GAMMA, record(text, GAMMA, baseline="llama"), category=TEXT)
    [planned] = plan_pass(text.application).root
    assert "+++ b/models.csv" in planned.diff
    assert "+++ b/db.json" in planned.diff
    assert "+Gamma_3B,2.7,,https://example.org/gamma,llama,,,,," in planned.diff


@pytest.fixture
def desk(tmp_path: Path, bare_git: None) -> Desk:
    """A text reference at the command line."""
    made = Desk.at(tmp_path, LISTED)
    made.clone.commit(text_files(*ROWS))
    return made


def test_the_command_line_shows_the_variants(desk: Desk) -> None:
    change = desk.add("create", "acme/New", NEW, category=TEXT)
    both = "aphrodite/acme/New, koboldcpp/New"
    assert f"  variants     {both}" in desk("queue", "show", change).done.out.splitlines()
    assert f"  with its variants {both}" in desk("queue", "diff", change).done.out.splitlines()
    assert "koboldcpp/New" in desk("queue", "list").done.out
    assert desk("queue", "show", change, "--json").done.json["related_models"] == both.split(", ")


def test_the_command_line_lands_a_text_model_and_finds_its_history(desk: Desk) -> None:
    change = desk.add("create", "acme/New", NEW, category=TEXT)
    assert desk("queue", "approve", change, "--title", "New").done
    dry = desk("sync", "--dry-run").done.out
    assert "+++ b/models.csv" in dry
    assert "+++ b/db.json" in dry
    assert desk("sync").done
    assert desk("model", "show", TEXT, "koboldcpp/New").done.json["parameters"] == NEW["parameters"]
    assert "create" in desk("model", "history", TEXT, "acme/New").done.out
    assert desk("metadata", "verify").done


def test_a_refused_field_is_one_clear_line(desk: Desk) -> None:
    ended = desk("queue", "add", "create", TEXT, "acme/New", "--payload", "-", stdin=b'{"parameters": 1, "x": 1}')
    assert ended.refusal == 'no column of models.csv holds "x"; leave it out'
