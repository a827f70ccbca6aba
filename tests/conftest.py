"""What every test stands on: the real data where it is, and nothing left behind."""

from __future__ import annotations

import gc
import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support import postgresql, stores
from tests.support.bundles import bundle

# A shell starts what it puts in the background with SIGINT ignored, and our children would inherit that.
signal.signal(signal.SIGINT, signal.default_int_handler)

settings.register_profile("refsync", deadline=None, suppress_health_check=[HealthCheck.too_slow], max_examples=100)
settings.load_profile("refsync")


def pytest_xdist_auto_num_workers() -> int:
    """One more than there are cores: tests wait for disks and processes a good part of their time."""
    return max(os.cpu_count() or 1, 1) + 1


def pytest_collection_finish() -> None:
    """Spare the garbage collector what all tests share; walking it over and over is a tenth of the suite's time."""
    gc.freeze()


def _bundle(name: str) -> Path:
    """The bundle of a real reference repository; the test is skipped by name where there is none."""
    path = bundle(name)
    if path is None:
        pytest.skip(f"no {name}: set REFSYNC_TEST_DATA to the folder that holds it")
    return path


@pytest.fixture(scope="session")
def image_bundle() -> Path:
    return _bundle("image-reference.bundle")


@pytest.fixture(scope="session")
def text_bundle() -> Path:
    return _bundle("text-reference.bundle")


if stores.ON_POSTGRESQL:

    @pytest.fixture(autouse=True)
    def databases_of_this_test() -> Iterator[None]:
        yield
        stores.forget_databases()


@pytest.fixture(scope="session")
def server() -> postgresql.Server:
    """A PostgreSQL server; the test is skipped by name where none can be started."""
    return postgresql.server()


def pytest_unconfigure() -> None:
    postgresql.end_server()
