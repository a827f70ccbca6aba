"""Landed commits become operations, each counted exactly once: laws over histories kept in memory."""

from __future__ import annotations

import itertools
import json
import os
import tempfile
from collections.abc import Collection, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from loguru import logger

from refsync.categories import MODEL_REFERENCE_CATEGORY as Category
from refsync.categories import CanonicalFormat, CategoryName
from refsync.clone.history import FileChange, HistoryRelation, LandedCommit
from refsync.documents.merge_losses import losses_of
from refsync.documents.operations import Operation
from refsync.file_patterns import starred
from refsync.metadata.manager import MetadataManager
from refsync.metadata.models import CategoryMetadata, MetadataEvent, OperationType
from refsync.metadata.recorder import Difference, LandedOperation, Recorder

LEGACY, V2 = CanonicalFormat.legacy, CanonicalFormat.v2
FILES: dict[CategoryName, dict[CanonicalFormat, str]] = {
    Category.blip: {LEGACY: "blip.json"},
    Category.lora: {V2: "lora.json", LEGACY: "legacy/lora.json"},
}
PATHS = ["blip.json", "lora.json", "legacy/lora.json"]
BROKEN = b"{"

Tree = Mapping[str, bytes]


def dump(records: Mapping[str, object]) -> bytes:
    return json.dumps({name: {"version": version} for name, version in records.items()}).encode()


@dataclass
class FakeHistory:
    """A commit graph; each commit is a whole tree, its number is its id and its time."""

    trees: list[Tree] = field(default_factory=list)
    parents: list[tuple[int, ...]] = field(default_factory=list)
    modes: dict[bytes, str] = field(default_factory=dict)
    walked: list[str | None] = field(default_factory=list)
    read: list[bytes] = field(default_factory=list)
    parted: list[Collection[str]] = field(default_factory=list)

    def commit(self, tree: Tree, *parents: int) -> str:
        """Add a commit, by default on top of the last one."""
        before = parents or ((len(self.trees) - 1,) if self.trees else ())
        self.trees.append(dict(tree))
        self.parents.append(tuple(before))
        return str(len(self.trees) - 1)

    def first_parent_history(self, after: str | None, until: str, paths: object = ()) -> list[LandedCommit]:
        self.walked.append(after)
        chain = list(itertools.takewhile(lambda number: str(number) != after, self._chain(int(until))))
        return [self._landed(number) for number in reversed(chain)]

    def relation(self, after: str, until: str) -> HistoryRelation:
        if after == until:
            return "same"
        if int(after) in self._chain(int(until)):
            return "ahead"
        return "aside" if int(after) in self._ancestors(int(until)) else "rewritten"

    def contains(self, commit: str, tip: str) -> bool:
        return int(commit) in self._ancestors(int(tip))

    def merge_bases(self, commits: Collection[str]) -> list[str]:
        self.parted.append(commits)
        common = set.intersection(*(self._ancestors(int(each)) for each in commits))
        return [str(each) for each in common if not any(each in self._ancestors(other) - {each} for other in common)]

    def blobs_at(self, commit: str, path: str) -> dict[str, str]:
        tree = self.trees[int(commit)]
        return {
            each: content.hex() for each, content in tree.items() if each == path or starred(path, each) is not None
        }

    def read_blob(self, blob: str) -> bytes:
        content = bytes.fromhex(blob)
        self.read.append(content)
        return content

    def read_blobs(self, blobs: Iterable[str]) -> Generator[tuple[str, bytes]]:
        yield from ((blob, self.read_blob(blob)) for blob in blobs)

    def _chain(self, tip: int) -> Iterator[int]:
        number: int | None = tip
        while number is not None:
            yield number
            number = next(iter(self.parents[number]), None)

    def _ancestors(self, tip: int) -> set[int]:
        found, todo = set(), [tip]
        while todo:
            number = todo.pop()
            if number not in found:
                found.add(number)
                todo.extend(self.parents[number])
        return found

    def _landed(self, number: int) -> LandedCommit:
        parent = next(iter(self.parents[number]), None)
        old, new = {} if parent is None else self.trees[parent], self.trees[number]
        changes = [
            FileChange(path, _hex(old.get(path)), _hex(new.get(path)), self._mode(new.get(path)))
            for path in sorted({*old, *new})
            if old.get(path) != new.get(path)
        ]
        before = None if parent is None else str(parent)
        merged = tuple(map(str, self.parents[number][1:]))
        return LandedCommit(str(number), before, number, "Grace", "Ada", "", tuple(changes), merged)

    def _mode(self, content: bytes | None) -> str | None:
        return None if content is None else self.modes.get(content, "100644")


