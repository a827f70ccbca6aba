from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable
from weakref import ref

import pytest
from hypothesis import given
from hypothesis import strategies as st

from refsync.categories import MODEL_REFERENCE_CATEGORY, SPECIFIED
from refsync.clone.objects import blob_id
from refsync.documents.json_document import read_records
from refsync.errors import DocumentError
from refsync.reference.kinds import readable_records_at, records_at
from refsync.reference.versions import Version, VersionCache, Versions, versions_in_order
from refsync.reference.view import View

CLIP = SPECIFIED[MODEL_REFERENCE_CATEGORY.clip]
TEXTS = (
    b"{}",
    b'{"a": {"n": 2.50}}',
    b'{"a": 1, "a": {}}',
    b'{"a": {"a": 1, "a": 2}}',
    b'{"a": NaN}',
    b"[",
    b"\xff",
    b"",
)
DEEP = b'{"b": {}, "a": ' + b"[" * 200 + b"]" * 200 + b"}"


def outcome(content: bytes, *, editable: bool | None) -> object:
    try:
        return read_records(content) if editable is None else Version(content, editable=editable).records()
    except DocumentError as fault:
        return str(fault)


@pytest.mark.parametrize("content", [*TEXTS, DEEP, b'{"a": {"x": ' + b"{" + DEEP[1:] + b"}}"])
def test_records_are_the_same_whether_or_not_they_can_be_edited(content: bytes) -> None:
    expected = outcome(content, editable=None)
    assert outcome(content, editable=True) == outcome(content, editable=False) == expected


@given(st.lists(st.sampled_from(range(6)), max_size=30), st.sampled_from([0, 10, 30, 60]))
def test_a_blob_is_read_once_while_it_is_kept_and_the_last_ones_are(asked: list[int], kept: int) -> None:
    contents = {blob_id(b"%d" % number * 10): b"%d" % number * 10 for number in range(6)}
    blobs, reads = list(contents), Counter[str]()

    def read(blob: str) -> bytes:
        reads[blob] += 1
        return contents[blob]

    versions, last = Versions(read, cache=VersionCache(kept)), list[str]()
    for blob in (blobs[number] for number in asked):
        before = reads[blob]
        assert versions.of(blob).content == contents[blob]
        assert reads[blob] - before == (blob not in last[-max(kept // 10, 1) :])
        last = [each for each in last if each != blob] + [blob]


def test_what_is_about_to_be_written_need_not_be_read() -> None:
    versions = Versions(lambda blob: pytest.fail(f"{blob} was read"))
    added = versions.add(b'{"a": {}}')
    assert versions.of(blob_id(b'{"a": {}}')) is versions.add(b'{"a": {}}') is added


def test_what_one_clone_has_read_another_has_and_it_is_forgotten_once_nobody_asks() -> None:
    cache, content = VersionCache(), b'{"a": {}}'
    read = Versions(lambda blob: content, cache=cache).of(blob_id(content))
    nobody = Versions(lambda blob: pytest.fail(f"{blob} was read"), cache=cache)
    cache.forget_unused(3600)
    assert nobody.of(blob_id(content)) is read
    cache.forget_unused(-1)
    assert Versions(lambda blob: content, cache=cache).of(blob_id(content)) is not read


def test_an_edit_shares_what_stays_with_the_version_before_and_does_not_keep_that() -> None:
    before = Version(b'{"a": {"x": 1}, "b": {"y": 1}}')
    after = Version(b'{"a": {"x": 2}, "b": {"y": 1}}', made_from=before)
    assert after.document().records["b"] is before.document().records["b"]
    table = Version(b"name,...", made_from=before)
    was = ref(before)
    del before
    assert was() is None, (after, table)


def test_a_broken_version_is_parsed_once_too() -> None:
    version = Version(b"[")
    with pytest.raises(DocumentError) as first:
        _ = version.records()
    with pytest.raises(DocumentError) as second:
        _ = version.document()
    assert first.value is second.value


def test_files_that_are_held_need_no_clone() -> None:
    asked = list[str]()

    def version(path: str) -> Version | None:
        asked.append(path)
        if path == "link.json":
            raise DocumentError("it is a symbolic link")
        return Version(b'{"a": {}}') if path == "a.json" else None

    view = View(version).held(["a.json", "b.json", "link.json"])
    assert asked == ["a.json", "b.json", "link.json"]
    assert records_at(view, CLIP, "a.json") == {"a": {}}
    assert (records_at(view, CLIP, "b.json"), view.content("b.json")) == ({}, None)
    with pytest.raises(DocumentError, match="symbolic"):
        records_at(view, CLIP, "link.json")
    assert readable_records_at(view, CLIP, "link.json") == {}
    assert len(asked) == 3


def test_of_a_history_one_stream_gives_all_though_another_version_is_asked_for_in_between() -> None:
    contents = {blob_id(text): text for text in (b"{}", b'{"a": {}}', b'{"b": {}}')}
    older = blob_id(b'{"old": {}}')
    alone = list[str]()

    def read_blob(blob: str) -> bytes:
        alone.append(blob)
        return b'{"old": {}}'

    def read_blobs(blobs: Iterable[str]) -> Generator[tuple[str, bytes]]:
        yield from ((blob, contents[blob]) for blob in blobs)

    first, *rest = contents
    with versions_in_order([first, *contents], read_blobs, read_blob) as versions:
        asked = [versions.of(blob).content for blob in (first, older, *rest)]
    assert asked == [b"{}", b'{"old": {}}', *(contents[blob] for blob in rest)]
    assert alone == [older]
