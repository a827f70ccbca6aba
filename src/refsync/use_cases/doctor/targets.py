"""The targets that events are told to."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import suppress

from refsync.commands import command
from refsync.config import Config, NotifySettings
from refsync.errors import ConfigError, CredentialError, RefsyncError, StoreError
from refsync.opening import open_store
from refsync.targets import check_secret
from refsync.use_cases.doctor.checks import Check, Looked, Patient, exposed, or_good, unknown, wrong
from refsync.use_cases.doctor.settings import of_secret, put_anew
from refsync.use_cases.exposure import exposed_secrets


def targets(patient: Patient) -> Iterator[Check]:
    """Whether each target's secret can be used, and takes what it is sent; nothing is sent to it."""
    if not patient.config.notify:
        return
    failing, dead = _deliveries(patient)
    for each in patient.config.notify:
        yield from or_good(Looked.targets, each.name, _of_target(each, patient, failing, dead))


def _of_target(
    each: NotifySettings, patient: Patient, failing: Mapping[str, str], dead: Mapping[str, int]
) -> Iterator[Check]:
    file = each.secret_file
    missing = list(of_secret(file, Looked.targets)) if file else []
    yield from missing
    if file:
        yield from (exposed(Looked.targets, found) for found in exposed_secrets([file], patient.owner))
    if not missing:
        yield from _of_secret(each, patient)
    if problem := failing.get(each.name):
        yield wrong(Looked.targets, each.name, problem, command("refsync", "notify", "test", each.name))
    if count := dead.get(each.name):
        what = f"messages that could not be delivered: {count}"
        yield wrong(Looked.targets, each.name, what, command("refsync", "notify", "retry", each.name))


def _of_secret(each: NotifySettings, patient: Patient) -> Iterator[Check]:
    if each.secret_credential and "CREDENTIALS_DIRECTORY" not in patient.environ:
        yield unknown(Looked.targets, each.name, f"{each.secret_credential!r} is handed to the daemon alone")
        return
    try:
        check_secret(each)
    except CredentialError as problem:
        yield wrong(Looked.targets, each.name, str(problem), put_anew(each.secret_file))
    except ConfigError as problem:
        yield wrong(Looked.targets, each.name, str(problem))


def _deliveries(patient: Patient) -> tuple[Mapping[str, str], Mapping[str, int]]:
    """Why targets fail, and how many messages to them are dead; nothing where the store cannot be looked at."""
    if patient.store_file is None:
        with suppress(RefsyncError):  # which is told of the store
            return _deliveries_on_server(patient.config)
    with suppress(StoreError):  # as well
        if facts := patient.store_facts:
            return facts.failing, facts.dead
    return {}, {}


def _deliveries_on_server(config: Config) -> tuple[Mapping[str, str], Mapping[str, int]]:
    with open_store(config) as store, store.reading() as queue:
        states = queue.outbox.states()
    failing = {each.name: each.problem for each in states if each.problem is not None}
    return failing, {each.name: each.dead for each in states}