def _hex(content: bytes | None) -> str | None:
    return None if content is None else content.hex()


class PowerCutError(Exception):
    """The process ends here."""


@contextmanager
def power_cut(at: int | None) -> Iterator[None]:
    """No sync to a real disk; the ``at``-th one ends everything (even: before the rename; odd: after it)."""
    count = itertools.count()

    def fsync(_: int) -> None:
        if next(count) == at:
            raise PowerCutError

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(os, "fsync", fsync)
        yield


@pytest.fixture
def manager(tmp_path: Path) -> MetadataManager:
    return MetadataManager(tmp_path)


@pytest.fixture
def recorder(manager: MetadataManager) -> Recorder:
    return Recorder(manager, FILES)


def stored(manager: MetadataManager) -> dict[CanonicalFormat, dict[CategoryName, CategoryMetadata]]:
    found: dict[CanonicalFormat, dict[CategoryName, CategoryMetadata]] = {}
    for category, formats in FILES.items():
        for format in formats:
            metadata = manager.stored_metadata(format, category)
            if metadata is not None:
                found.setdefault(format, {})[category] = metadata
    return found


def counts(metadata: CategoryMetadata) -> tuple[int, int, int, int, int]:
    return (
        metadata.total_creates,
        metadata.total_updates,
        metadata.total_deletes,
        metadata.total_models,
        metadata.error_count,
    )


# Laws

names = st.sampled_from(["a", "b", "c", "d"])
records = st.dictionaries(names, st.integers(0, 2))
versions = st.one_of(st.none(), st.just(BROKEN), records.map(dump), records.map(dump))
trees = st.dictionaries(st.sampled_from([*PATHS, "README"]), versions).map(
    lambda tree: {path: content for path, content in tree.items() if content is not None}
)


@st.composite
def linear_histories(draw: st.DrawFn) -> FakeHistory:
    history = FakeHistory()
    for tree in draw(st.lists(trees, min_size=1, max_size=10)):
        history.commit(tree)
    return history


@st.composite
def tangled_histories(draw: st.DrawFn) -> FakeHistory:
    history = FakeHistory()
    for number, tree in enumerate(draw(st.lists(trees, min_size=1, max_size=9))):
        known = st.integers(0, number - 1)
        parents = draw(st.lists(known, min_size=1, max_size=2, unique=True)) if number else []
        history.commit(tree, *parents)
    return history


Call = tuple[int, int | None]
calls = st.lists(st.tuples(st.integers(0, 9), st.none() | st.integers(0, 7)), max_size=6)


def run(manager: MetadataManager, history: FakeHistory, tips: list[Call]) -> Recorder:
    """Record up to each tip, with a power cut where one is asked for, each time in a new process."""
    recorder = Recorder(manager, FILES)
    for tip, cut in tips:
        recorder = Recorder(MetadataManager(manager.base_path), FILES)
        try:
            with power_cut(cut):
                recorder.record(history, str(min(tip, len(history.trees) - 1)))
        except PowerCutError:
            continue
    return recorder


