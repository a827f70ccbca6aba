"""A pass that is killed, in every publication mode and with every kind of batch, and what has to be true afterwards."""

from __future__ import annotations

import copy
import hashlib
import os
import re
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, get_args

from refsync.cli.main import run_command
from refsync.pending_queue.models import AuditOperation, BatchState, PendingChangeStatus
from refsync.pending_queue.store.copying import examine_store
from tests.support.dying import ended_by
from tests.support.forge import ForgeStandIn
from tests.support.published import PublishedReference, RequestedReference
from tests.support.reference import BLIP, CLIP, FILES, Reference
from tests.support.repositories import dump, git
from tests.support.users import NOBODY, become_nobody, let_others_through

Mode = Literal["local", "push", "branch", "pull_request"]
Size = Literal["one", "fifty", "split", "conflict"]
Phase = Literal["publish", "follow"]

APPLIED, APPROVED, REJECTED = (
    PendingChangeStatus.APPLIED,
    PendingChangeStatus.APPROVED,
    PendingChangeStatus.REJECTED,
)
STORIES: list[tuple[Mode, Size, Phase]] = [
    (mode, size, phase)
    for mode in get_args(Mode)
    for size in get_args(Size)
    for phase in get_args(Phase)
    if phase == "publish" or mode in ("branch", "pull_request")
]
"""Where people merge, the pass that follows their merge is killed, too."""
_PASSES = 6
_OBJECT = re.compile(r"[0-9a-f]{2}/[0-9a-f]{38}|pack/pack-[0-9a-f]{40}\.\w+|info/.*")
_OVER = (BatchState.landed, BatchState.abandoned)
_BROKEN = b'{"base": \n'


