"""Proposals of text models: the table and the document are reviewed together, and the document's records decide."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from refsync.pending_queue.models import AuditOperation, PendingChangeStatus
from tests.support.published import PublishedReference
from tests.support.repositories import dump, git
from tests.support.text_files import DOCUMENT, LISTED, ROWS, TABLE, TEXT, document, table, text_files

APPLIED, REJECTED = PendingChangeStatus.APPLIED, PendingChangeStatus.REJECTED
ALPHA, GAMMA = "acme/Alpha-7B", "Gamma_3B"
STYLES = ["merge commit", "squash", "rebase"]


@pytest.fixture
def text(tmp_path: Path) -> Iterator[PublishedReference]:
    published = PublishedReference(tmp_path, "branch", text_files(*ROWS), repository=LISTED)
    yield published
    published.close()


@pytest.fixture
def primary(tmp_path: Path) -> Iterator[PublishedReference]:
    files = {"text_generation.json": dump({ALPHA: v2(ALPHA), GAMMA: v2(GAMMA)}), "legacy/models.csv": table(*ROWS)}
    published = PublishedReference(tmp_path, "branch", files, repository='layout = "primary"\nstamp_records = false')
    yield published
    published.close()


def v2(name: str, **fields: Any) -> dict[str, Any]:
    return {"name": name, "record_type": "text_generation", "parameters": 7, "nsfw": False} | fields


def propose(reference: PublishedReference, *ids: int) -> str:
    """Put the changes up for review in one batch; its branch."""
    reference.approve(*ids)
    reference.look()
    proposal = reference.batches()[0].proposal
    assert proposal
    return proposal.branch


def propose_two(text: PublishedReference) -> str:
    """A new description of alpha, and gamma deleted."""
    wanted = text.clone.records(DOCUMENT)[ALPHA] | {"description": "Newer"}
    return propose(
        text,
        text.submit(ALPHA, wanted, category=TEXT),
        text.submit(GAMMA, None, AuditOperation.DELETE, category=TEXT),
    )


def edit_table(text: PublishedReference, branch: str, old: bytes, new: bytes) -> None:
    """Edit the table in review, and make the document of it."""
    shown = git(text.remote.path, "show", f"{branch}:{TABLE}").encode()
    rows = shown.replace(b"\r", b"").replace(b"\n", b"\r\n") + b"\r\n"
    assert old in rows
    rows = rows.replace(old, new)
    text.person.push_to(branch, {TABLE: rows, DOCUMENT: document(rows)}, "in review")


@pytest.mark.parametrize("how", STYLES)
def test_both_files_land_together(text: PublishedReference, how: str) -> None:
    branch = propose_two(text)
    assert git(text.remote.path, "diff", "--name-only", f"main...{branch}").split() == [DOCUMENT, TABLE]
    merged = text.person.merge(branch, how)
    text.look()
    assert text.statuses([1, 2]) == [APPLIED, APPLIED]
    assert text.change(1).commit == merged
    text.assert_counted()


@pytest.mark.parametrize("how", STYLES)
def test_a_row_edited_in_review_is_applied_and_one_put_back_is_rejected(text: PublishedReference, how: str) -> None:
    branch = propose_two(text)
    edit_table(text, branch, b"Newer", b"Newest")
    edit_table(text, branch, b"acme/Beta", b"Gamma_3B,2.7,,https://example.org/gamma,,,,,,\r\nacme/Beta")
    text.person.merge(branch, how)
    text.look()
    assert text.statuses([1, 2]) == [APPLIED, REJECTED]
    history = text.change(1).history
    assert history
    assert (history[-1].why or "").endswith("as edited in review")
    text.assert_counted()


@pytest.mark.parametrize("how", STYLES)
def test_in_the_primary_layout_the_v2_record_decides(primary: PublishedReference, how: str) -> None:
    branch = propose(
        primary,
        primary.submit(ALPHA, v2(ALPHA, nsfw=True), category=TEXT),
        primary.submit(GAMMA, v2(GAMMA, nsfw=True), category=TEXT),
    )
    edited = {ALPHA: v2(ALPHA, nsfw=True, description="in review"), GAMMA: v2(GAMMA)}
    primary.person.push_to(branch, {"text_generation.json": edited}, "so")
    primary.person.merge(branch, how)
    primary.look()
    assert primary.statuses([1, 2]) == [APPLIED, REJECTED]
    assert primary.clone.records("text_generation.json") == edited
    primary.assert_counted()
