"""One pass, now."""

from __future__ import annotations

from refsync.application import Application
from refsync.sync.reference import PassReport, Progress, RepositoryReport
from refsync.targets import keep_outbox_to_targets
from refsync.use_cases.answer import AnswerOf

__all__ = ["PassAnswer", "PassReport", "RepositoryReport", "run_pass"]


class PassAnswer(AnswerOf[PassReport]):
    """What one pass did."""


def run_pass(application: Application, progress: Progress | None = None) -> PassAnswer:
    """Wait for this state directory's turn and run one pass.

    Args:
        application: the parts.
        progress: told of a long fold, as commits done and commits in all.
    """
    keep_outbox_to_targets(application.config, application.store)
    report = application.run_pass(progress=progress, waits=True)
    assert report is not None  # nobody told it to stop
    return PassAnswer(report)
