"""Every document that ``--json`` prints has the shape that the README tells, as its answer model has it, too."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from dataclasses import fields, is_dataclass
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import pytest
from pydantic import BaseModel, RootModel

from refsync.metadata.models import CategoryMetadata
from refsync.pending_queue.holds import Hold
from refsync.pending_queue.models import (
    Batch,
    PendingBatchResult,
    PendingChangeDiffPage,
    PendingChangeRecord,
    PendingQueuePage,
    Proposal,
)
from refsync.use_cases.backup import Backup
from refsync.use_cases.batches import Batches, BatchWithChanges, Reversal
from refsync.use_cases.changes import ChangePage
from refsync.use_cases.clones import CheckAnswer, ComparisonAnswer
from refsync.use_cases.doctor.checks import Diagnosis
from refsync.use_cases.init import NewConfig
from refsync.use_cases.links.advice import AdvisedChange, AdvisedDiffs
from refsync.use_cases.links.evidence import FilledRecord
from refsync.use_cases.links.kept import LinkAnswer
from refsync.use_cases.links.probing import LinkAnswers
from refsync.use_cases.metadata import Counters, Discrepancies, RebuiltCounters
from refsync.use_cases.models import Blame, History
from refsync.use_cases.moving import ImportedQueue
from refsync.use_cases.notifying import Moved, Tried
from refsync.use_cases.passes import PassAnswer
from refsync.use_cases.preview import PlannedCommits
from refsync.use_cases.record import Record
from refsync.use_cases.renaming import Rename
from refsync.use_cases.reviewing import ReviewedChanges
from refsync.use_cases.settings import ConfigInForce, ConfigVerdict
from refsync.use_cases.status import Status
from refsync.use_cases.store import StoreCheck, StoreMove, StoreUpgrade
from refsync.use_cases.submitting import SubmittedChanges
from refsync.use_cases.tokens import EndedTokens, NewToken, TokenHolders
from tests.support.command_line import Desk
from tests.support.forge import ForgeStandIn
from tests.support.hosts import Told, serving
from tests.support.published import RequestedReference
from tests.support.receiver import SECRET, receiving, target_of
from tests.support.repositories import Clone, git

README = Path(__file__).parents[2] / "README.md"
NAMED = {
    model.__name__: model
    for model in (
        Batch,
        CategoryMetadata,
        Hold,
        PendingBatchResult,
        PendingChangeDiffPage,
        PendingChangeRecord,
        PendingQueuePage,
        Proposal,
        LinkAnswer,
    )
}
Shape = Any
"""A list of one shape, a dict by key, a model of ``NAMED``, or ``None`` for any plain value."""


# The notation of the README


def shapes_in_the_readme() -> dict[str, Shape]:
    table = README.read_text(encoding="utf-8").split("<!-- json -->")[1].split("\n## ")[0]
    rows = re.findall(r"^\| `([^`]+)`([^|]*)\| `([^`]+)` \|$", table, re.MULTILINE)
    return {command + more.rstrip(): parse(notation) for command, more, notation in rows}


def parse(notation: str) -> Shape:
    tokens = re.findall(r"\.\.\.|[A-Za-z_0-9]+|[\[\]{}:,]", notation)
    shape = parse_shape(tokens)
    assert not tokens, notation
    return shape


def parse_shape(tokens: list[str]) -> Shape:
    token = tokens.pop(0)
    if token == "[":
        shape = [parse_shape(tokens)]
        assert tokens.pop(0) == "]"
        return shape
    return parse_object(tokens) if token == "{" else NAMED.get(token)


def parse_object(tokens: list[str]) -> dict[str, Shape]:
    shape: dict[str, Shape] = {}
    while (token := tokens.pop(0)) != "}":
        if token == "...":
            shape |= shape_of_fields(NAMED[tokens.pop(0)])
        elif token != ",":
            named = tokens[0] == ":" and tokens.pop(0) == ":"
            shape[token] = parse_shape(tokens) if named else None
    return shape


# The models of the answers


ANSWERS: dict[str, Any] = {
    "notify test": Tried,
    "notify retry": Moved,
    "notify discard": Moved,
    "store check": StoreCheck,
    "store upgrade": StoreUpgrade,
    "store move": StoreMove,
    "init": NewConfig,
    "sync": PassAnswer,
    "sync --dry-run": PlannedCommits,
    "status": Status,
    "doctor": Diagnosis,
    "backup": Backup,
    "restore": Backup,
    "diff": ComparisonAnswer,
    "check": CheckAnswer,
    "queue add": AdvisedChange,
    "queue add --from --dry-run": FilledRecord,
    "queue rename": Rename,
    "queue import": SubmittedChanges,
    "queue import (of an export)": ImportedQueue,
    "queue list": ChangePage,
    "queue show": AdvisedChange,
    "queue diff": AdvisedDiffs,
    "queue approve": PendingBatchResult,
    "queue reject": PendingBatchResult,
    "queue withdraw": ReviewedChanges,
    "queue purge": ReviewedChanges,
    "batch list": Batches,
    "batch show": BatchWithChanges,
    "batch seal": Batches,
    "batch retry": Batch,
    "batch revert": Reversal,
    "batch abandon": Batch,
    "probe": LinkAnswers,
    "metadata show": Counters,
    "metadata verify": Discrepancies,
    "metadata rebuild": RebuiltCounters,
    "model show": Record,
    "model show --links": LinkAnswers,
    "model history": History,
    "model blame": Blame,
    "token add": NewToken,
    "token list": TokenHolders,
    "token revoke": EndedTokens,
    "config check": ConfigVerdict,
    "config show": ConfigInForce,
}
"""What each command prints."""

ANY_KEY, ANYTHING = "*", object()


def shape_of(kind: Any) -> Shape:
    """The shape of what a type's values look like in JSON."""
    origin, arguments = get_origin(kind), [each for each in get_args(kind) if each is not type(None)]
    if kind is Any:
        return ANYTHING
    if origin is Annotated or isinstance(kind, UnionType) or origin is Union:
        return shape_of(arguments[0])
    if isinstance(kind, type) and issubclass(kind, RootModel):
        return shape_of(kind.model_fields["root"].annotation)
    if kind in NAMED.values():
        return kind
    if isinstance(origin, type) and issubclass(origin, Mapping):
        return {ANY_KEY: shape_of(arguments[1])}
    if isinstance(origin, type) and issubclass(origin, Sequence):
        return [shape_of(arguments[0])]
    is_object = is_dataclass(kind) or (isinstance(kind, type) and issubclass(kind, BaseModel))
    return shape_of_fields(kind) if is_object else None


