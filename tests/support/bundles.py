"""The histories of the real references, read from their bundles, and the versions of them that a test looks at.

A test that walks a history takes a sample of it; with ``REFSYNC_BUNDLE_VERSIONS=all`` it takes every version. Before a
release, and after a change of ``documents``, run::

    REFSYNC_BUNDLE_VERSIONS=all pytest -m bundles tests/acceptance
"""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Hashable, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

from tests.support.repositories import clean_environment

T = TypeVar("T")

ALL = os.environ.get("REFSYNC_BUNDLE_VERSIONS") == "all"


def bundle(name: str) -> Path | None:
    """The bundle of a real reference repository, where it is."""
    root = Path(os.environ.get("REFSYNC_TEST_DATA", Path(__file__).parents[3] / "shared" / "data"))
    return root / name if (root / name).exists() else None


def sample(newest_first: Sequence[T], every: int, kind: Callable[[T], Hashable]) -> list[T]:
    """The newest, each so many-th after it, and the newest of each kind, which holds what is odd."""
    if ALL:
        return list(newest_first)
    newest_of_kind = {kind(each): at for at, each in reversed(list(enumerate(newest_first)))}
    taken = {*range(0, len(newest_first), every), *newest_of_kind.values()}
    return [newest_first[at] for at in sorted(taken)]


def mirror(bundle: Path, folder: Path) -> Path:
    """A bare clone with all that a bundle has."""
    git_output(folder, "clone", "-q", "--mirror", str(bundle), "mirror")
    return folder / "mirror"


def contents(clone: Path, ids: Sequence[str]) -> Iterator[bytes]:
    """The bytes of these objects, by one stream of git."""
    stream = git_output(clone, "cat-file", "--batch", stdin="\n".join(ids).encode())
    at = 0
    for _ in ids:
        end = stream.index(b"\n", at)
        size = int(stream[at:end].rsplit(b" ", 1)[1])
        yield stream[end + 1 : end + 1 + size]
        at = end + size + 2


def git_output(folder: Path, *arguments: str, stdin: bytes = b"") -> bytes:
    """What git prints, byte for byte."""
    return subprocess.run(
        ["git", *arguments], cwd=folder, env=clean_environment(), input=stdin, capture_output=True, check=True
    ).stdout
