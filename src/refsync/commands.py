"""Command lines for people: what is advised works as it is printed."""

from __future__ import annotations

import shlex
import sys
from functools import partial
from pathlib import Path


def command(*words: str | Path) -> str:
    """A command line of these words, for a shell.

    >>> command("git", "-C", Path("/srv/my clone"), "status")
    "git -C '/srv/my clone' status"
    """
    return " ".join(map(_quoted, map(str, words)))


def git_command(clone: str | Path, *words: str | Path) -> str:
    """A git command line that works in a clone, wherever it is called.

    >>> git_command("/srv/clone", "fetch", "--unshallow")
    'git -C /srv/clone fetch --unshallow'
    """
    return command("git", "-C", clone, *words)


def install_command(extra: str) -> str:
    """The command line that installs what an extra of ours needs, where refsync itself is installed already."""
    from importlib.metadata import requires  # slow

    lines = (line.partition(";") for line in requires("refsync") or ())
    needed = [what.strip() for what, _, marker in lines if f"'{extra}'" in marker.replace('"', "'")]
    return command(sys.executable, "-m", "pip", "install", *needed)


def _quoted(word: str) -> str:
    """Quoted where it has to be; with escapes, as bash and zsh know them, where it is no text or not on one line."""
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _escaped(character: str) -> str:
    if character in "\\'":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode(errors="surrogateescape"))


def track_branch(clone: Path, remote: str, branch: str) -> tuple[str, ...]:
    """The commands, in their order, that check out a remote's branch also where the clone knows only another one."""
    git = partial(git_command, clone)
    return (
        git("remote", "set-branches", "--add", remote, branch),
        git("fetch", remote, branch),
        git("checkout", "-b", branch, "--track", f"{remote}/{branch}"),
    )
