"""The benchmark runs: what it measures is for people to read, never asserted here."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest

from tests.benchmarks.__main__ import main
from tests.benchmarks.chart import as_svg
from tests.benchmarks.measuring import Figure, Times
from tests.benchmarks.report import as_json, as_markdown, shown_time


def test_a_row_is_reported_as_a_table_as_json_and_as_a_chart(tmp_path: Path) -> None:
    assert main(["growth-queue", "--quick", "--output", str(tmp_path)]) == 0

    report = json.loads((tmp_path / "benchmarks.json").read_text())
    assert [figure["size"] for figure in report["figures"]] == [1, 1_000]
    assert all(figure["ours"]["median"] > 0 and figure["floor"]["median"] > 0 for figure in report["figures"])
    assert "| the first page, 1,000 queued |" in (tmp_path / "benchmarks.md").read_text()
    assert ElementTree.parse(tmp_path / "benchmarks.svg").getroot().tag.endswith("svg")


def test_an_unknown_row_is_refused_with_the_names_of_those_that_there_are(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["nonsense", "--output", str(tmp_path / "report")]) == 1

    assert "no row is called 'nonsense'; there are: landing," in capsys.readouterr().err
    assert not (tmp_path / "report").exists()


def test_a_goal_is_missed_by_the_median_or_by_the_slowest() -> None:
    def figure(median: float, p99: float, goal: float, goal_p99: float | None = None) -> Figure:
        return Figure("row", "work", Times(median, p99, 9), Times(1.0, 1.0, 9), "floor", goal, goal_p99)

    assert [figure(2.0, 9.0, 2.0).reached, figure(2.1, 2.1, 2.0).reached] == [True, False]
    assert [figure(2.0, 6.0, 2.0, 6.0).reached, figure(2.0, 6.1, 2.0, 6.0).reached] == [True, False]
    assert "3.0\N{MULTIPLICATION SIGN}" in as_markdown([figure(3.0, 3.0, 2.0)], {})
    assert "missed" in as_markdown([figure(3.0, 3.0, 2.0)], {})


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [(1234.0, "1234 s"), (1.5, "1.5 s"), (0.99999, "1 s"), (0.25, "250 ms"), (0.0009999, "1 ms"), (2.48e-6, "2.48 µs")],
)
def test_a_time_is_shown_as_people_write_it(seconds: float, shown: str) -> None:
    assert shown_time(seconds) == shown


def test_a_report_without_sizes_or_floors_is_one_all_the_same() -> None:
    figure = Figure("row", "a < b & c", Times.of([0.5]), goal=0.1)

    assert as_json([figure], {})["figures"][0]["reached"] is False
    assert ElementTree.fromstring(as_svg([figure])).tag.endswith("svg")
    grown = [Figure("row", "work", Times.of([0.5]), series="a < b & c", size=size) for size in (1, 10)]
    assert "a &lt; b &amp; c" in as_svg(grown)
