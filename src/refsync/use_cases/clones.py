"""What is asked of any clone, with or without a config: what people did there, what is wrong, and that it be mended."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from refsync.clone.revisions import find_clone
from refsync.errors import RequestError
from refsync.reference.snapshot import Snapshot
from refsync.review.changes import Comparison, compare
from refsync.review.conventions import Conventions
from refsync.review.findings import Verdict, check, with_findings
from refsync.review.mending import Mended, mended_documents, mended_tables, write_mended
from refsync.review.revisions import committed, snapshots_of
from refsync.use_cases.answer import AnswerOf
from refsync.use_cases.conventions import ConfigPlace, conventions_of, probe_settings, with_repository_file


@dataclass(frozen=True)
class Question:
    """What is asked about.

    Attributes:
        directory: the clone, or a folder in it.
        base: the revision to compare with, also as ``A..B`` or ``A...B``; ``None`` for none.
        head: the revision to look at; ``None`` for the work tree.
        place: where a config is looked for.
    """

    directory: Path
    base: str | None
    head: str | None
    place: ConfigPlace


class ComparisonAnswer(AnswerOf[Comparison]):
    """What happened to which models, and which other files differ."""


class CheckAnswer(AnswerOf[Verdict]):
    """What is wrong, and what a reviewer must not miss."""


@dataclass(frozen=True)
class _Sides:
    """The two snapshots, and what holds in their clone."""

    base: Snapshot | None
    head: Snapshot
    conventions: Conventions


def compare_revisions(question: Question) -> ComparisonAnswer:
    """What people did to which models between two revisions, of which the first one is given.

    Raises:
        CloneError: there is no clone.
        ConfigError: something is wrong in the config, or it names several repositories and not this clone.
        RequestError: there is no such revision, or no category file.
    """
    sides = _sides(question)
    assert sides.base is not None  # a base is given
    return ComparisonAnswer(compare(sides.base, sides.head, sides.conventions))


def check_clone(
    question: Question, *, asks_hosts: bool = False, progress: Callable[[int, int], None] | None = None
) -> CheckAnswer:
    """The built-in checks of a clone's category files; what is wrong in the base already is no failure.

    Args:
        question: what is asked about.
        asks_hosts: whether hosts are asked about the links that changed records bring.
        progress: told of how many of them were asked about, and how many there are.

    Raises:
        CloneError: there is no clone.
        ConfigError: something is wrong in the config, or it names several repositories and not this clone.
        RequestError: there is no such revision, or no category file.
    """
    sides = _sides(question)
    before = sides.base or committed(sides.head, sides.conventions.folders)
    verdict = check(sides.head, sides.base, before, sides.conventions)
    if asks_hosts:
        from refsync.use_cases.links.checking import findings_of_hosts

        settings = probe_settings(question.place)
        more = findings_of_hosts(sides.head, before, sides.conventions, settings, progress)
        verdict = with_findings(verdict, more)
    return CheckAnswer(verdict)


def mend_clone(question: Question) -> Iterator[tuple[Path, Mended]]:
    """Mend in the work tree what can be mended without asking, each file by one rename; gives the clone with each.

    The person looks at it, and commits.

    Raises:
        CloneError: there is no clone.
        ConfigError: something is wrong in the config, or it names several repositories and not this clone.
        DocumentError: nothing can be made of a table.
        RequestError: another revision than the work tree is asked about.
    """
    sides = _sides(question)
    if sides.head.commit is not None:
        raise RequestError("--fix mends the work tree: leave HEAD out")
    for kind in (mended_documents, mended_tables):
        for mended in kind(sides.head, sides.conventions):
            write_mended(sides.head.clone, mended)
            yield sides.head.clone, mended


def _sides(question: Question) -> _Sides:
    clone = find_clone(question.directory)
    configured = conventions_of(question.place, clone)
    base, head = snapshots_of(clone, question.base, question.head, configured.folders)
    conventions = with_repository_file(configured, base or committed(head, ("",)))
    if set(conventions.folders) - set(configured.folders):
        base, head = snapshots_of(clone, question.base, question.head, conventions.folders)
    return _Sides(base, head, conventions)
