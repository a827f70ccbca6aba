"""The README knows every command and every option, and its examples are those that work."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from refsync.cli.program import program
from refsync.events.kinds import EventKind
from refsync.http.app import create_app
from refsync.review.finding import Rule
from tests.support.reference import Reference

PROJECT = Path(__file__).parents[2]
README = (PROJECT / "README.md").read_text(encoding="utf-8")
PAGES = [PROJECT / "README.md", PROJECT / "systemd" / "README.md", PROJECT / "config" / "notify.md"]
SHARED = {"--json", "--by", "--username"}


def commands(command: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every command that can be called, by its path."""
    if not hasattr(command, "commands"):
        yield path, command
    for name, inner in getattr(command, "commands", {}).items():
        yield from commands(inner, f"{path} {name}".strip())


ROOT = typer.main.get_command(program())
COMMANDS = dict(commands(ROOT))


def rows_of_commands() -> dict[str, str]:
    """The cells of the table of commands, by the command's path."""
    table = README.split("\n## Commands\n")[1].split("\n## ")[0]
    cells = [line.replace("\\|", "¦").split("|")[1:3] for line in table.splitlines() if line.startswith("| `")]
    return {" ".join(re.findall(r"^[a-z]+(?: [a-z]+(?![a-z|¦=]))?", c.strip(" `"))): c + w for c, w in cells}


def test_every_command_has_a_row_and_every_row_is_a_command() -> None:
    assert sorted(rows_of_commands()) == sorted(COMMANDS)


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_every_option_stands_in_the_row_of_its_command(path: str) -> None:
    row = rows_of_commands()[path]
    options = {name for option in COMMANDS[path].params for name in option.opts if name.startswith("--")}
    documented = set(re.findall(r"--[a-z-]+", row))
    assert options - SHARED <= documented <= options


def test_the_shared_and_the_global_options_are_told_above_the_table() -> None:
    text = README.split("\n## Commands\n")[1].split("\n| command")[0]
    known = {name for option in ROOT.params for name in option.opts}
    assert SHARED | known <= set(re.findall(r"(?<![\w-])--?[a-z]+", text))


@pytest.mark.parametrize("path", sorted(COMMANDS))
def test_every_command_and_option_has_a_help_text(path: str) -> None:
    assert COMMANDS[path].help
    for option in COMMANDS[path].params:
        assert option.help or not option.opts[0].startswith("--")


@pytest.mark.parametrize("page", PAGES[:2], ids=["README", "systemd"])
def test_every_example_line_names_a_command_that_exists(page: Path) -> None:
    blocks = "".join(re.findall(r"```(?:sh|console)\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL))
    called = r"^(?:\$ )?(?:sudo (?:-u refsync )?)?refsync (?:--config \S+ )?([a-z]+(?: [a-z]+)?)"
    examples = re.findall(called, blocks, re.MULTILINE)
    assert examples
    for words in examples:
        assert words in COMMANDS or words.split()[0] in COMMANDS, words


def test_every_linked_file_exists_with_the_heading_that_is_linked() -> None:
    links = [(page, link) for page in PAGES for link in re.findall(r"\]\(([^)]+)\)", page.read_text(encoding="utf-8"))]
    assert (PAGES[0], "config/refsync.toml") in links
    for page, link in links:
        file, _, heading = link.partition("#")
        if link.startswith("http"):
            continue
        target = page.parent / file if file else page
        assert target.exists(), link
        assert not heading or heading in headings(target), link


def headings(page: Path) -> set[str]:
    """What a link may name of a page: its headings, in lower case and with hyphens."""
    found = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {heading.lower().replace(" ", "-") for heading in found}


def test_every_rule_of_check_has_its_row() -> None:
    rows = README.split("<!-- rules -->")[1].split("\n\n")[0]
    assert sorted(re.findall(r"^\| `([a-z-]+)`", rows, re.MULTILINE)) == sorted(Rule)


def test_every_event_has_its_row() -> None:
    rows = PAGES[2].read_text(encoding="utf-8").split("\n| --- | --- |\n")[1].split("\n\n")[0]
    assert sorted(re.findall(r"^\| `([a-z_]+)`", rows, re.MULTILINE)) == sorted(EventKind)


def test_every_route_of_the_door_stands_in_the_readme_and_every_row_is_a_route(tmp_path: Path) -> None:
    rows = "".join(README.split("<!-- routes -->")[1].split("\n\n")[0])
    told = {path for word in re.findall(r"`((?:/|P/|\.\.\.)[^`]*)`", rows) for path in _spelt_out(word)}
    reference = Reference(tmp_path)
    routes = {path for path in create_app(reference.application).openapi()["paths"] if not path.startswith("/api/")}
    reference.close()
    assert told - {"/openapi.json", "/api/..."} == routes


def _spelt_out(path: str) -> list[str]:
    """The paths that a row's word stands for: ``{v1,v2}`` is both, ``...`` and ``P`` what the README says."""
    full = re.sub(r"^P/", "/model_references/{v1,v2}/pending_queue/", path)
    full = re.sub(r"^\.\.\.", "/model_references/{v1,v2}", full)
    return [full.replace("{v1,v2}", version) for version in ("v1", "v2")] if "{v1,v2}" in full else [full]