def shape_of_fields(kind: Any) -> dict[str, Shape]:
    if is_dataclass(kind):
        hints = get_type_hints(kind)
        return {each.name: shape_of(hints[each.name]) for each in fields(kind)}
    kept = {name: each.annotation for name, each in kind.model_fields.items() if not each.exclude}
    made = {name: each.return_type for name, each in kind.model_computed_fields.items()}
    return {name: shape_of(type) for name, type in (kept | made).items()}


def disagreements(told: Shape, made: Shape, place: str = "$") -> list[str]:
    """Where the README tells another shape than an answer's model has."""
    if made is ANYTHING or told is made:
        return []
    if isinstance(told, list) and isinstance(made, list):
        return disagreements(told[0], made[0], f"{place}[]")
    if isinstance(told, dict) and isinstance(made, dict):
        if (any_key := made.get(ANY_KEY)) is not None or ANY_KEY in made:
            return [one for key, each in told.items() for one in disagreements(each, any_key, f"{place}.{key}")]
        if set(told) != set(made):
            return [f"{place} has {sorted(made)}, and the README tells {sorted(told)}"]
        return [one for key in told for one in disagreements(told[key], made[key], f"{place}.{key}")]
    return [f"{place} is {made}, and the README tells {told}"]


def differences(document: Any, shape: Shape, place: str = "$") -> list[str]:
    """Where a document is not as its shape says; a ``null`` is as any shape says."""
    if document is None or shape is None or shape is ANYTHING:
        return []
    if isinstance(shape, list):
        if not isinstance(document, list):
            return [f"{place} is no list"]
        return [one for i, each in enumerate(document) for one in differences(each, shape[0], f"{place}[{i}]")]
    if not isinstance(document, dict):
        return [f"{place} is no object"]
    if not isinstance(shape, dict):
        shape = dict.fromkeys((*shape.model_fields, *shape.model_computed_fields))
    if len(shape) == 1 and ((any_key := next(iter(shape))) == ANY_KEY or any_key.isupper()):
        shape = dict.fromkeys(document, shape[any_key])
    if set(document) != set(shape):
        return [f"{place} has {sorted(document)}, not {sorted(shape)}"]
    return [one for key in shape for one in differences(document[key], shape[key], f"{place}.{key}")]


