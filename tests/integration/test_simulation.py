"""Three daemons, people and a remote, in schedules that seeds make; ``python -m tests.simulation`` runs more."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.simulation.laws import faults
from tests.simulation.world import World

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("seed", range(24))
def test_whatever_happens_every_approved_change_lands_once_in_order_or_says_why_not(tmp_path: Path, seed: int) -> None:
    world = World(tmp_path, seed)
    world.run()
    found = list(faults(world))
    world.desk.close()
    assert not found, "\n".join([f"seed {seed}:", *found, *world.trace])


def test_a_seed_runs_again_as_it_did(tmp_path: Path) -> None:
    traces = []
    for name in ("once", "again"):
        (tmp_path / name).mkdir()
        world = World(tmp_path / name, 3)
        world.run()
        world.desk.close()
        traces.append(world.trace)
    assert traces[0] == traces[1]