@given(linear_histories(), calls)
def test_any_split_with_any_crash_gives_the_numbers_of_one_fold(history: FakeHistory, tips: list[Call]) -> None:
    last = len(history.trees) - 1
    with tempfile.TemporaryDirectory() as folder:
        manager = MetadataManager(Path(folder))
        recorder = run(manager, history, [*sorted(tips, key=lambda call: call[0]), (last, None)])
        assert stored(manager) == recorder.fold(history, str(last))


@given(linear_histories())
def test_creates_less_deletes_are_the_models_of_the_last_valid_version(history: FakeHistory) -> None:
    with tempfile.TemporaryDirectory() as folder:
        folded = Recorder(MetadataManager(Path(folder)), FILES).fold(history, str(len(history.trees) - 1))
    for category, formats in FILES.items():
        for format, path in formats.items():
            valid = [tree.get(path, b"{}") for tree in history.trees if tree.get(path) != BROKEN]
            models = len(json.loads(valid[-1])) if valid else 0
            metadata = folded.get(format, {}).get(category)
            assert models == (0 if metadata is None else metadata.total_creates - metadata.total_deletes)
            assert models == (0 if metadata is None else metadata.total_models)


@given(tangled_histories(), calls)
def test_a_rewritten_branch_with_any_crash_ends_as_the_present_history(history: FakeHistory, tips: list[Call]) -> None:
    last = len(history.trees) - 1
    with tempfile.TemporaryDirectory() as folder:
        manager = MetadataManager(Path(folder))
        recorder = run(manager, history, [*tips, (last, None)])
        assert recorder.verify(history, str(last)) == []
        walks = len(history.walked)
        assert recorder.record(history, str(last)).operations == ()
        assert len(history.walked) == walks


@given(tangled_histories(), calls, st.integers(0, 7))
def test_a_rebuild_cut_short_anywhere_is_made_good(history: FakeHistory, tips: list[Call], cut: int) -> None:
    last = len(history.trees) - 1
    with tempfile.TemporaryDirectory() as folder:
        manager = MetadataManager(Path(folder))
        recorder = run(manager, history, tips)
        try:
            with power_cut(cut):
                recorder.rebuild(history, str(last))
        except PowerCutError:
            with power_cut(None):
                recorder.record(history, str(last))
        assert recorder.verify(history, str(last)) == []


# One by one


def test_what_landed_is_told_with_commit_category_and_format(recorder: Recorder, manager: MetadataManager) -> None:
    events: list[MetadataEvent] = []
    manager.add_listener(events.append)
    history = FakeHistory()
    history.commit({"README": b""})
    first = history.commit({"blip.json": dump({"a": 1, "b": 1})})
    tip = history.commit({"blip.json": dump({"b": 2})})

    landing = recorder.record(history, tip)

    assert landing.commits == 3
    assert landing.operations == (
        LandedOperation(first, Category.blip, LEGACY, Operation("create", "a")),
        LandedOperation(first, Category.blip, LEGACY, Operation("create", "b")),
        LandedOperation(tip, Category.blip, LEGACY, Operation("delete", "a")),
        LandedOperation(tip, Category.blip, LEGACY, Operation("update", "b")),
    )
    assert [(event.operation, event.model, event.commit, event.person, event.timestamp) for event in events] == [
        ("create", "a", "1", "Ada", 1),
        ("create", "b", "1", "Ada", 1),
        ("delete", "a", "2", "Ada", 2),
        ("update", "b", "2", "Ada", 2),
    ]


def test_tracking_begins_with_the_first_commit_that_holds_the_file(
    recorder: Recorder, manager: MetadataManager
) -> None:
    history = FakeHistory()
    for tree in ({}, {"blip.json": BROKEN}, {"blip.json": dump({"a": 1})}, {}):
        tip = history.commit(tree)
    recorder.record(history, tip)

    metadata = manager.get_legacy_metadata(Category.blip)
    assert (metadata.initialization_time, metadata.last_updated, metadata.backend_type) == (1, 3, "GitBackend")
    assert counts(metadata) == (1, 0, 1, 0, 1)
    assert (metadata.recorded_commit, metadata.recorded_blob) == (tip, None)
    assert manager.stored_metadata(V2, Category.lora) is None


