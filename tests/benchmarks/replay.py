"""People's commits made again by refsync: run by hand, `python -m tests.benchmarks.replay BUNDLE...`.

Of each of the last commits that changed a category, the operations go through the queue as one batch, onto the files
as the parent had them. The table says how many lines people changed, how many the operations need, how many refsync
changed, and where the outcome differs.
"""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations
from pathlib import Path
from typing import Any

from loguru import logger

from refsync.application import Application, open_application
from refsync.categories import CategoryName
from refsync.clone.repository import Repository
from refsync.config import parse_config
from refsync.documents.csv_document import Row
from refsync.documents.json_document import read_records
from refsync.documents.operations import Operation, operations_between
from refsync.errors import DocumentError, RefsyncError
from refsync.pending_queue.models import AuditOperation, Submission
from refsync.reference.versions import Versions
from refsync.reference.view import at_commit
from tests.support.repositories import Clone, git
from tests.support.text_files import DOCUMENT, LISTED, TABLE
from tests.support.text_tables import derive_text, read_rows

Record = dict[str, Any]
Read = Callable[[str], bytes | None]
"""Gives the bytes of a file."""
Files = Mapping[CategoryName, Sequence[str]]
"""The files that changes of a category edit, the one of its records first."""

LAST = 100
BRANCH = "replay"


@dataclass
class Case:
    """One commit: lines changed by people, by need and by refsync, and where the outcome differs."""

    commit: str
    title: str
    operations: int = 0
    people: int = 0
    needed: int = 0
    ours: int = 0
    differs: list[str] = field(default_factory=list)


def main() -> None:
    logger.remove()
    for bundle in map(Path, sys.argv[1:]):
        with tempfile.TemporaryDirectory() as folder:
            print(f"## {bundle.stem}\n\n{table(replay(bundle.absolute(), Path(folder)))}")


def table(cases: Sequence[Case]) -> str:
    rows = [
        "| commit | title | operations | people | needed | refsync | differs |",
        "| --- | --- | ---: | ---: | ---: | ---: | --- |",
        *(_cells(each) for each in (*cases, total(cases))),
    ]
    return "\n".join(rows) + "\n"


def total(cases: Iterable[Case]) -> Case:
    whole = Case("sum", "")
    for each in cases:
        whole.operations += each.operations
        whole.people += each.people
        whole.needed += each.needed
        whole.ours += each.ours
    return whole


def _cells(case: Case) -> str:
    title, differs = (text.replace("|", "\\|") for text in (case.title[:50], "; ".join(case.differs)))
    numbers = f"{case.operations} | {case.people} | {case.needed} | {case.ours}"
    return f"| {case.commit[:10]} | {title} | {numbers} | {differs} |"


