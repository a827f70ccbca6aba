"""What a clone's own config may not say: whoever may write that file would run commands, or send secrets elsewhere.

Most of it is overruled (:mod:`refsync.clone.settings`). Here is what cannot be: git has no value that means "as if it
were not there". A clone whose config holds such a setting is refused; the machine's own config may hold it.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from refsync.clone.addresses import Setting
from refsync.clone.places import git_directory
from refsync.commands import command, git_command
from refsync.errors import CloneError
from refsync.plain_text import shortened


class _Refused(NamedTuple):
    """Keys that are refused, as a pattern over their small letters, and what they do."""

    keys: str
    what: str


_ANYWHERE = (_Refused(r"gc\.recentobjectshook", "it names a command that git runs when it tidies up"),)
_WITH_REMOTES = (
    _Refused(r"core\.(sshcommand|gitproxy)", "it names a command that git runs to reach a remote"),
    _Refused(r"credential\..*", "it says who is asked for secrets, and who gets them"),
    _Refused(
        r"http\.(.+\.)?(?!(extraheader|postbuffer|lowspeedlimit|lowspeedtime|version|useragent|maxrequests|minsessions)$)"
        r"[^.]+",
        "it says through whom a remote is reached, and whom to believe",
    ),
    _Refused(r"url\..*", "it says that a remote is elsewhere"),
    _Refused(r"protocol\..*", "it allows what the machine's settings may forbid"),
    _Refused(
        r"remote\..+\.(vcs|proxy|proxyauthmethod|uploadpack|receivepack)",  # of the last two, git takes the first said
        "it says how a remote is reached, by a command of its own",
    ),
)


def check_own_settings(path: Path, settings: Sequence[Setting], *, with_remotes: bool) -> None:
    """See that the clone's own config holds nothing that cannot be overruled.

    Args:
        path: the clone.
        settings: all that is in force.
        with_remotes: whether git is going to speak with a remote.

    Raises:
        CloneError: it does; the text names key and command.
    """
    refused = (*_ANYWHERE, *_WITH_REMOTES) if with_remotes else _ANYWHERE
    for setting in settings:
        for each in refused:
            if setting.is_own and re.fullmatch(each.keys, setting.key, re.DOTALL):
                raise CloneError(_told(path, setting, each))
    _check_work_tree(path, settings)


def _check_work_tree(path: Path, settings: Sequence[Setting]) -> None:
    """See that git takes the same folder for the work tree; a submodule's config names it."""
    for setting in settings:
        if setting.is_own and setting.key == "core.worktree" and not _is_here(path, setting.value):
            told = _Refused("", "it says that the work tree is another folder")
            raise CloneError(_told(path, setting, told))


def _is_here(path: Path, value: str) -> bool:
    return (git_directory(path) / value).resolve() == path.resolve()


def _told(path: Path, setting: Setting, refused: _Refused) -> str:
    file = ["--worktree"] if setting.scope == "worktree" else []
    away = git_command(path, "config", *file, "--unset-all", setting.key)
    kept = command("git", "config", "--global", setting.key, setting.value)
    moved = "" if setting.key == "core.worktree" else f"; if it is meant, say it for the service's user first: {kept}"
    return (
        f"{path}: the clone's own config sets {shortened(setting.key)}, which refsync does not take from there: "
        f"{refused.what}; remove it: {away}{moved}"
    )