def test_a_broken_version_counts_one_error_and_the_next_is_compared_with_the_last_valid(
    recorder: Recorder, manager: MetadataManager
) -> None:
    history = FakeHistory()
    recorder.record(history, history.commit({"blip.json": dump({"a": 1, "b": 1})}))
    landing = recorder.record(history, history.commit({"blip.json": BROKEN}))
    assert [(error.commit, error.category) for error in landing.errors] == [("1", Category.blip)]
    assert "blip.json in commit 1" in landing.errors[0].reason

    recorder.record(history, history.commit({"blip.json": dump({"a": 1, "b": 2})}))
    metadata = manager.get_legacy_metadata(Category.blip)
    assert counts(metadata) == (2, 1, 0, 2, 1)
    assert metadata.history_errors == 1


def test_a_symbolic_link_is_a_version_that_cannot_be_read(recorder: Recorder, manager: MetadataManager) -> None:
    history = FakeHistory(modes={b"elsewhere": "120000"})
    history.commit({"blip.json": dump({"a": 1})})
    landing = recorder.record(history, history.commit({"blip.json": b"elsewhere"}))
    assert len(landing.errors) == 1
    assert counts(manager.get_legacy_metadata(Category.blip)) == (1, 0, 0, 1, 1)


def test_a_reformatted_file_is_recorded_without_an_operation(recorder: Recorder, manager: MetadataManager) -> None:
    history = FakeHistory()
    recorder.record(history, history.commit({"blip.json": b'{"a": {"x": 1, "y": 2}}'}))
    tip = history.commit({"blip.json": b'{"a":{"y":2,"x":1}}'})
    assert recorder.record(history, tip).operations == ()
    metadata = manager.get_legacy_metadata(Category.blip)
    assert counts(metadata) == (1, 0, 0, 1, 0)
    assert (metadata.recorded_commit, metadata.last_updated) == (tip, 0)


def test_an_untouched_category_costs_neither_a_write_nor_a_blob(recorder: Recorder, manager: MetadataManager) -> None:
    history = FakeHistory()
    tree = {path: dump({"a": 1}) for path in PATHS}
    recorder.record(history, history.commit(tree))
    before = manager._get_v2_metadata_path(Category.lora).stat().st_mtime_ns
    history.read.clear()

    recorder.record(history, history.commit(tree | {"blip.json": dump({"a": 2})}))

    assert manager._get_v2_metadata_path(Category.lora).stat().st_mtime_ns == before
    assert history.read == [dump({"a": 2}), dump({"a": 1})]
    assert history.walked == [None, "0"]


def test_a_first_fold_reads_each_version_once(recorder: Recorder) -> None:
    history = FakeHistory()
    for version in range(5):
        tip = history.commit({"blip.json": dump({"a": version})})
    recorder.record(history, tip)
    assert history.read == [dump({"a": version}) for version in range(5)]


def test_nothing_new_walks_and_writes_nothing(recorder: Recorder, tmp_path: Path) -> None:
    history = FakeHistory()
    tip = history.commit({"blip.json": dump({"a": 1})})
    recorder.record(history, tip)
    with power_cut(0):
        assert recorder.record(history, tip).commits == 0
    assert history.walked == [None]


def test_progress_tells_commits_done_and_in_all(recorder: Recorder) -> None:
    history = FakeHistory()
    for _ in range(3):
        tip = history.commit({})
    seen: list[tuple[int, int]] = []
    recorder.record(history, tip, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(1, 3), (2, 3), (3, 3)]


# What is folded anew