def replay(bundle: Path, folder: Path, sample: int = LAST) -> list[Case]:
    """The last commits, newest first; of them a sample of about this many, evenly spread."""
    clone = Clone.of_bundle(bundle, folder / "clone")
    listed = LISTED if (clone.path / TABLE).exists() else ""
    config = folder / "refsync.toml"
    config.write_text(
        f"""state_directory = "state"
[guard]
deletions = {{ count = 1000, share = 1.0 }}
[[repository]]
name = "it"
path = "clone"
branch = "{BRANCH}"
{listed}"""
    )
    with _application(config) as application:
        (reference,) = application.repositories
        files = {category: reference.edited_paths(category) for category in reference.files}
    commits = _commits_changing(clone, {path for paths in files.values() for path in paths})[:LAST]
    return [_replay_commit(clone, config, files, commit) for commit in commits[:: max(1, len(commits) // sample)]]


def _application(config: Path) -> Application:
    return open_application(parse_config(config.read_text(), config, {}), wakes_daemon=False)


def _commits_changing(clone: Clone, paths: set[str]) -> list[str]:
    """Those of main by first parent, newest first; not by git's own search for paths, which leaves some out."""
    shown = git(clone.path, "log", "--first-parent", "-m", "--name-only", "--format=%x00%H", "main")
    changes = (entry.split("\n") for entry in shown.split("\0") if entry)
    return [commit for commit, *names in changes if paths & set(names)]


def _replay_commit(clone: Clone, config: Path, files: Files, commit: str) -> Case:
    case = Case(commit, git(clone.path, "log", "-1", "--format=%s", commit))
    start = _start_at(clone, f"{commit}^1")
    with Repository(clone.path, BRANCH) as repository, _application(config) as application:
        versions = Versions(repository.read_blob)
        before, after = (at_commit(repository, each, versions).content for each in (start, commit))
        for category, paths in files.items():
            _submit(case, application, category, paths, before, after)
        _apply(case, application)
        end = git(clone.path, "rev-parse", BRANCH)
        made = at_commit(repository, end, versions).content
        for paths in files.values():
            _compare(case, paths, before, made, after)
    every = sorted(path for paths in files.values() for path in paths)
    case.people, case.ours = (_lines(clone.path, *pair, "--", *every) for pair in ((start, commit), (start, end)))
    if case.ours > case.needed:
        case.differs.append("more lines than needed")
    return case


def _start_at(clone: Clone, parent: str) -> str:
    """A branch of its own with the parent's files as its only commit, so that there is no long history to fold."""
    start = git(clone.path, "commit-tree", f"{parent}^{{tree}}", "-m", f"as in {parent}")
    git(clone.path, "checkout", "-q", "-f", "-B", BRANCH, start)
    shutil.rmtree(clone.path.parent / "state")
    return start


def _submit(
    case: Case,
    application: Application,
    category: CategoryName,
    paths: Sequence[str],
    before: Read,
    after: Read,
) -> None:
    """Submit what leads from the parent's records to the commit's."""
    old, new = (_records(case, read, paths) for read in (before, after))
    if old is None or new is None:
        return
    operations = operations_between(old, new)
    case.operations += len(operations)
    for kind, model in operations:
        asked = Submission(category, model, AuditOperation(kind), new.get(model), "ada", "Ada")
        try:
            application.queue.enqueue_many([asked])
        except RefsyncError as refusal:
            case.differs.append(f"{model} refused: {refusal}")


def _apply(case: Case, application: Application) -> None:
    """Approve what was submitted as one batch, and run one pass."""
    submitted = [change.change_id for change in application.queue.list_changes().items]
    if not submitted:
        return
    application.queue.process_batch(
        approver_id="bob",
        approver_username="Bob",
        batch_title=case.title or "untitled",
        approved_ids=submitted,
        rejected_ids=None,
    )
    report = application.run_pass()
    assert report is not None
    [outcome] = report.repositories
    case.differs += [f"held: {held.reason}" for held in outcome.held]
    case.differs += [f"rejected: {refused.reason}" for refused in outcome.rejected]
    case.differs += [outcome.problem] if outcome.problem else []


def _compare(case: Case, paths: Sequence[str], before: Read, made: Read, after: Read) -> None:
    """Compare what refsync made of the parent's files with the commit's, and say how many lines that needs."""
    _, found, wanted = known = [_records(case, read, paths, whole=True) for read in (before, made, after)]
    if None in known:
        return
    if names := [operation.model for operation in operations_between(found, wanted)]:
        case.differs.append(f"{len(names)} other records: {', '.join(names[:3])}")
    case.needed += _lines_needed(paths, before, made, after)
    for holds, what in ((_is_canonical, "canonical"), (_is_derived, "derived")):
        if not holds(made, paths) and holds(before, paths):
            case.differs.append(f"{paths[0]} is no longer {what}")


def _records(case: Case, read: Read, paths: Sequence[str], *, whole: bool = False) -> Mapping[str, Record] | None:
    """The records that changes are made of (or all); ``None`` if the file cannot be read, which the case says once."""
    try:
        content = read(paths[0])
        records = {} if content is None else read_records(content)
        return records if whole or TABLE not in paths else _of_rows(records, read)
    except DocumentError as problem:
        case.differs += {f"{paths[0]}: {problem}"} - {*case.differs}
        return None


def _of_rows(records: Mapping[str, Record], read: Read) -> Mapping[str, Record]:
    """The records under the base names of a text reference."""
    return {row.name: records[row.name] for row in _rows(read) if row.name in records}


def _rows(read: Read) -> list[Row]:
    return _parsed(read(TABLE) or b"")


@lru_cache(maxsize=4)
def _parsed(rows: bytes) -> list[Row]:
    return read_rows(rows)


# What the operations need


def _lines_needed(paths: Sequence[str], before: Read, made: Read, after: Read) -> int:
    """Those of each record that comes or goes, those that differ in the others, the commas, and the rows.

    Records are counted as a dump has them, one value a line, fields in their old places and new ones last. JSON
    demands a comma of the neighbour where the last model is another one now.
    """
    old, new, ours = (read_records(read(paths[0]) or b"{}") for read in (before, after, made))
    operations = operations_between(old, new)
    updated = [operation.model for operation in operations if operation.kind == "update"]
    lines = _lines_between(
        _dump({model: old[model] for model in updated}),
        _dump({model: _arranged(old[model], new[model]) for model in updated}),
    )
    for kind, model in operations:
        if kind != "update":
            lines += _dump((new if kind == "create" else old)[model]).count(b"\n")
    commas = 2 if [*old][-1:] != [*ours][-1:] else 0
    return lines + commas + (_rows_needed(operations, before) if TABLE in paths else 0)


def _rows_needed(operations: Iterable[Operation], before: Read) -> int:
    """The rows that come, go (as often as they are there) or change; the records of variants have none."""
    copies = Counter(row.name for row in _rows(before))
    bases = [each for each in operations if not each.model.startswith(("aphrodite/", "koboldcpp/"))]
    return sum({"create": 1, "update": 2, "delete": copies[each.model]}[each.kind] for each in bases)


def _arranged(old: Any, new: Any) -> Any:
    if not isinstance(old, Mapping) or not isinstance(new, Mapping):
        return new
    kept = {key: _arranged(value, new[key]) for key, value in old.items() if key in new}
    return kept | {key: value for key, value in new.items() if key not in old}


def _dump(value: Any) -> bytes:
    return json.dumps(value, indent=4).encode() + b"\n"


def _lines_between(old: bytes, new: bytes) -> int:
    if old == new:
        return 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "old").write_bytes(old)
        (folder / "new").write_bytes(new)
        return _lines(folder, "--no-index", "old", "new")


def _lines(folder: Path, *what: str) -> int:
    shown = git(folder, "diff", "--numstat", "--text", "--minimal", "--no-renames", *what, check=False)
    return sum(int(added) + int(removed) for added, removed, *_ in map(str.split, shown.splitlines()))


# What the repositories' own checks say


def _is_canonical(read: Read, paths: Sequence[str]) -> bool:
    """Whether an image file is a dump with four spaces and ASCII escapes whose objects have one order of fields."""
    content = None if TABLE in paths else read(paths[0])
    if content is None:
        return False
    try:
        records = read_records(content)
    except DocumentError:
        return False
    return content.rstrip(b"\n") == _dump(records).rstrip(b"\n") and _has_one_order(records)


def _has_one_order(records: Mapping[str, Record]) -> bool:
    pairs = {(path, *pair) for record in records.values() for path, keys in _objects((), record) for pair in keys}
    return not any((path, second, first) in pairs for path, first, second in pairs)


def _objects(path: tuple[str, ...], value: Any) -> Iterator[tuple[tuple[str, ...], Iterable[tuple[str, str]]]]:
    """Each object in a record, as its path and the pairs of its keys in their order."""
    if isinstance(value, dict):
        yield path, combinations(value, 2)
        for key, inner in value.items():
            yield from _objects((*path, key), inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _objects((*path, "[]"), inner)


def _is_derived(read: Read, paths: Sequence[str]) -> bool:
    """Whether the document of a text reference is what its table makes, byte for byte."""
    if TABLE not in paths:
        return False
    settings = [json.loads(read(name) or b"{}") for name in ("defaults.json", "generation_params.json")]
    try:
        return derive_text(_rows(read), *settings) == read(DOCUMENT)
    except DocumentError:
        return False


if __name__ == "__main__":
    main()
