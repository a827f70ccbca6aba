"""A clone, its state directory and the application over both, so that a pass reads like a sentence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refsync.application import Application, open_application
from refsync.categories import MODEL_REFERENCE_CATEGORY, CategoryName
from refsync.clone.repository import Repository
from refsync.config import parse_config
from refsync.metadata.models import CategoryMetadata
from refsync.pending_queue.models import (
    AuditOperation,
    Batch,
    PendingChangeRecord,
    PendingChangeStatus,
    Submission,
)
from refsync.sync.reconcile import reconcile
from refsync.sync.reference import ApplySettings, PassReport, ReferenceRepository, RepositoryReport
from refsync.sync.turn import Pass
from tests.support.queue import in_pass
from tests.support.repositories import Clone
from tests.support.stores import closed_after_the_test, on_chosen_store

CLIP = MODEL_REFERENCE_CATEGORY.clip
BLIP = MODEL_REFERENCE_CATEGORY.blip
ESRGAN = MODEL_REFERENCE_CATEGORY.esrgan

FILES: Mapping[str, Mapping[str, Any]] = {
    "clip.json": {"alpha": {"version": "1", "nsfw": False}, "beta": {"version": "1"}},
    "blip.json": {"base": {"version": "1"}},
}


class Reference:
    """One clone ``image`` (and what ``more`` of a config says) with its own state; close it after use."""

    def __init__(
        self,
        folder: Path,
        files: Mapping[str, bytes | Mapping[str, Any]] = FILES,
        *,
        more: str = "",
        repository: str = "",
    ) -> None:
        self.folder = folder
        self.clone = Clone.create(folder / "image", files)
        self.config_file = folder / "refsync.toml"
        text = f'state_directory = "state"\n{more}\n[[repository]]\nname = "image"\npath = "image"\n{repository}\n'
        self.config_file.write_text(on_chosen_store(text, folder / "state"))
        self.application = self.open()

    def open(self) -> Application:
        """The application as the config file says now."""
        config = parse_config(self.config_file.read_text(), self.config_file, {})
        return closed_after_the_test(open_application(config))

    def reopen(self, old: str = "", new: str = "") -> None:
        """Replace a part of the config and start again."""
        self.config_file.write_text(self.config_file.read_text().replace(old, new))
        self.application.close()
        self.application = self.open()

    def close(self) -> None:
        self.application.close()

    # submitting

    def submit(
        self,
        model: str,
        payload: Mapping[str, Any] | None,
        operation: AuditOperation = AuditOperation.UPDATE,
        *,
        category: CategoryName = CLIP,
        by: str = "ada",
    ) -> int:
        """A pending change, made from the record as it is now; its id."""
        record = None if payload is None else dict(payload)
        asked = Submission(category, model, operation, record, by, by.title())
        return self.application.queue.enqueue_many([asked])[0].change_id

    def approve(self, *ids: int, title: str = "New models", by: str = "bob") -> None:
        self.application.queue.process_batch(
            approver_id=by, approver_username=by.title(), batch_title=title, approved_ids=ids, rejected_ids=None
        )

    def create(self, model: str, payload: Mapping[str, Any], **more: Any) -> int:
        return self._approved(model, payload, AuditOperation.CREATE, **more)

    def update(self, model: str, payload: Mapping[str, Any], **more: Any) -> int:
        return self._approved(model, payload, AuditOperation.UPDATE, **more)

    def delete(self, model: str, **more: Any) -> int:
        return self._approved(model, None, AuditOperation.DELETE, **more)

    def _approved(self, model: str, payload: Mapping[str, Any] | None, operation: AuditOperation, **more: Any) -> int:
        change = self.submit(model, payload, operation, **more)
        self.approve(change)
        return change

    # syncing

    def sync(self) -> PassReport:
        report = self.application.run_pass()
        assert report is not None
        return report

    def sync_image(self) -> RepositoryReport:
        """One pass, and what it says of the clone ``image``."""
        return self.sync().repositories[0]

    def sync_with(self, apply: ApplySettings) -> PassReport:
        """One pass that seals by these settings."""
        return reconcile(
            Pass(in_pass(self.application.queue), self.application.repositories, self.application.publishers(), apply)
        )

    # looking

    @property
    def image(self) -> ReferenceRepository:
        return self.application.repositories[0]

    @contextmanager
    def opened(self) -> Iterator[Repository]:
        with Repository(self.image.path, self.image.branch) as clone:
            yield clone

    def change(self, change_id: int) -> PendingChangeRecord:
        return self.application.queue.show_change(change_id)

    def statuses(self, ids: Sequence[int]) -> list[PendingChangeStatus]:
        return [self.change(change_id).status for change_id in ids]

    def batches(self) -> list[Batch]:
        return self.application.queue.list_batches()

    def counters(self, category: CategoryName = CLIP) -> CategoryMetadata:
        found = self.image.metadata.stored_metadata(self.image.written_format(category), category)
        assert found is not None
        return found

    def assert_counted(self) -> None:
        """The metadata equal a fresh fold over the history."""
        with self.opened() as clone:
            assert self.image.recorder.verify(clone, clone.tip()) == []
