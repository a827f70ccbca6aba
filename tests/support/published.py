"""A reference whose batches go to a remote: a bare repository, the clone that refsync serves, and people's clones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refsync.sync.reference import RepositoryReport
from tests.support.daemon import CLIP_FILE, IMAGE_FILE, Site, image_clone
from tests.support.forge import ForgeStandIn, Pull
from tests.support.reference import FILES, Reference
from tests.support.repositories import Clone, git
from tests.support.stores import on_chosen_store


class Remote:
    """A bare repository that people and refsync push to."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def of(cls, clone: Clone, path: Path) -> Remote:
        """A new one with what a clone has, as its ``origin``."""
        if not path.exists():
            git(clone.path, "init", "-q", "--bare", "-b", "main", str(path))
        git(clone.path, "remote", "add", "origin", str(path))
        git(clone.path, "push", "-q", "origin", "main")
        return cls(path)

    @property
    def tip(self) -> str:
        return git(self.path, "rev-parse", "main")

    @property
    def branches(self) -> list[str]:
        """All but the target branch."""
        listed = git(self.path, "for-each-ref", "--format=%(refname:short)", "refs/heads").splitlines()
        return [each for each in listed if each != "main"]

    def head(self, branch: str) -> str:
        return git(self.path, "rev-parse", f"refs/heads/{branch}")

    def subjects(self, branch: str = "main") -> list[str]:
        """The first-parent history's first lines, oldest first."""
        return git(self.path, "log", "--first-parent", "--reverse", "--format=%s", branch).splitlines()

    def person(self, folder: Path) -> Person:
        """Somebody with a clone of their own."""
        git(folder.parent, "clone", "-q", str(self.path), str(folder))
        person = Person(folder)
        person.configure()
        return person


class Person(Clone):
    """Somebody who works in a clone of their own and pushes."""

    def push(self, files: Mapping[str, bytes | Mapping[str, Any] | None], message: str = "by hand") -> str:
        """Commit on the newest target branch and push it."""
        git(self.path, "checkout", "-q", "main")
        git(self.path, "pull", "-q", "--rebase")
        commit = self.commit(files, message)
        git(self.path, "push", "-q", "origin", "main")
        return commit

    def push_to(self, branch: str, files: Mapping[str, bytes | Mapping[str, Any] | None], message: str) -> str:
        """Commit on top of a branch of the remote and push it there."""
        git(self.path, "fetch", "-q", "origin")
        git(self.path, "checkout", "-q", "-B", branch, f"origin/{branch}")
        for name, content in files.items():
            assert content is not None
            self.write(name, content)
        git(self.path, "add", "-A")
        git(self.path, "commit", "-q", "--allow-empty", "-m", message)
        git(self.path, "push", "-q", "origin", branch)
        return git(self.path, "rev-parse", "HEAD")

    def merge(self, branch: str, how: str) -> str:
        """Bring a branch of the remote into the target branch by hand, and push that; the new tip."""
        git(self.path, "fetch", "-q", "origin")
        git(self.path, "checkout", "-q", "main")
        git(self.path, "reset", "-q", "--hard", "origin/main")
        match how:
            case "merge commit":
                git(self.path, "merge", "-q", "--no-ff", "--no-edit", f"origin/{branch}")
            case "squash":
                git(self.path, "merge", "-q", "--squash", f"origin/{branch}")
                git(self.path, "commit", "-q", "--no-edit")
            case "rebase":
                git(self.path, "cherry-pick", f"main..origin/{branch}")
            case "fast-forward":
                git(self.path, "merge", "-q", "--ff-only", f"origin/{branch}")
        git(self.path, "push", "-q", "origin", "main")
        return git(self.path, "rev-parse", "HEAD")


