"""What a piece of work takes, in things that can be counted: git processes, transactions, decodings, flushes.

Times differ from run to run; these don't, so tests can hold them.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from json.decoder import JSONDecoder
from pathlib import Path
from types import FrameType
from typing import Any
from unittest import mock

from sqlalchemy import Connection, Engine, event

from refsync.clone.objects import object_id
from refsync.documents.json_text import scan_document, scan_unproven

_WRITES = ("INSERT", "UPDATE", "DELETE")
_DECODERS = {JSONDecoder.decode.__code__: "s", scan_document.__code__: "text", scan_unproven.__code__: "text"}
"""What goes through a whole document, and the name of its argument that has the text."""
_HASHES = object_id.__code__
_FLUSHES = (os.fsync, os.fdatasync)


@dataclass
class Costs:
    """What was counted."""

    git: list[str] = field(default_factory=list)
    """The commands of git, in no order; those that git itself starts are among them."""
    transactions: int = 0
    """Those of the database that were committed."""
    writing: int = 0
    """Those among them that wrote."""
    statements: int = 0
    decodings: int = 0
    """How often a document of at least the size asked for was gone through."""
    hashings: int = 0
    """How often the id of such a one was made, of what was read from anywhere or is to be written."""
    flushes: int = 0
    """Of files and folders, by git and by this process; not those of the database."""

    def exceed(self, **most: int) -> list[str]:
        """Those counts, by their names, that are higher than given, each with what there was."""
        found = {name: getattr(self, name) for name in most}
        counts = {name: len(what) if isinstance(what, list) else what for name, what in found.items()}
        return [f"{name}: {counts[name]} {found[name]}" for name in most if counts[name] > most[name]]


@contextmanager
def counted(
    folder: Path, *, document_size: int = sys.maxsize, before: Callable[[], object] = lambda: None
) -> Iterator[Costs]:
    """Count what the block does in this thread.

    Args:
        folder: an empty folder for what git traces.
        document_size: how many characters a document has at least whose decodings count.
        before: done before counting begins, with git's settings as they are while it counts.
    """
    costs = Costs()
    traces = folder / "traces"
    traces.mkdir(parents=True)
    (folder / "gitconfig").write_text(f"[trace2]\n\teventTarget = {traces}\n")
    with mock.patch.dict(os.environ, {"GIT_CONFIG_GLOBAL": str(folder / "gitconfig")}):
        before()
        for trace in traces.iterdir():
            trace.unlink()
        with _counted_transactions(costs), _counted_calls(costs, document_size):
            yield costs
    for trace in traces.iterdir():
        _add_git(costs, [json.loads(line) for line in trace.read_text().splitlines()])


def _add_git(costs: Costs, events: list[dict[str, Any]]) -> None:
    names = [each["name"] for each in events if each["event"] == "cmd_name"]
    if names != ["version"]:  # asked once in the life of a process
        costs.git += names or ["git"]
    costs.flushes += sum(int(each["value"]) for each in events if str(each.get("key")).startswith("fsync/"))


@contextmanager
def _counted_transactions(costs: Costs) -> Iterator[None]:
    wrote: set[Connection] = set()

    def execute(connection: Connection, _cursor: Any, statement: str, *_: Any) -> None:
        costs.statements += 1
        if statement.lstrip().upper().startswith(_WRITES):
            wrote.add(connection)

    def commit(connection: Connection) -> None:
        costs.transactions += 1
        costs.writing += connection in wrote
        wrote.discard(connection)

    listeners = (("before_cursor_execute", execute), ("commit", commit), ("rollback", wrote.discard))
    for name, listener in listeners:
        event.listen(Engine, name, listener)
    try:
        yield
    finally:
        for name, listener in listeners:
            event.remove(Engine, name, listener)


@contextmanager
def _counted_calls(costs: Costs, document_size: int) -> Iterator[None]:
    def look(frame: FrameType, happened: str, function: Any) -> None:
        if happened == "c_call" and function in _FLUSHES:
            costs.flushes += 1
        elif happened == "call" and (name := _DECODERS.get(frame.f_code)):
            costs.decodings += len(frame.f_locals[name]) >= document_size
        elif happened == "call" and frame.f_code is _HASHES:
            costs.hashings += len(frame.f_locals["content"]) >= document_size

    before = sys.getprofile()
    sys.setprofile(look)
    try:
        yield
    finally:
        sys.setprofile(before)
