"""A preview shows what the next pass would commit, and changes nothing at all."""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

import pytest

from refsync.pending_queue.models import AuditOperation
from refsync.sync.preview import PlannedCommit
from refsync.use_cases.preview import plan_pass
from tests.support.reference import BLIP, ESRGAN, Reference
from tests.support.repositories import dump, git

CREATE, DELETE = AuditOperation.CREATE, AuditOperation.DELETE


def previewed(reference: Reference) -> list[PlannedCommit]:
    application = reference.application
    return plan_pass(application).root


def fingerprint(folder: Path) -> dict[str, str]:
    """Every file with its content and mode, except for SQLite's own."""
    return {
        str(path.relative_to(folder)): f"{path.lstat().st_mode:o} {hashlib.sha256(path.read_bytes()).hexdigest()}"
        for path in folder.rglob("*")
        if path.is_file() and not path.name.endswith(("-wal", "-shm"))
    }


def without_headers(diff: str) -> list[str]:
    return [line for line in diff.split("\n") if line and not line.startswith(("index ", "new file"))]


def test_the_diff_is_that_of_the_later_commit(reference: Reference) -> None:
    reference.clone.commit({"clip.json": b'{\r\n\t"alpha": {"n": "a\\u00e9 \xe2\x80\xa8 x"},\r\n\t"beta": {}\r\n}'})
    ids = [
        reference.submit("alpha", {"n": "other"}),
        reference.submit("gamma", {"n": 1}, CREATE),
        reference.submit("base", None, DELETE, category=BLIP),
        reference.submit("R-ESRGAN", {"version": "1"}, CREATE, category=ESRGAN),
    ]
    reference.approve(*ids, title="Four")
    [planned] = previewed(reference)
    reference.sync()
    shown = git(reference.clone.path, "show", "--format=", "HEAD")
    assert without_headers(planned.diff.replace("\r\n", "\n")) == without_headers(shown)
    assert '+\t"gamma": {"n": 1}\r\n' in planned.diff
    message = git(reference.clone.path, "log", "-1", "--format=%B")
    assert planned.message.split("Refsync-Job")[0] == message.split("Refsync-Job")[0]


def test_a_large_file_shows_only_what_changes(reference: Reference) -> None:
    records = {f"model {number}": {"name": f"model {number}", "tags": ["a", "b"]} for number in range(2000)}
    reference.clone.commit({"clip.json": dump(records)})
    reference.delete("model 1000")
    [planned] = previewed(reference)
    reference.sync()
    assert without_headers(planned.diff) == without_headers(git(reference.clone.path, "show", "--format=", "HEAD"))


@pytest.mark.parametrize("situation", ["clean", "edited", "settled before"])
def test_a_preview_changes_nothing(reference: Reference, situation: str) -> None:
    if situation == "settled before":
        reference.sync()
    if situation == "edited":
        reference.clone.write("blip.json", b"mine")
    reference.update("alpha", {"version": "2", "nsfw": False})
    reference.create("beta", {"version": "other"})
    reference.update("base", {"version": "2"}, category=BLIP) if situation != "edited" else None
    before = fingerprint(reference.folder)
    planned = previewed(reference)
    assert planned[0].diff
    assert fingerprint(reference.folder) == before


def test_checks_that_have_not_run_are_named(reference: Reference) -> None:
    reference.config_file.write_text(reference.config_file.read_text() + "[repository.check]\ncommands = ['exit 1']\n")
    reference.reopen()
    assert previewed(reference) == []
    reference.update("beta", {"version": "2"})
    [planned] = previewed(reference)
    assert planned.unchecked == ["exit 1"]


def test_what_would_be_rejected_or_wait_is_told(reference: Reference) -> None:
    bad = reference.submit("beta", {"version": "other"}, CREATE)
    waits = reference.submit("base", {"version": "2"}, category=BLIP)
    reference.approve(bad, waits)
    reference.clone.write("blip.json", b"mine")
    [planned] = previewed(reference)
    assert (planned.diff, planned.message) == ("", "")
    assert [refusal.change_id for refusal in planned.rejected] == [bad]
    assert [refusal.change_id for refusal in planned.waiting] == [waits]


def test_each_commit_is_shown_on_top_of_the_one_before(reference: Reference) -> None:
    reference.update("alpha", {"version": "2", "nsfw": False})
    reference.application.queue.seal_open_batch(lambda category: "image")
    reference.update("beta", {"version": "2"})
    first, second = previewed(reference)
    report = reference.sync()
    shown = [
        git(reference.clone.path, "show", "--format=", str(landed.commit)) for landed in report.repositories[0].landed
    ]
    assert [without_headers(planned.diff) for planned in (first, second)] == [without_headers(diff) for diff in shown]


def test_a_clone_that_cannot_be_used_is_told(reference: Reference) -> None:
    reference.update("beta", {"version": "2"})
    git(reference.clone.path, "checkout", "-q", "--detach")
    [planned] = previewed(reference)
    assert "HEAD is detached" in (planned.problem or "")


def test_the_commit_of_a_preview_is_the_one_that_lands(reference: Reference) -> None:
    reference.update("alpha", {"version": "2", "nsfw": False})
    reference.application.queue.seal_open_batch(lambda category: "image")
    [planned] = previewed(reference)
    reference.sync()
    assert planned.message.strip() == git(reference.clone.path, "log", "-1", "--format=%B")
    assert planned.diff == git(reference.clone.path, "show", "--format=", "HEAD") + "\n"


def test_a_preview_leaves_no_object_and_no_folder_behind(
    reference: Reference, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = tmp_path / "room"
    room.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(room))
    reference.update("alpha", {"version": "2", "nsfw": False})
    objects = {*(reference.clone.path / ".git/objects").rglob("*")}
    assert previewed(reference)[0].diff
    assert {*(reference.clone.path / ".git/objects").rglob("*")} == objects
    assert [*room.iterdir()] == []


def test_attributes_of_the_clone_hide_nothing_in_the_diff(reference: Reference) -> None:
    reference.clone.commit({".gitattributes": b"*.json binary diff=mine\n"})
    git(reference.clone.path, "config", "diff.mine.textconv", "false")
    reference.update("beta", {"version": "2"})
    [planned] = previewed(reference)
    assert '"version": "2"' in planned.diff
