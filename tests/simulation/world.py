"""Three daemons, people who submit, review and push, and a remote: what happens, in which order, comes of one seed."""

from __future__ import annotations

import json
import random
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from refsync.errors import RefsyncError
from tests.simulation.puppet import DONE, Puppet, Surroundings
from tests.support.published import Person
from tests.support.reference import CLIP
from tests.support.repositories import dump, git
from tests.support.shared import SharedReference

DAEMONS = 3
ACTIONS = 200
LEASE_SECONDS = 30.0
_MODELS = 4
_FILE = "clip.json"
_QUIET_ROUNDS = 2
"""A clock that was set back by less than a lease lets that of a dead one last so much longer."""


@dataclass
class Node:
    """A machine: its daemon, what cuts it off, and how wrong its clock goes, in seconds."""

    reference: SharedReference
    way: Path
    puppet: Puppet | None = None
    silent_until: float = 0.0
    database_away: bool = False
    answer_lost: bool = False
    clock_ahead: float = 0.0

    @property
    def remote_away(self) -> bool:
        return not self.way.is_symlink()


class World:
    """One run of one seed; ``trace`` is what happened."""

    def __init__(self, folder: Path, seed: int) -> None:
        self.seed = seed
        self._dice = random.Random(seed)
        self.trace: list[str] = []
        self.now = self._began = time.time()
        self.database_ahead = 0.0
        self._edits = 0
        self.pushed_by_hand: list[str] = []
        self.approved: list[int] = []
        models = {f"m{number}": {"n": 0, "by": "x"} for number in range(_MODELS)}
        files: dict[str, dict[str, Any]] = {_FILE: models, "blip.json": {"base": {"n": 0}}}
        self.desk = SharedReference(folder / "desk", f"sqlite:///{folder / 'queue.db'}", files=files)
        self.person: Person = self.desk.person
        self.nodes = [self._node(folder, number) for number in range(DAEMONS)]

    def _node(self, folder: Path, number: int) -> Node:
        reference = self.desk.beside(folder / f"node{number}")
        reference.close()
        way = folder / f"way{number}.git"
        way.symlink_to(self.desk.remote.path)
        git(reference.clone.path, "remote", "set-url", "origin", str(way))
        return Node(reference, way)

    def run(self) -> None:
        """Let it all happen, then heal everything and let the daemons finish."""
        try:
            for node in self.nodes:
                self._start(node)
            for _ in range(ACTIONS):
                self._one_of_many()
            self._come_to_an_end()
        finally:
            for node in self.nodes:
                self._kill(node)

    # what may happen

    def _one_of_many(self) -> None:
        node = self._dice.choice(self.nodes)
        happens: dict[Callable[[Node], object], int] = {
            self._work: 60,
            self._submit: 12,
            self._edit_by_hand: 4,
            self._wait: 12,
            self._kill_or_start: 5,
            self._silence: 5,
            self._cut_database: 4,
            self._cut_remote: 4,
            self._lose_answer: 3,
            self._set_clock: 2,
        }
        self._dice.choices([*happens], [*happens.values()])[0](node)

    def _work(self, node: Node) -> None:
        """Some steps, or all that are left of its pass."""
        if node.puppet is None:
            return self._start(node)
        if node.silent_until > self.now:
            return None
        for _ in range(self._dice.choice([1, 2, 5, 10, 20, 40, 1000])):
            came_to = node.puppet.go(self._around(node))
            if came_to == DONE:
                node.answer_lost = False
                break
        self._tell(node, came_to)
        return None

    def _submit(self, _: Node) -> None:
        """Somebody submits a change of a model, and it is approved."""
        self._edits += 1
        model = f"m{self._dice.randrange(_MODELS)}"
        if self._dice.random() < 0.7:  # else they look at what was there some time ago
            git(self.desk.clone.path, "fetch", "-q", "origin")
            git(self.desk.clone.path, "reset", "-q", "--hard", "origin/main")
        kind = self._dice.choice(["update", "update", "update", "create"])
        name, record = (f"new{self._edits}", {}) if kind == "create" else (model, {"by": "x"})
        submit = self.desk.create if kind == "create" else self.desk.update
        try:
            change = submit(name, {"n": self._edits, **record}, category=CLIP)
        except RefsyncError as refusal:
            self._tell(None, f"{kind} of {name} refused: {type(refusal).__name__}")
            return
        self.approved.append(change)
        self._tell(None, f"change {change} approved: {kind} of {name}")

    def _edit_by_hand(self, _: Node) -> None:
        """Somebody pushes a commit of their own, of the same field or of another one."""
        self._edits += 1
        git(self.person.path, "fetch", "-q", "origin")
        records = json.loads(git(self.person.path, "show", f"origin/main:{_FILE}"))
        model, key = f"m{self._dice.randrange(_MODELS)}", self._dice.choice(["n", "by", "by"])
        records[model][key] = f"hand {self._edits}"
        self.pushed_by_hand.append(self.person.push({_FILE: dump(records)}))
        self._tell(None, f"pushed by hand: {key} of {model}")

    def _wait(self, _: Node) -> None:
        self._pass_time(self._dice.choice([1.0, 5.0, 5.0, 9.0]))

    def _kill_or_start(self, node: Node) -> None:
        if node.puppet is None:
            self._start(node)
        else:
            self._tell(node, f"killed at {node.puppet.at}")
            self._kill(node)

    def _silence(self, node: Node) -> None:
        """Its process is stopped for a while, in whatever it does."""
        node.silent_until = self.now + self._dice.choice([10.0, 35.0, 60.0, 3600.0])
        self._tell(node, f"silent for {node.silent_until - self.now:g} s at {node.puppet and node.puppet.at}")
        if self._dice.random() < 0.5:  # the others go on until its lease is over
            self._pass_time(35.0)

    def _cut_database(self, node: Node) -> None:
        node.database_away = not node.database_away
        self._tell(node, f"database away: {node.database_away}")

    def _cut_remote(self, node: Node) -> None:
        node.way.symlink_to(self.desk.remote.path) if node.remote_away else node.way.unlink()
        self._tell(node, f"remote away: {node.remote_away}")

    def _lose_answer(self, node: Node) -> None:
        node.answer_lost = True
        self._tell(node, "the answer of its next push is lost")

    def _set_clock(self, node: Node) -> None:
        if self._dice.random() < 0.5:
            self.database_ahead += self._dice.choice([-3600.0, -20.0, 20.0, 3600.0])
            self._tell(None, f"the database's clock is {self.database_ahead:+g} s")
        else:
            node.clock_ahead = self._dice.choice([-120.0, -5.0, 0.0, 5.0, 120.0])
            self._tell(node, f"its clock is {node.clock_ahead:+g} s")

    # the machinery

    def _around(self, node: Node) -> Surroundings:
        return Surroundings(
            self.now + node.clock_ahead, self.now + self.database_ahead, node.database_away, node.answer_lost
        )

    def _pass_time(self, seconds: float) -> None:
        """Hearts beat as long as nobody stops them."""
        for _ in range(max(1, int(seconds / (LEASE_SECONDS / 3)))):
            self.now += seconds / max(1, int(seconds / (LEASE_SECONDS / 3)))
            for node in self._living():
                node.puppet.beat(self._around(node))  # type: ignore[union-attr]
        self._tell(None, f"{seconds:g} s pass")

    def _living(self) -> Iterator[Node]:
        return (node for node in self.nodes if node.puppet is not None and node.silent_until <= self.now)

    def _start(self, node: Node) -> None:
        node.silent_until = 0.0
        puppet = Puppet(node.reference.config_file, self._dice.randrange(1 << 30), self._around(node))
        if puppet.has_begun:
            node.puppet = puppet
        else:
            puppet.kill()
        self._tell(node, "started" if node.puppet else "not started")

    def _kill(self, node: Node) -> None:
        if node.puppet is not None:
            node.puppet.kill()
        node.puppet = None

    def _tell(self, node: Node | None, what: str) -> None:
        who = "" if node is None else f"node{self.nodes.index(node)}: "
        self.trace.append(f"{self.now - self._began:7.1f} {who}{what}")

    # the end

    def _come_to_an_end(self) -> None:
        self._tell(None, "everything is healed")
        for node in self.nodes:
            node.silent_until, node.database_away, node.clock_ahead, node.answer_lost = 0.0, False, 0.0, False
            if node.remote_away:
                self._cut_remote(node)
            if node.puppet is None:
                self._start(node)
        quiet = 0
        while quiet < _QUIET_ROUNDS:
            self._pass_time(LEASE_SECONDS + 1)
            before = self._standing()
            for node in self.nodes:
                self._finish_pass(node)
            quiet = quiet + 1 if self._standing() == before else 0
        for node in self.nodes:
            self._finish_pass(node)

    def _finish_pass(self, node: Node) -> None:
        assert node.puppet is not None
        while (came_to := node.puppet.go(self._around(node))) != DONE:
            pass
        self._tell(node, came_to)

    def _standing(self) -> tuple[str, object]:
        """Where the remote and the queue stand."""
        return self.desk.remote.tip, self.desk.statuses(self.approved)
