"""Batches as commits: the message, both ways, and the objects, without index or work tree."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from refsync.clone.commit_objects import StoredCommit, new_commit
from refsync.clone.objects import FOLDER, GitObject, TreeEntry, new_tree
from refsync.clone.repository import Repository
from refsync.plain_text import numbered, one_line
from refsync.ranges import parse_ranges, render_ranges

MAX_CHANGE_LINES = 50
_NEW_FILE = 0o100644
_RENAMED = ", renamed from "
_HEARD = re.compile(
    r"(?<!\w)@(?=\w)|#(?=\d)|(?<=\bGH)-(?=\d)|/(?=(?:issues|pull)/\d)"
    r"|\[(?=\s*(?:skip|no|ci|actions)(?![a-z0-9]))|\*(?=\*\*NO_CI)",
    re.IGNORECASE,
)
"""Where a forge hears words in a message: it tells people, closes issues, or leaves the checks out."""
_TO_FULL_WIDTH = 0xFEE0
"""From an ASCII character to its twin of full width, which people read as the same, and no forge hears."""
_ENDS_A_MESSAGE = re.compile(r"---(?: |$)|#|.*(?:>8|8<|>%|%<)")
_TRAILER = re.compile(r"^(Refsync-Job|Refsync-Batch|Refsync-Changes|Requested-by|Approved-by|Request-Id): (.*)$")


@dataclass(frozen=True)
class Person:
    """Someone who asked for or approved a change."""

    id: str
    username: str


@dataclass(frozen=True)
class ChangeLine:
    """One change as the message names it; ``related`` are the models that follow it."""

    change_id: int
    operation: str
    category: str
    model: str
    related: tuple[str, ...] = ()
    renamed_from: str | None = None


@dataclass(frozen=True)
class BatchCommit:
    """What the commit of a batch says of itself."""

    title: str
    job: str
    batch: int
    changes: tuple[ChangeLine, ...]
    requested_by: tuple[Person, ...] = ()
    approved_by: tuple[Person, ...] = ()
    request_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class ParsedCommit:
    """What can be read back from the message of a batch's commit."""

    title: str
    job: str
    batch: int
    change_ids: tuple[int, ...]
    requested_by: tuple[Person, ...] = ()
    approved_by: tuple[Person, ...] = ()
    request_ids: tuple[str, ...] = ()


def render_message(batch: BatchCommit) -> str:
    """The commit message: title, one line a change, trailers; nothing typed by people can forge a line of it."""
    lines = [_subject(batch), ""]
    lines += [_render_change(line) for line in batch.changes[:MAX_CHANGE_LINES]]
    if (rest := len(batch.changes) - MAX_CHANGE_LINES) > 0:
        lines.append(f"- and {rest} more")
    lines += [
        "",
        f"Refsync-Job: {one_line(batch.job)}",
        f"Refsync-Batch: {batch.batch}",
        f"Refsync-Changes: {render_ranges(line.change_id for line in batch.changes)}",
        *(f"Requested-by: {_render_person(person)}" for person in batch.requested_by),
        *(f"Approved-by: {_render_person(person)}" for person in batch.approved_by),
        *(f"Request-Id: {request_id}" for request_id in _request_ids(batch)),
    ]
    return "\n".join(lines) + "\n"


def _render_change(line: ChangeLine) -> str:
    before = "" if line.renamed_from is None else f"{_RENAMED}{quote(line.renamed_from)}"
    related = f" with {', '.join(map(quote, line.related))}" if line.related else ""
    return f"- {line.operation} {line.category} {quote(line.model)}{before}{related}"


def tells_rename(message: str, category: str, old: str, new: str) -> bool:
    """Whether a commit message says, as :func:`render_message` does, that a model got a new name."""
    told = f"{category} {quote(new)}{_RENAMED}{quote(old)}"
    return any(line.strip().removeprefix("- create ").startswith(told) for line in message.split("\n"))


def _request_ids(batch: BatchCommit) -> list[str]:
    """Each id that says something, once, as a trailer can hold it."""
    return [request_id for request_id in dict.fromkeys(map(_unheard, batch.request_ids)) if request_id]


def _subject(batch: BatchCommit) -> str:
    title = one_line(batch.title)
    if _ENDS_A_MESSAGE.match(title):  # git would take what follows for a patch or a comment, and the trailers, too
        title = f"batch {batch.batch}: {title}"
    return _unheard(title) or f"batch {batch.batch}"


