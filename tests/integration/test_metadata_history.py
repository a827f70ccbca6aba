"""The recorder on real repositories."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from refsync.categories import MODEL_REFERENCE_CATEGORY as Category
from refsync.categories import SPECIFIED, CanonicalFormat, CategoryName, Layout
from refsync.clone.repository import Repository
from refsync.metadata.manager import MetadataManager
from refsync.metadata.recorder import Recorder
from tests.support.repositories import Clone, git

LEGACY = CanonicalFormat.legacy
BLIP: dict[CategoryName, dict[CanonicalFormat, str]] = {Category.blip: {LEGACY: "blip.json"}}
IMAGE = {
    category: descriptor.files(Layout.upstream)
    for category, descriptor in SPECIFIED.descriptors.items()
    if descriptor.upstream_repository == "image"
}


@pytest.fixture
def manager(tmp_path: Path) -> MetadataManager:
    return MetadataManager(tmp_path / "state")


@pytest.fixture
def clone(tmp_path: Path) -> Clone:
    return Clone.create(tmp_path / "clone", {"blip.json": {"a": {"nsfw": False}}})


def record(recorder: Recorder, clone: Clone) -> None:
    with Repository(clone.path, "main") as history:
        recorder.record(history, clone.tip)


def counts(manager: MetadataManager) -> tuple[int, int, int, int, int]:
    found = manager.get_legacy_metadata(Category.blip)
    return found.total_creates, found.total_updates, found.total_deletes, found.total_models, found.error_count


def test_what_people_commit_is_counted(clone: Clone, manager: MetadataManager) -> None:
    recorder = Recorder(manager, BLIP)
    record(recorder, clone)
    clone.commit({"blip.json": {"a": {"nsfw": True}, "b": {}}})
    clone.commit({"README.md": b"hello\n"})
    clone.commit({"blip.json": b"{ broken"})
    clone.commit({"blip.json": {"b": {}}})
    record(recorder, clone)
    assert counts(manager) == (2, 1, 1, 1, 1)

    clone.commit({"blip.json": None})
    record(recorder, clone)
    assert counts(manager) == (2, 1, 2, 0, 1)


def test_a_link_in_place_of_the_file_counts_one_error(clone: Clone, manager: MetadataManager) -> None:
    (clone.path / "other.json").write_text("{}")
    (clone.path / "blip.json").unlink()
    (clone.path / "blip.json").symlink_to("other.json")
    clone.commit({})
    record(Recorder(manager, BLIP), clone)
    assert counts(manager) == (1, 0, 0, 1, 1)


def test_a_merge_counts_what_it_brought_to_the_branch(clone: Clone, manager: MetadataManager) -> None:
    recorder = Recorder(manager, BLIP)
    record(recorder, clone)
    git(clone.path, "checkout", "-q", "-b", "side")
    clone.commit({"blip.json": {"a": {"nsfw": False}, "b": {}}})
    clone.commit({"blip.json": {"a": {"nsfw": False}, "b": {"size": 1}}})
    git(clone.path, "checkout", "-q", "main")
    git(clone.path, "merge", "-q", "--no-ff", "-m", "merged", "side")
    record(recorder, clone)
    assert counts(manager) == (2, 0, 0, 2, 0)


def test_an_amended_commit_is_folded_anew_and_counts_one_error(clone: Clone, manager: MetadataManager) -> None:
    recorder = Recorder(manager, BLIP)
    clone.commit({"blip.json": {"b": {}}})
    record(recorder, clone)
    clone.write("blip.json", {"a": {"nsfw": False}, "b": {}})
    git(clone.path, "commit", "-q", "-a", "--amend", "-m", "better")
    record(recorder, clone)
    record(recorder, clone)
    assert counts(manager) == (2, 0, 0, 2, 1)


def test_a_new_clone_without_the_recorded_commits_is_folded_anew(
    clone: Clone, manager: MetadataManager, tmp_path: Path
) -> None:
    record(Recorder(manager, BLIP), clone)
    other = Clone.create(tmp_path / "other", {"blip.json": {"x": {}, "y": {}}}, "another beginning")
    record(Recorder(manager, BLIP), other)
    assert counts(manager) == (2, 0, 0, 2, 1)


@pytest.mark.bundles
def test_the_real_image_history_adds_up(image_bundle: Path, manager: MetadataManager, tmp_path: Path) -> None:
    clone = Clone.of_bundle(image_bundle, tmp_path / "image")
    recorder = Recorder(manager, IMAGE)
    record(recorder, clone)

    folded = manager.get_legacy_metadata(Category.image_generation)
    assert (folded.total_creates, folded.total_updates, folded.total_deletes) == (301, 1624, 140)
    assert folded.total_models == 161
    first = git(clone.path, "log", "--first-parent", "--reverse", "--diff-merges=first-parent", "--diff-filter=A",
                "--format=%ct", "main", "--", "stable_diffusion.json").split()[0]  # fmt: skip
    assert folded.initialization_time == int(first)
    for category, files in IMAGE.items():
        metadata = manager.get_legacy_metadata(category)
        models = len(clone.records(files[LEGACY]))
        assert (metadata.total_creates - metadata.total_deletes, metadata.total_models) == (models, models)
        assert metadata.error_count == 0


@pytest.mark.bundles
def test_the_real_image_history_gives_the_same_in_pieces(
    image_bundle: Path, manager: MetadataManager, tmp_path: Path
) -> None:
    clone = Clone.of_bundle(image_bundle, tmp_path / "image")
    recorder = Recorder(manager, IMAGE)
    with Repository(clone.path, "main") as history:
        commits = [commit.sha for commit in history.first_parent_history(None, clone.tip)]
        for tip in (*commits[::97], commits[-1]):
            recorder.record(history, tip)
        folded = recorder.fold(history, commits[-1])
        assert recorder.verify(history, commits[-1]) == []
    assert {category: manager.get_legacy_metadata(category) for category in IMAGE} == folded[LEGACY]


@pytest.mark.bundles
def test_the_former_name_of_the_image_file_has_six_broken_versions(
    image_bundle: Path, manager: MetadataManager, tmp_path: Path
) -> None:
    clone = Clone.of_bundle(image_bundle, tmp_path / "image")
    record(Recorder(manager, {Category.miscellaneous: {LEGACY: "db.json"}}), clone)
    metadata = manager.get_legacy_metadata(Category.miscellaneous)
    assert (metadata.error_count, metadata.history_errors, metadata.total_models) == (6, 6, 0)
    assert metadata.total_creates == metadata.total_deletes


@pytest.mark.bundles
def test_the_real_text_history_adds_up(text_bundle: Path, manager: MetadataManager, tmp_path: Path) -> None:
    clone = Clone.of_bundle(text_bundle, tmp_path / "text")
    record(Recorder(manager, {Category.text_generation: {LEGACY: "db.json"}}), clone)
    metadata = manager.get_legacy_metadata(Category.text_generation)
    assert (metadata.total_creates, metadata.total_updates, metadata.total_deletes) == (2208, 1485, 51)
    assert (metadata.total_models, metadata.error_count) == (2157, 0)


def test_the_metadata_is_usable_by_the_group_whatever_the_umask_is(clone: Clone, tmp_path: Path) -> None:
    script = (
        "import os, sys; os.umask(0o077)\n"
        "from pathlib import Path\n"
        "from refsync.categories import MODEL_REFERENCE_CATEGORY as C, CanonicalFormat as F\n"
        "from refsync.clone.repository import Repository\n"
        "from refsync.metadata.manager import MetadataManager\n"
        "from refsync.metadata.recorder import Recorder\n"
        "with Repository(Path(sys.argv[1]), 'main') as history:\n"
        "    recorder = Recorder(MetadataManager(Path(sys.argv[2])), {C.blip: {F.legacy: 'blip.json'}})\n"
        "    recorder.record(history, history.tip())\n"
    )
    (tmp_path / "state").mkdir()
    (tmp_path / "state").chmod(0o770)
    subprocess.run([sys.executable, "-c", script, str(clone.path), str(tmp_path / "state")], check=True)
    modes = {each.name: each.stat().st_mode & 0o770 for each in (tmp_path / "state").rglob("*")}
    assert modes == {
        "meta": 0o770,
        "legacy": 0o770,
        "v2": 0o770,
        ".lock": 0o660,
        "position.json": 0o660,
        "blip_metadata.json": 0o660,
    }