# What the commands say


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """One document of every command, with as much in it as one story can give."""
    desk = Desk.at(tmp_path_factory.mktemp("desk"))
    documents: dict[str, Any] = {}

    def say(*words: str | int | Path, name: str = "", code: int = 0, stdin: bytes = b"") -> Any:
        ended = desk(*words, "--json", stdin=stdin)
        assert ended.code == code, ended
        documents[name or command_of(*words)] = json.loads(ended.out)
        return documents[name or command_of(*words)]

    tell_of_landing(desk, say)
    tell_of_review(desk, say)
    tell_of_holding(desk, say)
    tell_of_metadata(desk, say)
    tell_of_reading(desk, say)
    export = desk("queue", "export").done.out.encode()
    desk.state = desk.folder / "another state"
    desk.configure()
    say("queue", "import", "-", stdin=export, name="queue import (of an export)")
    tell_of_targets(desk, say)
    tell_of_store(desk, say)
    desk.config = desk.folder / "new.toml"
    say("init", desk.clone.path, "--state", desk.folder / "third")
    return documents


def command_of(*words: str | int | Path) -> str:
    first = str(words[0])
    if first in ("queue", "batch", "metadata", "model", "config", "token", "notify", "store"):
        return f"{first} {words[1]}"
    return "sync --dry-run" if "--dry-run" in words else first


def record(name: str, **more: Any) -> bytes:
    return json.dumps({"name": name} | more).encode()


def tell_of_landing(desk: Desk, say: Callable[..., Any]) -> None:
    """Changes 1 and 2 land, change 3 conflicts."""
    say("queue", "add", "create", "clip", "new", "--payload", "-", stdin=record("new"))
    lines = [
        {"operation": "update", "category": "clip", "model_name": "old", "payload": {"name": "old", "version": "2"}},
        {"operation": "create", "category": "clip", "model_name": "ViT-L/14", "payload": {"name": "another"}},
    ]
    say("queue", "import", "-", stdin="\n".join(map(json.dumps, lines)).encode())
    say("queue", "approve", 1, 2, 3, "--title", "First")
    say("sync", "--dry-run")
    say("batch", "seal")
    assert say("sync")["repositories"][0]["rejected"]
    say("queue", "show", 1)
    say("batch", "revert", 1)
    say("batch", "show", 1)
    assert desk("queue", "reject", 4, 5, "--reason", "only to show").done


def tell_of_review(desk: Desk, say: Callable[..., Any]) -> None:
    """A change is approved, withdrawn and rejected."""
    number = desk.add("delete", "old")
    say("queue", "diff", number)
    assert desk("queue", "approve", number, "--title", "Second").done
    say("queue", "withdraw", number)
    say("queue", "reject", number, "--reason", "still used")
    say("queue", "list")
    say("queue", "rename", "clip", "old", "older")
    assert desk("queue", "reject", number + 1, "--reason", "only to show").done
    say("queue", "purge", "--status", "rejected")


