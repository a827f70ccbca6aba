"""Remotes and forges: whether they let refsync in, and who else writes there."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from refsync.clone.ref_files import refs_under
from refsync.clone.remotes import read_refs, url_of
from refsync.commands import git_command
from refsync.config import RepositorySettings
from refsync.errors import RefsyncError, StoreError
from refsync.use_cases.doctor.checks import Check, Looked, Patient, or_good, unknown, wrong
from refsync.ways_out import credential_of, forge_of, upstream_of


def remote(patient: Patient) -> Iterator[Check]:
    """Whether each remote answers, and has the target branch."""
    for each in _published(patient):
        yield from or_good(Looked.remote, each.name, _of_remote(each, patient))


def _of_remote(each: RepositorySettings, patient: Patient) -> Iterator[Check]:
    upstream = upstream_of(each)
    assert upstream  # of what is published there is one
    branch = f"refs/heads/{each.branch}"
    try:
        with patient.opened(each) as clone:
            found = read_refs(clone, upstream.remote, branch)
    except RefsyncError as problem:
        yield wrong(Looked.remote, each.name, str(problem))
        return
    if branch not in found:
        push = git_command(each.path, "push", each.remote, each.branch)
        yield wrong(Looked.remote, each.name, f"{each.remote} has no branch {each.branch!r}", push)


def branches(patient: Patient) -> Iterator[Check]:
    """Whether branches of others stand where refsync puts its own."""
    proposing = [each for each in _published(patient) if each.publish != "push"]
    if not proposing or patient.store_file is None:
        return
    with suppress(StoreError):  # which is told of the store
        if facts := patient.store_facts:
            for each in proposing:
                yield from or_good(Looked.branches, each.name, _of_others(each, patient, facts.branches))


def _of_others(each: RepositorySettings, patient: Patient, ours: frozenset[str]) -> Iterator[Check]:
    tracked = f"refs/remotes/{each.remote}/"
    with patient.opened(each) as clone:
        found = [ref.removeprefix(tracked) for ref in refs_under(clone.common_directory, tracked)]
    for branch in found:
        if branch.startswith(each.proposal.prefix) and branch not in ours:
            what = f"{branch} of {each.remote} is no batch's of this queue; if it is nobody's, delete it"
            yield wrong(
                Looked.branches, each.name, what, git_command(each.path, "push", each.remote, "--delete", branch)
            )


def forge(patient: Patient) -> Iterator[Check]:
    """Whether the forge lets refsync do what it has to, as far as it tells."""
    for each in patient.config.repositories:
        if each.publish == "pull_request":
            yield from or_good(Looked.forge, each.name, _of_forge(each, patient))


def _of_forge(each: RepositorySettings, patient: Patient) -> Iterator[Check]:
    if not patient.is_told_the_secret(each):
        yield unknown(Looked.forge, each.name, f"{each.credentials.token_credential!r} is handed to the daemon alone")
        return
    try:
        with patient.opened(each) as clone:
            tip, url = clone.tip(), url_of(clone, each.remote)
        lacking = forge_of(each, url, credential_of(each)).lacking(tip)
    except RefsyncError as problem:
        yield wrong(Looked.forge, each.name, str(problem))
        return
    for permission in lacking:
        yield wrong(Looked.forge, each.name, f"the credential lacks the permission {permission}; give it that")


def _published(patient: Patient) -> Iterator[RepositorySettings]:
    for each in patient.config.repositories:
        if each.publish != "local" and (each.path / ".git").exists() and patient.is_told_the_secret(each):
            yield each
