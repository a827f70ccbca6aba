"""A reference with a queue of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.reference import Reference


@pytest.fixture
def bare_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git knows nothing of this machine's own settings."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")


@pytest.fixture
def reference(tmp_path: Path, bare_git: None) -> Iterator[Reference]:
    made = Reference(tmp_path)
    yield made
    made.close()
