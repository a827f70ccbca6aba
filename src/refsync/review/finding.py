"""What a check finds, and the rules that it goes by."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum


class Rule(StrEnum):
    """What a reference is checked for; each can be switched off by its name."""

    missing_file = "missing-file"
    """A category file that was there, or that the config lists, is."""
    regular_file = "regular-file"
    """A category file is a file, no symbolic link or folder."""
    syntax = "syntax"
    """A category file can be read: UTF-8, JSON, finite numbers, an object of models, no traces of a merge."""
    duplicate_key = "duplicate-key"
    """No object has a key twice."""
    lost_record = "lost-record"
    """What was a record still is one."""
    no_record = "no-record"
    """A member of a category file that is no record; a note."""
    name_unlike_key = "name-unlike-key"
    """A record's name is its key, where the file's records keep to that."""
    look_alike = "look-alike"
    """No two names look alike, and none stands twice in a table."""
    dump = "dump"
    """A legacy image file that was dumped in fixed field order still is."""
    row = "row"
    """Something can be made of every row of a table."""
    formula = "formula"
    """A cell of a table that a spreadsheet would run; a note."""
    derived = "derived"
    """The document beside a table is what the table makes."""
    lost_in_merge = "lost-in-merge"
    """A merge has every model that none of its parents dropped."""
    link_gone = "link-gone"
    """What a record links to is there; looked at with ``--links``, as the next two are."""
    link_changed = "link-changed"
    """A file has the hash and the size that the record tells."""
    link_unsure = "link-unsure"
    """Whether a link holds cannot be told; a note."""
    schema_file = "schema-file"
    """The schema that the config names is there and can be used."""
    record_rule = "record-rule"
    """A changed record keeps the rules that it kept before: those of its category's schema and of the config."""
    deleted = "deleted"
    """How many models are gone; a note."""
    critical_fields = "critical-fields"
    """Which critical fields were changed; a note."""


@dataclass(frozen=True)
class Finding:
    """Something to mend; ``line`` is not a part of what it is, since others' edits move it.

    ``field_path`` is the field of the record that it is about, where it is about one.
    """

    rule: Rule
    file: str
    line: int | None = field(compare=False)
    model: str | None
    what: str
    mend: str
    field_path: str | None = None
