"""refsync as a library: its names, their examples, what they load, their types, and what they refuse."""

from __future__ import annotations

import doctest
import importlib.util
import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import refsync
from refsync import (
    MODEL_REFERENCE_CATEGORY,
    AuditOperation,
    GenericModelRecordMetadata,
    MetadataManager,
    ModelMetadataManager,
    OperationType,
    PendingQueueService,
    PendingQueueStore,
    RefsyncError,
    load_config,
    open_application,
)
from refsync.pending_queue.models import Actor, PendingQueueFilter
from tests.support.repositories import Clone, clean_environment

PROJECT = Path(__file__).parents[2]
CLIP = MODEL_REFERENCE_CATEGORY.clip
HEAVY = {"git", "sqlalchemy", "httpx", "watchdog", "typer", "rich", "pydantic"}


# Examples.


@pytest.mark.parametrize("name", refsync.__all__)
def test_the_example_of_each_public_name_works(name: str) -> None:
    value = getattr(refsync, name)
    found = doctest.DocTestFinder(recurse=False).find(value, name, module=inspect.getmodule(value))
    assert sum(len(test.examples) for test in found), f"{name} has no example"
    printed: list[str] = []
    for test in found:
        doctest.DocTestRunner(verbose=False).run(test, out=printed.append)
    assert not printed, "".join(printed)


def test_the_example_of_the_package_works() -> None:
    assert doctest.testmod(refsync).attempted
    assert not doctest.testmod(refsync).failed


def test_the_program_in_the_readme_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for key in os.environ.keys() - clean_environment().keys():
        monkeypatch.delenv(key)
    clone = Clone.create(tmp_path / "clone", {"stable_diffusion.json": {"Deliberate": {"version": "3"}}})
    (tmp_path / "refsync.toml").write_text(
        f"state_directory = 'state'\nrepository = [{{ name = 'reference', path = '{clone.path}' }}]\n"
    )
    monkeypatch.chdir(tmp_path)
    [program] = re.findall(r"```python\n(.*?)```", (PROJECT / "README.md").read_text(), re.DOTALL)
    exec(compile(program, "README.md", "exec"), {})
    assert clone.records("stable_diffusion.json") == {"Deliberate": {"version": "4"}}
    assert "update Deliberate" in capsys.readouterr().out


# What is loaded when.


def loaded_by(statement: str) -> set[str]:
    """The heavy libraries that a new interpreter has loaded after this statement."""
    program = f"import sys\n{statement}\nprint(*{{name.split('.')[0] for name in sys.modules}})"
    done = subprocess.run(
        [sys.executable, "-c", program], env=clean_environment(), capture_output=True, text=True, check=True
    )
    return set(done.stdout.split()) & HEAVY


@pytest.mark.parametrize(
    ("names", "loaded"),
    [
        ("", set()),
        ("MODEL_REFERENCE_CATEGORY CanonicalFormat Layout RefsyncError TemporaryError PermanentError", set()),
        ("ReplicateMode ModelReferenceBackend ReplicaBackendBase", set()),
        ("GitBackend", {"watchdog"}),
        ("MetadataManager CategoryMetadata ModelMetadataManager OperationType", {"pydantic"}),
        ("PendingQueueService PendingChangeRecord PendingChangeDiffService now_ts", {"pydantic"}),
        ("PendingQueueStore", {"pydantic", "sqlalchemy"}),
    ],
)
def test_a_name_loads_no_library_before_it_is_needed(names: str, loaded: set[str]) -> None:
    assert loaded_by("\n".join(["import refsync", *(f"refsync.{name}" for name in names.split())])) == loaded


def test_a_program_that_only_reads_loads_neither_git_nor_the_database(tmp_path: Path) -> None:
    (tmp_path / "clip.json").write_text('{"m": {}}')
    program = f"""
from pathlib import Path
from refsync import CanonicalFormat, GitBackend, MODEL_REFERENCE_CATEGORY as Category
files = {{Category.clip: {{CanonicalFormat.legacy: "clip.json"}}}}
backend = GitBackend(Path({str(tmp_path)!r}), files, canonical_format=CanonicalFormat.legacy)
assert backend.fetch_category(Category.clip) == {{"m": {{}}}}
"""
    assert loaded_by(program) <= {"watchdog"}


# Types.

