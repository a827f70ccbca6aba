"""Making a backup: what git cannot give back, as it is at one moment, in one file that is whole or not there."""

from __future__ import annotations

import contextlib
import os
import shutil
import time
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path

from refsync.backup import archive
from refsync.backup.archive import Manifest
from refsync.commands import command
from refsync.durable import flush_folder
from refsync.durable_steps import durable_step
from refsync.errors import RequestError
from refsync.pending_queue.store.copying import copy_store, examine_store
from refsync.scratch import scratch_folder
from refsync.state_directory import StateDirectory

_WORKSHOP = ".refsync-backup-"
_POSITION = "position.json"


def make_backup(
    state: StateDirectory, store: Path | None, repositories: Sequence[str], config: Path, target: Path, *, force: bool
) -> Manifest:
    """Write a backup; the daemon and the queue's users go on meanwhile, a pass waits for some moments.

    Args:
        state: the state directory.
        store: the store's file; ``None`` where it lies on a server.
        repositories: the names of those whose metadata is kept.
        config: the config file.
        target: where to; a new file.
        force: whether a backup that stands there is replaced.

    Raises:
        RequestError: something stands there, or there is no such folder.
        StoreError: the store is damaged.
        OSError: the disk is full, say; nothing was written then.
    """
    check_target(target, force=force)
    with scratch_folder(target.parent / _WORKSHOP) as scratch:
        workshop = scratch.path
        folder = workshop / "content"
        folder.mkdir()
        with contextlib.nullcontext() if state.is_locked else state.pass_lock():
            for name in repositories:
                _copy_metadata(state.path / name / "meta", folder / archive.REPOSITORIES / name / "meta")
            if store is not None:
                copy_store(store, folder / archive.STORE)
        shutil.copyfile(config, folder / archive.CONFIG)
        facts = examine_store(folder / archive.STORE) if store is not None else None
        manifest = Manifest(
            made_at=time.time(),
            refsync=version("refsync"),
            store_version=facts and facts.version,
            changes=facts and facts.changes,
            batches=facts and facts.batches,
            repositories=list(repositories),
            files=archive.packed(folder),
        )
        archive.write_archive(folder, manifest, workshop / "backup")
        _put_there(workshop / "backup", target, force=force)
    return manifest


def check_target(target: Path, *, force: bool) -> None:
    """See that a backup can be put there.

    Raises:
        RequestError: there is no such folder, or something stands there that would be lost.
    """
    if not target.parent.is_dir():
        raise RequestError(
            f"{target.parent}: there is no such folder; make it: {command('mkdir', '-p', target.parent)}"
        )
    if not os.path.lexists(target):
        return
    if not force:
        again = command("refsync", "backup", "--force", target)
        raise RequestError(f"{target}: exists already; name another file, or replace a backup: {again}")
    try:
        archive.read_manifest(target)
    except (RequestError, OSError):
        raise RequestError(f"{target}: is no backup, so that it is not replaced; name another file") from None


def _copy_metadata(meta: Path, target: Path) -> None:
    """The position first: what is counted behind it is counted again after a crash, too."""
    for path in (meta / _POSITION, *sorted(meta.glob("legacy/*.json")), *sorted(meta.glob("v2/*.json"))):
        with contextlib.suppress(FileNotFoundError):
            content = path.read_bytes()
            place = target / path.relative_to(meta)
            place.parent.mkdir(parents=True, exist_ok=True)
            place.write_bytes(content)


@durable_step("put the backup in place")
def _put_there(made: Path, target: Path, *, force: bool) -> None:
    if force:
        os.replace(made, target)
    else:
        try:
            os.link(made, target)
        except FileExistsError:
            check_target(target, force=False)
            raise
        except OSError:  # a disk without hard links
            os.rename(made, target)
    flush_folder(target.parent)
