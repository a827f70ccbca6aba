"""``refsync init``: from a URL, or an existing clone, to a config file."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from refsync.categories import MODEL_REFERENCE_CATEGORY, Layout
from refsync.cli.context import context_of
from refsync.cli.init_survey import Survey, checked_out, data_paths, named_files, refuse_folder_inside, survey
from refsync.cli.options import Json
from refsync.cli.output import print_json, progress_bar
from refsync.errors import ConfigError, RequestError

if TYPE_CHECKING:
    from refsync.clone.remotes import Remote
    from refsync.config import Config

_SYSTEM_STATE = Path("/var/lib/refsync")
_STATE_HELP = "The state directory; else /var/lib/refsync where this user may write there, or ~/.local/state/refsync."

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

# The category files that were found. A category that is not listed has the layout's default file name.
[repository.categories]
{categories}
{credentials}
[apply]
# "approval": commit what is approved at once; "schedule": at set times; "manual": at `refsync batch seal`.
when = "approval"
"""


_CREDENTIALS = """
[repository.credentials]
# Holds the token and nothing else; read at each use.
token_file = {token_file}
"""


class Publish(StrEnum):
    """How batches are published."""

    local = "local"
    push = "push"
    branch = "branch"
    pull_request = "pull_request"


class Wanted(NamedTuple):
    """What the command line asks for; ``None`` where it leaves the choice."""

    name: str | None
    layout: Layout | None
    branch: str | None
    state: Path | None
    publish: Publish | None
    token_file: Path | None
    files: Mapping[MODEL_REFERENCE_CATEGORY, str]


def init(
    ctx: typer.Context,
    source: Annotated[str, typer.Argument(help="An existing clone, or the URL to clone from.", metavar="PATH|URL")],
    path: Annotated[Path | None, typer.Argument(help="Where to clone to; else ./ and the URL's last part.")] = None,
    name: Annotated[str | None, typer.Option(help="The repository's name; else that of its folder.")] = None,
    layout: Annotated[Layout | None, typer.Option(help="Where the clone keeps its files; else as found.")] = None,
    branch: Annotated[str | None, typer.Option(help="The target branch; else the one checked out.")] = None,
    state: Annotated[Path | None, typer.Option(help=_STATE_HELP, metavar="DIR")] = None,
    publish: Annotated[
        Publish | None,
        typer.Option(help="How batches land; else pull_request from github.com, branch from elsewhere."),
    ] = None,
    token_file: Annotated[
        Path | None, typer.Option(help="A file with the token for the remote.", metavar="FILE")
    ] = None,
    category: Annotated[
        list[str] | None,
        typer.Option(help="The file of a category with another name than usual; repeatable.", metavar="NAME=FILE"),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing config file.")] = False,
    as_json: Json = False,
) -> None:
    """Look at a clone, or make one of a URL, find its category files, and write a config file for it."""
    from refsync.config import parse_config

    url, clone = _places(source, path)
    target = Path(os.path.abspath(context_of(ctx).config_file or "refsync.toml"))
    _refuse_target(target, clone, force)
    wanted = Wanted(name, layout, branch, state, publish, token_file, named_files(category or ()))
    with _surveyed(clone, wanted) if url is None else _cloned(url, clone, wanted, quiet=as_json) as found:
        text = _render(clone, url, wanted, found)
        config = parse_config(text, target, {})
    _write(target, text)
    if as_json:
        print_json(_report(target, config, found))
    else:
        typer.echo("\n".join(_told(target, config, found)))


def _places(source: str, path: Path | None) -> tuple[str | None, Path]:
    """From where to clone, if at all, and where the clone is or goes."""
    from refsync.clone.cloning import check_url, folder_name, is_url

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


@contextmanager
def _cloned(url: str, target: Path, wanted: Wanted, *, quiet: bool) -> Iterator[Survey]:
    """Clone, survey, and leave nothing behind if that or the block fails."""
    from refsync.clone.cloning import check_out, new_clone

    remote = _remote(url, wanted.token_file)
    with (
        progress_bar("Cloning", shown=not quiet),
        new_clone(url, target, remote, branch=wanted.branch) as clone,
    ):
        check_out(clone, remote, data_paths(clone, wanted.layout, wanted.files))
        yield survey(clone, wanted.layout, wanted.files, url)


def _remote(url: str, token_file: Path | None) -> Remote:
    """What lets us in while there is no config yet: the token, or what the machine's own settings say."""
    from refsync.clone.remotes import Remote
    from refsync.config.settings import CredentialsTable
    from refsync.credentials import token_source

    if token_file is None:
        return Remote(cloned_from=url)
    username = CredentialsTable().username
    file = _absolute(token_file)
    token = token_source(username=username, file=file, variable="", credential="", environ={})
    return Remote(credential=token, cloned_from=url)


@contextmanager
def _surveyed(path: Path, wanted: Wanted) -> Iterator[Survey]:
    """Survey an existing clone."""
    from refsync.clone.repository import Repository

    with Repository(path, wanted.branch or "") as clone:
        refuse_folder_inside(clone)
        clone.branch = wanted.branch or checked_out(clone)
        clone.check_depth()
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
    unfinished = target.with_name(f".{target.name}.{os.getpid()}")
    try:
        unfinished.write_text(text, encoding="utf-8")
        os.replace(unfinished, target)
    except OSError as problem:
        unfinished.unlink(missing_ok=True)
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
        credentials=_CREDENTIALS.format(token_file=_quoted(str(_absolute(token_file)))) if token_file else "",
        categories="\n".join(f"{category.value} = {_quoted(file)}" for category, file in found.files.items()),
    )


