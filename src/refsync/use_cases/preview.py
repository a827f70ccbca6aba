"""The commits that a pass would make."""

from __future__ import annotations

from refsync.application import Application
from refsync.sync.preview import PlannedCommit, preview
from refsync.sync.publisher import PullRequestText
from refsync.use_cases.answer import AnswerOf

__all__ = ["PlannedCommit", "PlannedCommits", "PullRequestText", "plan_pass"]


class PlannedCommits(AnswerOf[list[PlannedCommit]]):
    """The commits that a pass would make."""

    @property
    def clean(self) -> bool:
        """Whether each could be made."""
        return not any(commit.problem or commit.waiting for commit in self.root)


def plan_pass(application: Application) -> PlannedCommits:
    """What a pass would commit now; nothing is changed, and nobody else asked."""
    return PlannedCommits(
        preview(application.queue, application.repositories, application.publishers(), application.apply_settings)
    )