def parse_message(message: str) -> ParsedCommit | None:
    """What :func:`render_message` wrote; ``None`` for any other message.

    Only the last paragraph counts, and only if all its lines are our trailers in our order: a message that
    quotes one of ours (a revert, a squash) is not ours.
    """
    paragraphs = message.rstrip("\n").split("\n\n")
    trailers = [_TRAILER.match(line) for line in paragraphs[-1].split("\n")]
    if len(paragraphs) < 2 or len(trailers) < 3:
        return None
    found = [(match[1], match[2]) for match in trailers if match]
    if len(found) != len(trailers) or [key for key, _ in found[:3]] != [
        "Refsync-Job",
        "Refsync-Batch",
        "Refsync-Changes",
    ]:
        return None
    try:
        return ParsedCommit(
            title=paragraphs[0].split("\n")[0],
            job=found[0][1],
            batch=int(found[1][1]),
            change_ids=parse_ranges(found[2][1]),
            requested_by=tuple(_parse_person(text) for key, text in found[3:] if key == "Requested-by"),
            approved_by=tuple(_parse_person(text) for key, text in found[3:] if key == "Approved-by"),
            request_ids=tuple(text for key, text in found[3:] if key == "Request-Id"),
        )
    except ValueError:
        return None


def quote(text: str) -> str:
    """Text in double quotes on one line, with backslash escapes, so that it ends where it seems to."""
    escaped = numbered(text.replace("\\", "\\\\").replace('"', '\\"'))
    unheard = _HEARD.sub(lambda found: f"\\u{ord(found[0]):04x}", escaped)
    return f'"{unheard}"'


def _render_person(person: Person) -> str:
    return f"{_bare(person.username)} <{_bare(person.id)}>"


def _bare(text: str) -> str:
    return _unheard(re.sub(r"[<>]", " ", text)) or "-"


def _unheard(text: str) -> str:
    """Text as one line in which no forge hears anything; nothing is taken out, so that no rest makes a word anew."""
    return _HEARD.sub(lambda found: chr(ord(found[0]) + _TO_FULL_WIDTH), one_line(text))


def _parse_person(text: str) -> Person:
    username, _, rest = text.rpartition(" <")
    return Person(id=rest.removesuffix(">"), username=username)


def build_commit(
    repository: Repository,
    parent: str,
    files: Mapping[str, GitObject | None],
    *,
    message: str,
    author: str,
    earlier: str | None = None,
) -> str | None:
    """Write the objects of one commit and flush them to disk; index, work tree and refs stay as they are.

    Args:
        repository: the clone.
        parent: the commit to build on.
        files: path (``/`` between folders) to its new content, a blob; ``None`` for a file that goes.
        message: the commit message.
        author: ``Name <mail>``, author and committer.
        earlier: a commit that was built before; where it differs by its time only, it is the one.

    Returns:
        The commit's id; ``None`` where nothing would change.
    """
    *trees, root = _trees(repository, parent, "", {path: blob and blob.id for path, blob in files.items()})
    if root.id == repository.tree_of(parent):
        return None
    if earlier and _is_same(repository.commit(earlier), root.id, parent, message, author):
        return earlier
    commit = new_commit(root.id, parent, author=author, message=message)
    repository.store([*filter(None, files.values()), *trees, root, commit])
    return commit.id


def _is_same(earlier: StoredCommit | None, tree: str, parent: str, message: str, author: str) -> bool:
    """Whether a commit that was built before says the same, so that a batch that is stuck does not make ever more."""
    return earlier is not None and (
        (earlier.tree, earlier.parents, earlier.author, earlier.committer) == (tree, (parent,), author, author)
        and earlier.message.rstrip("\n") == message.rstrip("\n")
    )


def _trees(repository: Repository, parent: str, folder: str, blobs: Mapping[str, str | None]) -> Iterator[GitObject]:
    """The trees of a folder with these blobs (paths relative to it) in place, its own last; only of touched folders.

    A folder in which nothing is left goes, too.
    """
    entries = dict(repository.entries(parent, folder))
    inner: dict[str, dict[str, str | None]] = {}
    for path, blob in blobs.items():
        name, _, rest = path.partition("/")
        if rest:
            inner.setdefault(name, {})[rest] = blob
        elif blob is None:
            entries.pop(name, None)
        else:
            entries[name] = TreeEntry(entries[name].mode if name in entries else _NEW_FILE, blob)
    for name, below in inner.items():
        *trees, tree = _trees(repository, parent, f"{folder}/{name}".lstrip("/"), below)
        if tree.content:
            yield from (*trees, tree)
            entries[name] = TreeEntry(FOLDER, tree.id)
        else:
            entries.pop(name, None)
    yield new_tree(entries)