def two_commits(history: FakeHistory) -> str:
    history.commit({"blip.json": dump({"a": 1}), "lora.json": dump({"l": 1})})
    return history.commit({"blip.json": dump({"a": 2}), "lora.json": dump({"l": 1})})


def test_a_rewritten_branch_is_one_error_of_ours_where_counted_commits_are_gone(
    recorder: Recorder, manager: MetadataManager
) -> None:
    history = FakeHistory()
    recorder.record(history, two_commits(history))
    events: list[MetadataEvent] = []
    manager.add_listener(events.append)

    tip = history.commit({"blip.json": dump({"b": 1}), "lora.json": dump({"l": 1})}, 0)
    assert recorder.record(history, tip).commits == 2  # from the root

    blip = manager.get_legacy_metadata(Category.blip)
    assert counts(blip) == (2, 0, 1, 1, 1)
    assert blip.history_errors == 0
    assert manager.get_v2_metadata(Category.lora).error_count == 0
    assert [event.error for event in events] == ["the branch was rewritten: it no longer contains 1"]
    recorder.record(history, tip)
    assert manager.get_legacy_metadata(Category.blip).error_count == 1


def test_a_merge_the_wrong_way_round_is_folded_anew_without_an_error(
    recorder: Recorder, manager: MetadataManager
) -> None:
    history = FakeHistory()
    recorder.record(history, two_commits(history))
    other = int(history.commit({"blip.json": dump({"a": 1, "b": 1}), "lora.json": dump({"l": 1})}, 0))
    tip = history.commit({"blip.json": dump({"a": 2, "b": 1}), "lora.json": dump({"l": 1})}, other, 1)

    assert recorder.record(history, tip).commits == 3  # from the root
    assert counts(manager.get_legacy_metadata(Category.blip)) == (2, 1, 0, 2, 0)


@pytest.mark.parametrize("harm", ["lost", "corrupt", "foreign"])
def test_lost_corrupt_and_foreign_metadata_is_folded_anew(
    recorder: Recorder, manager: MetadataManager, harm: str
) -> None:
    history = FakeHistory()
    tip = two_commits(history)
    recorder.record(history, tip)
    before = stored(manager)
    path = manager._get_legacy_metadata_path(Category.blip)
    content: dict[str, Any] = json.loads(path.read_bytes())
    if harm == "lost":
        path.unlink()
    elif harm == "corrupt":
        path.write_text("{")
    else:
        kept = {key: value for key, value in content.items() if not key.startswith(("recorded", "history"))}
        path.write_text(json.dumps(kept | {"total_creates": 900}))

    assert recorder.record(history, tip).commits == 2  # from the root
    assert stored(manager) == before
    assert len(list(path.parent.glob("*.corrupt.*"))) == (harm == "corrupt")


def test_a_newly_followed_category_is_folded_by_itself(manager: MetadataManager) -> None:
    history = FakeHistory()
    tip = two_commits(history)
    Recorder(manager, {Category.blip: FILES[Category.blip]}).record(history, tip)
    blip = manager._get_legacy_metadata_path(Category.blip).stat().st_mtime_ns

    landing = Recorder(manager, FILES).record(history, tip)

    assert {operation.category for operation in landing.operations} == {Category.lora}
    assert manager._get_legacy_metadata_path(Category.blip).stat().st_mtime_ns == blip
    assert manager.get_v2_metadata(Category.lora).total_creates == 1


def test_a_category_followed_under_another_path_is_folded_anew(manager: MetadataManager) -> None:
    history = FakeHistory()
    tip = history.commit({"old.json": dump({"a": 1}), "new.json": dump({"a": 1, "b": 1})})
    Recorder(manager, {Category.blip: {LEGACY: "old.json"}}).record(history, tip)
    Recorder(manager, {Category.blip: {LEGACY: "new.json"}}).record(history, tip)
    assert counts(manager.get_legacy_metadata(Category.blip)) == (2, 0, 0, 2, 0)


