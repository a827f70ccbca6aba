"""A reference with a queue of its own."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest

from refsync.forges import github
from tests.support.forge import ForgeStandIn, unhurried
from tests.support.reference import Reference
from tests.support.repositories import as_machine_setting


@pytest.fixture
def bare_git(monkeypatch: pytest.MonkeyPatch) -> None:
    """Git knows nothing of this machine's own settings."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.delenv("GIT_SSL_CAINFO", raising=False)


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Callable[[str, object], None]:
    """Say one setting of git's for the whole machine."""

    def say(key: str, value: object) -> None:
        for name, text in as_machine_setting(key, value).items():
            monkeypatch.setenv(name, text)

    return say


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
