"""What has to be known of GitHub where it is not asked."""

from __future__ import annotations

import re

from refsync.forges.base import ForgeFacts

_BUTTON = re.compile(r"GitHub(?: Enterprise)? <noreply@[^<>@\s]+>")
"""github.com commits as the first, from an address of its own; a server in a company as the second, from one of its."""


def is_button(committer: str) -> bool:
    """Whether a committer stands for whoever pressed the button."""
    return _BUTTON.fullmatch(committer) is not None


GITHUB = ForgeFacts(is_button=is_button, longest_body=65_000)  # it takes 65,536 characters
