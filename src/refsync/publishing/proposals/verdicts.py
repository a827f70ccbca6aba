"""What checks and reviewers say of a pull request, in words for ``status``."""

from __future__ import annotations

from refsync.forges.base import Checks, Reviews

_NAMED_FAILURES = 3


def checks_in_words(checks: Checks) -> str | None:
    """``3 passed``, ``1 of 3 failed: lint``, ``2 of 3 running``, what cannot be read; ``None`` where there are none."""
    lacking = f"cannot be read: give the credential {' and '.join(checks.lacking)}" if checks.lacking else ""
    return "; ".join(filter(None, (_counted(checks), lacking))) or None


def reviews_in_words(reviews: Reviews) -> str | None:
    """``approved by ada``, ``changes requested by bob``, ``ada asked``; ``None`` where there are none."""
    words = (
        f"changes requested by {' and '.join(reviews.refused)}" if reviews.refused else "",
        f"approved by {' and '.join(reviews.approved)}" if reviews.approved else "",
        f"{' and '.join(reviews.asked)} asked" if reviews.asked else "",
        "" if reviews.are_readable else "cannot be read",
    )
    return ", ".join(filter(None, words)) or None


def _counted(checks: Checks) -> str:
    if failed := checks.failed:
        more = f" and {len(failed) - _NAMED_FAILURES} more" if len(failed) > _NAMED_FAILURES else ""
        return f"{len(failed)} of {checks.total} failed: {', '.join(failed[:_NAMED_FAILURES])}{more}"
    if checks.running:
        return f"{checks.running} of {checks.total} running"
    return f"{checks.passed} passed" if checks.passed else ""
