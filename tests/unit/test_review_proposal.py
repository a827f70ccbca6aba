"""What people typed stays text in a pull request, and the token can be read back from it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

from refsync.review.markdown_text import code, html_code, visible
from refsync.review.proposal import (
    MAX_LENGTH,
    MAX_TITLE_LENGTH,
    Overlap,
    ProposedChange,
    find_token,
    render_body,
    render_title,
)

JOB = "3f2a9c0d4b5e6f708192a3b4c5d6e7f8"
TYPED = "Ж"
"""Stands at both ends of whatever was typed; nothing of ours has it."""

HOSTILE = (
    *("@everyone", "https://x.y/z", "www.x.y", "#12", "GH-12", "a/b#1", "a@b.c", "<b>", "</code>", "</details>"),
    *("| a | b |", "``` x", "\n\n# h", "-->", "\n<!-- refsync-job: forged -->\n", "![x](y)", "[x]: y", "\\"),
)

hostile_text = st.one_of(
    st.text(alphabet="`|\\ \n\r\t<>&!-#@*_[]()x1\u202e\u200b\u2028\x00😀", max_size=20),
    st.sampled_from(HOSTILE),
    st.text(max_size=20),
).map(lambda text: f"{TYPED}{text}{TYPED}")
records = st.none() | st.dictionaries(
    hostile_text, st.none() | st.booleans() | hostile_text | st.lists(hostile_text, max_size=2), max_size=3
)
changes = st.builds(
    ProposedChange,
    change_id=st.integers(1, 9),
    operation=st.sampled_from(["create", "update", "delete"]),
    category=st.just("clip"),
    model=hostile_text,
    requested_by=hostile_text,
    before=records,
    after=records,
    related=st.lists(hostile_text, max_size=2).map(tuple),
    notes=st.none() | hostile_text,
    critical_fields=st.sampled_from([(), ("nsfw",)]),
)
overlaps = st.builds(
    Overlap, number=st.integers(1, 99), author=hostile_text, models=st.lists(hostile_text, max_size=7).map(tuple)
)
bodies = st.builds(
    render_body,
    st.lists(changes, min_size=1, max_size=4),
    job=st.just(JOB),
    batch=st.just(12),
    others=st.lists(overlaps, max_size=2),
    warnings=st.lists(hostile_text, max_size=2),
)


def change(operation: str = "update", model: str = "ViT-L/14", **more: Any) -> ProposedChange:
    fields: dict[str, Any] = {"requested_by": "Ada", "before": {"nsfw": False, "v": 1}, "after": {"nsfw": True, "v": 1}}
    return ProposedChange(1, operation, "clip", model, **(fields | more))


def body(*some: ProposedChange, **more: Any) -> str:
    return render_body(some or [change()], job=JOB, batch=12, **more)


def tokens(text: str) -> Iterator[Token]:
    """What a forge makes of it: every block and everything within the lines."""
    for token in MarkdownIt("commonmark", {"html": True}).enable(["table"]).parse(text):
        yield token
        yield from token.children or ()


def cells(line: str) -> list[str]:
    """The cells of a row: a ``|`` ends one, unless a backslash is ahead of it."""
    return re.split(r"(?<!\\)\|", line.strip())[1:-1]


def rows(text: str) -> list[str]:
    return [line for line in text.split("\n") if line.startswith("|")]


# Laws


@given(bodies)
def test_nothing_that_was_typed_stands_outside_code(text: str) -> None:
    for token in tokens(text):
        content = re.sub(r"<code>[^<]*</code>", "", token.content) if token.type == "html_block" else token.content
        if token.type not in ("code_inline", "inline"):
            assert TYPED not in content + str(token.attrs), token


@given(bodies)
def test_the_html_is_ours(text: str) -> None:
    html = [token.content for token in tokens(text) if token.type in ("html_block", "html_inline")]
    assert {tag for content in html for tag in re.findall(r"</?\w+", content)} <= {
        *("<details", "<summary", "<code"),
        *("</details", "</summary", "</code"),
    }
    assert not [token for token in tokens(text) if token.type in ("link_open", "image", "html_inline", "code_block")]
    assert sum(content.count("<details>") for content in html) == sum(c.count("</details>") for c in html)


@given(bodies)
def test_every_row_has_the_cells_of_the_heading(text: str) -> None:
    heading, *others = rows(text)
    assert {len(cells(line)) for line in others} == {len(cells(heading))} == {4}
    table = [token.type for token in tokens(text) if token.type in ("tr_open", "td_open")]
    assert (table.count("tr_open"), table.count("td_open")) == (len(others), 4 * (len(others) - 1))


@given(bodies)
def test_the_token_comes_back(text: str) -> None:
    assert find_token(text) == JOB
    assert find_token("Somebody's foreword\r\n\r\n" + text.replace("\n", "\r\n")) == JOB


@given(bodies)
def test_nothing_invisible_gets_through(text: str) -> None:
    assert all(each.isprintable() or each == "\n" for each in text)


@given(st.lists(changes, min_size=1, max_size=6), st.lists(overlaps, max_size=3), st.integers(700, 3000))
def test_a_body_is_never_too_long_and_always_the_same(
    some: list[ProposedChange], others: list[Overlap], limit: int
) -> None:
    text = body(*some, others=others, warnings=["w" * 100], max_length=limit)
    assert len(text.replace("\n", "\r\n").encode("utf-16-le")) // 2 <= limit
    assert find_token(text) == JOB
    assert f"Batch 12 of refsync: {len(some)} change" in text
    assert text == body(*some, others=others, warnings=["w" * 100], max_length=limit)


@given(hostile_text)
def test_a_title_is_one_line_of_bounded_length(title: str) -> None:
    shown = render_title(title * 20, batch=1)
    assert shown.isprintable()
    assert 0 < len(shown) <= MAX_TITLE_LENGTH


@given(hostile_text)
def test_code_within_html_has_no_tag_and_nothing_to_link(text: str) -> None:
    inner = html_code(text).removeprefix("<code>").removesuffix("</code>")
    assert re.fullmatch(r"(?:[^<>&@#:/.'\"]|&#\d+;)*", inner)
    assert re.sub(r"&#(\d+);", lambda found: chr(int(found[1])), inner) == visible(text)


# Examples


def test_a_mixed_batch_is_told_in_a_table_with_its_fields_folded() -> None:
    text = body(
        change(critical_fields=("nsfw",), notes="as asked\n\non Monday"),
        change("create", "new|one", before=None, after={"a": [1]}, requested_by="Bob"),
        change("delete", "old", before={"a": 1}, after=None, related=("x/old", "y/old")),
    )
    assert text.startswith(
        f"<!-- refsync-job: {JOB} -->\n\n"
        "Batch 12 of refsync: 3 changes (1 create, 1 update, 1 delete); **1 of critical fields**.\n\n"
        "| model | operation | asked by | fields |\n| --- | --- | --- | --- |\n"
        "| clip `ViT-L/14` | update | `Ada` | 1: **critical** `nsfw` |\n"
        "| clip `new\\|one` | create | `Bob` | 1 |\n"
        "| clip `old` and 2 variants | delete | `Ada` | 1 |\n"
    )
    assert "`Ada` notes on clip `ViT-L/14`:\n\n> `as asked`\\\n> `on Monday`\n" in text
    assert (
        "<details><summary>update clip <code>ViT-L&#47;14</code></summary>\n\n"
        "- **critical** changed `nsfw`: `false` → `true`\n\n</details>\n"
    ) in text
    assert "- added `a.0`: `1`\n" in text
    assert "- removed `a`: `1`\n" in text


def test_pull_requests_of_people_and_warnings_stand_ahead_of_the_table() -> None:
    text = body(others=[Overlap(7, "ada", ("m", "n"))], warnings=["label 'x' was refused"])
    assert "\nOpen pull requests that touch the same models:\n\n- #7 by `ada`: `m`, `n`\n" in text
    assert text.index("- `label 'x' was refused`\n") < text.index("| model |")


@pytest.mark.parametrize(("others", "warnings"), [([], ()), ([Overlap(7, "x" * 90_000, ())], ["w" * 90_000])])
def test_a_batch_of_thousands_keeps_its_summary_and_counts_what_is_left_out(
    others: Sequence[Overlap], warnings: Sequence[str]
) -> None:
    some = [change(model=f"model {number}", notes="n" * 50) for number in range(5_000)]
    text = body(*some, others=others, warnings=warnings)
    assert MAX_LENGTH * 0.9 < len(text) <= MAX_LENGTH
    shown = len(rows(text)) - 2, text.count("> `n"), text.count("<details>")
    assert min(shown) > 50
    told = re.findall(r"(\d+) (rows of the table|notes|field diffs)", text.splitlines()[-1])
    assert tuple(5_000 - int(count) for count, _ in told) == shown


def test_a_giant_record_does_not_push_the_others_out() -> None:
    giant = change(model="giant", after={f"field {number} " + "x" * 300: "y" * 900 for number in range(500)})
    text = body(giant, *[change(model=f"model {number}") for number in range(20)])
    assert "and 402 more fields" in text
    assert text.count("<details>") == 21


def test_a_title_falls_back_on_the_number() -> None:
    assert render_title(" \n\x00", batch=3) == "batch 3"
    assert render_title("New\nmodels @all #1", batch=3) == "New models @all #1"


@pytest.mark.parametrize("text", ["", "Refsync-job: x", "`<!-- refsync-job: x -->`", "<!-- refsync-job: x --> y"])
def test_no_token_is_found_where_there_is_none(text: str) -> None:
    assert find_token(text) is None


@pytest.mark.parametrize("unseen", ["\u202e", "\u200b", "\u2066", "\u3164", "\ufe0f", "\U000e0101", "\ufeff", "\xa0"])
def test_what_cannot_be_seen_is_told_by_its_number(unseen: str) -> None:
    assert code(f"a{unseen}b") == f"`a\\u{ord(unseen):04x}b`"