class Stage:
    """One story up to the pass that is killed; it can be put back to there as often as one likes."""

    def __init__(self, folder: Path, mode: Mode, size: Size, phase: Phase) -> None:
        self.mode, self.size, self.phase = mode, size, phase
        self.work, self._kept = folder / "work", folder / "kept"
        self.work.mkdir()
        self._forge = ForgeStandIn(self.work) if mode == "pull_request" else None
        if self._forge:
            self._forge.__enter__()
        self.reference = self._made()
        self.reference.sync()
        self.ids = self._asked()
        if phase == "follow":
            self._sync()
            self._merge()
        self.reference.close()
        self._pulls = copy.deepcopy(self._forge.pulls) if self._forge else {}
        shutil.copytree(self.work, self._kept, symlinks=True)

    def close(self) -> None:
        if self._forge:
            self._forge.__exit__(None, None, None)

    def reset(self) -> None:
        """Be where the pass is about to begin."""
        shutil.rmtree(self.work)
        subprocess.run(["cp", "-a", self._kept, self.work], check=True)  # with owners, which shutil does not copy
        if self._forge:
            self._forge.pulls = copy.deepcopy(self._pulls)

    def run(self, clock_ahead: float = 0.0) -> None:
        """``refsync sync``, of an operator whose umask is strict, and whose clock is this many seconds ahead."""
        os.umask(0o077)
        now = time.time
        time.time = lambda: now() + clock_ahead
        run_command(["--config", str(self.reference.config_file), "sync"])

    def share(self) -> None:
        """Let the clone and the state belong to a group, of which the service is a member."""
        git(self._kept / "image", "config", "core.sharedRepository", "group")
        let_others_through(self.work)
        for path in [self._kept, *self._kept.rglob("*")]:
            os.chown(path, 0, NOBODY)
            path.chmod(path.stat().st_mode | (0o2070 if path.is_dir() else 0o060))

    # up to there

    def _made(self) -> Reference:
        if self._forge:
            return RequestedReference(self.work, self._forge)
        return Reference(self.work) if self.mode == "local" else PublishedReference(self.work, self.mode)

    def _asked(self) -> list[int]:
        reference = self.reference
        if self.size == "fifty":
            return self._approved([reference.submit(f"m{n}", {"n": n}, AuditOperation.CREATE) for n in range(50)])
        ids = [reference.submit("alpha", {"version": "2", "nsfw": False})]
        if self.size == "split":
            ids.append(reference.submit("base", {"version": "2"}, category=BLIP))
            self._by_hand("blip.json", _BROKEN)
        if self.size == "conflict":
            ids.append(reference.submit("beta", {"version": "2"}))
            self._by_hand("clip.json", dump({**FILES["clip.json"], "alpha": {"version": "9", "nsfw": False}}))
        return self._approved(ids)

    def _approved(self, ids: list[int]) -> list[int]:
        self.reference.approve(*ids, title="Twice never")
        return ids

    def _by_hand(self, file: str, content: bytes) -> None:
        if isinstance(self.reference, PublishedReference):
            self.reference.person.push({file: content}, "by hand")
        else:
            self.reference.clone.commit({file: content}, "by hand")

    # from there on

    def finish_as_nobody(self) -> None:
        """The same by another user: the service, which goes on with what an operator's pass has left."""

        def finish() -> None:
            os.environ |= {"GIT_CONFIG_COUNT": "1", "GIT_CONFIG_KEY_0": "safe.directory", "GIT_CONFIG_VALUE_0": "*"}
            become_nobody()
            self.finish()

        assert ended_by(finish) == 0
        self.reference.application = self.reference.open()

    def finish(self) -> None:
        """Let it go on until there is nothing more to do, people's merge included."""
        self.reference.application = self.reference.open()
        for _ in range(_PASSES):
            self._sync()
            if not self._merge() and self._is_over():
                break
        self._sync()

    def _sync(self) -> None:
        self.reference.application.forges.clear()
        self.reference.sync()

    def _is_over(self) -> bool:
        return self.reference.statuses(self.ids) == self.expected

    def _merge(self) -> bool:
        """Merge what is up for review; whether anything was."""
        if self._forge:
            open_pulls = [number for number, pull in self._forge.pulls.items() if pull.state == "open"]
            for number in open_pulls:
                self._forge.merge(number)
            return bool(open_pulls)
        reference = self.reference
        if self.mode != "branch" or not isinstance(reference, PublishedReference):
            return False
        proposed = [batch.proposal for batch in reference.batches() if batch.state is BatchState.proposed]
        merged = False
        for proposal in filter(None, proposed):
            if proposal.branch in reference.remote.branches:
                reference.person.merge(proposal.branch, "merge commit")
                merged = True
        return merged

    # what has to be true

    @property
    def expected(self) -> list[PendingChangeStatus]:
        match self.size:
            case "split":
                return [APPLIED, APPROVED]
            case "conflict":
                return [REJECTED, APPLIED]
        return [APPLIED] * len(self.ids)

    def faults(self) -> Iterator[str]:
        """What is not as promised, once it is over."""
        found = self.reference.statuses(self.ids)
        if found != self.expected:
            yield f"the changes are {found}"
        yield from self._faults_of_counts()
        yield from self._faults_of_changes()
        yield from self._faults_of_folders()
        examine_store(self.work / "state" / "queue.db")
        self.reference.close()

    def _faults_of_counts(self) -> Iterator[str]:
        """Once in the history is once in the counters, which are compared with the history."""
        reference, counted = self.reference, self.reference.counters(CLIP)
        creates, updates = (50, 0) if self.size == "fifty" else (0, 2 if self.size == "conflict" else 1)
        expected = len(FILES["clip.json"]) + creates, updates, int(self.size == "conflict")
        if (found := (counted.total_creates, counted.total_updates, counted.error_count)) != expected:
            yield f"creates, updates and errors are {found}, not {expected}"
        with reference.opened() as clone:
            yield from map(str, reference.image.recorder.verify(clone, clone.tip()))

    def _faults_of_changes(self) -> Iterator[str]:
        """What is applied is on the branch, what is not says why."""
        reference = self.reference
        history = git(reference.clone.path, "rev-list", "main").splitlines()
        for change in map(reference.change, self.ids):
            if change.status is APPLIED and change.commit not in history:
                yield f"change {change.change_id} is applied by {change.commit}, which is not on the branch"
            if change.status is REJECTED and "9" not in (change.reject_reason or ""):
                yield f"change {change.change_id} is rejected without the value that it met"
        waiting = [batch for batch in reference.batches() if batch.state not in _OVER]
        if len(waiting) != (self.size == "split"):
            yield f"batches that wait: {waiting}"
        for batch in waiting:
            if batch.hold is None or "blip.json" not in batch.hold.reason:
                yield f"batch {batch.number} does not say what it waits for: {batch.hold}"

    def _faults_of_folders(self) -> Iterator[str]:
        clone, reference = self.reference.clone, self.reference
        folders = [clone.path]
        if isinstance(reference, PublishedReference):
            folders.append(reference.remote.path)
            if not reference.in_step():
                yield "the clone does not show what the remote has"
            if reference.remote.branches:
                yield f"the remote has branches: {reference.remote.branches}"
        for folder in folders:
            if said := git(folder, "fsck", "--strict", "--no-dangling", check=False):
                yield f"git fsck: {said}"
        if clone.status:
            yield f"git status: {clone.status}"
        yield from (f"left behind: {each}" for each in sorted(self._strange_files()))
        yield from (f"closed to those of its folder: {each}" for each in sorted(self._closed_files()))

    def _strange_files(self) -> Iterator[str]:
        """Locks, and what somebody made under a name of its own and left."""
        for path in (self.work / "image").rglob("*"):
            inside = str(path.relative_to(self.work))
            if "/objects/" in inside and path.is_file() and not _OBJECT.fullmatch(inside.partition("/objects/")[2]):
                yield inside
            if path.name.endswith((".lock", ".new")) or (".refsync-" in path.name or path.name.startswith("refsync-")):
                yield inside
        for path in (self.work / "state").rglob("*"):
            if any(mark in path.name for mark in (".tmp.", ".new", ".bak", ".corrupt", "check-", ".restore")):
                yield str(path.relative_to(self.work))

    def _closed_files(self) -> Iterator[str]:
        """What those who may read its folder may not read."""
        for path in [*(self.work / "state").rglob("*"), *(self.work / "image").rglob("*")]:
            there, folder = path.stat().st_mode, path.parent.stat().st_mode
            if folder & (0o055 if path.is_dir() else 0o044) & ~there:
                yield str(path.relative_to(self.work))


