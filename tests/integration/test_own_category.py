"""A category that is none of the specification's: a name of another catalogue goes wherever theirs go."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from pydantic import ValidationError

from refsync.application import Application, open_application
from refsync.categories import SPECIFIED, Catalogue, CategoryDescriptor, CategoryName
from refsync.config import Config
from refsync.errors import UnknownCategoryError
from refsync.pending_queue.models import Actor, AuditOperation, PendingChangeRecord, PendingQueueFilter
from refsync.pending_queue.store import PendingQueueStore
from refsync.use_cases.metadata import show_counters
from refsync.use_cases.moving import export_queue
from refsync.use_cases.renaming import rename_model
from tests.support.command_line import Desk
from tests.support.repositories import Clone

PRICES = CategoryName("model_prices")
OWN = CategoryDescriptor.own(PRICES, "prices.json", ("mode",))
CATALOGUE = Catalogue([*SPECIFIED.descriptors.values(), OWN])
ADA = Actor("ada", "Ada")


def opened(tmp_path: Path) -> Application:
    repository = {"name": "it", "path": str(tmp_path / "clone"), "critical_fields": {PRICES: ["cost"]}}
    return open_application(Config(CATALOGUE, state_directory=str(tmp_path / "state"), repository=[repository]))


def test_it_is_submitted_landed_counted_and_read_like_any_other(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path / "clone", {"prices.json": {"gpt": {"cost": 1, "mode": "chat"}}})
    with opened(tmp_path) as application:
        application.run_pass()
        change = application.queue.enqueue_change(
            category=PRICES,
            model_name="gpt",
            operation=AuditOperation.UPDATE,
            payload={"cost": 2, "mode": "chat"},
            requestor_id="ada",
            requestor_username="Ada",
        )
        diff = application.diffs().compute_change_diff(change.change_id)
        rename_model(application, PRICES, "gpt", "gpt-2", actor=ADA)
        ids = [each.change_id for each in application.queue.list_changes().items]
        application.queue.process_batch(
            approver_id="bob", approver_username="Bob", batch_title="t", approved_ids=ids, rejected_ids=None
        )
        application.run_pass()
        listed = application.queue.list_changes(queue_filter=PendingQueueFilter(categories={PRICES})).items
        backend = application.backends["it"]
        counters = show_counters(application, PRICES).model_dump(mode="json")["it"]["legacy"]
        exported = [line["change"]["category"] for line in export_queue(application) if "change" in line]

    assert diff is not None
    assert diff.is_critical
    assert clone.records("prices.json") == {"gpt-2": {"cost": 2, "mode": "chat"}}
    assert [(each.category, each.status) for each in listed] == [(PRICES, "applied")] * 3
    assert backend.fetch_all_categories()[PRICES] == {"gpt-2": {"cost": 2, "mode": "chat"}}
    assert list(counters) == [PRICES]
    assert counters[PRICES]["total_models"] == 1
    assert exported == [PRICES] * 3


def test_where_it_is_not_known_it_is_refused_and_what_is_stored_is_kept(tmp_path: Path) -> None:
    Clone.create(tmp_path / "clone", {"prices.json": {}})
    values = {"model_name": "m", "requested_by": "ada", "requested_username": "Ada", "operation": "delete"}
    with opened(tmp_path) as application:
        record = PendingChangeRecord(change_id=0, category=PRICES, **values)
        application.store.enqueue_change(record)
    with PendingQueueStore(root_path=tmp_path / "state") as store:
        assert store.list_changes() == ([], 0)
        assert store.unknown_changes() == [(1, "model_prices")]
    with pytest.raises(ValidationError, match="unknown category 'model_prices'"):
        PendingChangeRecord(change_id=0, category="model_prices", **values)
    context = {"catalogue": CATALOGUE}
    same = PendingChangeRecord.model_validate_json(record.model_dump_json(), context=context)
    assert json.loads(same.model_dump_json()) == json.loads(record.model_dump_json())
    with pytest.raises(UnknownCategoryError, match="known are blip, clip"):
        SPECIFIED.parse("model_prices")


def test_a_config_adds_one_and_every_command_knows_it(tmp_path: Path) -> None:
    table = '[[category]]\nname = "model_prices"\nfile = "prices.json"\ncritical = ["mode"]\n'
    desk = Desk.at(tmp_path, table, {"prices.json": {"gpt": {"cost": 1, "mode": "chat"}}})
    number = desk.add("update", "gpt", {"cost": 2, "mode": "embed"}, category="model_prices")
    assert "critical" in desk("queue", "diff", number).done.out
    desk.land(number)
    assert desk("model", "show", "model_prices", "gpt").json == {"cost": 2, "mode": "embed"}
    assert "model_prices" in desk("metadata", "show").done.out
    assert "critical fields changed: mode" in desk("check", "HEAD~1", "--directory", desk.clone.path).done.out
    assert desk("queue", "add", "delete", "prices", "gpt").refusal.startswith("unknown category 'prices'; known are")


@pytest.mark.parametrize(
    ("table", "reason"),
    [
        ('name = "clip"\nfile = "c.json"', "clip is a name of the specification"),
        ('name = "metadata"\nfile = "c.json"', "metadata is a name of the specification"),
        ('name = "No"\nfile = "c.json"', "must be small letters"),
        ('name = "own"\nfile = "../c.json"', "is a path outside the clone"),
        ('name = "own"\nfile = "c.csv"', "is a CSV table"),
        ('name = "own"\nfile = "a.json"\n[[category]]\nname = "own"\nfile = "b.json"', "own is there twice"),
        ('name = "own"\nfile = "clip.json"', "clip.json' is the file of clip (legacy) and of own (legacy)"),
    ],
)
def test_what_cannot_be_a_category_is_refused_with_its_place(tmp_path: Path, table: str, reason: str) -> None:
    desk = Desk.at(tmp_path, f"[[category]]\n{table}\n")
    assert reason in desk("config", "check").err