TYPED_PROGRAM = """
from __future__ import annotations

from pathlib import Path

from refsync import (
    MODEL_REFERENCE_CATEGORY,
    AuditOperation,
    CategoryMetadata,
    CategoryName,
    GitBackend,
    PendingChangeRecord,
    PendingQueueFilter,
    RefsyncError,
    load_config,
    open_application,
)

clip = MODEL_REFERENCE_CATEGORY.clip


def submit(config: Path) -> PendingChangeRecord:
    with open_application(load_config(config, {})) as application:
        change = application.queue.enqueue_change(
            category=clip,
            model_name="m",
            operation=AuditOperation.CREATE,
            payload={"name": "m"},
            requestor_id="1",
            requestor_username="Ada",
        )
        backend: GitBackend = application.backends["image"]
        counters: dict[CategoryName, CategoryMetadata] = backend.get_all_metadata()
        print(counters[clip].total_models, (backend.fetch_category(clip) or {}).get("m"))
        print(application.queue.list_changes(queue_filter=PendingQueueFilter(batch_id=1)).total)
        try:
            backend.update_model(clip, "m", {"name": "m"}, logical_user_id="ada")
        except RefsyncError as error:
            print(error)
        backend.update_model(clip, 3, {})  # type: ignore[arg-type]
        application.queue.get_change("3")  # type: ignore[arg-type]
        return change
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("mypy") is None, reason="mypy is not installed")
def test_a_users_program_is_type_checked_strictly(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(TYPED_PROGRAM)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), str(program)]
    done = subprocess.run(command, cwd=tmp_path, env=clean_environment(), capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


# Hostile input.


def shown(value: object) -> str:
    """The same text in every process."""
    return repr(value).split(" at ")[0]


NO_NUMBERS: tuple[Any, ...] = (None, "x", "../x", b"x", [], {}, object(), float("nan"), 1.5)
NO_CATEGORIES: tuple[Any, ...] = (None, 3, "x", "../x", "clip\0", b"x", [], {}, object())


@pytest.fixture
def store(tmp_path: Path) -> Iterator[PendingQueueStore]:
    with PendingQueueStore(root_path=tmp_path / "queue") as opened:
        yield opened


@pytest.fixture
def queue(store: PendingQueueStore) -> PendingQueueService:
    service = PendingQueueService(store=store)
    enqueue(service)
    return service


def enqueue(service: PendingQueueService, **changed: Any) -> None:
    usual: dict[str, Any] = {
        "category": CLIP,
        "model_name": "m",
        "operation": AuditOperation.CREATE,
        "payload": {},
        "requestor_id": "1",
        "requestor_username": "Ada",
    }
    service.enqueue_change(**(usual | changed))


def contents(service: PendingQueueService) -> str:
    return json.dumps(list(service.export_changes()))


def assert_refused(call: Callable[[], object]) -> None:
    """refsync explains it in one line; no library's own exception and no mere bug comes out."""
    with pytest.raises(RefsyncError) as refusal:
        call()
    assert str(refusal.value).strip()
    assert "\n" not in str(refusal.value)
    assert "pydantic" not in str(refusal.value).replace("a pydantic model", "")


@pytest.mark.parametrize("hostile", [*NO_NUMBERS, 2**70, -1], ids=shown)
def test_an_id_that_is_none_changes_nothing(queue: PendingQueueService, store: PendingQueueStore, hostile: Any) -> None:
    before = contents(queue)
    review = {"approver_id": "2", "approver_username": "Bob", "batch_title": "t", "reject_reason": "r"}
    by = Actor("1", "Ada")
    for call in (
        lambda: queue.show_change(hostile),
        lambda: queue.history_of(hostile),
        lambda: queue.process_batch(**review, approved_ids=[1, hostile], rejected_ids=None),
        lambda: queue.process_batch(**review, approved_ids=None, rejected_ids=[1, hostile]),
        lambda: queue.withdraw([hostile], actor=by),
        lambda: queue.seal_changes([hostile], lambda _: "image", actor=by),
        lambda: queue.retry_batch(hostile, actor=by),
        lambda: queue.abandon_batch(hostile, reason="r", actor=by),
        lambda: queue.changes_of_batch(hostile),
        lambda: queue.reserve_for_apply(change_id=hostile, reservation_id="t"),
        lambda: queue.mark_applied(change_id=hostile, applied_by="1", applied_username="Ada"),
        lambda: queue.get_batch(hostile),
        lambda: store.reserve_for_apply(change_id=hostile, reservation_id="t"),
        lambda: store.revert_applying_to_approved(hostile),
    ):
        assert_refused(call)
    assert contents(queue) == before