class PublishedReference(Reference):
    """A reference whose clone has a remote, published in one of the modes."""

    def __init__(
        self,
        folder: Path,
        publish: str,
        files: Mapping[str, bytes | Mapping[str, Any]] = FILES,
        *,
        more: str = "",
        repository: str = "",
        remote: Path | None = None,
    ) -> None:
        super().__init__(folder, files, more=more, repository=f'publish = "{publish}"\n{repository}')
        self.remote = Remote.of(self.clone, remote or folder / "remote.git")
        self.person = self.remote.person(folder / "person")

    def in_step(self) -> bool:
        """Whether the clone shows what the remote has."""
        return self.clone.tip == self.remote.tip and not self.clone.status

    def look(self) -> RepositoryReport:
        """One pass that knows nothing of what was said and seen before, as ``refsync sync`` runs it."""
        self.application.forges.clear()
        return self.sync_image()


class RequestedReference(PublishedReference):
    """A reference whose batches become pull requests on a stand-in of GitHub."""

    def __init__(self, folder: Path, forge: ForgeStandIn, *, more: str = "", requests: str = "") -> None:
        self.forge = forge
        token = folder / "token"
        token.write_text("t0ken-of-refsync\n")
        table = (
            f'[repository.credentials]\ntoken_file = "{token}"\n'
            f'[repository.pull_request]\nrepository = "{forge.repository}"\nbase_url = "{forge.url}"\n{requests}'
        )
        super().__init__(folder, "pull_request", more=more, repository=table, remote=forge.remote)

    @classmethod
    def beside(cls, other: RequestedReference, folder: Path) -> RequestedReference:
        """Another installation with the same config, and a clone and state of its own, on the same remote."""
        folder.mkdir()
        new = cls.__new__(cls)
        new.folder, new.forge, new.remote, new.person = folder, other.forge, other.remote, other.person
        git(folder, "clone", "-q", str(other.remote.path), str(folder / "image"))
        new.clone = Clone(folder / "image")
        new.clone.configure()
        new.config_file = folder / "refsync.toml"
        new.config_file.write_text(on_chosen_store(other.config_file.read_text(), folder / "state"))
        new.application = new.open()
        return new

    @property
    def pull(self) -> Pull:
        """The newest pull request."""
        return self.forge.pulls[max(self.forge.pulls)]


class PublishedSite(Site):
    """A site whose clone has a remote."""

    def __init__(self, folder: Path, publish: str, tables: str = "", *, remote: Path | None = None) -> None:
        folder.mkdir(exist_ok=True)
        self.publish, self.tables = publish, tables
        clone = image_clone(folder / "image")
        self.remote = Remote.of(clone, remote or folder / "remote.git")
        super().__init__(folder)

    def config_text(
        self, more: str = "", *, state: Path | None = None, level: str = "DEBUG", form: str = "text"
    ) -> str:
        return (
            f'state_directory = "{state or self.state}"\n'
            f'[log]\nlevel = "{level}"\nformat = "{form}"\n'
            f"[git]\ntimeout_seconds = 20.0\n"
            f'[[repository]]\nname = "image"\npath = "{self.clone.path}"\npublish = "{self.publish}"\n'
            "fetch_seconds = 0.2\n"
            f"{self.tables}\n"
            f'[repository.categories]\nimage_generation = "{IMAGE_FILE}"\nclip = "{CLIP_FILE}"\n{more}'
        )

    @classmethod
    def beside(cls, other: PublishedSite, folder: Path) -> PublishedSite:
        """Another installation, with a clone of its own, on the same remote."""
        site = cls.__new__(cls)
        folder.mkdir()
        git(folder, "clone", "-q", str(other.remote.path), str(folder / "image"))
        Clone(folder / "image").configure()
        site.publish, site.tables, site.remote = other.publish, other.tables, other.remote
        Site.__init__(site, folder)
        return site

    def person(self) -> Person:
        return self.remote.person(self.folder / "person")

    def on_remote(self, model: str) -> bool:
        return f'"{model}": {{' in git(self.remote.path, "show", f"main:{IMAGE_FILE}")

    def in_step(self) -> bool:
        return self.clone.tip == self.remote.tip and not self.clone.status