def test_an_unreadable_position_loses_nothing(recorder: Recorder, manager: MetadataManager, tmp_path: Path) -> None:
    history = FakeHistory()
    tip = two_commits(history)
    recorder.record(history, tip)
    before = stored(manager)
    for content in ("{", "[]", '{"commit": "1", "files": {"x": 3}}'):
        (tmp_path / "meta" / "position.json").write_text(content)
        assert recorder.record(history, tip).operations == ()
        assert stored(manager) == before


def test_errors_of_our_own_before_the_first_version_stay_counted(recorder: Recorder, manager: MetadataManager) -> None:
    history = FakeHistory()
    recorder.record(history, history.commit({}))
    manager.record_legacy_error(Category.blip, "refused")
    recorder.record(history, history.commit({"blip.json": dump({"a": 1})}))

    metadata = manager.get_legacy_metadata(Category.blip)
    assert counts(metadata) == (1, 0, 0, 1, 1)
    assert metadata.initialization_time == 1


# Rebuild and verify


def test_verify_names_the_fields_that_differ_and_rebuild_mends_them(
    recorder: Recorder, manager: MetadataManager
) -> None:
    history = FakeHistory()
    tip = two_commits(history)
    recorder.record(history, tip)
    manager.record_legacy_error(Category.blip, "one of ours")
    assert recorder.verify(history, tip) == []

    manager.record_v2_operation(Category.lora, OperationType.CREATE, "ghost", timestamp=0)
    assert recorder.verify(history, tip) == [
        Difference(Category.lora, V2, "total_creates", 2, 1),
        Difference(Category.lora, V2, "total_models", 2, 1),
        Difference(Category.lora, V2, "last_operation_model", "ghost", "l"),
    ]
    recorder.rebuild(history, tip)
    assert recorder.verify(history, tip) == []
    assert counts(manager.get_legacy_metadata(Category.blip)) == (1, 1, 0, 1, 1)


def test_verify_looks_no_further_than_what_was_recorded(recorder: Recorder) -> None:
    history = FakeHistory()
    recorder.record(history, two_commits(history))
    assert recorder.verify(history, history.commit({})) == []


def test_a_fold_writes_nothing(recorder: Recorder, tmp_path: Path) -> None:
    history = FakeHistory()
    folded = recorder.fold(history, two_commits(history))
    assert {format: list(categories) for format, categories in folded.items()} == {
        LEGACY: [Category.blip],
        V2: [Category.lora],
    }
    assert [each for each in tmp_path.rglob("*") if each.is_file()] == []


# What merges lost

File = dict[str, dict[str, int]]
BASE_FILE: File = {"a": {"x": 0}, "b": {"x": 0}}


def merged(history: FakeHistory, ours: File, theirs: File, result: File) -> str:
    """A merge of two sides that parted at the only commit so far; gives the tip."""
    history.commit({"blip.json": dump(ours)}, 0)
    history.commit({"blip.json": dump(theirs)}, 0)
    return history.commit({"blip.json": dump(result)}, 1, 2)


def losing(history: FakeHistory) -> str:
    return merged(history, BASE_FILE | {"a": {"x": 1}}, BASE_FILE | {"c": {}}, BASE_FILE | {"b": {"x": 2}})


@pytest.fixture
def parted(recorder: Recorder) -> FakeHistory:
    """A history that is counted up to where two sides are about to part."""
    history = FakeHistory()
    recorder.record(history, history.commit({"blip.json": dump(BASE_FILE)}))
    return history