@pytest.mark.parametrize("hostile", NO_NUMBERS, ids=shown)
def test_what_is_no_number_is_refused_where_an_unknown_id_is_not(
    queue: PendingQueueService, store: PendingQueueStore, hostile: Any
) -> None:
    for call in (
        lambda: queue.get_change(hostile),
        lambda: queue.clear_apply_reservation(change_id=hostile, reservation_id="t"),
        lambda: queue.list_changes(offset=hostile),
        lambda: queue.histories([hostile]),
        lambda: queue.open_changes(hostile),
        lambda: queue.open_models(hostile),
        lambda: queue.reserved_changes(hostile),
        lambda: store.get_change(hostile),
        lambda: store.list_changes(offset=hostile),
        lambda: store.has_approved_changes_in_batch(hostile),
        lambda: store.get_approved_changes_in_batch(hostile),
    ):
        assert_refused(call)
    if hostile is not None:
        assert_refused(lambda: queue.list_changes(limit=hostile))


@pytest.mark.parametrize("beyond", [2**63, 2**70, -(2**63) - 1, -1])
def test_a_number_that_no_database_holds_finds_nothing(
    queue: PendingQueueService, store: PendingQueueStore, beyond: int
) -> None:
    in_batch = PendingQueueFilter(batch_id=abs(beyond))
    assert not any(
        (
            queue.get_change(beyond),
            queue.histories([beyond]),
            queue.open_changes(beyond),
            queue.open_models(beyond),
            queue.reserved_changes(beyond),
            queue.list_changes(queue_filter=in_batch).items,
            queue.list_changes(offset=abs(beyond)).items,
            list(queue.iterate_changes(after=abs(beyond))),
            store.get_approved_changes_in_batch(beyond),
        )
    )
    assert len(queue.list_changes(limit=abs(beyond)).items) == 1


@pytest.mark.parametrize("hostile", [3, "12", b"1", object(), 1.5], ids=shown)
def test_ids_come_in_a_collection(queue: PendingQueueService, hostile: Any) -> None:
    before = contents(queue)
    by = Actor("1", "Ada")
    review = {"approver_id": "2", "approver_username": "Bob", "batch_title": "t", "reject_reason": "r"}
    assert_refused(lambda: queue.process_batch(**review, approved_ids=hostile, rejected_ids=None))
    assert_refused(lambda: queue.process_batch(**review, approved_ids=None, rejected_ids=hostile))
    assert_refused(lambda: queue.withdraw(hostile, actor=by))
    assert contents(queue) == before


@pytest.mark.parametrize("hostile", [3, "x", b"x", [], {}, (), "", 0, object(), False], ids=shown)
def test_what_is_no_filter_never_means_everything(
    queue: PendingQueueService, store: PendingQueueStore, hostile: Any
) -> None:
    before = contents(queue)
    for call in (
        lambda: queue.list_changes(queue_filter=hostile),
        lambda: queue.purge_changes(queue_filter=hostile, purged_by="1", purged_username="Ada"),
        lambda: store.list_changes(queue_filter=hostile),
        lambda: store.purge_changes(queue_filter=hostile),
    ):
        assert_refused(call)
    assert contents(queue) == before


@pytest.mark.parametrize("hostile", [None, 3, "x", [], {}, object()], ids=shown)
def test_what_is_no_record_is_not_stored(queue: PendingQueueService, store: PendingQueueStore, hostile: Any) -> None:
    before = contents(queue)
    assert_refused(lambda: store.enqueue_change(hostile))
    assert_refused(lambda: store.save_many([store.list_changes()[0][0], hostile]))
    assert contents(queue) == before


@pytest.mark.parametrize("hostile", NO_CATEGORIES, ids=shown)
def test_a_category_that_is_none_is_refused(queue: PendingQueueService, tmp_path: Path, hostile: Any) -> None:
    before = contents(queue)
    assert_refused(lambda: enqueue(queue, category=hostile))
    assert contents(queue) == before
    manager = MetadataManager(tmp_path / "meta")
    for format in ("legacy", "v2"):
        for call, given in (
            (f"initialize_{format}_metadata", ("B",)),
            (f"get_or_initialize_{format}_metadata", ()),
            (f"record_{format}_operation", (OperationType.CREATE, "m")),
            (f"record_{format}_error", ("an error",)),
            (f"get_{format}_metadata", ()),
            (f"mark_{format}_stale", ()),
        ):
            assert_refused(lambda call=call, given=given: getattr(manager, call)(hostile, *given))  # type: ignore[misc]
    assert list((tmp_path / "meta").rglob("*.json")) == []


