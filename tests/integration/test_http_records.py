"""What anybody may read through the door: records, counters, and how it is."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.daemon import wait_for
from tests.support.door import open_door
from tests.support.reference import Reference
from tests.support.repositories import git

CLIP = b'{\n  "ViT-L/14": {"x": 1.50, "y": null},\r\n\t"b": {"n": 1E5},\n "stamp": 3\n}'
FILES: dict[str, bytes | dict[str, Any]] = {
    "clip.json": CLIP,
    "blip.json": {f"model {number}": {"name": "n" * 50} for number in range(50)},
}
V1, V2 = "/model_references/v1", "/model_references/v2"


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    made = Reference(tmp_path_factory.mktemp("door"), FILES)
    yield made
    made.close()


@pytest.fixture(scope="module")
def door(reference: Reference) -> Iterator[httpx.Client]:
    with open_door(reference.application, reference.folder) as client:
        yield client


def blob(reference: Reference, file: str) -> str:
    return git(reference.clone.path, "rev-parse", f"HEAD:{file}")


@pytest.mark.parametrize("version", [V1, V2])
def test_a_category_comes_byte_for_byte_under_the_id_of_its_blob(
    reference: Reference, door: httpx.Client, version: str
) -> None:
    got = door.get(f"{version}/clip", headers={"accept-encoding": "identity"})
    assert got.content == CLIP
    assert got.headers["etag"] == f'"{blob(reference, "clip.json")}"'
    assert got.headers["cache-control"] == "public, no-cache"
    assert got.headers["content-type"] == "application/json"


def test_who_has_it_already_gets_no_body(reference: Reference, door: httpx.Client) -> None:
    tag = blob(reference, "blip.json")
    for known in (f'"{tag}"', f'W/"{tag}"', f'"{"0" * 40}", W/"{tag}"'):
        got = door.get(f"{V1}/blip", headers={"if-none-match": known})
        assert (got.status_code, got.content) == (304, b"")
    assert door.get(f"{V1}/blip", headers={"if-none-match": f'"{"0" * 40}"'}).status_code == 200


@pytest.mark.parametrize(
    ("accepted", "packed"), [("gzip", True), ("br, gzip;q=0.5", True), ("gzip;q=0", False), ("", False)]
)
def test_it_is_packed_for_who_takes_that(reference: Reference, door: httpx.Client, accepted: str, packed: bool) -> None:
    with door.stream("GET", f"{V1}/blip", headers={"accept-encoding": accepted}) as got:
        raw = b"".join(got.iter_raw())
    assert (got.headers.get("content-encoding") == "gzip") is packed
    assert (gzip.decompress(raw) if packed else raw) == reference.clone.read("blip.json")
    assert got.headers["vary"] == "Accept-Encoding"
    assert got.headers["etag"] == f'{"W/" if packed else ""}"{blob(reference, "blip.json")}"'


@pytest.mark.parametrize("name", ["ViT-L/14", "ViT-L%2F14"])
def test_one_record_is_found_by_a_name_with_a_slash_its_numbers_as_written(door: httpx.Client, name: str) -> None:
    got = door.get(f"{V2}/clip/model/{name}")
    assert got.text == '{"x": 1.50, "y": null}'
    assert door.get(f"{V2}/clip/model/{name}", headers={"if-none-match": got.headers["etag"]}).status_code == 304


@pytest.mark.parametrize(
    "path",
    [
        f"{V2}/nothing",
        f"{V2}/lora",
        f"{V1}/video_generation",
        f"{V2}/../../etc/passwd",
        f"{V2}/..%2f..%2fclip.json",
        f"{V2}/clip/model/nobody",
        f"{V2}/clip/model/stamp",
        f"{V2}/clip/model/..%2Fclip",
        f"{V2}/clip/model/%00%0a",
        f"{V2}/clip/",
        f"{V2}/metadata/nothing",
        f"{V1}/metadata/lora/last_updated",
        "/nowhere",
    ],
)
def test_what_is_not_there_is_told_in_one_line(door: httpx.Client, path: str) -> None:
    got = door.get(path)
    assert got.status_code == 404
    assert list(got.json()) == ["detail"]
    assert got.json()["detail"].isprintable()


def test_a_wrong_method_is_refused(door: httpx.Client) -> None:
    got = door.request("PATCH", f"{V2}/clip")
    assert (got.status_code, got.json()) == (405, {"detail": "Method Not Allowed"})


@given(path=st.text(max_size=40), query=st.text(max_size=10))
@settings(max_examples=60)
def test_no_path_is_a_bug(door: httpx.Client, path: str, query: str) -> None:
    for prefix in ("/", f"{V1}/", f"{V2}/clip/model/", f"{V2}/metadata/"):
        got = door.get(prefix + quote(path.encode("utf-8", "surrogatepass"), safe="/"), params={"include_group": query})
        assert got.status_code in (200, 404, 405)


def test_counters_are_those_of_the_last_pass_in_either_version(reference: Reference, door: httpx.Client) -> None:
    reference.sync()
    counters = door.get(f"{V2}/metadata/clip").json()
    assert counters == reference.counters().model_dump(mode="json")
    assert door.get(f"{V1}/metadata/metadata").json() == door.get(f"{V2}/metadata/metadata").json()
    assert door.get(f"{V1}/metadata/metadata").json()["clip"] == counters
    at = counters["last_updated"]
    assert door.get(f"{V2}/metadata/clip/last_updated").json() == {"category": "clip", "last_updated": at}
    assert door.get(f"{V2}/metadata/last_updated").json() == {"last_updated": at}


def test_it_says_what_it_is_and_how_it_is(door: httpx.Client) -> None:
    assert door.get("/livez").json() == {"status": "ok"}
    heart = {"degraded": False, "consecutive_failures": 0, "seconds_until_retry": 0}
    assert door.get("/heartbeat").json() == {"status": "ok", "ai_horde": heart}
    mode = {"replicate_mode": "PRIMARY", "canonical_format": "legacy", "writable": True}
    assert door.get("/replicate_mode").json() == mode
    assert "clip" in door.get(f"{V1}/model_categories").json()
    assert "lora" not in door.get(f"{V2}/model_categories").json()
    assert list(door.get(f"{V2}/info").json()) == ["message"]
    assert "/readyz" in door.get("/openapi.json").json()["paths"]


def test_it_is_ready_once_a_daemon_has_made_a_pass(tmp_path: Path) -> None:
    reference = Reference(tmp_path, FILES, more='serve = { replicate_mode = "string" }')
    with open_door(reference.application, tmp_path) as door:
        got = door.get("/readyz")
        assert (got.status_code, got.json()["ready"]) == (503, False)
        assert got.json()["problems"] == ["image: there was no pass yet; is the daemon running?"]
        reference.sync()
        assert door.get("/readyz").json() == {"ready": True, "problems": []}
        assert door.get("/replicate_mode").json() == "PRIMARY"
        reference.clone.path.rename(tmp_path / "away")
        (problem,) = door.get("/readyz").json()["problems"]
        assert "cannot be read" in problem
    reference.close()


def test_a_change_of_a_file_is_served_at_once_and_a_broken_one_never(tmp_path: Path) -> None:
    reference = Reference(tmp_path, FILES)
    with open_door(reference.application, tmp_path) as door:
        before = door.get(f"{V2}/clip").headers["etag"]
        reference.clone.commit({"clip.json": {"new": {"x": 1}}})
        wait_for("the new file is served", lambda: door.get(f"{V2}/clip").headers["etag"] != before)
        assert door.get(f"{V2}/clip").content == reference.clone.read("clip.json")
        reference.clone.write("clip.json", b"{ broken")
        for _ in range(3):
            assert json.loads(door.get(f"{V2}/clip").content) == {"new": {"x": 1}}
    with open_door(reference.open(), tmp_path) as door:  # that never saw a good one
        got = door.get(f"{V2}/clip")
        assert (got.status_code, got.headers["retry-after"]) == (503, "5")
        assert "clip.json" in got.json()["detail"]
        assert door.get(f"{V2}/blip").status_code == 200
    reference.close()