def tell_of_holding(desk: Desk, say: Callable[..., Any]) -> None:
    """A batch is held by local edits, retried, held again and abandoned; another one is open."""
    number = desk.add("delete", "old")
    say("queue", "approve", number, "--title", "Third")
    (desk.clone.path / "clip.json").write_bytes(desk.clone.read("clip.json") + b"\n")
    (held,) = say("sync", code=1)["repositories"][0]["held"]
    more = desk.add("create", "more", {"name": "more"}, category="blip")
    assert desk("queue", "approve", more, "--title", "Fourth").done
    with desk.served():
        status = say("status")
    assert status["open_batch"]
    assert status["daemon"]
    assert status["repositories"][0]["batches"]
    assert status["repositories"][0]["local_edits"]
    say("batch", "list")
    say("batch", "retry", held["number"])
    desk("sync")
    say("batch", "abandon", held["number"], "--reason", "no longer wanted")
    git(desk.clone.path, "checkout", "-q", "clip.json")


def tell_of_reading(desk: Desk, say: Callable[..., Any]) -> None:
    """A clone with a name that is off already, and one that was put off by an edit of a critical field."""
    off: dict[str, Any] = {name: {"name": name} for name in "cdefghi"}
    off |= {"$schema": "x", "a": {"name": "b"}, "d": {"name": "d", "nsfw": False}}
    clone = Clone.create(desk.folder / "reading", {"clip.json": off, "more": b"more"})
    clone.write("clip.json", json.dumps({"e": off["e"]} | off | {"d": {"name": "x", "nsfw": True}, "i": 1}).encode())
    clone.write("more", b"less")
    say("diff", "--directory", clone.path)
    verdict = say("check", "HEAD", "--directory", clone.path, code=1)
    assert verdict["failures"]
    assert verdict["critical"]


def tell_of_metadata(desk: Desk, say: Callable[..., Any]) -> None:
    """What is recorded, and what is not: the folder of metadata is gone for a moment."""
    assert desk("sync").done
    say("metadata", "show")
    stored = desk.state / "image" / "meta"
    stored.rename(desk.folder / "gone")
    assert say("metadata", "verify", code=1)
    say("metadata", "rebuild")
    linked = {"config": {"download": [{"file_url": "http://127.0.0.1/private"}]}}
    desk.clone.commit({"blip.json": {"linked": linked}})
    assert say("probe", "blip")
    with serving() as host:
        desk.configure("[probe]\nallow_private = true\n")
        url = host.at("/f.bin", Told(headers={"Content-Length": "7"}))
        say("queue", "add", "create", "blip", "--from", url, "--dry-run", name="queue add --from --dry-run")
        desk.configure()
    say("model", "show", "clip", "old")
    assert say("model", "show", "blip", "linked", "--links", name="model show --links")
    say("model", "history", "clip", "old")
    say("model", "blame", "clip", "old")
    say("config", "check")
    say("config", "show")
    desk.configure('[serve]\ntokens_file = "tokens"\n')
    say("token", "add", "ada", "--role", "requestor")
    say("token", "list")
    say("token", "revoke", "ada")
    assert say("doctor")["checks"]
    say("backup", desk.folder / "backup.tar")
    say("restore", "--force", desk.folder / "backup.tar")


def tell_of_targets(desk: Desk, say: Callable[..., Any]) -> None:
    """A target that takes what it is sent."""
    (desk.folder / "ops.key").write_text(SECRET)
    with receiving() as receiver:
        desk.configure(target_of(receiver.url))
        for what in ("test", "retry", "discard"):
            say("notify", what, "ops")
    desk.configure()


