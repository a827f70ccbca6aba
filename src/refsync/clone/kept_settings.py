"""Git's settings, kept as long as nothing has changed that they come from: asking for them takes a git of its own.

They come from the environment and from a few files, each known again by its identity. One that includes other files is
asked for each time.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from refsync.clone.addresses import Setting
from refsync.clone.file_identity import Identity, is_young, stat_identity

_VARIABLES = ("HOME", "XDG_CONFIG_HOME", "PATH")
_MOST = 100  # clones

_Sources = tuple[Any, ...]


class _Kept(NamedTuple):
    sources: _Sources
    settings: list[Setting]


_kept: dict[Path, _Kept] = {}


def settings_of(
    git_directory: Path, common_directory: Path, environ: Mapping[str, str], ask: Callable[[], list[Setting]]
) -> list[Setting]:
    """The settings of a clone.

    Args:
        git_directory: of the clone, or of its linked work tree.
        common_directory: of the clone.
        environ: the environment of this process.
        ask: asks git.
    """
    files = [_identity(path) for path in _files(git_directory, common_directory, environ)]
    told = {name: value for name, value in environ.items() if name in _VARIABLES or name.startswith("GIT_CONFIG")}
    sources = (told, files)  # looked at before git does: what changes in between is asked for again
    kept = _kept.get(git_directory)
    if kept is not None and kept.sources == sources:
        return kept.settings
    settings = ask()
    is_settled = not any(map(is_young, filter(None, files)))
    if is_settled and not any(setting.key.startswith(("include.", "includeif.")) for setting in settings):
        if len(_kept) >= _MOST:
            _kept.clear()
        _kept[git_directory] = _Kept(sources, settings)
    return settings


def _files(git_directory: Path, common_directory: Path, environ: Mapping[str, str]) -> Iterator[Path]:
    """Every file that git would read, be it there or not."""
    yield common_directory / "config"
    yield git_directory / "config.worktree"
    home = Path(environ.get("HOME", "/"))
    if "GIT_CONFIG_GLOBAL" in environ:
        yield Path(environ["GIT_CONFIG_GLOBAL"])
    else:
        yield home / ".gitconfig"
        yield Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "git" / "config"
    if "GIT_CONFIG_SYSTEM" in environ:
        yield Path(environ["GIT_CONFIG_SYSTEM"])
    else:
        yield Path("/etc/gitconfig")
        if git := shutil.which("git", path=environ.get("PATH")):
            yield Path(git).parent.parent / "etc" / "gitconfig"


def _identity(path: Path) -> Identity | None:
    try:
        return stat_identity(path.stat())
    except OSError:
        return None
