"""Landing in a clone that shows a part of the files, and holds the content of no others."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from refsync.clone.cloning import check_out, new_clone
from refsync.clone.differences import missing_contents
from refsync.clone.edits import local_edits
from refsync.clone.landing import index_locked, land
from refsync.clone.process import GitResult
from refsync.clone.recovery import finish_interrupted_landing
from refsync.clone.remotes import Remote, prefetch_blobs
from refsync.clone.repository import Repository
from refsync.errors import CloneError, LocalEditsError
from tests.support.dying import killed
from tests.support.repositories import Clone, bare_remote, git, missing_blobs

SHOWN = ("clip.json", "blip.json", "legacy/clip.json")
PICTURES = {"pics/0.png": b"zero", "pics/1.png": b"one"}
FILES = {"clip.json": b"{}\n", "legacy/clip.json": b"{}\n", "README.md": b"hi\n", **PICTURES}


@pytest.fixture(autouse=True)
def _bare(bare_git: None) -> None:
    """Git knows nothing of this machine's own settings."""


class Upstream:
    """A person's work tree and the remote that it is pushed to."""

    def __init__(self, folder: Path) -> None:
        self.person = Clone.create(folder / "person", FILES)
        self.bare = bare_remote(self.person.path, folder / "remote.git")
        git(self.person.path, "remote", "add", "origin", str(self.bare))

    def push(self, files: dict[str, bytes | None]) -> str:
        tip = self.person.commit(dict(files))
        git(self.person.path, "push", "-q", "--force", "origin", "main")
        return tip

    @contextmanager
    def gone(self) -> Iterator[None]:
        """While nobody can fetch."""
        aside = self.bare.rename(self.bare.with_name("aside.git"))
        yield
        aside.rename(self.bare)


@pytest.fixture
def upstream(tmp_path: Path) -> Upstream:
    return Upstream(tmp_path)


@pytest.fixture
def clone(upstream: Upstream, tmp_path: Path) -> Clone:
    with new_clone(f"file://{upstream.bare}", tmp_path / "clone", Remote()) as opened:
        check_out(opened, Remote(), SHOWN)
    return Clone(tmp_path / "clone")


@pytest.fixture
def opened(clone: Clone) -> Iterator[Repository]:
    with Repository(clone.path, "main") as repository:
        yield repository


def fetched(opened: Repository, *paths: str) -> str:
    """Fetch commits and trees, and of the files only these; gives the remote's tip."""
    git(opened.path, "fetch", "-q", "origin")
    tip = git(opened.path, "rev-parse", "origin/main")
    prefetch_blobs(opened, Remote(), opened.tip(), tip, paths)
    return tip


def land_it(opened: Repository, commit: str, *wanted: str) -> None:
    with index_locked(opened) as lock:
        land(lock, old=opened.tip(), new=commit, reason="refsync: follow", wanted=wanted)


def flags(clone: Clone) -> dict[str, str]:
    return {line[2:]: line[0] for line in git(clone.path, "ls-files", "-t").splitlines()}


def lying(clone: Clone) -> set[str]:
    files = (path.relative_to(clone.path) for path in clone.path.rglob("*") if path.is_file())
    return {str(path) for path in files if path.parts[0] != ".git"}


def test_what_is_hidden_stays_hidden_and_is_not_fetched(upstream: Upstream, clone: Clone, opened: Repository) -> None:
    assert lying(clone) == {"clip.json", "legacy/clip.json"}
    upstream.push({"clip.json": b'{"a": {}}\n', "pics/0.png": None, "pics/1.png": b"uno", "pics/2.png": b"dos"})
    tip = fetched(opened, *SHOWN)
    missing = missing_blobs(clone.path)
    with upstream.gone():
        land_it(opened, tip)
        assert (clone.tip, clone.status) == (tip, "")
        assert clone.read("clip.json") == b'{"a": {}}\n'
        assert missing_blobs(clone.path) == missing != set()
    assert lying(clone) == {"clip.json", "legacy/clip.json"}
    assert flags(clone) == {
        "README.md": "S",
        "clip.json": "H",
        "legacy/clip.json": "H",
        "pics/1.png": "S",
        "pics/2.png": "S",
    }


def test_a_file_that_the_patterns_name_appears_when_it_is_made(
    upstream: Upstream, clone: Clone, opened: Repository
) -> None:
    upstream.push({"blip.json": b"{}\n", "blip.json.orig": b"{}\n", "sub/blip.json": b"{}\n"})
    land_it(opened, fetched(opened, *SHOWN))
    assert lying(clone) == {*SHOWN}
    assert clone.status == ""
    git(clone.path, "sparse-checkout", "reapply")
    assert lying(clone) == {*SHOWN}