def tell_of_store(desk: Desk, say: Callable[..., Any]) -> None:
    """The last of a store: it moves."""
    say("store", "check")
    say("store", "upgrade")
    say("store", "move", f"sqlite:///{desk.folder / 'moved.db'}")


@pytest.fixture(scope="module")
def said_of_publishing(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Batch 1 becomes a pull request beside a person's; batch 2 waits for its place."""
    folder = tmp_path_factory.mktemp("publishing")
    with ForgeStandIn(folder) as forge, closing(RequestedReference(folder, forge, requests="limit = 1")) as reference:
        forge.commit("mine", {"clip.json": {"alpha": {"version": "9"}}})
        forge.open_by_person("mine", "My alpha")
        desk = Desk(reference.clone, folder)
        reference.update("alpha", {"version": "2", "nsfw": False})
        reference.application.queue.seal_open_batch(lambda _: "image")
        reference.create("gamma", {"version": "1"})
        words = (("sync", "--dry-run"), ("sync",), ("status",), ("batch", "list"), ("batch", "show", "1"))
        return {command_of(*each): desk(*each, "--json").done.json for each in words}


PUBLISHING = ("sync --dry-run", "sync", "status", "batch list", "batch show")


@pytest.mark.parametrize("command", PUBLISHING)
def test_a_document_of_what_is_published_has_the_shape_of_the_readme(
    command: str, said_of_publishing: dict[str, Any]
) -> None:
    assert differences(said_of_publishing[command], shapes_in_the_readme()[command]) == []


def test_what_is_said_of_publishing_is_filled(said_of_publishing: dict[str, Any]) -> None:
    first, second = said_of_publishing["sync --dry-run"]
    assert (bool(first["pull_request"]), bool(second["queued"])) == (True, True)
    [report] = said_of_publishing["sync"]["repositories"]
    assert (len(report["proposed"]), len(report["queued"])) == (1, 1)
    [repository] = said_of_publishing["status"]["repositories"]
    assert repository["remote"] == {"name": "origin", "behind": 0, "ahead": 0}
    assert repository["batches"][0]["proposal"]["overlaps"]


@pytest.mark.parametrize("command", sorted(shapes_in_the_readme()))
def test_a_document_has_the_shape_of_the_readme(command: str, said: dict[str, Any]) -> None:
    document = said[command]
    assert document, "an empty document shows nothing"
    assert differences(document, shapes_in_the_readme()[command]) == []


@pytest.mark.parametrize("command", sorted(ANSWERS))
def test_an_answer_s_model_has_the_shape_of_the_readme(command: str) -> None:
    assert disagreements(shapes_in_the_readme()[command], shape_of(ANSWERS[command])) == []


def test_every_document_has_its_answer_s_model() -> None:
    assert sorted(ANSWERS) == sorted(shapes_in_the_readme())


def test_a_model_of_another_shape_is_noticed() -> None:
    for notation in ("{file, valid}", "{file, valid, problems: {KEY: line}}", "[{file, valid, problems: [line]}]"):
        assert disagreements(parse(notation), shape_of(ConfigVerdict))


def test_the_readme_tells_the_shape_of_every_document(said: dict[str, Any]) -> None:
    assert sorted(said) == sorted(shapes_in_the_readme())


def test_the_readme_tells_of_every_command_that_takes_json() -> None:
    from tests.unit.test_docs import COMMANDS

    taking = {path for path, command in COMMANDS.items() if any("--json" in option.opts for option in command.params)}
    assert taking == {re.sub(r" \(.*| --.*", "", command) for command in shapes_in_the_readme()}


@pytest.mark.parametrize("notation", ["{a, b: [c]}", "{...Batch, changes: [Batch]}", "{NAME: {a}}"])
def test_a_document_of_another_shape_is_noticed(notation: str) -> None:
    assert differences({"a": 1, "b": {}}, parse(notation))
