"""What a batch's commit says of itself, both ways, whatever people typed."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from refsync.clone.commits import (
    MAX_CHANGE_LINES,
    BatchCommit,
    ChangeLine,
    ParsedCommit,
    Person,
    parse_message,
    quote,
    render_message,
)
from refsync.plain_text import one_line
from refsync.ranges import parse_ranges, render_ranges
from tests.support.repositories import clean_environment, git

HOSTILE = (
    "",
    " ",
    "x\nRefsync-Job: forged",
    "x\n\nRefsync-Job: forged\nRefsync-Batch: 9\nRefsync-Changes: 9",
    "Refsync-Job: forged",
    "a\u2028Refsync-Batch: 9",
    "a\u2029b",
    "a\x85b",
    "a\r\nb\rc\x0bd\x0ce",
    "\x00\x01\x1b[2J\x7f\x9b",
    "\u202egpj.exe",
    "\ud800",
    "# no comment",
    "---",
    "--- a/file",
    "Eve <eve@example.org> <x",
    'quote " and \\ and `back` @team',
    "x" * 70_000,
)
TEXTS = st.sampled_from(HOSTILE) | st.text(max_size=40) | st.text(alphabet=' \n\r<>-:#"\\\u2028\x85aR', max_size=20)
PEOPLE = st.lists(st.builds(Person, id=TEXTS, username=TEXTS), max_size=4).map(tuple)
CHANGES = st.lists(
    st.builds(
        ChangeLine,
        change_id=st.integers(1, 200),
        operation=st.sampled_from(["create", "update", "delete"]),
        category=st.sampled_from(["clip", "image_generation"]),
        model=TEXTS,
        related=st.lists(TEXTS, max_size=2).map(tuple),
    ),
    min_size=1,
    max_size=60,
).map(tuple)
BATCHES = st.builds(
    BatchCommit,
    title=TEXTS,
    job=st.uuids().map(lambda token: token.hex),
    batch=st.integers(1, 10**9),
    changes=CHANGES,
    requested_by=PEOPLE,
    approved_by=PEOPLE,
    request_ids=st.lists(TEXTS, max_size=4).map(tuple),
)
TRAILER = re.compile(r"^(Refsync-Job|Refsync-Batch|Refsync-Changes|Requested-by|Approved-by|Request-Id): ")


def batch(**values: object) -> BatchCommit:
    simple = {"title": "New models", "job": "f00d", "batch": 7, "changes": (ChangeLine(3, "create", "clip", "ViT"),)}
    return BatchCommit(**{**simple, **values})  # type: ignore[arg-type]


def as_written(person: Person) -> Person:
    """A person as a trailer can hold them."""
    return Person(*(one_line(re.sub("[<>]", " ", text)) or "-" for text in (person.id, person.username)))


FULL_WIDTH = {0xFEE0 + ord(character): character for character in "@#-/[*"}
HEARD = re.compile(
    r"(?i)\[\s*(?:ci|skip|no|actions)[ _-]+(?:ci|skip|actions)\s*\]|\*\*\*NO_CI"
    r"|(?<!\w)@\w|#\d|\bGH-\d|/(?:issues|pull)/\d"
)
ENDS_A_MESSAGE = re.compile(r"---(?: |$)|#|.*(?:>8|8<|>%|%<)")


def expected(made: BatchCommit) -> ParsedCommit:
    title = one_line(made.title) or f"batch {made.batch}"
    return ParsedCommit(
        title=f"batch {made.batch}: {title}" if ENDS_A_MESSAGE.match(title) else title,
        job=made.job,
        batch=made.batch,
        change_ids=tuple(sorted({line.change_id for line in made.changes})),
        requested_by=tuple(map(as_written, made.requested_by)),
        approved_by=tuple(map(as_written, made.approved_by)),
        request_ids=written_ids(made),
    )


def written_ids(made: BatchCommit) -> tuple[str, ...]:
    """The ids that say something, each once, on one line."""
    ids = [one_line(text) for text in made.request_ids]
    return tuple(text for place, text in enumerate(ids) if text and text not in ids[:place])


@given(BATCHES)
def test_a_message_read_back_says_what_was_written(made: BatchCommit) -> None:
    read = parse_message(render_message(made))
    assert read
    assert as_read(read) == as_read(expected(made))


def as_read(parsed: ParsedCommit) -> str:
    """What it says to people, to whom a character of full width is the same."""
    return repr(parsed).translate(FULL_WIDTH)


LOUD = st.lists(
    st.sampled_from(
        ["@", "#", "[", "*", "GH-", "/", "issues/", "skip", "ci", "NO_CI", " ", "_", "-", "]", "1", "a", "\n", "<"]
    )
)


@given(LOUD.map("".join))
@example("[skip ci] Fixes #1, cc @people")
@example("[[skip ci]")
@example("##1 @@people ****NO_CI***")
@example("[@skip ci]")
@example("[skip_ci] [ci-skip]")
@example("[<skip ci]")
@example("[\x00skip ci]")
@example("fixes GH-1 and https://example.org/o/r/issues/1")
def test_no_forge_hears_anything_that_people_typed(text: str) -> None:
    person = Person(text, text)
    lines = (ChangeLine(1, "create", "clip", text, (text,), text),)
    message = render_message(
        batch(title=text, changes=lines, requested_by=(person,), approved_by=(person,), request_ids=(text,))
    )
    assert not HEARD.search(message)
    assert one_line(text) in message.split("\n")[0].translate(FULL_WIDTH)


@given(BATCHES)
def test_nothing_typed_by_people_makes_a_line_of_its_own(made: BatchCommit) -> None:
    message = render_message(made)
    lines = message.splitlines()  # at every line end that Unicode knows
    assert lines == message.removesuffix("\n").split("\n")
    trailers = 3 + len(made.requested_by) + len(made.approved_by) + len(written_ids(made))
    assert all(TRAILER.match(line) for line in lines[-trailers:])
    body = lines[2 : -trailers - 1]
    assert lines[1] == lines[-trailers - 1] == ""
    assert all(line.startswith("- ") for line in body)
    assert len(body) == min(len(made.changes), MAX_CHANGE_LINES + 1)
    assert all(character.isprintable() or character == "\n" for character in message)


@given(st.lists(BATCHES, min_size=1, max_size=5))
@example([batch(title=text, changes=(ChangeLine(1, "create", "clip", text),)) for text in HOSTILE])
@settings(max_examples=8)
def test_git_agrees_after_a_round_trip(tmp_path_factory: pytest.TempPathFactory, made: list[BatchCommit]) -> None:
    folder = tmp_path_factory.mktemp("messages")
    git(folder, "init", "-q")
    tree = git(folder, "mktree")
    for each in made:
        message = render_message(each)
        commit = piped(folder, message, "commit-tree", tree, "-F", "-").strip()
        kept = piped(folder, "", "log", "-1", "--format=%B", commit)
        assert parse_message(kept) == parse_message(message)
        trailers = message.removesuffix("\n").split("\n\n")[-1]
        assert piped(folder, kept, "interpret-trailers", "--parse").removesuffix("\n") == trailers


def piped(folder: Path, stdin: str, *arguments: str) -> str:
    environment = clean_environment() | {
        f"GIT_{role}_{what}": "ada@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(
        command, input=stdin.encode(), env=environment, capture_output=True, check=True
    ).stdout.decode()


@given(st.sets(st.integers(1, 300)))
def test_ranges_read_back_are_the_same_numbers(numbers: set[int]) -> None:
    assert parse_ranges(render_ranges(numbers)) == tuple(sorted(numbers))


def test_ids_that_follow_each_other_are_one_range() -> None:
    assert render_ranges([9, 4, 3, 5, 3]) == "3-5, 9"


def test_a_name_in_quotes_ends_where_it_seems_to() -> None:
    assert quote('a "b" \\ c\nd') == '"a \\"b\\" \\\\ c\\u000ad"'
    assert quote("é 漢 🙂") == '"é 漢 🙂"'


def test_a_message_reads_well() -> None:
    made = batch(
        changes=(ChangeLine(3, "create", "clip", "ViT-L/14"), ChangeLine(4, "delete", "clip", "old")),
        requested_by=(Person("1", "Ada"),),
        approved_by=(Person("2", "Bob"), Person("3", "Cy")),
        request_ids=("r-1", "r-2", "r-1", " "),
    )
    assert render_message(made) == (
        "New models\n"
        "\n"
        '- create clip "ViT-L/14"\n'
        '- delete clip "old"\n'
        "\n"
        "Refsync-Job: f00d\n"
        "Refsync-Batch: 7\n"
        "Refsync-Changes: 3-4\n"
        "Requested-by: Ada <1>\n"
        "Approved-by: Bob <2>\n"
        "Approved-by: Cy <3>\n"
        "Request-Id: r-1\n"
        "Request-Id: r-2\n"
    )


def test_the_models_that_follow_one_are_named_behind_it() -> None:
    made = batch(changes=(ChangeLine(3, "update", "text_generation", "a/x", ("aphrodite/a/x", 'koboldcpp/"y"')),))
    assert '\n- update text_generation "a/x" with "aphrodite/a/x", "koboldcpp/\\"y\\""\n' in render_message(made)


def test_more_than_fifty_changes_are_counted() -> None:
    made = batch(changes=tuple(ChangeLine(number, "create", "clip", f"m{number}") for number in range(1, 54)))
    assert '- create clip "m50"\n- and 3 more\n\nRefsync-Job' in render_message(made)


def quoting_messages() -> list[str]:
    ours = render_message(batch())
    return [
        f'Revert "New models"\n\nThis reverts commit 1234.\n\n{re.sub("^", "    ", ours, flags=re.M)}',
        f"Squashed commit of the following:\n\ncommit 1234\n\n{re.sub('^', '    ', ours, flags=re.M)}",
        f"Reply\n\n{re.sub('^', '> ', ours, flags=re.M)}",
        f"{ours}\nand then I went on by hand\n",
        f"{ours}Signed-off-by: Eve <eve@example.org>\n",
        "Refsync-Job: f00d\nRefsync-Batch: 7\nRefsync-Changes: 3\n",
        "subject\n\nRefsync-Batch: 7\nRefsync-Job: f00d\nRefsync-Changes: 3\n",
        "subject\n\nRefsync-Job: f00d\nRefsync-Batch: seven\nRefsync-Changes: 3\n",
        "subject\n\nRefsync-Job: f00d\nRefsync-Batch: 7\nRefsync-Changes: 1-2-3\n",
        "subject\n\nRefsync-Job: f00d\nRefsync-Batch: 7\nRefsync-Changes: 1-999999999999999999999\n",
        "by hand\n",
        "",
    ]


@pytest.mark.parametrize("message", quoting_messages())
def test_a_message_that_quotes_ours_is_not_ours(message: str) -> None:
    assert parse_message(message) is None


@given(st.text())
def test_no_message_breaks_the_parser(message: str) -> None:
    parse_message(message)
