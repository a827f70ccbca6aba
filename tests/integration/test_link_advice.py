"""What hosts say of the links that a change brings: told to who submits and who reviews it, and in nobody's way."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from refsync.application import open_application
from refsync.config import load_config
from refsync.daemon import probing
from refsync.daemon.probing import Probing
from refsync.file_locks import locked_within
from refsync.use_cases.changes import compare_changes
from refsync.use_cases.links.advice import advised_diffs
from tests.support.command_line import Desk
from tests.support.daemon import Site, image_clone, wait_for
from tests.support.hosts import Host, Told, record_linking, serving

A, B = "a" * 64, "b" * 64
ASKING = {"REFSYNC_PROBE__CHANGES": "true"}


@pytest.fixture
def host() -> Iterator[Host]:
    with serving() as host:
        yield host


def settings(host: Host, more: str = "") -> str:
    return f'[probe]\nallow_private = true\nhugging_face = "{host.url}"\ncivitai = "{host.url}"\n{more}'


def add(desk: Desk, operation: str, model: str, record: dict[str, Any], **environment: str) -> Any:
    words = ("queue", "add", operation, "clip", model, "--payload", "-")
    return desk(*words, stdin=json.dumps(record).encode(), **(ASKING | environment)).done


@contextmanager
def daemon_probing(desk: Desk) -> Iterator[Probing]:
    """What the daemon has beside its passes, by itself."""
    with open_application(load_config(desk.config, ASKING)) as application:
        thread = Probing(application)
        thread.start()
        try:
            yield thread
        finally:
            thread.stop()


def verdicts(desk: Desk, change: int) -> list[str | None]:
    return [link["verdict"] for link in desk("queue", "show", change, "--json").done.json["links"]]


def test_who_submits_and_who_reviews_is_told_of_links_that_do_not_hold(tmp_path: Path, host: Host) -> None:
    gone = f"{host.url}/o/r/resolve/main/gone"
    wrong = host.on_hugging_face("/o/r/resolve/main/f", A, 7)
    desk = Desk.at(tmp_path, settings(host))
    added = add(desk, "create", "new", record_linking(gone, A))
    assert (added.out, f"note: {gone}: gone" in added.err) == ("1\n", True)
    assert f"note: {wrong}: sha256 is aaaaaaaaaaaa…" in add(desk, "update", "old", record_linking(wrong, B)).err

    assert verdicts(desk, 1) == ["gone"]
    assert f"\n  link         {gone}: gone (" in desk("queue", "show", 1).done.out
    assert (
        f"\n  link {wrong}: sha256 is aaaaaaaaaaaa…, the record says bbbbbbbbbbbb…" in desk("queue", "diff", 2).done.out
    )
    assert desk("queue", "diff", 1, 2, "--json").done.json["links"]["2"][0]["verdict"] == "changed"
    assert desk.land(1, 2)


def test_a_change_that_is_purged_as_it_is_compared_takes_nothing_from_the_others(tmp_path: Path, host: Host) -> None:
    url = host.on_hugging_face("/o/r/resolve/main/f", A, 7)
    desk = Desk.at(tmp_path, settings(host))
    for model in ("one", "two"):
        add(desk, "create", model, record_linking(url, A))
    with open_application(load_config(desk.config, {})) as application:
        page = compare_changes(application, [1, 2])
        assert desk("queue", "purge", "--model", "one").done
        links = advised_diffs(application, page).links
    assert [(change, answer.verdict) for change, answers in links.items() for answer in answers] == [(2, "good")]


def test_only_links_that_a_change_brings_are_asked_about_and_none_twice(tmp_path: Path, host: Host) -> None:
    old = host.on_hugging_face("/o/r/resolve/main/old", A, 7)
    new = host.on_hugging_face("/o/r/resolve/main/new", A, 7)
    desk = Desk.at(tmp_path, settings(host), {"clip.json": {"old": record_linking(old, A)}})
    added = add(desk, "update", "old", record_linking(old, A) | {"nsfw": True})
    assert host.asked == []
    assert "link" not in added.err
    assert f"note: {new}: good" in add(desk, "update", "old", record_linking(new, A)).err
    assert f"note: {new}: good" in add(desk, "create", "copy", record_linking(new, A)).err
    assert [path for _, path in host.asked] == ["/o/r/resolve/main/new"]


def test_many_lines_are_asked_about_as_well(tmp_path: Path, host: Host) -> None:
    url = host.on_hugging_face("/o/r/resolve/main/f", A, 7)
    line = {"operation": "create", "category": "clip", "model_name": "m", "payload": record_linking(url, A)}
    desk = Desk.at(tmp_path, settings(host))
    assert desk("queue", "import", "-", stdin=json.dumps(line).encode(), **ASKING).done
    assert verdicts(desk, 1) == ["good"]


def test_a_slow_host_holds_no_submission_up_and_the_daemon_asks_later(tmp_path: Path, host: Host) -> None:
    answers = threading.Event()
    url = host.on_hugging_face("/o/r/resolve/main/f", A, 7)
    genuine = host.files["/o/r/resolve/main/f"]
    assert isinstance(genuine, Told)

    def slow() -> Told:
        answers.wait(10)
        return genuine

    host.files["/o/r/resolve/main/f"] = slow
    desk = Desk.at(tmp_path, settings(host, "submission_seconds = 0.4\n"))
    assert f"note: {url}: not asked yet" in add(desk, "create", "new", record_linking(url, A)).err
    assert not answers.is_set()
    answers.set()
    with daemon_probing(desk) as thread:
        thread.wake()
        wait_for("the advice", lambda: verdicts(desk, 1) == ["good"])


def test_what_is_unknown_is_told_and_asked_again_an_hour_later(
    tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "_AGAIN_SECONDS", 0.05)
    busy = iter([Told(503, {"Retry-After": "7200"})])
    good = Told(302, {"X-Linked-Etag": A, "Location": "/store"})
    host.files["/o/r/resolve/main/f"] = lambda: next(busy, good)
    desk = Desk.at(tmp_path, settings(host, "submission_seconds = 0.0\n"))
    add(desk, "create", "new", record_linking(f"{host.url}/o/r/resolve/main/f", A))
    assert host.asked == []
    with daemon_probing(desk) as thread:
        thread.wake()
        wait_for("the advice", lambda: verdicts(desk, 1) == ["good"])
    assert len(host.asked) == 2


def test_while_another_process_asks_a_submission_leaves_it_to_the_daemon(tmp_path: Path, host: Host) -> None:
    url = host.on_hugging_face("/o/r/resolve/main/f", A, 7)
    desk = Desk.at(tmp_path, settings(host, "submission_seconds = 0.1\n"))
    assert desk("status").done
    with locked_within(desk.state / "probe.lock", 1.0):
        assert "not asked yet" in add(desk, "create", "new", record_linking(url, A)).err
    (desk.state / "probe.lock").unlink()
    (desk.state / "probe.lock").mkdir()
    assert "not asked yet" in add(desk, "create", "newer", record_linking(url, A)).err
    assert host.asked == []


def test_nobody_is_asked_where_the_config_says_so(tmp_path: Path, host: Host) -> None:
    url = host.on_hugging_face("/o/r/resolve/main/f", A, 7)
    desk = Desk.at(tmp_path, settings(host, "changes = false\n"))
    add(desk, "create", "new", record_linking(url, A), REFSYNC_PROBE__CHANGES="false")
    assert verdicts(desk, 1) == [None]
    assert host.asked == []


@pytest.mark.slow
def test_the_daemon_asks_about_what_was_submitted_while_it_runs_and_stops_at_once(tmp_path: Path, host: Host) -> None:
    url = host.on_hugging_face("/o/r/resolve/main/f", A, 7)
    slow = host.at("/slow", Told(seconds=2.0))
    site = Site(tmp_path)
    image_clone(site.clone.path)
    site.write_config(settings(host, "submission_seconds = 0.0\nchanges = true\n"))
    desk = Desk(site.clone, tmp_path)
    desk.config, desk.state = site.config_file, site.state
    with site.daemon(**ASKING) as daemon:
        add(desk, "create", "new", record_linking(url, A))
        wait_for("the advice", lambda: verdicts(desk, 1) == ["good"])
        add(desk, "create", "newer", record_linking(slow, A))
        wait_for("the question", lambda: ("HEAD", "/slow") in host.asked)
        assert daemon.stop() == 0
    assert verdicts(desk, 2) == [None]
