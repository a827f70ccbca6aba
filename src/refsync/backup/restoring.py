"""Taking a backup back: unpacked and looked through beside the state first, then put in place by steps to repeat.

::

    .restore-unpacking   is being unpacked; given up if its process dies
    .restore             whole: from here on the restore is done, by whoever comes next
    .restore-done        all of it is in place; what is left of it goes
"""

from __future__ import annotations

import shutil
from pathlib import Path

from refsync.backup import DONE, STAGED, UNPACKING, archive
from refsync.backup.archive import Manifest
from refsync.commands import command
from refsync.durable import flush_folder, make_folder, write_durably
from refsync.durable_steps import durable_step
from refsync.errors import RequestError, StateDirectoryError, StoreError
from refsync.file_locks import FILE_MODE
from refsync.pending_queue.store.copying import examine_store, put_in_place, upgrade_copy
from refsync.pending_queue.store.failures import newer_store
from refsync.pending_queue.store.schema import VERSION
from refsync.state_directory import StateDirectory


def restore_backup(state: StateDirectory, store: Path | None, file: Path, *, force: bool) -> Manifest:
    """Replace queue and metadata by those of a backup; nothing is lost before all of it is whole on the disk.

    Args:
        state: the state directory.
        store: the store's file; ``None`` where it lies on a server.
        file: the backup.
        force: whether a queue that holds something is replaced.

    Raises:
        AlreadyRunningError: a daemon serves the state directory.
        RequestError: the file is no whole backup, does not fit, or a queue would be replaced.
        StoreError: the backup is of a newer store.
        OSError: it cannot be read, or the disk is full; all is as it was then.
    """
    _check(archive.read_manifest(file), store, file)
    with state.serve(), state.pass_lock():
        _bring_to_an_end(state, store)
        if not force:
            _refuse_loss(store, file)
        manifest = _stage(state, store, file)
        _bring_to_an_end(state, store)
    return manifest


def finish_restore(state: StateDirectory, store: Path | None) -> None:
    """Go on with a restore that was cut off, or wait for one that is being done.

    Raises:
        StateDirectoryError: there is one, and this user may not write the state directory.
    """
    if state.is_locked:
        raise StateDirectoryError(
            f"{state.path}: a restore is not done yet; let a user who may write there go on with it: refsync status"
        )
    with state.pass_lock():
        _bring_to_an_end(state, store)


def _check(manifest: Manifest, store: Path | None, file: Path) -> None:
    has_store = manifest.store_version is not None
    if manifest.store_version and manifest.store_version > VERSION:
        raise newer_store(str(file), manifest.store_version)
    if has_store and store is None:
        raise RequestError(f"{file} holds a queue, the config keeps it on a server; take `queue.url` out of the config")


def _refuse_loss(store: Path | None, file: Path) -> None:
    if store is None or not store.exists():
        return
    anyway = command("refsync", "restore", "--force", file)
    try:
        facts = examine_store(store)
    except StoreError as problem:
        raise RequestError(f"{problem}; to put the backup in its place: {anyway}") from None
    if facts.changes or facts.batches:
        first = command("refsync", "backup", f"{file}.before")
        raise RequestError(
            f"{store}: holds a queue (changes in it: {facts.changes}), which would be replaced; keep it: {first}; "
            f"and then replace it: {anyway}"
        )


@durable_step("stage the restore")
def _stage(state: StateDirectory, store: Path | None, file: Path) -> Manifest:
    unpacking = state.path / UNPACKING
    unpacking.mkdir(mode=0o700)
    try:
        manifest = archive.unpack(file, unpacking)
        _check(manifest, store, file)
        if manifest.store_version is not None:
            examine_store(unpacking / archive.STORE)
            upgrade_copy(unpacking / archive.STORE)
    except BaseException:
        shutil.rmtree(unpacking, ignore_errors=True)
        raise
    flush_folder(unpacking)
    unpacking.rename(state.path / STAGED)
    flush_folder(state.path)
    return manifest


@durable_step("put the restore in place")
def _bring_to_an_end(state: StateDirectory, store: Path | None) -> None:
    """What is staged is put in place, what is less or more than that goes."""
    staged, done = state.path / STAGED, state.path / DONE
    for left in (state.path / UNPACKING, done):
        shutil.rmtree(left, ignore_errors=True)
    if not staged.is_dir():
        return
    for folder in sorted((staged / archive.REPOSITORIES).glob("*")):
        _replace_metadata(folder / "meta", state.repository_folder(folder.name) / "meta")
    if store is not None and (staged / archive.STORE).exists():
        put_in_place(staged / archive.STORE, store)
    staged.rename(done)
    flush_folder(state.path)
    shutil.rmtree(done, ignore_errors=True)


def _replace_metadata(staged: Path, meta: Path) -> None:
    for path in (*meta.glob("*.json"), *meta.glob("*/*.json")):
        if not (staged / path.relative_to(meta)).exists():
            path.unlink(missing_ok=True)
    for path in (*staged.glob("*/*.json"), *staged.glob("*.json")):  # the position last, as after a landing
        target = meta / path.relative_to(staged)
        make_folder(target.parent)
        write_durably(target, path.read_text(encoding="utf-8"))
        target.chmod(FILE_MODE)
