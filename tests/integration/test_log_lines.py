"""What the log writes, by who reads it: a person, a machine, systemd's journal."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.repositories import clean_environment

SPEAK = """
from loguru import logger
from refsync import log
log.configure("DEBUG", {form!r})
logger.debug("a detail")
logger.info("said\\nin two")
logger.warning("mind")
try:
    1 / 0
except ZeroDivisionError:
    logger.exception("a bug")
"""


def spoken(tmp_path: Path, form: str, *, journal: str) -> list[str]:
    """The lines that a process writes whose stderr is said to lead to the journal: this one, another, or none."""
    with (tmp_path / "stderr").open("w+") as stderr:
        found = os.fstat(stderr.fileno())
        streams = {"this": {"JOURNAL_STREAM": f"{found.st_dev}:{found.st_ino}"}, "another": {"JOURNAL_STREAM": "1:1"}}
        subprocess.run(
            [sys.executable, "-c", SPEAK.format(form=form)],
            env=clean_environment() | streams.get(journal, {}),
            stderr=stderr,
            check=True,
        )
        stderr.seek(0)
        return stderr.read().splitlines()


def test_each_line_in_the_journal_has_the_priority_of_its_level(tmp_path: Path) -> None:
    lines = spoken(tmp_path, "text", journal="this")
    assert [line[:3] for line in lines[:3]] == ["<7>", "<6>", "<4>"]
    assert {line[:3] for line in lines[3:]} == {"<3>"}
    assert "ZeroDivisionError" in lines[-1]
    assert "said\\nin two" in lines[1]


def test_so_have_its_objects(tmp_path: Path) -> None:
    lines = spoken(tmp_path, "json", journal="this")
    assert [line[:3] for line in lines] == ["<7>", "<6>", "<4>", "<3>"]
    assert [json.loads(line[3:])["level"] for line in lines] == ["DEBUG", "INFO", "WARNING", "ERROR"]


@pytest.mark.parametrize("journal", ["none", "another"])
@pytest.mark.parametrize("form", ["text", "json"])
def test_elsewhere_a_line_is_as_people_read_it(tmp_path: Path, form: str, journal: str) -> None:
    assert spoken(tmp_path, form, journal=journal)[0][0] in "2{"
