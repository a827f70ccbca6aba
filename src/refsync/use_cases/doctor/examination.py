"""The whole examination."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

from refsync.config import load_config
from refsync.errors import ConfigError, RefsyncError
from refsync.use_cases.doctor import clones, machine, people, remotes, service, settings, state, targets
from refsync.use_cases.doctor.checks import Check, Diagnosis, Examination, Looked, Patient, wrong

EXAMINATIONS: tuple[tuple[Looked, Examination], ...] = (
    (Looked.config, settings.config_file),
    (Looked.people, people.people),
    (Looked.git, machine.git),
    (Looked.watches, machine.watches),
    (Looked.clock, machine.clock),
    (Looked.state_directory, state.directory),
    (Looked.store, state.store),
    (Looked.leftovers, state.leftovers),
    (Looked.disk, machine.disks),
    (Looked.clone, clones.kind),
    (Looked.ownership, clones.ownership),
    (Looked.locks, clones.locks),
    (Looked.files, clones.files),
    (Looked.schemas, clones.schemas),
    (Looked.edits, clones.edits),
    (Looked.credentials, settings.credentials),
    (Looked.remote, remotes.remote),
    (Looked.branches, remotes.branches),
    (Looked.forge, remotes.forge),
    (Looked.targets, targets.targets),
    (Looked.service, service.unit),
)
_ASKING_GIT = frozenset({Looked.clone, Looked.locks, Looked.files, Looked.schemas, Looked.edits})
_ASKING_GIT |= {Looked.credentials, Looked.remote, Looked.branches, Looked.forge}


def doctor(config_file: Path, environ: Mapping[str, str]) -> Diagnosis:
    """Look at all that can be looked at, and change nothing; remote and forge are asked.

    Args:
        config_file: the config.
        environ: the environment, whose ``REFSYNC_`` variables win over the file.
    """
    try:
        config = load_config(config_file, environ)
    except ConfigError as error:
        return Diagnosis(checks=[settings.mistake(config_file, problem) for problem in error.problems])
    patient = Patient(config_file, config, environ, time.time())
    left_out = frozenset() if shutil.which("git") else _ASKING_GIT  # without git nothing more can be told
    looks = [(name, look) for name, look in EXAMINATIONS if name not in left_out]
    return Diagnosis(checks=[check for name, look in looks for check in _looked(name, look, patient)])


def _looked(name: Looked, look: Examination, patient: Patient) -> Iterator[Check]:
    """What is found; what keeps from looking is wrong, too."""
    try:
        yield from look(patient)
    except RefsyncError as problem:
        yield wrong(name, patient.config_file, str(problem))
    except OSError as problem:
        yield wrong(name, problem.filename or patient.config_file, problem.strerror or str(problem))
