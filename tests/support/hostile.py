"""Commits as no git would write them: bytes of no encoding, dates of no calendar."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

from tests.support.repositories import PERSON, clean_environment, git


def raw_git(folder: Path, *arguments: str | bytes, stdin: bytes = b"") -> bytes:
    """What git prints, as bytes."""
    command = [b"git", b"-C", os.fsencode(folder), *map(os.fsencode, arguments)]
    environment = clean_environment() | PERSON
    return subprocess.run(command, input=stdin, env=environment, capture_output=True, check=True).stdout.strip()


def commit_raw(
    folder: Path,
    *,
    committer: bytes = b"Ada <ada@example.org> 1700000000 +0000",
    author: bytes = b"Ada <ada@example.org> 1700000000 +0000",
    message: bytes = b"by hand\n",
    headers: bytes = b"",
) -> str:
    """Commit the work tree, with these very bytes in the commit."""
    git(folder, "add", "-A")
    tree, parent = raw_git(folder, "write-tree"), raw_git(folder, "rev-parse", "HEAD")
    lines = (b"tree " + tree, b"parent " + parent, b"author " + author, b"committer " + committer)
    content = b"\n".join(lines) + b"\n" + headers + b"\n" + message
    commit = raw_git(folder, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", stdin=content).decode()
    git(folder, "update-ref", "refs/heads/main", commit)
    return commit


def write_bytes(folder: Path, name: bytes, content: bytes) -> None:
    """Write a file whose name need not be text."""
    with open(os.path.join(os.fsencode(folder), name), "wb") as file:
        file.write(content)
