"""refsync: a Git-backed GitOps sync daemon for model references.

The public names are loaded when they are first used, so that reading a category does not load the queue's
database, nor the other way round.

>>> import refsync
>>> refsync.MODEL_REFERENCE_CATEGORY.clip.value
'clip'
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from refsync.application import Application as Application
    from refsync.application import open_application as open_application
    from refsync.backends.base import ModelReferenceBackend as ModelReferenceBackend
    from refsync.backends.base import ReplicateMode as ReplicateMode
    from refsync.backends.git_backend import GitBackend as GitBackend
    from refsync.backends.replica_backend_base import ReplicaBackendBase as ReplicaBackendBase
    from refsync.categories import MODEL_REFERENCE_CATEGORY as MODEL_REFERENCE_CATEGORY
    from refsync.categories import CanonicalFormat as CanonicalFormat
    from refsync.categories import CategoryName as CategoryName
    from refsync.categories import Layout as Layout
    from refsync.config import Config as Config
    from refsync.config import load_config as load_config
    from refsync.errors import PermanentError as PermanentError
    from refsync.errors import RefsyncError as RefsyncError
    from refsync.errors import TemporaryError as TemporaryError
    from refsync.metadata.manager import MetadataManager as MetadataManager
    from refsync.metadata.models import CategoryMetadata as CategoryMetadata
    from refsync.metadata.models import GenericModelRecordMetadata as GenericModelRecordMetadata
    from refsync.metadata.models import ModelMetadataHandlerProtocol as ModelMetadataHandlerProtocol
    from refsync.metadata.models import OperationType as OperationType
    from refsync.metadata.records import ModelMetadataManager as ModelMetadataManager
    from refsync.pending_queue.diffs import PendingChangeDiffService as PendingChangeDiffService
    from refsync.pending_queue.models import AuditOperation as AuditOperation
    from refsync.pending_queue.models import Batch as Batch
    from refsync.pending_queue.models import BatchSplitInfo as BatchSplitInfo
    from refsync.pending_queue.models import BatchState as BatchState
    from refsync.pending_queue.models import MarkAppliedResult as MarkAppliedResult
    from refsync.pending_queue.models import PendingBatchResult as PendingBatchResult
    from refsync.pending_queue.models import PendingChangeDiff as PendingChangeDiff
    from refsync.pending_queue.models import PendingChangeDiffPage as PendingChangeDiffPage
    from refsync.pending_queue.models import PendingChangeRecord as PendingChangeRecord
    from refsync.pending_queue.models import PendingChangeStatus as PendingChangeStatus
    from refsync.pending_queue.models import PendingQueueFilter as PendingQueueFilter
    from refsync.pending_queue.models import PendingQueuePage as PendingQueuePage
    from refsync.pending_queue.models import ensure_seq as ensure_seq
    from refsync.pending_queue.models import now_ts as now_ts
    from refsync.pending_queue.service import PendingQueueService as PendingQueueService
    from refsync.pending_queue.store import PendingQueueStore as PendingQueueStore

_NAMES = {
    "refsync.application": ("Application", "open_application"),
    "refsync.backends.base": ("ModelReferenceBackend", "ReplicateMode"),
    "refsync.backends.git_backend": ("GitBackend",),
    "refsync.backends.replica_backend_base": ("ReplicaBackendBase",),
    "refsync.categories": ("CanonicalFormat", "CategoryName", "Layout", "MODEL_REFERENCE_CATEGORY"),
    "refsync.config": ("Config", "load_config"),
    "refsync.errors": ("PermanentError", "RefsyncError", "TemporaryError"),
    "refsync.metadata.manager": ("MetadataManager",),
    "refsync.metadata.models": (
        "CategoryMetadata",
        "GenericModelRecordMetadata",
        "ModelMetadataHandlerProtocol",
        "OperationType",
    ),
    "refsync.metadata.records": ("ModelMetadataManager",),
    "refsync.pending_queue.diffs": ("PendingChangeDiffService",),
    "refsync.pending_queue.models": (
        "AuditOperation",
        "Batch",
        "BatchSplitInfo",
        "BatchState",
        "MarkAppliedResult",
        "PendingBatchResult",
        "PendingChangeDiff",
        "PendingChangeDiffPage",
        "PendingChangeRecord",
        "PendingChangeStatus",
        "PendingQueueFilter",
        "PendingQueuePage",
        "ensure_seq",
        "now_ts",
    ),
    "refsync.pending_queue.service": ("PendingQueueService",),
    "refsync.pending_queue.store": ("PendingQueueStore",),
}
_HOMES = {name: module for module, names in _NAMES.items() for name in names}

__all__ = sorted(_HOMES)


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'refsync' has no attribute {name!r}")
    value = getattr(import_module(_HOMES[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return list(__all__)
