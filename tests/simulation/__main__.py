"""Seeds by hand: ``python -m tests.simulation FIRST COUNT``; prints the trace of each that fails, and exits 1 then."""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

from loguru import logger

from tests.simulation.laws import faults
from tests.simulation.world import World


def main(first: int, count: int) -> int:
    """Run so many seeds; how many broke a law."""
    broken, began = 0, time.monotonic()
    changes = 0
    for seed in range(first, first + count):
        with tempfile.TemporaryDirectory(prefix="refsync-simulation-") as folder:
            world = World(Path(folder), seed)
            world.run()
            found = list(faults(world))
            changes += len(world.approved)
            world.desk.close()
        print(f"seed {seed}: {len(found)} faults, {len(world.approved)} changes", flush=True)
        if found:
            broken += 1
            print(f"seed {seed}:", *found, *world.trace, sep="\n  ", flush=True)
    print(f"{count} seeds from {first}: {broken} broken, {changes} changes, {time.monotonic() - began:.0f} s")
    return broken


if __name__ == "__main__":
    logger.remove()
    sys.exit(bool(main(int(sys.argv[1]), int(sys.argv[2]))))
