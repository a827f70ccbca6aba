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

from refsync.categories import (
    DESCRIPTORS,
    MODEL_REFERENCE_CATEGORY,
    Layout,
    canonical_format,
    default_files,
    document_of,
    is_table,
)
from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import print_json, progress_bar
from refsync.errors import CloneError, ConfigError, DocumentError, RequestError

if TYPE_CHECKING:
    from refsync.clone.remotes import Remote
    from refsync.clone.repository import Repository
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


class Survey(NamedTuple):
    """What a clone holds: the file of each category, and why other files were left out."""

    branch: str
    layout: Layout
    files: Mapping[MODEL_REFERENCE_CATEGORY, str]
    left_out: Mapping[str, str]


class Wanted(NamedTuple):
    """What the command line asks for; ``None`` where it leaves the choice."""

    name: str | None
    layout: Layout | None
    branch: str | None
    state: Path | None
    publish: Publish | None
    token_file: Path | None


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
    force: Annotated[bool, typer.Option("--force", help="Replace an existing config file.")] = False,
    as_json: Json = False,
) -> None:
    """Look at a clone, or make one of a URL, find its category files, and write a config file for it."""
    from refsync.config import parse_config

    url, clone = _places(source, path)
    target = Path(os.path.abspath(context_of(ctx).config_file or "refsync.toml"))
    _refuse_target(target, clone, force)
    wanted = Wanted(name, layout, branch, state, publish, token_file)
    with _surveyed(clone, wanted) if url is None else _cloned(url, clone, wanted, quiet=as_json) as survey:
        text = _render(clone, url, wanted, survey)
        config = parse_config(text, target, {})
    _write(target, text)
    if as_json:
        print_json(_report(target, config, survey))
    else:
        typer.echo("\n".join(_told(target, config, survey)))


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

    remote = _remote(wanted.token_file)
    with (
        progress_bar("Cloning", shown=not quiet),
        new_clone(url, target, remote, branch=wanted.branch) as clone,
    ):
        check_out(clone, remote, _data_paths(clone, wanted.layout or _detect_layout(clone, clone.tip())))
        yield _survey(clone, wanted.layout, url)


def _remote(token_file: Path | None) -> Remote:
    """What lets us in while there is no config yet: the token, or what the machine's own settings say."""
    from refsync.clone.remotes import Remote
    from refsync.config.settings import CredentialsTable
    from refsync.credentials import token_source

    if token_file is None:
        return Remote()
    username = CredentialsTable().username
    file = _absolute(token_file)
    return Remote(credential=token_source(username=username, file=file, variable="", credential="", environ={}))


def _data_paths(clone: Repository, layout: Layout) -> list[str]:
    """All that refsync reads of a reference; files that are not there yet, too, since a change may create one."""
    from refsync.sync.text_files import files_beside

    files = [file for category in MODEL_REFERENCE_CATEGORY for file in default_files(layout, category).values()]
    for table in filter(is_table, tuple(files)):
        if clone.file_at(clone.tip(), table) is None:
            files.remove(table)
        else:
            files += [document_of(table), *files_beside(table)]
    return list(dict.fromkeys(files))


@contextmanager
def _surveyed(path: Path, wanted: Wanted) -> Iterator[Survey]:
    """Survey an existing clone."""
    from refsync.clone.repository import Repository

    with Repository(path, wanted.branch or "") as clone:
        _refuse_folder_inside(clone)
        clone.branch = wanted.branch or _checked_out(clone)
        clone.check_depth()
        survey = _survey(clone, wanted.layout, str(path))
    yield survey


# What is in the clone


def _survey(clone: Repository, layout: Layout | None, named: str) -> Survey:
    tip = clone.tip()
    entries = clone.entries(tip, "")
    found_layout = layout or _detect_layout(clone, tip)
    files, left_out = _sort_files(clone, entries, found_layout)
    if not files:
        why = "; ".join(f"{file}: {reason}" for file, reason in left_out.items()) or "it holds no JSON file"
        raise CloneError(
            f"{named}: no category file of layout {found_layout.value!r} on branch {clone.branch!r} ({why})"
        )
    return Survey(clone.branch, found_layout, files, left_out)


def _refuse_folder_inside(clone: Repository) -> None:
    root = os.fsdecode(clone.run("rev-parse", "--show-toplevel").output.rstrip(b"\n"))
    if not os.path.samefile(root, clone.path):
        raise CloneError(f"{clone.path}: is a folder inside the clone {root}; name the clone itself")