def test_a_wanted_file_appears_beside_the_patterns_and_stays(
    upstream: Upstream, clone: Clone, opened: Repository
) -> None:
    upstream.push({"extra/lora.json": b"{}\n", "README.md": b"wanted too\n"})
    wanted = ("extra/lora.json", "README.md")
    land_it(opened, fetched(opened, *wanted), *wanted)
    assert lying(clone) == {"clip.json", "legacy/clip.json", *wanted}
    assert clone.status == ""
    git(clone.path, "sparse-checkout", "reapply")
    assert lying(clone) == {"clip.json", "legacy/clip.json", *wanted}


def test_a_clone_in_cone_mode_shows_the_root_and_its_folders(upstream: Upstream, tmp_path: Path) -> None:
    clone = Clone(tmp_path / "cone")
    git(tmp_path, "clone", "-q", "--filter=blob:none", "--sparse", f"file://{upstream.bare}", str(clone.path))
    git(clone.path, "sparse-checkout", "set", "--cone", "legacy")
    new = {"new.json": b"new", "legacy/new.json": b"legacy", "pics/new.png": b"picture", "other/new.png": b"other"}
    upstream.push({**new, "pics/1.png": b"uno", "README.md": b"ho\n"})
    with Repository(clone.path, "main") as opened:
        tip = fetched(opened)
        paths = missing_contents(opened, old=opened.tip(), new=tip)
        assert sorted(paths) == ["README.md", "legacy/new.json", "new.json"]
        fetched(opened, *paths)
        with upstream.gone():
            land_it(opened, tip, "new.json")
            assert (clone.tip, clone.status) == (tip, "")
    assert lying(clone) == {"README.md", "clip.json", "new.json", "legacy/clip.json", "legacy/new.json"}
    assert clone.read("README.md") == b"ho\n"
    git(clone.path, "sparse-checkout", "reapply")
    assert "new.json" in lying(clone)


def test_content_that_is_not_there_refuses_the_landing_before_anything_moves(
    upstream: Upstream, clone: Clone, opened: Repository
) -> None:
    upstream.push({"clip.json": b'{"a": {}}\n', "pics/1.png": b"uno"})
    old, tip = clone.tip, fetched(opened)
    assert missing_contents(opened, old=old, new=tip) == ["clip.json"]
    with upstream.gone(), pytest.raises(CloneError, match=r"lacks the new content of clip\.json; fetch it with: git"):
        land_it(opened, tip)
    assert (clone.tip, clone.status) == (old, "")
    git(clone.path, "diff", "--numstat", old, tip, "--", "clip.json")  # as the refusal says
    land_it(opened, tip)
    assert (clone.tip, clone.status) == (tip, "")


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", ["place the files", "place the index"])
def test_an_interrupted_landing_is_finished_with_the_hidden_files_hidden(
    upstream: Upstream, clone: Clone, opened: Repository, when: str, step: str
) -> None:
    upstream.push({"clip.json": b'{"a": {}}\n', "extra/lora.json": b"{}\n", "pics/1.png": b"uno", "pics/2.png": b"2"})
    tip = fetched(opened, *SHOWN, "extra/lora.json")
    killed(lambda: land_it(opened, tip, "extra/lora.json"), f"{when}:1:{step}")
    with upstream.gone():
        assert finish_interrupted_landing(opened) == tip
        assert clone.status == ""
    assert lying(clone) == {"clip.json", "legacy/clip.json", "extra/lora.json"}
    assert (flags(clone)["pics/1.png"], flags(clone)["pics/2.png"]) == ("S", "S")
    assert [path.name for path in (clone.path / ".git").iterdir() if "refsync" in path.name] == []


def test_hidden_files_are_no_local_edits_and_those_of_a_person_are(
    upstream: Upstream, clone: Clone, opened: Repository
) -> None:
    assert local_edits(opened, [*FILES]) == []
    clone.write("clip.json", b'{"mine": {}}\n')
    upstream.push({"clip.json": b'{"a": {}}\n'})
    with pytest.raises(LocalEditsError, match=r"clip\.json has local edits"):
        land_it(opened, fetched(opened, *SHOWN))
    assert clone.read("clip.json") == b'{"mine": {}}\n'


def test_an_untracked_file_in_the_place_of_a_hidden_one_is_left_alone(
    upstream: Upstream, clone: Clone, opened: Repository
) -> None:
    clone.write("pics/2.png", b"mine")
    upstream.push({"clip.json": b'{"a": {}}\n', "pics/2.png": b"theirs"})
    land_it(opened, fetched(opened, *SHOWN))
    assert clone.read("pics/2.png") == b"mine"
    assert clone.read("clip.json") == b'{"a": {}}\n'


# Any commit that a remote may have, in a clone that shows all


