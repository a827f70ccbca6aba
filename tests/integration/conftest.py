"""A reference with a queue of its own."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest

from refsync.forges import github
from tests.support.forge import ForgeStandIn, unhurried
from tests.support.reference import Reference


@pytest.fixture
def bare_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git knows nothing of this machine's own settings."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("GIT_SSL_CAINFO", raising=False)


@pytest.fixture
def reference(tmp_path: Path, bare_git: None) -> Iterator[Reference]:
    made = Reference(tmp_path)
    yield made
    made.close()


@pytest.fixture
def forge(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[ForgeStandIn]:
    """A stand-in of GitHub, to which this process writes without a pause."""
    monkeypatch.setattr(github, "open_github", partial(github.open_github, pace=unhurried()))
    with ForgeStandIn(tmp_path) as stand_in:
        yield stand_in
