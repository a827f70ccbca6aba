"""What people typed stays text in a comment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.categories import MODEL_REFERENCE_CATEGORY as CATEGORY
from refsync.categories import SPECIFIED
from refsync.clone.revisions import OtherFile
from refsync.review.changes import Comparison, FileChanges, model_changes
from refsync.review.conventions import USUAL
from refsync.review.markdown import render_comparison
from refsync.review.markdown_text import MAX_LENGTH, code
from refsync.review.revisions import Side
from refsync.review.rewriting import rewritings_between

BASE, HEAD = (Side(name, "0" * 40) for name in ("base", "head"))


def comment(old: dict[str, dict[str, object]], new: dict[str, dict[str, object]], *others: OtherFile) -> str:
    models = model_changes(SPECIFIED[CATEGORY.clip], old, new, USUAL.critical_fields(CATEGORY.clip))
    changes = FileChanges(CATEGORY.clip, "legacy", "clip.json", models, rewritings_between(b"{}", b"{}\n"))
    return render_comparison(Comparison(BASE, HEAD, [changes], list(others)))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain", "`plain`"),
        ("a`b", "``a`b``"),
        ("`", "`` ` ``"),
        ("``` x", "```` ``` x ````"),
        (" x", "`  x `"),
        ("a\nb\x1b", "`a\\u000ab\\u001b`"),
        ("", '`""`'),
    ],
)
def test_a_code_span_holds_what_it_is_given(text: str, expected: str) -> None:
    assert code(text) == expected


@given(st.text(alphabet="`x |\n\\@", max_size=12))
def test_nothing_leaves_its_code_span(text: str) -> None:
    shown = code(text)
    fence = shown[: len(shown) - len(shown.lstrip("`"))]
    inner = shown.removeprefix(fence).removesuffix(fence)
    assert shown == fence + inner + fence
    assert fence not in inner
    assert "\n" not in shown


def test_a_comment_tells_models_fields_and_the_rest() -> None:
    text = comment({"a": {"nsfw": False}, "b": {}}, {"a": {"nsfw": True}, "c": {"x": 1}}, OtherFile("x.py", "added"))
    assert "| clip | 1 | 1 | 1 | 0 | 1 | 1 |\n" in text
    assert "- **updated** `a` **critical**\n  - **critical** changed `nsfw`: `false` → `true`\n" in text
    assert "- **created** `c`\n  - added `x`: `1`\n" in text
    assert "- **deleted** `b`\n" in text
    assert "- final newline\n" in text
    assert "Other files: `x.py` (added)\n" in text


def test_no_mention_link_html_or_table_break_gets_through() -> None:
    hostile = "@everyone <script>![x](http://y) | `@admin`\n| a | b |\n\n# heading"
    text = comment({}, {hostile: {hostile: hostile}}, OtherFile(hostile, "added"))
    for line in text.splitlines():
        outside = "".join(line.split("``")[::2])
        assert "@" not in outside
        assert "<" not in outside
        assert "http" not in outside
    assert sum(line.startswith("|") for line in text.splitlines()) == 3


def test_a_comment_is_never_too_long_and_says_what_it_leaves_out() -> None:
    text = comment({}, {f"model {number}": {"text": "x" * 500} for number in range(1000)})
    assert len(text) < MAX_LENGTH + 200
    assert "too many for one comment" in text
    assert "x" * 300 not in text


def test_no_difference_is_said() -> None:
    assert render_comparison(Comparison(BASE, HEAD, [], [])) == "No category file differs.\n"
