"""Who may do what: that somebody may, and that a login name is somebody's."""

from __future__ import annotations

from collections.abc import Iterator

from refsync.accounts import has_account
from refsync.application import people_of
from refsync.commands import command
from refsync.config.settings import PeopleSettings
from refsync.pending_queue.models import SYSTEM
from refsync.pending_queue.people import Identity, Role
from refsync.use_cases.doctor.checks import Check, Looked, Patient, or_good, wrong


def people(patient: Patient) -> Iterator[Check]:
    """Whether changes of each category can be reviewed, and every name of this machine is known."""
    if given := patient.config.people:
        yield from or_good(Looked.people, patient.config_file, _of_people(patient, given))


def _of_people(patient: Patient, given: PeopleSettings) -> Iterator[Check]:
    mend = f'"${{EDITOR:-vi}}" {command(patient.config_file)}'
    named = [*given.requestors, *given.approvers, *given.operators]
    named += [name for names in given.category_approvers.values() for name in names]
    for name in dict.fromkeys(named):
        if Identity.parse(name).provider == SYSTEM and not has_account(Identity.parse(name).id):
            what = f"[people] names {name!r}, who has no account here; who comes through the door is PROVIDER:ID"
            yield wrong(Looked.people, patient.config_file, what, mend)
    reviewers = people_of(patient.config)
    unreviewed = [
        category
        for category in patient.config.catalogue
        if patient.config.repository_of(category) and not reviewers.having(Role.approver, category)
    ]
    if unreviewed:
        what = f"nobody may review changes of {', '.join(unreviewed)}, by [people]"
        yield wrong(Looked.people, patient.config_file, what, mend)
