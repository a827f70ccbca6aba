"""What people did last in both real references, done again through the queue: the same records by fewer lines.

A sample of the last hundred commits; all of them with ``REFSYNC_REPLAY=all``.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.benchmarks.replay import LAST, replay, table, total

pytestmark = [pytest.mark.bundles, pytest.mark.timeout(1800)]  # all of them take minutes

SAMPLE = LAST if os.environ.get("REFSYNC_REPLAY") == "all" else 6


@pytest.mark.parametrize("bundle", ["image_bundle", "text_bundle"])
def test_the_operations_of_peoples_commits_give_the_same_records_by_fewer_lines(
    bundle: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    cases = replay(request.getfixturevalue(bundle), tmp_path, SAMPLE)
    whole = total(cases)
    assert [case.differs for case in cases if case.differs] == [], table(cases)
    assert len(cases) >= SAMPLE
    assert whole.operations > 0
    assert whole.ours < whole.people, table(cases)