@pytest.fixture
def whole(upstream: Upstream, tmp_path: Path) -> Clone:
    git(tmp_path, "clone", "-q", str(upstream.bare), str(tmp_path / "whole"))
    return Clone(tmp_path / "whole")


def follow(whole: Clone) -> None:
    with Repository(whole.path, "main") as opened:
        land_it(opened, fetched(opened))


def test_a_file_hidden_from_git_by_hand_is_left_alone(upstream: Upstream, whole: Clone) -> None:
    git(whole.path, "update-index", "--skip-worktree", "README.md")
    whole.write("README.md", b"mine\n")
    upstream.push({"README.md": b"theirs\n", "clip.json": b'{"a": {}}\n'})
    follow(whole)
    assert (whole.read("README.md"), whole.read("clip.json")) == (b"mine\n", b'{"a": {}}\n')
    assert flags(whole)["README.md"] == "S"


def test_files_folders_links_and_modes_change_places(upstream: Upstream, whole: Clone) -> None:
    person = upstream.person
    upstream.push({"a": b"file", "b/c": b"deep", "b/d": b"deep", "tool": b"#!\n", "plain": b"x", "e/f/g": b"g"})
    follow(whole)
    (person.path / "a").unlink()
    (person.path / "tool").chmod(0o755)
    (person.path / "plain").unlink()
    (person.path / "plain").symlink_to("README.md")
    upstream.push({"b/c": None, "b/d": None, "e/f/g": None, "a/x": b"in a folder", "link/y": b"y"})
    (person.path / "b").rmdir()
    upstream.push({"b": b"now a file"})
    follow(whole)
    assert whole.status == ""
    assert lying(whole) == lying(person)
    assert not (whole.path / "e").exists()
    assert os.readlink(whole.path / "plain") == "README.md"
    assert os.access(whole.path / "tool", os.X_OK)
    (person.path / "tool").chmod(0o644)
    (person.path / "plain").unlink()
    upstream.push({"plain": b"a file again"})
    follow(whole)
    assert whole.status == ""
    assert not os.access(whole.path / "tool", os.X_OK)


def test_a_submodule_comes_and_goes_as_an_empty_folder(upstream: Upstream, whole: Clone) -> None:
    person = upstream.person.path
    git(person, "update-index", "--add", "--cacheinfo", f"160000,{upstream.person.tip},module")
    git(person, "commit", "-q", "-m", "a submodule")
    git(person, "push", "-q", "origin", "main")
    follow(whole)
    assert whole.status == ""
    assert list((whole.path / "module").iterdir()) == []
    upstream.push({"clip.json": b'{"a": {}}\n'})  # `add -A` takes the module out
    follow(whole)
    assert whole.status == ""
    assert not (whole.path / "module").exists()


def test_a_commit_of_hundreds_of_files_starts_no_git_for_each(
    upstream: Upstream, whole: Clone, monkeypatch: pytest.MonkeyPatch
) -> None:
    started: list[str] = []
    run = Repository.run

    def counted(self: Repository, *arguments: str, **options: object) -> GitResult:
        started.append(arguments[0])
        return run(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Repository, "run", counted)
    counts = []
    for number in (1, 300):
        upstream.push({f"pics/{number}-{each}.png": b"%d" % each for each in range(number)})
        started.clear()
        follow(whole)
        counts.append(len(started))
    assert counts[0] == counts[1]
    assert whole.status == ""


def test_a_history_that_was_rewritten_is_followed(upstream: Upstream, whole: Clone) -> None:
    first = whole.tip
    upstream.push({"clip.json": b'{"a": {}}\n', "pics/2.png": b"two"})
    follow(whole)
    git(upstream.person.path, "reset", "-q", "--hard", first)
    other = upstream.push({"clip.json": b'{"b": {}}\n'})
    follow(whole)
    assert (whole.tip, whole.status) == (other, "")
    assert lying(whole) == {*FILES}
    git(upstream.person.path, "reset", "-q", "--hard", first)
    git(upstream.person.path, "push", "-q", "--force", "origin", "main")
    follow(whole)
    assert (whole.tip, whole.status, whole.read("clip.json")) == (first, "", b"{}\n")


@pytest.mark.parametrize("moved", [False, True])
def test_a_landing_backwards_that_was_cut_off_is_finished_only_if_the_branch_had_moved(
    upstream: Upstream, whole: Clone, moved: bool
) -> None:
    first = whole.tip
    later = upstream.push({"clip.json": b'{"a": {}}\n'})
    follow(whole)
    with Repository(whole.path, "main") as opened:
        when = "after" if moved else "before"
        killed(lambda: land_it(opened, first), f"{when}:1:move the branch")
        assert finish_interrupted_landing(opened) == (first if moved else None)
    assert (whole.tip, whole.status) == (first if moved else later, "")