def test_what_a_landed_merge_lost_is_an_error_of_the_category_and_stands_in_the_log(
    recorder: Recorder, manager: MetadataManager, parted: FakeHistory
) -> None:
    events: list[MetadataEvent] = []
    manager.add_listener(events.append)
    lines: list[str] = []
    sink = logger.add(lines.append, format="{message}")
    recorder.record(parted, losing(parted))
    logger.remove(sink)
    (error,) = (each for each in events if each.error)
    lost = "lost a model that no side of it had dropped: 'c' and what one side of it did to 'a' (version)"
    assert (error.error, error.commit, error.person) == (f"blip.json: the merge 3 {lost}", "3", "Ada")
    assert sum(f"error in category blip (legacy): blip.json: the merge 3 {lost}" in each for each in lines) == 1
    assert counts(manager.get_legacy_metadata(Category.blip))[-1] == 1
    assert recorder.verify(parted, "3") == []
    recorder.rebuild(parted, "3")
    assert counts(manager.get_legacy_metadata(Category.blip))[-1] == 1


def test_a_merge_that_took_the_first_side_whole_is_told_though_it_changes_nothing_there(
    recorder: Recorder, manager: MetadataManager, parted: FakeHistory
) -> None:
    recorder.record(parted, merged(parted, BASE_FILE | {"o": {}}, BASE_FILE | {"t": {}}, BASE_FILE | {"o": {}}))
    assert counts(manager.get_legacy_metadata(Category.blip))[-1] == 1


def test_where_the_sides_of_a_merge_parted_is_asked_once_for_all_files(recorder: Recorder, parted: FakeHistory) -> None:
    one, two = (dump({"a": {"x": number}}) for number in (1, 2))
    parted.commit({"blip.json": one, "lora.json": one}, 0)
    parted.commit({"blip.json": two, "lora.json": two}, 0)
    recorder.record(parted, parted.commit({"blip.json": one, "lora.json": two}, 1, 2))
    assert parted.parted == [["1", "2"]]


def test_a_merge_the_wrong_way_round_is_told_of_and_what_was_counted_before_is_not(
    recorder: Recorder, manager: MetadataManager, parted: FakeHistory
) -> None:
    recorder.record(parted, losing(parted))
    parted.commit({"blip.json": dump(BASE_FILE)}, 2)
    recorder.record(parted, parted.commit({"blip.json": dump({"a": {"x": 0}})}, 4, 3))
    metadata = manager.get_legacy_metadata(Category.blip)
    assert (metadata.error_count, metadata.last_lossy_merge) == (2, "5")


@pytest.mark.parametrize("cut", range(12))
def test_a_loss_is_counted_once_wherever_the_power_was_cut(tmp_path: Path, cut: int) -> None:
    history = FakeHistory()
    Recorder(MetadataManager(tmp_path), FILES).record(history, history.commit({"blip.json": dump(BASE_FILE)}))
    losing(history)
    history.commit({"blip.json": dump(BASE_FILE | {"d": {}})}, 0)
    tip = history.commit({"blip.json": dump(BASE_FILE)}, 3, 4)
    run(MetadataManager(tmp_path), history, [(int(tip), cut), (int(tip), None)])
    assert counts(MetadataManager(tmp_path).get_legacy_metadata(Category.blip))[-1] == 2


def test_of_a_history_that_is_counted_for_the_first_time_no_loss_is_told(
    recorder: Recorder, manager: MetadataManager
) -> None:
    history = FakeHistory()
    history.commit({"blip.json": dump(BASE_FILE)})
    recorder.record(history, losing(history))
    assert counts(manager.get_legacy_metadata(Category.blip))[-1] == 0


@given(ours=records, theirs=records)
def test_a_merge_that_has_what_both_sides_did_lost_nothing(ours: dict[str, int], theirs: dict[str, int]) -> None:
    base, sides = {name: {"x": 0} for name in "abcd"}, []
    for values in (ours, theirs):
        sides.append({name: {"x": values[name]} for name in base if name in values})
    result = {
        name: sides[0][name] if sides[0][name] != base[name] else sides[1][name]
        for name in base
        if all(name in side for side in sides)
    }
    lost = losses_of(result, sides, [base])
    assert not lost.models
    assert not lost.edits
