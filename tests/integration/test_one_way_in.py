"""Whatever door a submission comes by, what it was made from is looked up, and what cannot work is refused."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refsync import AuditOperation, PendingChangeRecord, PendingChangeStatus, load_config, open_application
from refsync.application import Application
from refsync.categories import MODEL_REFERENCE_CATEGORY
from refsync.errors import RequestError, UnknownCategoryError
from tests.support.repositories import Clone

CLIP = MODEL_REFERENCE_CATEGORY.clip


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.create(tmp_path / "clone", {"clip.json": {"a": {"x": 1, "y": 1}}})


@pytest.fixture
def application(tmp_path: Path, clone: Clone) -> Iterator[Application]:
    config = tmp_path / "refsync.toml"
    config.write_text(f"repository = [{{ name = 'image', path = '{clone.path}' }}]\n")
    with open_application(load_config(config, {"REFSYNC_STATE_DIRECTORY": str(tmp_path / "state")})) as opened:
        yield opened


def submit(application: Application, model: str, operation: str, payload: Any, **given: Any) -> PendingChangeRecord:
    return application.queue.enqueue_change(
        category=given.pop("category", CLIP),
        model_name=model,
        operation=AuditOperation(operation),
        payload=payload,
        requestor_id="ada",
        requestor_username="Ada",
        **given,
    )


def land(application: Application, change: PendingChangeRecord) -> PendingChangeRecord:
    application.queue.process_batch(
        approver_id="grace",
        approver_username="Grace",
        batch_title="as asked",
        approved_ids=[change.change_id],
        rejected_ids=None,
    )
    application.run_pass()
    return application.queue.show_change(change.change_id)


def test_a_program_that_names_no_base_overwrites_nobodys_later_edit(application: Application, clone: Clone) -> None:
    change = submit(application, "a", "update", {"x": 2, "y": 1})
    assert (change.base, change.base_known) == ({"x": 1, "y": 1}, True)
    clone.commit({"clip.json": {"a": {"x": 1, "y": 9}}})
    assert land(application, change).status is PendingChangeStatus.APPLIED
    assert clone.records("clip.json") == {"a": {"x": 2, "y": 9}}


def test_a_base_that_the_program_names_counts(application: Application, clone: Clone) -> None:
    change = submit(application, "a", "update", {"x": 2}, base={"x": 0})
    assert change.base == {"x": 0}
    refused = land(application, change)
    assert refused.status is PendingChangeStatus.REJECTED
    assert clone.records("clip.json") == {"a": {"x": 1, "y": 1}}


@pytest.mark.parametrize("operation", ["update", "delete"])
@pytest.mark.parametrize("given", [{}, {"base": {"x": 1}}])
def test_a_model_that_is_nowhere_is_refused_at_once(
    application: Application, operation: str, given: dict[str, Any]
) -> None:
    with pytest.raises(RequestError, match="'b' does not exist"):
        submit(application, "b", operation, {"x": 1} if operation == "update" else None, **given)


def test_a_category_that_nobody_holds_is_refused_at_once(application: Application) -> None:
    with pytest.raises(UnknownCategoryError, match=r"holds lora; held are: .*clip"):
        submit(application, "a", "create", {"x": 1}, category=MODEL_REFERENCE_CATEGORY.lora)
