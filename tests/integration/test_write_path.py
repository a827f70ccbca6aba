"""One record written at once: what lands, what is refused, and what is left behind."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
from loguru import logger
from pydantic import BaseModel

from refsync import disk_room
from refsync.backends.base import ReplicateMode
from refsync.backends.git_backend import GitBackend
from refsync.clone.commits import Person, parse_message
from refsync.errors import ModelNameError, PermanentError, RequestError
from refsync.pending_queue.models import PendingChangeStatus
from refsync.state_directory import FileLease
from refsync.sync.reference import PassReport
from refsync.sync.writing import OneChangeBatches
from tests.support.daemon import CLIP_FILE, Site, image_clone, record, wait_for
from tests.support.published import PublishedReference
from tests.support.queue import in_pass
from tests.support.reference import CLIP, ESRGAN, FILES, Reference
from tests.support.repositories import Clone, git
from tests.support.text_files import DOCUMENT, ROWS, TABLE, TEXT, document, text_reference

S = PendingChangeStatus
LAYOUTS = ("upstream", "primary")


class Model(BaseModel):
    version: str
    nsfw: bool = False


class Written:
    """A clone of a layout, and its backend by the names of the format that is written there."""

    def __init__(self, folder: Path, layout: str, *, more: str = "") -> None:
        files = FILES if layout == "upstream" else {**FILES, "legacy/clip.json": {"left": {"version": "0"}}}
        self.reference = Reference(folder, files, more=more, repository=f'layout = "{layout}"')
        self.clone = self.reference.clone
        self.legacy = layout == "upstream"
        suffix = "_legacy" if self.legacy else ""
        self.backend = self.reference.application.backends["image"]
        self.update = getattr(self.backend, f"update_model{suffix}")
        self.update_from_base_model = getattr(self.backend, f"update_model{suffix}_from_base_model")
        self.delete = getattr(self.backend, f"delete_model{suffix}")

    @property
    def message(self) -> str:
        return git(self.clone.path, "log", "-1", "--format=%B")

    @property
    def open_changes(self) -> list[int]:
        page = self.reference.application.queue.list_changes()
        return [change.change_id for change in page.items if change.status not in (S.APPLIED, S.REJECTED)]

    def assert_nothing_lands_later(self, tip: str) -> None:
        assert self.open_changes == []
        assert self.reference.sync().clean
        assert self.clone.tip == tip


@pytest.fixture(params=LAYOUTS)
def written(request: pytest.FixtureRequest, tmp_path: Path, bare_git: None) -> Iterator[Written]:
    made = Written(tmp_path, request.param)
    yield made
    made.reference.close()


@pytest.fixture
def upstream(tmp_path: Path, bare_git: None) -> Iterator[Written]:
    made = Written(tmp_path, "upstream")
    yield made
    made.reference.close()


@contextmanager
def logged() -> Iterator[list[str]]:
    lines: list[str] = []
    sink = logger.add(lambda message: lines.append(str(message)), format="{message}", level="WARNING")
    try:
        yield lines
    finally:
        logger.remove(sink)


def without_stamps(found: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in found.items() if key != "metadata"}


# What lands.


def test_an_update_creates_and_replaces_and_has_landed_when_it_returns(written: Written) -> None:
    asked = {"version": "1"}
    written.update(CLIP, "gamma", asked)
    assert asked == {"version": "1"}
    assert without_stamps(written.clone.records("clip.json")["gamma"]) == {"version": "1"}
    written.update(CLIP, "gamma", {"nsfw": True})
    landed = written.clone.records("clip.json")["gamma"]
    assert without_stamps(landed) == {"nsfw": True}
    assert ("metadata" in landed) is not written.legacy
    assert written.clone.status == ""
    assert written.message.startswith('update gamma\n\n- update clip "gamma"\n\n')
    assert (written.backend.fetch_category(CLIP) or {})["gamma"] == landed
    counters = written.reference.counters()
    assert (counters.total_creates, counters.total_updates, counters.total_models) == (3, 1, 3)
    assert written.reference.statuses([1, 2]) == [S.APPLIED, S.APPLIED]


def test_only_the_file_of_the_written_format_changes(written: Written) -> None:
    written.update(CLIP, "gamma", {"version": "1"})
    changed = git(written.clone.path, "show", "--name-only", "--format=").split()
    assert changed == ["clip.json"]
    seen = written.backend.get_legacy_json(CLIP) or {}
    assert ("gamma" in seen) is written.legacy


def test_a_delete_has_landed_when_it_returns(written: Written) -> None:
    written.delete(CLIP, "beta", logical_user_id="ada")
    assert set(written.clone.records("clip.json")) == {"alpha"}
    assert set(written.backend.fetch_category(CLIP) or {}) == {"alpha"}
    assert written.reference.counters().total_deletes == 1
    assert written.message.startswith("delete beta\n")


def test_a_base_model_is_written_with_the_fields_that_were_set(written: Written) -> None:
    written.update_from_base_model(CLIP, "gamma", Model(version="1"), logical_user_id="ada", request_id="r-7")
    assert without_stamps(written.clone.records("clip.json")["gamma"]) == {"version": "1"}
    found = parse_message(written.message)
    assert found is not None
    assert (found.requested_by, found.request_ids) == ((Person("ada", "ada"),), ("r-7",))


def test_user_and_request_stand_in_the_commit_on_a_line_each(written: Written) -> None:
    written.update(CLIP, "gamma", {}, logical_user_id="ada", request_id="r-1\nRefsync-Job: forged")
    assert written.message.rstrip().splitlines()[-3:] == [
        "Requested-by: ada <ada>",
        "Approved-by: ada <ada>",
        "Request-Id: r-1 Refsync-Job: forged",
    ]
    written.delete(CLIP, "gamma")
    found = parse_message(written.message)
    assert found is not None
    assert (found.requested_by, found.request_ids) == ((Person("refsync-api", "refsync-api"),), ())


def test_writing_what_is_there_makes_no_commit(written: Written) -> None:
    tip = written.clone.tip
    written.update(CLIP, "beta", {"version": "1"})
    assert written.clone.tip == tip
    assert written.reference.statuses([1]) == [S.APPLIED]


def test_the_open_batch_stays_as_it_is(tmp_path: Path, bare_git: None) -> None:
    written = Written(tmp_path, "upstream", more='[apply]\nwhen = "manual"')
    with closing(written.reference):
        waiting = written.reference.create("delta", {"version": "1"})
        written.update(CLIP, "gamma", {"version": "1"})
        assert "gamma" in written.clone.records("clip.json")
        assert "delta" not in written.clone.records("clip.json")
        assert written.reference.statuses([waiting]) == [S.APPROVED]


def test_a_write_waits_for_the_pass_of_somebody_else(upstream: Written) -> None:
    lock = upstream.reference.application.state.pass_lock()
    with lock:
        writer = threading.Thread(target=upstream.update, args=(CLIP, "gamma", {"version": "1"}))
        writer.start()
        wait_for("the change", lambda: upstream.open_changes == [1])
        assert "gamma" not in upstream.clone.records("clip.json")
    writer.join()
    assert "gamma" in upstream.clone.records("clip.json")
    assert upstream.open_changes == []


def test_callbacks_hear_of_a_write(written: Written) -> None:
    heard: list[str] = []
    written.backend.warm_cache()
    written.backend.register_invalidation_callback(heard.append)
    written.update(CLIP, "gamma", {"version": "1"})
    assert heard == [CLIP]


# What is refused.


def test_deleting_an_unknown_model_is_a_key_error_and_asks_for_nothing(written: Written) -> None:
    with pytest.raises(KeyError, match="nobody"):
        written.delete(CLIP, "nobody")
    assert written.reference.application.queue.list_changes().total == 0


@pytest.mark.parametrize(
    ("name", "payload", "refusal"),
    [
        ("a\nb", {}, "model name has a control character"),
        ("", {}, "model name is empty"),
        ("x" * 256, {}, "model name has 256 characters"),
        (3, {}, "a model name is text"),
        (["m"], {}, "a model name is text"),
        ("m", [], "payload: expected a JSON object, got a list"),
        ("m", None, "payload: create needs the full record"),
        ("m", {"n": float("nan")}, "payload: nan is not JSON"),
        ("m", {"n": threading.Lock()}, "not JSON"),
    ],
)
def test_a_hostile_record_or_name_is_refused_and_leaves_nothing(
    upstream: Written, name: Any, payload: Any, refusal: str
) -> None:
    tip = upstream.clone.tip
    with pytest.raises(RequestError, match=refusal):
        upstream.update(CLIP, name, payload)
    assert upstream.reference.application.queue.list_changes().total == 0
    assert upstream.clone.tip == tip


def test_no_model_and_no_name_are_refused_by_name(upstream: Written) -> None:
    with pytest.raises(RequestError, match="expected a pydantic model, got dict"):
        upstream.update_from_base_model(CLIP, "m", {})
    with pytest.raises(ModelNameError):
        upstream.delete(CLIP, ["m"])
    with pytest.raises(ValueError, match="unknown category"):
        upstream.update("../x", "m", {})
    with pytest.raises(ValueError, match="unknown category"):
        upstream.delete([], "m")


def test_a_write_over_local_edits_is_given_up_and_lands_never(upstream: Written) -> None:
    tip, before = upstream.clone.tip, upstream.clone.read("clip.json")
    upstream.clone.write("clip.json", {"mine": {}})
    with pytest.raises(PermanentError, match=r"clip 'gamma' was not written: .*clip\.json"):
        upstream.update(CLIP, "gamma", {"version": "1"})
    assert upstream.clone.records("clip.json") == {"mine": {}}
    upstream.clone.write("clip.json", before)
    upstream.assert_nothing_lands_later(tip)
    [change] = upstream.reference.application.queue.list_changes().items
    assert "could not land at once" in (change.reject_reason or "")


def test_a_write_into_a_broken_file_is_refused(upstream: Written) -> None:
    tip = upstream.clone.commit({"clip.json": b"{"})
    with pytest.raises(PermanentError, match=r"clip\.json"):
        upstream.update(CLIP, "gamma", {"version": "1"})
    upstream.assert_nothing_lands_later(tip)


def test_a_write_while_the_clone_is_on_another_branch_is_given_up(upstream: Written) -> None:
    tip = upstream.clone.tip
    git(upstream.clone.path, "switch", "-q", "-c", "mine")
    with pytest.raises(PermanentError, match=r"was not written: .*branch"):
        upstream.update(CLIP, "gamma", {"version": "1"})
    git(upstream.clone.path, "switch", "-q", "main")
    upstream.assert_nothing_lands_later(tip)


def racing(written: Written, meanwhile: Callable[[], object]) -> OneChangeBatches:
    """A write path during which something happens between asking and landing."""
    application = written.reference.application

    def run_pass() -> PassReport | None:
        meanwhile()
        return application.run_pass()

    def lease() -> AbstractContextManager[FileLease | None]:
        return application.state.lease()

    return OneChangeBatches(
        application.queue,
        written.reference.image,
        application.publishers()["image"],
        run_pass=run_pass,
        lease=lease,
    )


def update_by(path: OneChangeBatches, model: str, payload: dict[str, Any]) -> None:
    path.update(
        CLIP, model, payload, logical_user_id="ada", request_id=None
    )  # fmt: skip


def test_a_write_that_conflicts_is_refused_with_both_values(upstream: Written) -> None:
    def edit_by_hand() -> None:
        upstream.clone.commit({"clip.json": {**FILES["clip.json"], "beta": {"version": "9"}}})

    with pytest.raises(RequestError, match=r'clip .beta. was not written: .*"1".*"9".*"2"'):
        update_by(racing(upstream, edit_by_hand), "beta", {"version": "2"})
    upstream.assert_nothing_lands_later(upstream.clone.tip)
    assert upstream.clone.records("clip.json")["beta"] == {"version": "9"}
    assert upstream.reference.counters().error_count == 1


def test_what_an_exception_cut_short_lands_never(upstream: Written) -> None:
    def fail() -> None:
        raise RuntimeError("a bug")

    tip = upstream.clone.tip
    with pytest.raises(RuntimeError, match="a bug"):
        update_by(racing(upstream, fail), "gamma", {"version": "1"})
    upstream.assert_nothing_lands_later(tip)


def test_a_pass_told_to_stop_leaves_nothing(upstream: Written) -> None:
    application = upstream.reference.application
    path = OneChangeBatches(
        application.queue,
        upstream.reference.image,
        application.publishers()["image"],
        run_pass=lambda: application.run_pass(stopping=lambda: True),
        lease=application.state.lease,
    )
    with pytest.raises(PermanentError, match="stopping"):
        update_by(path, "gamma", {"version": "1"})
    upstream.assert_nothing_lands_later(upstream.clone.tip)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_where_two_persons_are_needed_nobody_writes_alone(tmp_path: Path, bare_git: None, layout: str) -> None:
    written = Written(tmp_path, layout, more="[queue]\ntwo_person_review = true")
    with closing(written.reference):
        tip = written.clone.tip
        with pytest.raises(RequestError, match="proposed by ada; another person has to approve it"):
            written.update(CLIP, "gamma", {"version": "1"}, logical_user_id="ada")
        written.assert_nothing_lands_later(tip)
        assert written.reference.application.queue.list_changes().total == 0


def test_a_model_with_an_open_proposal_waits_for_its_review_where_the_team_says_so(
    tmp_path: Path, bare_git: None
) -> None:
    written = Written(tmp_path, "upstream", more="[queue]\none_proposal_per_model = true")
    with closing(written.reference):
        written.reference.submit("beta", {"version": "2"})
        with pytest.raises(RequestError, match="has an open proposal, change 1"):
            written.update(CLIP, "beta", {"version": "3"})


# Who can write at all.


def test_the_flags_of_each_layout_are_true(written: Written) -> None:
    flags = (written.backend.supports_writes(), written.backend.supports_legacy_writes())
    assert flags == (not written.legacy, written.legacy)
    assert written.backend.replicate_mode is ReplicateMode.PRIMARY


def test_the_other_formats_methods_are_refused_and_write_nothing(written: Written) -> None:
    tip = written.clone.tip
    suffix = "" if written.legacy else "_legacy"
    calls: list[Callable[[], object]] = [
        lambda: getattr(written.backend, f"update_model{suffix}")(CLIP, "m", {}),
        lambda: getattr(written.backend, f"update_model{suffix}_from_base_model")(CLIP, "m", Model(version="1")),
        lambda: getattr(written.backend, f"delete_model{suffix}")(CLIP, "beta"),
    ]
    for call in calls:
        with pytest.raises(NotImplementedError, match=r"^GitBackend does not support (legacy )?write operations$"):
            call()
    assert written.clone.tip == tip
    assert written.reference.application.queue.list_changes().total == 0


def test_a_write_by_push_has_reached_the_remote_when_it_returns(tmp_path: Path, bare_git: None) -> None:
    with closing(PublishedReference(tmp_path, "push")) as published:
        published.person.push({"clip.json": {**FILES["clip.json"], "theirs": {"version": "1"}}}, "a moment ago")
        backend = published.application.backends["image"]
        assert backend.supports_legacy_writes()
        backend.update_model_legacy(CLIP, "beta", {"version": "2"})
        backend.delete_model_legacy(CLIP, "alpha")
        assert published.in_step()
        assert published.remote.subjects() == ["first", "a moment ago", "update beta", "delete alpha"]
        assert set(backend.get_legacy_json(CLIP) or {}) == {"beta", "theirs"}


def test_a_write_by_push_that_nobody_can_tell_of_stays_in_the_queue(tmp_path: Path, bare_git: None) -> None:
    with closing(PublishedReference(tmp_path, "push")) as published:
        backend = published.application.backends["image"]
        hook = published.remote.path / "hooks" / "post-receive"
        away = published.remote.path.with_suffix(".away")
        hook.write_text(f"#!/bin/sh\nmv {published.remote.path} {away}\n")
        hook.chmod(0o755)
        with pytest.raises(PermanentError, match="nobody can tell whether it reached the remote"):
            backend.update_model_legacy(CLIP, "beta", {"version": "2"})
        (away / "hooks" / "post-receive").unlink()
        away.rename(published.remote.path)
        published.sync()
        assert published.statuses([1]) == [PendingChangeStatus.APPLIED]
        assert published.in_step()


def test_a_write_by_push_to_a_remote_that_is_away_lands_never(tmp_path: Path, bare_git: None) -> None:
    with closing(PublishedReference(tmp_path, "push")) as published:
        tip, remote = published.remote.tip, published.remote.path
        remote.rename(tmp_path / "away.git")
        with pytest.raises(PermanentError, match=r"was not written: .*no git repository"):
            published.application.backends["image"].update_model_legacy(CLIP, "beta", {"version": "2"})
        (tmp_path / "away.git").rename(remote)
        published.sync()
        assert published.remote.tip == tip
        assert published.statuses([1]) == [S.REJECTED]


@pytest.mark.parametrize("mode", ["branch", "pull_request"])
def test_where_people_review_in_git_nothing_is_written_at_once(tmp_path: Path, bare_git: None, mode: str) -> None:
    requests = '[repository.pull_request]\nrepository = "owner/reference"' if mode == "pull_request" else ""
    with closing(PublishedReference(tmp_path, mode, repository=requests)) as published:
        application = published.application
        assert not application.backends["image"].support_any_writes()
        path = OneChangeBatches(
            application.queue,
            published.image,
            application.publishers()["image"],
            run_pass=application.run_pass,
            lease=application.state.lease,
        )
        how = {"branch": "proposal branch", "pull_request": "pull request"}[mode]
        refusal = f"^repository image publishes by {how}; submit a change to the queue instead$"
        with pytest.raises(RequestError, match=refusal):
            update_by(path, "beta", {"version": "2"})
        assert application.queue.list_changes().total == 0


def test_a_replica_never_writes_though_it_has_the_way(written: Written) -> None:
    image = written.reference.image
    replica = GitBackend(
        image.path,
        image.files,
        canonical_format=image.format,
        write_path=racing(written, lambda: None),
        metadata=image.metadata,
    )
    assert not replica.support_any_writes()
    calls: list[Callable[[], object]] = [
        lambda: replica.update_model(CLIP, "m", {}),
        lambda: replica.update_model_legacy(CLIP, "m", {}),
        lambda: replica.update_model_from_base_model(CLIP, "m", Model(version="1")),
        lambda: replica.update_model_legacy_from_base_model(CLIP, "m", Model(version="1")),
        lambda: replica.delete_model(CLIP, "beta"),
        lambda: replica.delete_model_legacy(CLIP, "beta"),
    ]
    for call in calls:
        with pytest.raises(NotImplementedError):
            call()
    assert written.reference.application.queue.list_changes().total == 0


def test_a_category_whose_file_is_not_there_yet_gets_one(tmp_path: Path, bare_git: None) -> None:
    written = Written(tmp_path, "primary")
    with closing(written.reference):
        written.update(ESRGAN, "x4", {"version": "1"})
        assert without_stamps(written.clone.records("esrgan.json")["x4"]) == {"version": "1"}
        written.delete(ESRGAN, "x4")
        assert written.clone.records("esrgan.json") == {}


def test_a_text_model_lands_with_its_row_and_its_variants(tmp_path: Path, bare_git: None) -> None:
    with closing(text_reference(tmp_path)) as text:
        backend = text.application.backends["image"]
        name = ROWS[0]["name"]
        wanted = (backend.get_legacy_json(TEXT) or {})[name] | {"description": "by a program"}
        backend.update_model_legacy(TEXT, name, wanted, logical_user_id="ada", request_id="r-1")
        seen = backend.get_legacy_json(TEXT) or {}
        assert {each["description"] for each in seen.values() if name.split("/")[-1] in each["name"]} == {
            "by a program"
        }
        assert text.clone.read(DOCUMENT) == document(text.clone.read(TABLE))
        backend.delete_model_legacy(TEXT, name)
        assert not [each for each in backend.get_legacy_json(TEXT) or {} if "Alpha" in each]
        with pytest.raises(KeyError):
            backend.delete_model_legacy(TEXT, name)
        assert text.clone.status == ""


# Beside a running daemon.


def test_writes_beside_a_running_daemon_land_once_each(tmp_path: Path) -> None:
    site = Site(tmp_path)
    site.clone = image_clone(tmp_path / "image")
    failures: list[BaseException] = []

    def write(names: list[str]) -> None:
        try:
            with site.application() as application:
                backend = application.backends["image"]
                for name in names:
                    backend.update_model_legacy(CLIP, name, record(name), logical_user_id=name)
                    assert name in Clone(site.clone.path).records(CLIP_FILE)
                backend.delete_model_legacy(CLIP, names[0])
        except BaseException as failure:
            failures.append(failure)

    with site.daemon() as daemon:
        writers = [threading.Thread(target=write, args=([f"{who}{n}" for n in range(3)],)) for who in "ab"]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        assert daemon.process.poll() is None
        assert daemon.stop() == 0
    assert failures == []
    assert set(site.clone.records(CLIP_FILE)) == {"ViT", "a1", "a2", "b1", "b2"}
    assert len(git(site.clone.path, "log", "--format=%h", "--grep=Refsync-Job:").split()) == 8
    assert site.clone.status == ""
    with site.application() as application:
        assert {change.status for change in application.queue.list_changes().items} == {S.APPLIED}


# Health.


def close_the_branch(written: Written) -> None:
    git(written.clone.path, "switch", "-q", "-c", "mine")


def detach(written: Written) -> None:
    git(written.clone.path, "switch", "-q", "--detach")


def damage_the_store(written: Written) -> None:
    with closing(sqlite3.connect(written.reference.application.state.path / "queue.db")) as store:
        store.execute("DROP TABLE counters")


def remove_the_clone(written: Written) -> None:
    written.clone.path.rename(written.clone.path.with_name("gone"))


def age_the_last_pass(written: Written) -> None:
    in_pass(written.reference.application.queue).note_repository("image", last_pass_at=1.0)


def test_a_well_backend_is_healthy_and_says_nothing(written: Written) -> None:
    written.reference.sync()
    with logged() as lines:
        assert written.backend.health_check()
    assert lines == []


@pytest.mark.parametrize(
    ("harm", "check", "cause"),
    [
        (close_the_branch, "branch", "main"),
        (detach, "branch", "main"),
        (damage_the_store, "store", "counters"),
        (remove_the_clone, "clone readable", "cannot be read"),
        (age_the_last_pass, "last pass", "seconds ago; is the daemon running"),
    ],
)
def test_each_cause_of_ill_health_is_named(
    upstream: Written, harm: Callable[[Written], None], check: str, cause: str
) -> None:
    upstream.reference.sync()
    harm(upstream)
    with logged() as lines:
        assert not upstream.backend.health_check()
    [line] = [line for line in lines if f"health check '{check}'" in line]
    assert cause in line


def test_no_pass_yet_and_a_full_disk_are_ill_health(upstream: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_room, "LEAST_BYTES", 2**62)
    with logged() as lines:
        assert not upstream.backend.health_check()
    assert [line.split("'")[1] for line in lines] == ["disk space", "last pass"]
    assert "MiB are free; make room" in lines[0]
    assert "the last pass was never" in lines[1]
