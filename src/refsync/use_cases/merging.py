"""Git's merges of category files, in any clone: record by record, by the rules of a landing."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from refsync.categories import CategoryDescriptor
from refsync.clone.merge_driver import give_files_to_driver, merge_text, name_driver
from refsync.clone.revisions import at_work_tree, find_clone
from refsync.commands import command
from refsync.documents.file_merge import FileMerge
from refsync.documents.merge import describe_conflict
from refsync.documents.record_merge import RecordConflict
from refsync.errors import CloneError, DocumentError, RequestError
from refsync.file_patterns import is_pattern
from refsync.metadata.records import STAMPS
from refsync.reference.kinds import kind_of
from refsync.review.category_files import CategoryFile, category_files, tables
from refsync.review.conventions import Conventions
from refsync.use_cases.answer import Answer, Text
from refsync.use_cases.conventions import ConfigPlace, conventions_at_head

DRIVER = "refsync"


class ConflictAnswer(Answer):
    """A record that a person has to decide about.

    ``kind`` says whether both sides changed it, or one changed what the other removed; ``difference`` names the fields
    that both changed, with their values.
    """

    model: str
    kind: Literal["both_changed", "we_removed", "they_removed"]
    difference: str | None


class MergeAnswer(Answer):
    """What a merge made of one file.

    ``as_text`` is why git's own merge of text had to do it, where the versions are no records that can be merged.
    """

    file: Text
    created: list[str]
    updated: list[str]
    deleted: list[str]
    conflicts: list[ConflictAnswer]
    as_text: str | None = None
    text_conflicts: int = 0

    @property
    def is_merged(self) -> bool:
        """Whether nothing is left to decide."""
        return not self.conflicts and not self.text_conflicts


class InstalledAnswer(Answer):
    """The files that git gives to the driver from now on, and the lines that were added for it."""

    clone: Text
    files: list[Text]
    added: list[Text]


def merge_in_place(base: Path, ours: Path, theirs: Path, file: str, place: ConfigPlace) -> MergeAnswer:
    """Merge three versions of a category file into ``ours``, as git asks a merge driver to.

    Args:
        base: what both came of; empty where both have added the file.
        ours: our version, which becomes the merged one, with conflict markers around each record in conflict.
        theirs: their version.
        file: the path of the file in the clone, by which its kind is told.
        place: where a config is looked for, which tells of categories of one's own.

    Raises:
        ConfigError: something is wrong in the config.
        OSError: a version cannot be read, or the result not written.
    """
    versions = (path.read_bytes() for path in (base, ours, theirs))
    try:
        merge = kind_of(_category(file, place), file).merge(*versions, stamps=STAMPS)
    except DocumentError as problem:
        return MergeAnswer(
            file=file,
            created=[],
            updated=[],
            deleted=[],
            conflicts=[],
            as_text=str(problem),
            text_conflicts=merge_text(base, ours, theirs),
        )
    ours.write_bytes(merge.content)
    return _told(file, merge)


def _category(file: str, place: ConfigPlace) -> CategoryDescriptor | None:
    """Whose file it is, by the conventions of the clone that git is at work in; ``None`` where no category has it."""
    try:
        conventions = conventions_at_head(place, find_clone(Path.cwd()))
    except CloneError:  # files anywhere else
        return None
    found = category_files([file], conventions)
    return conventions.catalogue[found[0].category] if found else None


def install_driver(directory: Path, place: ConfigPlace, program: Sequence[str]) -> InstalledAnswer:
    """Have git merge the category files of a clone by refsync, there and for whoever commits ``.gitattributes``.

    Args:
        directory: the clone, or a folder in it.
        place: where a config is looked for.
        program: the command line of refsync itself, as git shall call it.

    Raises:
        CloneError: there is no clone.
        RequestError: it has no work tree, or no category file.
    """
    clone = find_clone(directory)
    conventions = conventions_at_head(place, clone)
    paths = at_work_tree(clone, conventions.folders).files
    files = [_patterned(each, conventions) for each in category_files(paths, conventions)]
    files = list(dict.fromkeys([*files, *(each.path for each in tables(paths, conventions))]))
    if not files:
        raise RequestError(f"{clone}: has no category file that could be merged")
    config = [command("--config", place.file.absolute())] if place.file else []
    command_line = " ".join([*program, *config, "merge %O %A %B %P"])
    name_driver(clone, DRIVER, "model references, record by record", command_line)
    return InstalledAnswer(clone=str(clone), files=files, added=give_files_to_driver(clone, DRIVER, files))


def _patterned(file: CategoryFile, conventions: Conventions) -> str:
    """The file, or the pattern that means it and those that are to come."""
    usual = conventions.catalogue[file.category].v2_file
    return usual if is_pattern(usual) else file.path


def _told(file: str, merge: FileMerge) -> MergeAnswer:
    return MergeAnswer(
        file=file,
        created=[model for model in merge.taken if model in merge.created],
        updated=[model for model, record in merge.taken.items() if record is not None and model not in merge.created],
        deleted=[model for model, record in merge.taken.items() if record is None],
        conflicts=[_conflict(each) for each in merge.conflicts],
    )


def _conflict(conflict: RecordConflict) -> ConflictAnswer:
    if conflict.fields is not None:
        difference = describe_conflict(conflict.fields, words=("was", "ours", "theirs"))
        return ConflictAnswer(model=conflict.model, kind="both_changed", difference=difference)
    kind: Literal["we_removed", "they_removed"] = "we_removed" if conflict.ours is None else "they_removed"
    return ConflictAnswer(model=conflict.model, kind=kind, difference=None)
