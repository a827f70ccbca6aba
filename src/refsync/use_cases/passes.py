"""Passes: one now, or the commits that one would make."""

from __future__ import annotations

from refsync.application import Application
from refsync.sync.preview import PlannedCommit, preview
from refsync.sync.publisher import PullRequestText
from refsync.sync.reference import PassReport, Progress, RepositoryReport
from refsync.targets import keep_outbox_to_targets
from refsync.use_cases.answer import AnswerOf

__all__ = [
    "PassAnswer",
    "PassReport",
    "PlannedCommit",
    "PlannedCommits",
    "PullRequestText",
    "RepositoryReport",
    "plan_pass",
    "run_pass",
]


class PassAnswer(AnswerOf[PassReport]):
    """What one pass did."""


class PlannedCommits(AnswerOf[list[PlannedCommit]]):
    """The commits that a pass would make."""

    @property
    def clean(self) -> bool:
        """Whether each could be made."""
        return not any(commit.problem or commit.waiting for commit in self.root)


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


def plan_pass(application: Application) -> PlannedCommits:
    """What a pass would commit now; nothing is changed, and nobody else asked."""
    return PlannedCommits(
        preview(application.queue, application.repositories, application.publishers(), application.apply_settings)
    )
