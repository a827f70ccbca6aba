"""A config file for a clone: an existing one, or one that is made of a URL."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import NamedTuple

from refsync.categories import SPECIFIED, Layout
from refsync.clone.cloning import (
    check_out,
    check_url,
    folder_name,
    host_of,
    is_clone_of,
    is_url,
    new_clone,
    sweep_unfinished,
)
from refsync.clone.preflight import check_depth
from refsync.clone.remotes import Remote
from refsync.clone.repository import Repository
from refsync.commands import command
from refsync.config import Config, find_config_file, parse_config
from refsync.config.repository import CredentialsTable
from refsync.credentials import token_source
from refsync.durable import write_durably
from refsync.errors import ConfigError, RequestError
from refsync.use_cases.answer import Answer, Text
from refsync.use_cases.own_categories import table_of
from refsync.use_cases.survey import Named, Survey, checked_out, data_paths, refuse_folder_inside, survey

_SYSTEM_STATE = Path("/var/lib/refsync")

_TEMPLATE = """\
# Written by `refsync init`. Every other key has its default: `refsync config show` lists them.

# Queue, metadata and locks; the daemon and every person's command line must agree on it.
state_directory = {state}

[[repository]]
name = {name}
# The local clone; its work tree shows the target branch.
path = {path}
branch = {branch}
# "upstream": legacy records in files at the root; "primary": v2 records at the root, legacy ones under legacy/.
layout = {layout}
# "local": a batch lands in this clone, and no remote is touched. "push": it is pushed to the remote's target branch.
# "branch": it is pushed as a branch of its own, for people to merge. "pull_request": and a request is opened on GitHub.
publish = {publish}
{url}
# The category files that were found. A category that is not listed has the layout's default file name.
[repository.categories]
{categories}
{credentials}{own}
[apply]
# "approval": commit what is approved at once; "schedule": at set times; "manual": at `refsync batch seal`.
when = "approval"
"""


_URL = """\
# Where its remote has to be; elsewhere nothing goes, whatever the clone's own config says.
url = {url}
"""

_CREDENTIALS = """
[repository.credentials]
# Holds the token and nothing else; read at each use.
token_file = {token_file}
"""


class Wanted(NamedTuple):
    """What is asked for; ``None`` where the choice is left.

    ``publish`` is how batches are published, as the config has it; ``files`` are the categories with files of other
    names than usual, and those of one's own.
    """

    name: str | None
    layout: Layout | None
    branch: str | None
    state: Path | None
    publish: str | None
    token_file: Path | None
    files: Named


class NewRepository(Answer):
    """The repository of the new config."""

    name: str
    path: Text
    branch: Text
    layout: str
    publish: str


class NewConfig(Answer):
    """What was written, what was found in the clone, and the commands to go on with.

    ``offered`` has for each file that could be a category of one's own the lines of a config that make it one.
    """

    file: Text
    state_directory: Text
    repository: NewRepository
    categories: dict[str, str]
    left_out: dict[Text, Text]
    offered: dict[Text, Text]
    next: list[Text]


def write_config(
    source: str,
    path: Path | None,
    wanted: Wanted,
    *,
    target: Path,
    force: bool = False,
    cloning: AbstractContextManager[object] | None = None,
) -> NewConfig:
    """Look at a clone, or make one of a URL, find its category files, and write a config file for it.

    Where a clone of the URL is there already, as when this was killed before it had written the config, that is taken.

    Args:
        source: an existing clone, or the URL to clone from.
        path: where to clone to; else the URL's last part.
        wanted: what is asked for.
        target: the config file.
        force: whether to replace an existing one.
        cloning: entered while the clone is made, to tell that it takes a while.

    Raises:
        ConfigError: the file is there already, lies in the clone, or cannot be written; or what is wanted cannot be.
        CloneError: there is no clone, or no category file in it.
        RequestError: the source says not enough, or cannot be cloned.
    """
    url, clone = _places(source, path)
    _refuse_target(target, clone, force)
    with _found(url, clone, wanted, cloning or nullcontext()) as found:
        text = _render(clone, url, wanted, found)
        config = parse_config(text, target, {})
    _write(target, text)
    return _answer(target, config, found)


def _places(source: str, path: Path | None) -> tuple[str | None, Path]:
    """From where to clone, if at all, and where the clone is or goes."""
    if not is_url(source):
        return (None, _absolute(source)) if path is None else (str(_absolute(source)), _absolute(path))
    check_url(source)
    folder = folder_name(source)
    if path is None and folder in ("", ".", ".."):
        raise RequestError(f"{source}: does not say what the clone is to be called; name a folder behind it")
    return source, _absolute(path or folder)


def _absolute(path: Path | str) -> Path:
    return Path(os.path.abspath(path))


# From a URL to a clone


def _found(
    url: str | None, clone: Path, wanted: Wanted, cloning: AbstractContextManager[object]
) -> AbstractContextManager[Survey]:
    if url is None:
        return _surveyed(clone, wanted)
    if is_clone_of(clone, url):
        sweep_unfinished(clone)
        return _surveyed(clone, wanted)
    return _cloned(url, clone, wanted, cloning)


@contextmanager
def _cloned(url: str, target: Path, wanted: Wanted, cloning: AbstractContextManager[object]) -> Iterator[Survey]:
    """Clone, survey, and leave nothing behind if that or the block fails."""
    remote = _remote(url, wanted.token_file)
    with (
        cloning,
        new_clone(url, target, remote, branch=wanted.branch) as clone,
    ):
        check_out(clone, remote, data_paths(clone, wanted.layout, wanted.files))
        yield survey(clone, wanted.layout, wanted.files, url)


def _remote(url: str, token_file: Path | None) -> Remote:
    """What lets us in while there is no config yet: the token, or what the machine's own settings say."""
    if token_file is None:
        return Remote(cloned_from=url)
    username = CredentialsTable().username
    file = _absolute(token_file)
    token = token_source(username=username, file=file, variable="", credential="", environ={})
    return Remote(credential=token, cloned_from=url)


