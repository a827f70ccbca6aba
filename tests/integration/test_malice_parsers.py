"""Whatever stands in a file, a row or an answer that refsync reads back: it is understood, or refused in one line."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, example, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from refsync.clone.journal import JOURNAL
from refsync.config.loading import parse_config
from refsync.errors import ConfigError
from refsync.forges import github_answers
from refsync.state_directory import prepare
from refsync.tokens import read_tokens
from tests.support.command_line import Desk, Ended
from tests.support.repositories import Clone
from tests.support.spoiling import NASTY, broken, spoilt
from tests.support.text_files import DOCUMENT, ROWS, TABLE, table, text_files

# The same examples each time, and none shrunk: a run tells of a change of the program, and soon.
_EACH = settings(
    phases=[Phase.explicit, Phase.generate],
    derandomize=True,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
many = settings(_EACH, max_examples=60)
few = settings(_EACH, max_examples=6)
fewest = settings(_EACH, max_examples=3)
"""Where each example is many commands."""


def is_answered(ended: Ended) -> bool:
    """Whether it is an answer or a refusal in one line, and prints nothing that a terminal obeys."""
    told = ended.out + ended.err
    return (
        ended.code in (0, 1)
        and "Traceback" not in told
        and all(line.isprintable() for line in told.split("\n"))
        and all(len(line) < 3000 for line in ended.err.split("\n"))
    )


def ask(desk: Desk, *words: str | int, stdin: bytes = b"") -> Ended:
    ended = desk(*words, stdin=stdin)
    assert is_answered(ended), (words, ended)
    return ended


# The daemon's lock

LOCK = {"pid": 1, "user": "ada", "since": 1.5}


@many
@given(broken(spoilt(LOCK)))
def test_a_daemon_lock_names_a_daemon_or_nobody(text: bytes) -> None:
    with TemporaryDirectory() as folder:
        state = prepare(Path(folder))
        with state.serve():
            (state.path / "daemon.lock").write_bytes(text)
            found = state.daemon()
    assert found is not None
    assert found.user.isprintable()
    assert 0 <= found.pid < 2**31
    assert not found.is_stopped


# The journal of a landing

LANDING: dict[str, Any] = {
    "holder": {"id": 2**30, "started": 1},
    "landing": {
        "old": "a" * 40,
        "new": "b" * 40,
        "wanted": ["clip.json"],
        "files": [
            {
                "path": "clip.json",
                "mode": "100644",
                "blob": "c" * 40,
                "staged": ".refsync-1",
                "kept": ".refsync-2",
                "found": [1, 2, 3, 4],
            }
        ],
        "index": ".refsync-3",
        "index_found": [1, 2, 3, 4],
        "locks": ["refs/heads/main.lock"],
    },
}


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Desk:
    return Desk.at(tmp_path_factory.mktemp("desk"))


@few
@given(text=broken(spoilt(LANDING)))
@example(text=json.dumps(LANDING | {"landing": LANDING["landing"] | {"wanted": [1]}}).encode())
@example(text=json.dumps(LANDING).replace('"clip.json"', "-0").encode())
@example(text=json.dumps(LANDING).replace('".refsync-3"', '""').encode())
@example(text=json.dumps(LANDING).replace(".refsync-1", "\\ud800").encode())
@example(text=json.dumps(LANDING).replace(".refsync-1", "x" * 70_000).encode())
def test_a_journal_that_says_anything_is_brought_to_an_end_or_told(desk: Desk, text: bytes) -> None:
    old, new = desk.clone.tip, desk.clone.tip
    text = text.replace(b"a" * 40, old.encode()).replace(b"b" * 40, new.encode())
    journal = desk.clone.path / ".git" / JOURNAL
    journal.write_bytes(text)
    try:
        ask(desk, "sync")
    finally:
        journal.unlink(missing_ok=True)


# The tokens file

TOKEN = {"sha256": "0" * 64, "id": "ada", "username": "Ada", "role": "approver", "made_at": 1}
END = {"revoked": "bob", "revoked_at": 1}


@many
@given(text=st.lists(broken(spoilt(TOKEN) | spoilt(END)), max_size=3).map(b"\n".join))
@example(text=json.dumps(TOKEN | {"sha256": "\ud800"}).encode())
def test_a_tokens_file_lets_in_whom_it_names_or_nobody(text: bytes) -> None:
    with TemporaryDirectory() as folder:
        file = Path(folder, "tokens")
        file.write_bytes(text)
        try:
            tokens = read_tokens(file)
        except ConfigError as refusal:
            lines = str(refusal).splitlines()
        else:
            lines = [token.model_dump_json() for token in tokens.values()][:1]
    assert len(lines) <= 1


@few
@given(text=broken(spoilt(TOKEN)))
@example(text=b"")
@example(text=json.dumps(TOKEN | {"made_at": 10**400}).encode())
def test_tokens_are_listed(desk: Desk, text: bytes) -> None:
    (desk.state.parent / "tokens").write_bytes(text)
    desk.configure('[serve]\ntokens_file = "tokens"\n')
    for words in (("token", "list"), ("token", "list", "--json"), ("token", "revoke", "ada")):
        ask(desk, *words)


# The queue, as it comes from elsewhere and from its rows

HEADER = {"refsync_queue": 1, "last_change_id": 2, "last_batch_id": 1}
CHANGE: dict[str, Any] = {
    "change": {
        "change_id": 1,
        "category": "clip",
        "model_name": "m1",
        "operation": "create",
        "payload": {"a": 1},
        "base": {"a": 0},
        "requested_by": "1",
        "requested_username": "Ada",
        "requested_at": 100,
        "status": "approved",
        "updated_at": 100,
        "batch_id": 1,
        "batch_title": "First",
        "approved_by": "2",
        "approved_username": "Bob",
        "approved_at": 110,
        "related_models": ["x"],
        "remarks": ["y"],
        "request_metadata": {"request_id": "r"},
        "notes": "n",
        "after": "old",
        "reverts": 1,
        "unknown": 1,
    },
    "history": [
        {"at": 100, "from_status": None, "to_status": "pending", "by": "1", "username": "Ada"},
        {"at": 110, "from_status": "pending", "to_status": "approved", "by": "2", "username": "Bob", "batch_id": 1},
    ],
    "batch": {
        "number": 1,
        "title": "First",
        "state": "held",
        "opened_at": 100,
        "last_approved_at": 110,
        "repository": "image",
        "job": "abc",
        "hold": {"kind": "other", "reason": "r"},
        "proposal": {"branch": "b", "head": "0" * 40, "number": 1, "url": "u"},
    },
}
LOOKING = (
    ("queue", "list"),
    ("queue", "list", "--json"),
    ("queue", "show", 1),
    ("queue", "diff", 1),
    ("batch", "list"),
    ("batch", "show", 1),
    ("queue", "export"),
    ("status",),
    ("status", "--json"),
    ("sync", "--dry-run"),
    ("sync",),
)


@fewest
@given(spoilt(HEADER), broken(spoilt(CHANGE)))
@example(json.dumps(HEADER), json.dumps(CHANGE).replace("100", "1" + "0" * 400).encode())
@example(json.dumps(HEADER), json.dumps(CHANGE).replace('"opened_at": 100', '"opened_at": 1e400').encode())
@example(json.dumps(HEADER), json.dumps(CHANGE).replace('"number": 1', '"number": 9223372036854775808').encode())
@example(json.dumps(HEADER), json.dumps(CHANGE | {"batch": {**CHANGE["batch"], "job": None}}).encode())
@example(json.dumps(HEADER), json.dumps(CHANGE | {"batch": {**CHANGE["batch"], "number": -1}}).encode())
def test_an_imported_queue_is_taken_or_refused_and_can_be_looked_at(header: str, line: bytes) -> None:
    with TemporaryDirectory() as folder:
        desk = Desk.at(Path(folder))
        for text in (header.encode(), json.dumps(HEADER).encode()):
            if ask(desk, "queue", "import", "-", stdin=text + b"\n" + line).code == 0:
                break
        for words in LOOKING:
            ask(desk, *words)


CELLS = (*NASTY[:20], "", "\x1b[31mred\u202e", b"\xff\x00", 2**62, -(2**62), 1e308, None, "[" * 3000)


@few
@given(st.data())
def test_a_store_whose_rows_say_anything_is_shown_or_told(data: st.DataObject) -> None:
    with TemporaryDirectory() as folder:
        desk = Desk.at(Path(folder))
        assert desk("queue", "import", "-", stdin=f"{json.dumps(HEADER)}\n{json.dumps(CHANGE)}".encode()).done
        with closing(sqlite3.connect(desk.state / "queue.db")) as store, store:
            columns = [
                (table, column)
                for (table,) in store.execute("select name from sqlite_master where type = 'table'").fetchall()
                for _, column, *_ in store.execute(f"pragma table_info('{table}')").fetchall()
                if not table.startswith("alembic")
            ]
            table, column = data.draw(st.sampled_from(columns))
            cell = data.draw(st.sampled_from(CELLS))
            if (table, column, cell) == ("batches", "job", None):
                return  # to be without one is sound in itself
            try:
                store.execute("pragma ignore_check_constraints = on")
                store.execute(f'update {table} set "{column}" = ?', (cell,))
            except sqlite3.IntegrityError:
                return
        for words in LOOKING:
            ask(desk, *words)


# What a forge answers

SIDE = {"ref": "topic", "sha": "a" * 40, "repo": {"id": 1, "full_name": "o/r", "permissions": {"push": True}}}
PERSON = {"login": "ada", "name": "Ada"}
ANSWERS: dict[str, Any] = {
    "PullAnswer": {
        "number": 1,
        "html_url": "https://example.org/1",
        "state": "open",
        "title": "t",
        "body": "b",
        "user": PERSON,
        "created_at": "2026-01-01T00:00:00Z",
        "updated_at": "2026-01-01T00:00:00Z",
        "merged_at": "2026-01-01T00:00:00Z",
        "merge_commit_sha": "b" * 40,
        "merged_by": PERSON,
        "draft": False,
        "requested_reviewers": [PERSON],
        "requested_teams": [{"name": "core"}],
        "head": SIDE,
        "base": SIDE,
    },
    "ReviewAnswer": {"user": PERSON, "state": "APPROVED"},
    "CheckRunsAnswer": {"check_runs": [{"name": "n", "status": "completed", "conclusion": "success"}]},
    "StatusesAnswer": {"statuses": [{"context": "c", "state": "success"}]},
    "EventAnswer": {"event": "merged", "actor": PERSON, "commit_id": "a" * 40},
    "CommentAnswer": {"body": "b"},
    "TokenAnswer": {"token": "t", "expires_at": "2026-01-01T00:00:00Z"},
}


@many
@given(st.sampled_from(sorted(ANSWERS)).flatmap(lambda name: st.tuples(st.just(name), broken(spoilt(ANSWERS[name])))))
def test_a_forges_answer_is_understood_or_strange_and_what_is_understood_can_be_kept(given: tuple[str, bytes]) -> None:
    name, text = given
    try:
        answer = TypeAdapter(getattr(github_answers, name)).validate_json(text)
    except ValidationError:
        return
    answer.model_dump_json().encode()
    if isinstance(answer, github_answers.PullAnswer):
        pull = answer.pull_request()
        assert 0 < pull.number < 2**63
        assert abs(pull.opened_at) < 1e12
        assert all(isinstance(person, str) for person in answer.asked())


# The config

VALUES = (
    *('""', '" "', '"text"', '"a\\u0000b"', '"\\u001b[31m"', "1", "-1", "0.5", "inf", "nan", "true", "9" * 400),
    *("1979-05-27", "1979-05-27T07:32:00Z", "07:32:00", "[]", "{}", "[1979-05-27]", "{a.b.c = 1979-05-27}", "[[{}]]"),
    *("[" * 120 + "]" * 120, "[" * 3000 + "]" * 3000, "{a=" * 300 + "1" + "}" * 300, '"' + "x" * 70_000 + '"'),
)
TABLES = (
    *("", "[queue]", "[log]", "[serve]", "[people]", "[guard]", "[daemon]", "[[category]]", "[repository.categories]"),
    *("[[repository]]", "[repository.credentials]", "[repository.check]", "[repository.pull_requests]", "[[queue]]"),
    *("[" + ".".join("a" * 2000) + "]", '["\\u001b[31m"]', '[""]', "[repository.critical_fields]", "[[people]]"),
)
KEYS = (
    *("state_directory", "url", "level", "identity", "deletions", "name", "path", "format", "publish", "schedule"),
    *("requestors", "approvers", "category_approvers", "operators", "switched_off", "clip", "files", "token_file"),
    *('""', '"\\u001b[31m\\n"', "a.b", ".".join("k" * 2000), "two_person_review", "tokens_file", "author", "tables"),
)
LINES = st.tuples(st.sampled_from(KEYS), st.sampled_from(VALUES)).map(" = ".join)
TOML = st.lists(LINES | st.sampled_from(TABLES) | st.text(max_size=5), max_size=6).map("\n".join)


@many
@given(TOML)
@example(f"[{'.'.join('a' * 2000)}]\n")
@example(f"[queue]\n{'.'.join('k' * 2000)} = 1")
@example(f"{'.'.join('k' * 2000)} = 1\n{'.'.join('k' * 2000)} = 1")
def test_a_config_of_any_toml_is_taken_or_refused_line_by_line(text: str) -> None:
    try:
        parse_config(f'[[repository]]\nname = "image"\npath = "image"\n{text}', Path("/etc/refsync.toml"), {})
    except ConfigError as refusal:
        for line in refusal.args:
            assert "\n" not in str(line)
            assert len(str(line)) < 5000


# A clone of anybody's, nested over the limit

DEEP = tuple('{"k": ' * depth + "1" + "}" * depth for depth in (101, 980, 20_000))


@pytest.mark.parametrize("deep", DEEP, ids=len)
@pytest.mark.parametrize("file", [DOCUMENT, "defaults.json", "generation_params.json", TABLE])
def test_what_is_nested_over_the_limit_is_told_of_any_file(tmp_path: Path, file: str, deep: str) -> None:
    desk = Desk(Clone.create(tmp_path / "clone", text_files(*ROWS)), tmp_path)
    spoilt_file = table({**ROWS[0], "settings": deep}) if file == TABLE else f'{{"deep": {deep}}}'.encode()
    desk.clone.write(file, spoilt_file)
    for words in (("diff",), ("diff", "--json"), ("check",), ("check", "--json"), ("check", "--fix")):
        ended = desk.bare(*words, "--directory", desk.clone.path)
        assert is_answered(ended), (words, ended)
    assert desk.clone.read(file) == spoilt_file or file == DOCUMENT


# Escapes, in names of files and of users

RED = "\x1b[31mred\x1b]0;title\x07\u202e"


def test_no_name_of_a_file_reaches_the_terminal_as_it_is(tmp_path: Path) -> None:
    names = (f"{RED}.json", f"{RED}/clip.json", f"clip{RED}.json", f"{RED}.csv")
    clone = Clone.create(tmp_path / RED, {"clip.json": {"a": {}}, **dict.fromkeys(names, b"{}\n")})
    desk = Desk(clone, tmp_path)
    new = tmp_path / f"{RED}.toml"
    for words in (("init", clone.path), ("init", clone.path), ("init", clone.path / f"{RED}.json")):
        ended = desk.bare("--config", new, *words)
        assert is_answered(ended), ended
    for asked in (("status",), ("doctor",), ("config", "check"), ("config", "show"), ("sync",)):
        ended = desk.bare("--config", new, *asked)
        assert is_answered(ended), (asked, ended)


def test_no_user_of_the_system_reaches_the_terminal_as_it_is(tmp_path: Path) -> None:
    desk = Desk.at(tmp_path)
    desk.add("create", "m", {"x": 1})
    with closing(sqlite3.connect(desk.state / "queue.db")) as store, store:
        store.execute("update changes set os_user = ?", (RED,))
        store.execute("update events set os_user = ?", (RED,))
    shown = ask(desk, "queue", "show", 1).done.out
    assert "red" in shown
    ask(desk, "queue", "list")
