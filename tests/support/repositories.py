"""A tiny vocabulary for real git repositories, so that tests read like sentences."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from refsync.clone.objects import GitObject, new_object

Record = dict[str, Any]

PERSON = {
    "GIT_AUTHOR_NAME": "Ada",
    "GIT_AUTHOR_EMAIL": "ada@example.org",
    "GIT_COMMITTER_NAME": "Ada",
    "GIT_COMMITTER_EMAIL": "ada@example.org",
}

CONFIG = """
[user]
	name = Ada
	email = ada@example.org
[commit]
	gpgsign = false
[maintenance]
	auto = false
"""


def git(folder: Path, *arguments: str, check: bool = True, **environment: str) -> str:
    """What git prints, stripped; git knows nothing of this machine's own settings."""
    done = subprocess.run(
        ["git", "-C", str(folder), *arguments],
        env=clean_environment() | PERSON | environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if check and done.returncode:
        raise AssertionError(f"git {' '.join(arguments)}: {done.stderr}")
    return done.stdout.strip()


def clean_environment() -> dict[str, str]:
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("GIT_", "REFSYNC_"))}
    quiet = {"REFSYNC_PROBE__CHANGES": "false"}  # a record in a test asks nobody
    return kept | quiet | {"GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_NOSYSTEM": "1", "LC_ALL": "C.UTF-8"}


def dump(records: Mapping[str, Any]) -> bytes:
    """The plainest category file: four spaces, one final newline."""
    return (json.dumps(records, indent=4) + "\n").encode()


def blobs_of(files: Mapping[str, bytes]) -> dict[str, GitObject]:
    """The contents of files by their paths, as git keeps them."""
    return {path: new_object("blob", content) for path, content in files.items()}


def bare_remote(source: Path, path: Path) -> Path:
    """A bare repository with the branches of another one (or a bundle), that serves partial clones as GitHub does."""
    git(source.parent, "clone", "-q", "--bare", str(source), str(path))
    for key in ("uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        git(path, "config", key, "true")
    return path


def missing_blobs(clone: Path, *revisions: str) -> set[str]:
    """The blobs of a partial clone that it never fetched, of the whole history unless told."""
    listed = git(clone, "rev-list", "--objects", "--missing=print", *(revisions or ("--all",)))
    return {line[1:] for line in listed.splitlines() if line.startswith("?")}


class Clone:
    """A work tree with a ``main`` branch."""

    def __init__(self, path: Path) -> None:
        self.path = path

    @classmethod
    def create(cls, path: Path, files: Mapping[str, bytes | Mapping[str, Any]], message: str = "first") -> Clone:
        path.mkdir(parents=True)
        git(path, "init", "-q", "-b", "main")
        clone = cls(path)
        clone.configure()
        clone.commit(files, message)
        return clone

    @classmethod
    def of_bundle(cls, bundle: Path, path: Path) -> Clone:
        git(bundle.parent, "clone", "-q", str(bundle), str(path))
        clone = cls(path)
        clone.configure()
        return clone

    def configure(self) -> None:
        """Set who works here; as the file that ``git config`` would write, because so many clones are made."""
        with (self.path / ".git" / "config").open("a") as config:
            config.write(CONFIG)

    def write(self, name: str, content: bytes | Mapping[str, Any]) -> None:
        target = self.path / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(content if isinstance(content, bytes) else dump(content))

    def commit(self, files: Mapping[str, bytes | Mapping[str, Any] | None], message: str = "by hand") -> str:
        """Write (or, with ``None``, delete) the files and commit them as a person would."""
        for name, content in files.items():
            if content is None:
                (self.path / name).unlink()
            else:
                self.write(name, content)
        git(self.path, "add", "-A")
        git(self.path, "commit", "-q", "--allow-empty", "-m", message)
        return self.tip

    @property
    def tip(self) -> str:
        return git(self.path, "rev-parse", "main")

    @property
    def status(self) -> str:
        return git(self.path, "status", "--porcelain")

    def read(self, name: str) -> bytes:
        return (self.path / name).read_bytes()

    def records(self, name: str) -> dict[str, Record]:
        loaded: dict[str, Record] = json.loads(self.read(name))
        return loaded

    def numstat(self, commit: str = "HEAD") -> str:
        return git(self.path, "show", "--numstat", "--format=", commit)


def as_machine_setting(key: str, value: object) -> dict[str, str]:
    """The variables that say a setting of git's for the whole machine, as its own config would."""
    return {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": key, "GIT_CONFIG_VALUE_0": str(value)}