def _checked_out(clone: Repository) -> str:
    found = clone.run("symbolic-ref", "-q", "--short", "HEAD", accept=(0, 1)).output
    head = found.decode(errors="surrogateescape").strip()
    if not head:
        raise CloneError(f"{clone.path}: HEAD is detached; name the target branch with --branch")
    return head


def _detect_layout(clone: Repository, tip: str) -> Layout:
    in_legacy_folder = set(clone.entries(tip, "legacy")) if "legacy" in clone.entries(tip, "") else set()
    legacy_files = {descriptor.legacy_file for descriptor in DESCRIPTORS.values()}
    return Layout.primary if in_legacy_folder & legacy_files else Layout.upstream


def _sort_files(
    clone: Repository, entries: Mapping[str, tuple[int, str]], layout: Layout
) -> tuple[dict[MODEL_REFERENCE_CATEGORY, str], dict[str, str]]:
    """Tell category files from the other data files at the root, where both layouts keep what is written."""
    files, left_out = {}, {}
    categories = {
        default_files(layout, category).get(canonical_format(layout)): category for category in MODEL_REFERENCE_CATEGORY
    }
    for file, (mode, blob) in entries.items():
        if not file.endswith((".json", ".csv")):
            continue
        if reason := _reason_by_name(file, set(entries)):
            left_out[file] = reason
        elif file not in categories:
            left_out[file] = f"its category has no file in layout {layout.value!r}"
        elif reason := _reason_by_content(clone, file, mode, blob):
            left_out[file] = reason
        else:
            files[categories[file]] = file
    return {category: files[category] for category in MODEL_REFERENCE_CATEGORY if category in files}, left_out


def _reason_by_name(file: str, siblings: set[str]) -> str | None:
    if file == "db.json" and "models.csv" in siblings:
        return "is made from models.csv, and follows it"
    if file not in {name for each in DESCRIPTORS.values() for name in (each.v2_file, each.legacy_file)}:
        return "belongs to no category"
    if is_table(file) and "db.json" not in siblings:
        return "lacks the db.json that is made from it"
    return None


def _reason_by_content(clone: Repository, file: str, mode: int, blob: str) -> str | None:
    from refsync.documents.csv_document import read_rows
    from refsync.documents.json_document import read_records

    if mode >> 12 != 0o10:
        return "is no regular file"
    try:
        (read_rows if is_table(file) else read_records)(clone.read_blob(blob))
    except DocumentError as problem:
        return str(problem)
    return None


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


def _render(clone: Path, url: str | None, wanted: Wanted, survey: Survey) -> str:
    token_file = wanted.token_file
    return _TEMPLATE.format(
        state=_quoted(str(_absolute(wanted.state or _default_state()))),
        name=_quoted(wanted.name or _name_of(clone)),
        path=_quoted(str(clone)),
        branch=_quoted(survey.branch),
        layout=_quoted(survey.layout.value),
        publish=_quoted(wanted.publish or _publish_to(url)),
        credentials=_CREDENTIALS.format(token_file=_quoted(str(_absolute(token_file)))) if token_file else "",
        categories="\n".join(f"{category.value} = {_quoted(file)}" for category, file in survey.files.items()),
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


def _next_commands(target: Path, survey: Survey) -> list[str]:
    refsync = _refsync_for(target)
    category = next(iter(survey.files)).value
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


def _report(target: Path, config: Config, survey: Survey) -> dict[str, object]:
    return {
        "file": str(target),
        "state_directory": str(config.state_directory),
        "repository": config.repositories[0].model_dump(
            mode="json", include={"name", "path", "branch", "layout", "publish"}
        ),
        "categories": {category.value: file for category, file in survey.files.items()},
        "left_out": dict(survey.left_out),
        "next": _next_commands(target, survey),
    }


def _told(target: Path, config: Config, survey: Survey) -> Iterator[str]:
    (repository,) = config.repositories
    yield f"Wrote {target}"
    yield f"  repository {repository.name}: {repository.path}, branch {repository.branch}, layout {repository.layout}"
    yield f"  publish {repository.publish}; state in {config.state_directory}"
    yield "Category files:"
    width = max(map(len, survey.files))
    yield from (f"  {category:<{width}}  {file}" for category, file in survey.files.items())
    if survey.left_out:
        yield "Left out:"
        yield from (f"  {file}: {reason}" for file, reason in survey.left_out.items())
    yield "Next:"
    yield from (f"  {command}" for command in _next_commands(target, survey))