@pytest.mark.parametrize("hostile", [3, [], {}, object(), b"x"], ids=shown)
def test_metadata_of_the_wrong_type_are_refused_and_not_written(tmp_path: Path, hostile: Any) -> None:
    manager = MetadataManager(tmp_path)
    for format in ("legacy", "v2"):
        record = getattr(manager, f"record_{format}_operation")
        assert_refused(lambda record=record: record(CLIP, hostile, "m"))  # type: ignore[misc]
        assert_refused(lambda record=record: record(CLIP, "create", hostile))  # type: ignore[misc]
        assert_refused(lambda record=record: record(CLIP, "create", "m", True, hostile))  # type: ignore[misc]
        assert_refused(lambda f=format: getattr(manager, f"get_or_initialize_{f}_metadata")(CLIP, hostile))  # type: ignore[misc]
        if hostile != 3:
            assert_refused(lambda record=record: record(CLIP, "create", "m", timestamp=hostile))  # type: ignore[misc]
    assert list(tmp_path.rglob("*.json")) == []


@pytest.mark.parametrize("hostile", [None, 3, "x", [], object()], ids=shown)
def test_a_record_that_is_none_is_refused(hostile: Any) -> None:
    manager = ModelMetadataManager()
    assert_refused(lambda: manager.get_metadata(hostile))
    assert_refused(lambda: manager.update_metadata(hostile, created_at=1))
    assert_refused(lambda: manager.set_creation_timestamp(hostile, 1))
    assert_refused(lambda: manager.set_update_timestamp(hostile, 1))
    assert_refused(lambda: manager.set_metadata({}, hostile))
    assert not manager.ensure_metadata_populated(hostile)
    new: dict[str, Any] = {}
    manager.preserve_creation_fields(hostile, new)
    assert new == {}
    record: dict[str, Any] = {"metadata": hostile}
    assert manager.get_metadata(record) == GenericModelRecordMetadata()


@pytest.mark.parametrize("text", ["", "[[", "repository = 3", "nonsense = 1", "\0", "repository = [{ name = 'x' }]"])
def test_a_config_that_is_none_is_refused(tmp_path: Path, text: str) -> None:
    file = tmp_path / "refsync.toml"
    file.write_text(text)
    assert_refused(lambda: load_config(file, {}))
    assert_refused(lambda: load_config(tmp_path / "missing.toml", {}))
    assert_refused(lambda: load_config(tmp_path, {}))
    assert_refused(lambda: open_application(None))  # type: ignore[arg-type]


def test_a_store_that_is_none_is_refused(tmp_path: Path) -> None:
    (tmp_path / "queue.db").write_text("this is no database, but long enough to be taken for one" * 100)
    assert_refused(lambda: PendingQueueStore(root_path=tmp_path))
    assert_refused(lambda: PendingQueueStore(url="nonsense://"))
    assert_refused(lambda: PendingQueueStore())
    with closing(PendingQueueStore(root_path=tmp_path / "other")) as store:
        assert store.list_changes() == ([], 0)


class Signed:
    """A program's own last word on the stamps of a record."""

    def transform_metadata(
        self, metadata: GenericModelRecordMetadata, context: dict[str, Any]
    ) -> GenericModelRecordMetadata:
        metadata.updated_by = f"signed for {context['model_name']}"
        return metadata


def test_a_programs_own_handler_has_the_last_word_on_stamps(tmp_path: Path) -> None:
    clone = Clone.create(tmp_path / "clone", {"clip.json": {"a": {"name": "a"}}})
    file = tmp_path / "refsync.toml"
    file.write_text(
        f"state_directory = '{tmp_path / 'state'}'\n"
        f"[[repository]]\nname = 'image'\npath = '{clone.path}'\nstamp_records = true\n"
    )
    with open_application(load_config(file, {}), metadata_handler=Signed()) as application:
        application.backends["image"].update_model_legacy(CLIP, "a", {"name": "a", "version": "2"})
    assert clone.records("clip.json")["a"]["metadata"]["updated_by"] == "signed for a"
