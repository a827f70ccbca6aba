"""What holds in one clone: where its category files are, which fields are critical, which rules are switched off."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace

from refsync.categories import SPECIFIED, CanonicalFormat, Catalogue, CategoryDescriptor, CategoryName, Layout
from refsync.pending_queue.diffs import critical_fields
from refsync.review.finding import Rule
from refsync.rules.category_rules import CategoryRules


@dataclass(frozen=True)
class Conventions:
    """What a config says of a clone; without one, files have the layouts' usual names.

    Attributes:
        files: the files that records are read from; ``None`` where no config tells.
        layout: the layout of those.
        tables: the tables of those that are made from one, by category.
        listed: the files that the config names itself; they have to be there.
        critical: the critical fields of categories that have other ones than usual.
        switched_off: the rules that a check leaves out.
        rules: what the records of categories have to be like.
        source: the config, for people.
        catalogue: which categories there are.
    """

    files: Mapping[CategoryName, Mapping[CanonicalFormat, str]] | None = None
    layout: Layout = Layout.upstream
    tables: Mapping[CategoryName, str] = field(default_factory=dict)
    listed: Mapping[CategoryName, str] = field(default_factory=dict)
    critical: Mapping[CategoryName, tuple[str, ...]] = field(default_factory=dict)
    switched_off: frozenset[Rule] = frozenset()
    rules: Mapping[CategoryName, CategoryRules] = field(default_factory=dict)
    source: str | None = None
    catalogue: Catalogue = SPECIFIED

    @property
    def folders(self) -> tuple[str, ...]:
        """The folders of a clone that have to be looked into, each with its final slash."""
        own = [each.v2_file for each in self.catalogue.descriptors.values() if each.is_own]
        files = own + [file for by_format in (self.files or {}).values() for file in by_format.values()]
        schemas = filter(None, (each.schema_file for each in self.rules.values()))
        named = (file.rpartition("/")[0] for file in (*files, *self.tables.values(), *schemas))
        return tuple(dict.fromkeys(("", "legacy/", *(f"{folder}/" for folder in named if folder))))

    def with_own(
        self,
        descriptors: Iterable[CategoryDescriptor],
        switched_off: frozenset[Rule],
        rules: Mapping[CategoryName, CategoryRules],
    ) -> Conventions:
        """The same with what a repository says of itself, of which what is known here already counts for nothing.

        Args:
            descriptors: its categories.
            switched_off: the rules that it leaves out; a config has the word on those.
            rules: what the records of categories have to be like, where no config says so.
        """
        used = {file for by_format in (self.files or {}).values() for file in by_format.values()}
        own = [each for each in descriptors if each.category not in self.catalogue and each.v2_file not in used]
        files = self.files and {**self.files, **{each.category: each.files(self.layout) for each in own}}
        off = self.switched_off if self.source else switched_off
        ruled = {**rules, **self.rules}
        return replace(self, files=files, switched_off=off, rules=ruled, catalogue=self.catalogue.with_own(own))

    def critical_fields(self, category: CategoryName) -> tuple[str, ...]:
        """The dotted paths in a category's records that a reviewer must not miss."""
        return critical_fields(self.catalogue[category], self.critical.get(category))


USUAL = Conventions()
"""No config."""