@contextmanager
def _surveyed(path: Path, wanted: Wanted) -> Iterator[Survey]:
    """Survey an existing clone."""
    with Repository(path, wanted.branch or "") as clone:
        refuse_folder_inside(clone)
        clone.branch = wanted.branch or checked_out(clone)
        check_depth(clone)
        found = survey(clone, wanted.layout, wanted.files, str(path))
    yield found


# Where the answers go


def _name_of(clone: Path) -> str:
    return re.sub(r"[^A-Za-z0-9._-]+", "-", clone.name).strip(".-") or "reference"


def _default_state() -> Path:
    """Choose the system's folder where this user may write to it, and one of the user's own elsewhere."""
    nearest = _SYSTEM_STATE if _SYSTEM_STATE.exists() else _SYSTEM_STATE.parent
    if os.access(nearest, os.W_OK | os.X_OK):
        return _SYSTEM_STATE
    return Path(os.environ.get("XDG_STATE_HOME") or Path.home() / ".local/state") / "refsync"


def _refuse_target(target: Path, clone: Path, force: bool) -> None:
    if target.resolve().is_relative_to(clone.resolve()):
        raise ConfigError(f"{target}: lies inside the clone; run this in another folder, or name a file by --config")
    if target.exists() and not force:
        raise ConfigError(f"{target}: exists; --force replaces it, --config FILE writes another one")


def _write(target: Path, text: str) -> None:
    """Put the whole file in place at once: a daemon may be watching it."""
    try:
        write_durably(target, text)
    except OSError as problem:
        raise ConfigError(f"{target}: cannot be written: {problem.strerror}") from None


# What is said


def _render(clone: Path, url: str | None, wanted: Wanted, found: Survey) -> str:
    token_file = wanted.token_file
    return _TEMPLATE.format(
        state=_quoted(str(_absolute(wanted.state or _default_state()))),
        name=_quoted(wanted.name or _name_of(clone)),
        path=_quoted(str(clone)),
        branch=_quoted(found.branch),
        layout=_quoted(found.layout.value),
        publish=_quoted(wanted.publish or _publish_to(url)),
        url=_URL.format(url=_quoted(url)) if url else "",
        credentials=_CREDENTIALS.format(token_file=_quoted(str(_absolute(token_file)))) if token_file else "",
        categories="\n".join(
            f"{category} = {_quoted(file)}" for category, file in found.files.items() if category in SPECIFIED
        ),
        own="".join(f"\n{table_of(each)}\n" for each in found.own),
    )


def _publish_to(url: str | None) -> str:
    if url is None:
        return "local"
    return "pull_request" if host_of(url) == "github.com" else "branch"


def _quoted(text: str) -> str:
    """Write a TOML basic string: JSON's, but for the one control character that JSON leaves alone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{text!r}: is not UTF-8 and cannot stand in a config file; use another name") from None
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _next_commands(target: Path, found: Survey) -> list[str]:
    refsync = _refsync_for(target)
    category = next(iter(found.files))
    return [
        f"{refsync} run",
        f"{refsync} queue add update {category} MODEL --payload FILE",
        f"{refsync} status",
    ]


def _refsync_for(target: Path) -> str:
    """Name the file only where the command would not find it."""
    try:
        found = find_config_file(None, os.environ) == target
    except ConfigError:
        found = False
    return command("refsync") if found else command("refsync", "--config", target)


def _answer(target: Path, config: Config, found: Survey) -> NewConfig:
    (repository,) = config.repositories
    return NewConfig(
        file=str(target),
        state_directory=str(config.state_directory),
        repository=NewRepository(
            name=repository.name,
            path=str(repository.path),
            branch=repository.branch,
            layout=repository.layout.value,
            publish=repository.publish,
        ),
        categories=dict(found.files),
        left_out=dict(found.left_out),
        offered={each.path: table_of(each) for each in found.offered},
        next=_next_commands(target, found),
    )