class Reading:
    """Somebody who reads the category files all the time; ``seen`` are the sums of what they found."""

    def __init__(self, folder: Path) -> None:
        self._files = [folder / name for name in FILES]
        self.seen: dict[str, set[str]] = {name: set() for name in FILES}
        self.missing = 0
        self._stopped = threading.Event()

    def look(self) -> None:
        for file in self._files:
            try:
                self.seen[file.name].add(hashlib.sha256(file.read_bytes()).hexdigest())
            except FileNotFoundError:
                self.missing += 1

    @contextmanager
    def going_on(self) -> Iterator[None]:
        def read() -> None:
            while not self._stopped.is_set():
                self.look()

        thread = threading.Thread(target=read)
        thread.start()
        try:
            yield
        finally:
            self._stopped.set()
            thread.join()

    def faults(self, clone: Path) -> Iterator[str]:
        """Each file that was found is one of a commit, and none was ever missing."""
        if self.missing:
            yield f"{self.missing} reads found no file"
        for name, sums in self.seen.items():
            commits = git(clone, "rev-list", "--all", "--", name).splitlines()
            if sums - {_sum_at(clone, f"{commit}:{name}") for commit in commits}:
                yield f"{name} was read mixed"


def _sum_at(clone: Path, name: str) -> str:
    shown = subprocess.run(["git", "-C", str(clone), "cat-file", "blob", name], capture_output=True, check=True)
    return hashlib.sha256(shown.stdout).hexdigest()
