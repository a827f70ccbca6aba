"""Killed anywhere in a pass, in every publication mode and with every kind of batch: nothing lost, nothing twice.

A sample runs with the slow tests. All moments, by the names that the code gives its durable steps, and all calls that
last, git's own too, as ``strace`` shows them from outside::

    pytest -m exhaustive -n 0 -s --timeout 0 tests/acceptance/test_kill_sweep.py

Each test prints the steps that it covers. ``SWEEP_STRIDE=7`` takes every seventh call only.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from loguru import logger

from refsync.forges import github
from tests.support.dying import die_at, ended_by, moments_of
from tests.support.forge import unhurried
from tests.support.sweep import STORIES, Mode, Phase, Reading, Size, Stage
from tests.support.tracing import killed_at_call, needs_strace
from tests.support.users import only_root

STRIDE = int(os.environ.get("SWEEP_STRIDE", "1"))
NAMED = [pytest.param(*story, id="-".join(story)) for story in STORIES]
SAMPLE = [each for each in NAMED if each.values[2] == "publish" or each.values[1] in ("one", "split")]


@pytest.fixture(autouse=True)
def _quietly(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Git knows nothing of this machine's own settings, the forge needs no pause between writes."""
    monkeypatch.setenv("GIT_CONFIG_GLOBAL", os.devnull)
    monkeypatch.setenv("GIT_CONFIG_NOSYSTEM", "1")
    monkeypatch.setattr(github, "open_github", partial(github.open_github, pace=unhurried()))
    logger.disable("refsync")
    yield
    logger.enable("refsync")


@pytest.fixture
def stage(tmp_path: Path, mode: Mode, size: Size, phase: Phase) -> Iterator[Stage]:
    made = Stage(tmp_path, mode, size, phase)
    yield made
    made.close()


def faults_after(
    stage: Stage, kill: Callable[[], object], finish: Callable[[Stage], object] = Stage.finish
) -> list[str]:
    """What is not as promised once a pass was killed and the next ones have ended, a line each."""
    stage.reset()
    reading = Reading(stage.work / "image")
    try:
        with reading.going_on():
            kill()
            reading.look()
            finish(stage)
        return [*stage.faults(), *reading.faults(stage.work / "image")]
    except Exception as failure:  # as of a pass that fails
        return [" ".join(f"{type(failure).__name__}: {failure}".split())[:400]]


def dying_at(stage: Stage, moment: str, clock_ahead: float = 0.0) -> None:
    def die() -> None:
        die_at(moment)
        stage.run(clock_ahead)

    ended_by(die)


def told(faults: dict[str, list[str]]) -> str:
    return "\n".join(f"{point}: {found}" for point, found in faults.items())


def sweep(stage: Stage, moments: list[str]) -> None:
    """Kill at each of the moments, print which, and tell all faults together."""
    faults: dict[str, list[str]] = {}
    for moment in moments:
        print(f"  killed {moment}")
        if found := faults_after(stage, partial(dying_at, stage, moment)):
            faults[moment] = found
    assert not faults, told(faults)


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "size", "phase"), SAMPLE)
def test_killed_somewhere(stage: Stage) -> None:
    """One moment a story, a different one in each, so that all of them together go through a pass."""
    stage.reset()
    moments = moments_of(stage.run)
    number = STORIES.index((stage.mode, stage.size, stage.phase))
    sweep(stage, [moments[len(moments) * (1 + number * 5 % 12) // 13]])


@pytest.mark.slow
@pytest.mark.parametrize(("mode", "size", "phase"), [("local", "conflict", "publish")])
@pytest.mark.parametrize("hours", [-6, 6])
def test_a_machine_comes_back_with_its_clock_set(stage: Stage, hours: int) -> None:
    """By so many hours it was ahead before it was cut off."""
    stage.reset()
    for moment in moments_of(stage.run)[5::20]:
        print(f"  killed {moment}")
        assert faults_after(stage, partial(dying_at, stage, moment, hours * 3600.0)) == []


@only_root
@pytest.mark.slow
@pytest.mark.parametrize(("mode", "size", "phase"), [("local", "one", "publish")])
def test_the_service_goes_on_with_what_an_operator_has_left(stage: Stage) -> None:
    stage.share()
    stage.reset()
    for moment in moments_of(stage.run)[3::9]:
        print(f"  killed {moment}")
        assert faults_after(stage, partial(dying_at, stage, moment), Stage.finish_as_nobody) == []


@only_root
@needs_strace
@pytest.mark.exhaustive
@pytest.mark.timeout(0)
@pytest.mark.parametrize(("mode", "size", "phase"), [("local", "one", "publish")])
def test_the_service_goes_on_wherever_an_operator_was_killed(stage: Stage) -> None:
    stage.share()
    sweep_calls(stage, stage.work / "nobody's", Stage.finish_as_nobody)


@pytest.mark.exhaustive
@pytest.mark.timeout(0)
@pytest.mark.parametrize(("mode", "size", "phase"), NAMED)
def test_killed_at_every_named_moment(stage: Stage) -> None:
    stage.reset()
    sweep(stage, moments_of(stage.run))


@needs_strace
@pytest.mark.exhaustive
@pytest.mark.timeout(0)
@pytest.mark.parametrize(("mode", "size", "phase"), NAMED)
def test_killed_at_every_call_that_lasts(stage: Stage) -> None:
    """With all its gits; the remote's own git sees its client die, as on another machine."""
    sweep_calls(stage, stage.work / ("forge.git" if stage.mode == "pull_request" else "remote.git"))


def sweep_calls(stage: Stage, remote: Path, finish: Callable[[Stage], object] = Stage.finish) -> None:
    """Kill at each of the calls, print which, and tell all faults together."""
    faults: dict[str, list[str]] = {}
    number = 1
    while True:
        call = None

        def kill(number: int = number) -> None:
            nonlocal call
            call = killed_at_call(stage.run, number, stage.work, remote)

        found = faults_after(stage, kill, finish)
        if call is None:
            break
        print(f"  killed at call {number}: {call}")
        if found:
            faults[f"{number}: {call}"] = found
        number += STRIDE
    assert not faults, told(faults)
    assert number > 50
