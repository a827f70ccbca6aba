"""Several installations that share one queue and one remote, each with a clone and a state directory of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support import stores
from tests.support.published import PublishedReference
from tests.support.reference import FILES
from tests.support.repositories import Clone, git


class SharedReference(PublishedReference):
    """One of them; the first makes the queue and the remote."""

    def __init__(
        self,
        folder: Path,
        queue: str,
        *,
        files: Mapping[str, bytes | Mapping[str, Any]] = FILES,
        more: str = "",
        publish: str = "push",
    ) -> None:
        folder.mkdir()
        super().__init__(folder, publish, files, more=f'{more}\n[queue]\nurl = "{queue}"\n')

    def beside(self, folder: Path, *, more: str = "", publish: str = "push") -> SharedReference:
        """Another one, on the same queue and remote."""
        folder.mkdir()
        new = SharedReference.__new__(SharedReference)
        new.folder, new.remote, new.person = folder, self.remote, self.person
        git(folder, "clone", "-q", str(self.remote.path), str(folder / "image"))
        new.clone = Clone(folder / "image")
        new.clone.configure()
        new.config_file = folder / "refsync.toml"
        text = self.config_file.read_text().replace('publish = "push"', f'publish = "{publish}"')
        new.config_file.write_text(text.replace("[queue]", f"{more}\n[queue]"))
        new.application = new.open()
        return new


def queue_url(folder: Path) -> str:
    """Of a queue that several share, on the database that the tests run over."""
    return stores.store_url(folder) or f"sqlite:///{folder / 'queue.db'}"


def shared_references(folder: Path, count: int, *, more: str = "") -> Sequence[SharedReference]:
    """So many of them."""
    first = SharedReference(folder / "one", queue_url(folder), more=more)
    return [first, *(first.beside(folder / f"number {number}") for number in range(2, count + 1))]
