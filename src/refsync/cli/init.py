"""``refsync init``: from an existing clone to a config file."""

from __future__ import annotations

import json
import os
import re
import shlex
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, NamedTuple

import typer

from refsync.categories import DESCRIPTORS, MODEL_REFERENCE_CATEGORY, Layout, canonical_format, default_files, is_table
from refsync.cli.context import context_of
from refsync.cli.options import Json
from refsync.cli.output import print_json
from refsync.errors import CloneError, ConfigError, DocumentError

if TYPE_CHECKING:
    from refsync.clone.repository import Repository
    from refsync.config import Config

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
publish = "local"

# The category files that were found. A category that is not listed has the layout's default file name.
[repository.categories]
{categories}

[apply]
# "approval": commit what is approved at once; "schedule": at set times; "manual": at `refsync batch seal`.
when = "approval"
"""


class Survey(NamedTuple):
    """What a clone holds: the file of each category, and why other files were left out."""

    branch: str
    layout: Layout
    files: Mapping[MODEL_REFERENCE_CATEGORY, str]
    left_out: Mapping[str, str]


def init(
    ctx: typer.Context,
    path: Annotated[Path, typer.Argument(help="An existing clone of a reference repository.")],
    name: Annotated[str | None, typer.Option(help="The repository's name; else that of its folder.")] = None,
    layout: Annotated[Layout | None, typer.Option(help="Where the clone keeps its files; else as found.")] = None,
    branch: Annotated[str | None, typer.Option(help="The target branch; else the one checked out.")] = None,
    state: Annotated[Path | None, typer.Option(help="The state directory.", metavar="DIR")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace an existing config file.")] = False,
    as_json: Json = False,
) -> None:
    """Look at a clone, find its category files, and write a config file for it."""
    from refsync.config import parse_config

    clone = Path(os.path.abspath(path))
    target = Path(os.path.abspath(context_of(ctx).config_file or "refsync.toml"))
    survey = _survey(clone, branch, layout)
    _refuse_target(target, clone, force)
    text = _render(clone, name or _name_of(clone), Path(os.path.abspath(state or _default_state())), survey)
    config = parse_config(text, target, {})
    _write(target, text)
    if as_json:
        print_json(_report(target, config, survey))
    else:
        typer.echo("\n".join(_told(target, config, survey)))


# What is in the clone


def _survey(path: Path, branch: str | None, layout: Layout | None) -> Survey:
    from refsync.clone.repository import Repository

    with Repository(path, branch or "") as clone:
        _refuse_folder_inside(clone)
        clone.branch = branch or _checked_out(clone)
        tip = clone.tip()
        entries = clone.entries(tip, "")
        found_layout = layout or _detect_layout(set(clone.entries(tip, "legacy")) if "legacy" in entries else set())
        files, left_out = _sort_files(clone, entries, found_layout)
        branch = clone.branch
    if not files:
        why = "; ".join(f"{file}: {reason}" for file, reason in left_out.items()) or "it holds no JSON file"
        raise CloneError(f"{path}: no category file of layout {found_layout.value!r} on branch {branch!r} ({why})")
    return Survey(branch, found_layout, files, left_out)


def _refuse_folder_inside(clone: Repository) -> None:
    root = os.fsdecode(clone.run("rev-parse", "--show-toplevel").output.rstrip(b"\n"))
    if not os.path.samefile(root, clone.path):
        raise CloneError(f"{clone.path}: is a folder inside the clone {root}; name the clone itself")


def _checked_out(clone: Repository) -> str:
    head = clone.run("symbolic-ref", "-q", "--short", "HEAD", accept=(0, 1)).output.decode().strip()
    if not head:
        raise CloneError(f"{clone.path}: HEAD is detached; name the target branch with --branch")
    return head


def _detect_layout(in_legacy_folder: set[str]) -> Layout:
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
        if reason := _reason_against(clone, file, mode, blob, set(entries)):
            left_out[file] = reason
        elif file in categories:
            files[categories[file]] = file
        else:
            left_out[file] = f"its category has no file in layout {layout.value!r}"
    return {category: files[category] for category in MODEL_REFERENCE_CATEGORY if category in files}, left_out


def _reason_against(clone: Repository, file: str, mode: int, blob: str, siblings: set[str]) -> str | None:
    from refsync.documents.csv_document import read_rows
    from refsync.documents.json_document import read_records

    if file == "db.json" and "models.csv" in siblings:
        return "is made from models.csv, and follows it"
    if file not in {name for each in DESCRIPTORS.values() for name in (each.v2_file, each.legacy_file)}:
        return "belongs to no category"
    if is_table(file) and "db.json" not in siblings:
        return "lacks the db.json that is made from it"
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


def _render(clone: Path, name: str, state: Path, survey: Survey) -> str:
    return _TEMPLATE.format(
        state=_quoted(str(state)),
        name=_quoted(name),
        path=_quoted(str(clone)),
        branch=_quoted(survey.branch),
        layout=_quoted(survey.layout.value),
        categories="\n".join(f"{category.value} = {_quoted(file)}" for category, file in survey.files.items()),
    )


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
        "repository": config.repositories[0].model_dump(mode="json", include={"name", "path", "branch", "layout"}),
        "categories": {category.value: file for category, file in survey.files.items()},
        "left_out": dict(survey.left_out),
        "next": _next_commands(target, survey),
    }


def _told(target: Path, config: Config, survey: Survey) -> Iterator[str]:
    (repository,) = config.repositories
    yield f"Wrote {target}"
    yield f"  repository {repository.name}: {repository.path}, branch {repository.branch}, layout {repository.layout}"
    yield f"  state in {config.state_directory}"
    yield "Category files:"
    width = max(map(len, survey.files))
    yield from (f"  {category:<{width}}  {file}" for category, file in survey.files.items())
    if survey.left_out:
        yield "Left out:"
        yield from (f"  {file}: {reason}" for file, reason in survey.left_out.items())
    yield "Next:"
    yield from (f"  {command}" for command in _next_commands(target, survey))