def _publish_to(url: str | None) -> Publish:
    from refsync.clone.cloning import host_of

    if url is None:
        return Publish.local
    return Publish.pull_request if host_of(url) == "github.com" else Publish.branch


def _quoted(text: str) -> str:
    """Write a TOML basic string: JSON's, but for the one control character that JSON leaves alone."""
    try:
        text.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{text!r}: is not UTF-8 and cannot stand in a config file; use another name") from None
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _next_commands(target: Path, found: Survey) -> list[str]:
    refsync = _refsync_for(target)
    category = next(iter(found.files)).value
    return [
        f"{refsync} run",
        f"{refsync} queue add update {category} MODEL --payload FILE",
        f"{refsync} status",
    ]


def _refsync_for(target: Path) -> str:
    """Name the file only where the command would not find it."""
    from refsync.config import find_config_file

    try:
        found = find_config_file(None, os.environ) == target
    except ConfigError:
        found = False
    return "refsync" if found else f"refsync --config {shlex.quote(str(target))}"


def _report(target: Path, config: Config, found: Survey) -> dict[str, object]:
    return {
        "file": str(target),
        "state_directory": str(config.state_directory),
        "repository": config.repositories[0].model_dump(
            mode="json", include={"name", "path", "branch", "layout", "publish"}
        ),
        "categories": {category.value: file for category, file in found.files.items()},
        "left_out": dict(found.left_out),
        "next": _next_commands(target, found),
    }


def _told(target: Path, config: Config, found: Survey) -> Iterator[str]:
    (repository,) = config.repositories
    yield f"Wrote {target}"
    yield f"  repository {repository.name}: {repository.path}, branch {repository.branch}, layout {repository.layout}"
    yield f"  publish {repository.publish}; state in {config.state_directory}"
    yield "Category files:"
    width = max(map(len, found.files))
    yield from (f"  {category:<{width}}  {file}" for category, file in found.files.items())
    if found.left_out:
        yield "Left out:"
        yield from (f"  {file}: {reason}" for file, reason in found.left_out.items())
    yield "Next:"
    yield from (f"  {command}" for command in _next_commands(target, found))
