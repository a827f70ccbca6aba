"""What people did in two real registries of other shapes, done again through the queue: the same records, by few lines.

One is an object of records that moved and was split over several files, the other one file a vendor, each with a list
below its root. A sample of their commits; all of them with ``REFSYNC_REPLAY=all``.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from refsync.application import Application, open_application
from refsync.categories import CategoryName
from refsync.clone.repository import Repository
from refsync.config import parse_config
from refsync.documents.operations import operations_between
from refsync.documents.values import same_value
from refsync.errors import DocumentError
from refsync.file_patterns import means
from refsync.pending_queue.models import Actor, AuditOperation, Submission
from refsync.pending_queue.placement import to_file
from refsync.reference.kinds import records_at
from refsync.reference.versions import Versions
from refsync.reference.view import View, at_commit
from refsync.review.renames import renames
from refsync.use_cases.renaming import rename_model
from tests.support.bundles import bundle
from tests.support.repositories import Clone, git

pytestmark = [pytest.mark.bundles, pytest.mark.slow, pytest.mark.timeout(1800)]

BRANCH = "replay"
ALL = os.environ.get("REFSYNC_REPLAY") == "all"
REGISTRIES = {
    "models-object": [("was", "html/reference*.json", 'records = ""'), ("is", "data/reference*.json", 'records = ""')],
    "vendors-list": [("prices", "data/*.json", 'records = "models[id]"')],
}
ADA = Actor("ada", "Ada")
Records = Mapping[str, dict[str, Any]]


@dataclass
class Tally:
    """What was done again, and where it went otherwise."""

    commits: int = 0
    operations: int = 0
    people: int = 0
    ours: int = 0
    differs: list[str] = field(default_factory=list)


@pytest.mark.parametrize("name", REGISTRIES)
def test_the_operations_of_peoples_commits_give_the_same_records(name: str, tmp_path: Path) -> None:
    found = bundle(f"{name}.bundle")
    if found is None:
        pytest.skip(f"no {name}.bundle: set REFSYNC_TEST_DATA to the folder that holds it")
    clone = Clone.of_bundle(found, tmp_path / "clone")
    config = tmp_path / "refsync.toml"
    tables = "".join(
        f'[[category]]\nname = "{category}"\nfiles = "{files}"\n{more}\n' for category, files, more in REGISTRIES[name]
    )
    config.write_text(
        'state_directory = "state"\n[guard]\ndeletions = { count = 10000, share = 1.0 }\n'
        f'[[repository]]\nname = "it"\npath = "clone"\nbranch = "{BRANCH}"\n{tables}'
    )
    commits = _commits_changing(clone, [files for _, files, _ in REGISTRIES[name]])
    tally = Tally()
    for commit in commits if ALL else commits[:: len(commits) // 8]:
        _replay(tally, clone, config, commit)
    print(f"{name}: {len(commits)} commits, {tally}")
    assert tally.differs == []
    assert tally.operations > 0
    assert tally.ours <= tally.people


def _commits_changing(clone: Clone, patterns: Collection[str]) -> list[str]:
    """Those of main by first parent, newest first, without the first of all."""
    shown = git(clone.path, "log", "--first-parent", "-m", "--name-only", "--min-parents=1", "--format=%x00%H", "main")
    changes = (entry.split("\n") for entry in shown.split("\0") if entry)
    return [commit for commit, *names in changes if any(name and means(name, patterns) for name in names)]


def _replay(tally: Tally, clone: Clone, config: Path, commit: str) -> None:
    start = git(clone.path, "commit-tree", f"{commit}^1^{{tree}}", "-m", "as it was")
    git(clone.path, "checkout", "-q", "-f", "-B", BRANCH, start)
    shutil.rmtree(config.parent / "state", ignore_errors=True)
    application = open_application(parse_config(config.read_text(), config, {}), wakes_daemon=False)
    with Repository(clone.path, BRANCH) as repository, application:
        versions = Versions(repository.read_blob)
        before, after = (at_commit(repository, each, versions) for each in (start, commit))
        (reference,) = application.repositories
        for category in reference.files:
            if reference.catalogue[category].is_own:
                _submit(tally, application, category, before, after)
        submitted = [change.change_id for change in application.queue.list_changes().items]
        if not submitted:
            return
        tally.commits += 1
        application.queue.process_batch(
            approver_id="bob", approver_username="Bob", batch_title="again", approved_ids=submitted, rejected_ids=None
        )
        report = application.run_pass()
        assert report is not None
        [outcome] = report.repositories
        tally.differs += [f"{commit}: {each.reason}" for each in outcome.held]
        tally.differs += [f"{commit}: {each.reason}" for each in outcome.rejected]
        made = at_commit(repository, git(clone.path, "rev-parse", BRANCH), versions)
        for category in reference.files:
            described = reference.catalogue[category]
            if not described.is_own:
                continue
            wanted, found = (_records(view, application, category) for view in (after, made))
            if wanted is not None and (found is None or not same_value(dict(wanted), dict(found))):
                tally.differs.append(f"{commit}: other records in {category}")
    tally.people += _lines(clone, start, commit)
    tally.ours += _lines(clone, start, BRANCH)


def _submit(tally: Tally, application: Application, category: CategoryName, before: View, after: View) -> None:
    old, new = _records(before, application, category), _records(after, application, category)
    if old is None or new is None:
        return
    homes = dict(_homes(after, application, category))
    operations = operations_between(old, new)
    tally.operations += len(operations)
    gone, come = (
        {each.model: side[each.model] for each in operations if each.kind == kind}
        for kind, side in (("delete", old), ("create", new))
    )
    renamed = renames(gone, come)
    for kind, model in operations:
        if model in renamed:
            rename_model(application, category, renamed[model], model, actor=ADA)
            kind = "update"
        elif model in renamed.values() and kind == "delete":
            continue
        metadata = to_file(None, homes[model]) if kind == "create" else None
        asked = Submission(
            category, model, AuditOperation(kind), new.get(model), "ada", "Ada", request_metadata=metadata
        )
        application.queue.enqueue_many([asked])


def _records(view: View, application: Application, category: CategoryName) -> Records | None:
    """The records of a category; ``None`` where a file cannot be read."""
    described = application.config.catalogue[category]
    try:
        return records_at(view, described, described.v2_file)
    except DocumentError:
        return None


def _homes(view: View, application: Application, category: CategoryName) -> Iterator[tuple[str, str]]:
    """Each model with its file."""
    described = application.config.catalogue[category]
    for path in sorted(view.matching(described.v2_file)):
        for model in records_at(view, described, path):
            yield model, path


def _lines(clone: Clone, *what: str) -> int:
    shown = git(clone.path, "diff", "--numstat", "--minimal", "--no-renames", *what, "--", "html", "data")
    return sum(int(added) + int(removed) for added, removed, *_ in map(str.split, shown.splitlines()))
