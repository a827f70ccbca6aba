"""A record filled from what the host of a URL tells, shown before it is submitted, and with where it comes from."""

from __future__ import annotations

import json
import os
import pty
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refsync.categories import MODEL_REFERENCE_CATEGORY, SPECIFIED
from refsync.hosts.description import Description, FileTold, Told
from refsync.hosts.filling import CannotFillError, edited_record, new_record
from refsync.hosts.link import Link, links_of
from refsync.hosts.verdict import Found, Standing
from refsync.link_fields import LinkFields
from tests.support.command_line import Desk
from tests.support.hosts import Host, serving
from tests.support.hosts import Told as Answered

A, B = "a" * 64, "b" * 64
FILE = "stable_diffusion.json"
ADD = ("queue", "add", "create", "image_generation")


def neighbour(number: int, **fields: Any) -> dict[str, Any]:
    record = {
        "name": f"Model {number}",
        "baseline": "stable diffusion 1" if number % 2 else "stable_diffusion_xl",
        "type": "ckpt",
        "description": f"About {number}.",
        "version": f"{number}.0",
        "style": ("anime", "other")[number % 2],
        "homepage": f"https://example.org/{number}",
        "nsfw": bool(number % 2),
        "config": {
            "files": [{"path": f"{number}.safetensors", "sha256sum": f"{number}" * 64}],
            "download": [
                {"file_name": f"{number}.safetensors", "file_path": "", "file_url": f"https://example.org/{number}"}
            ],
        },
        "trigger": [f"word {number}"],
        "size_on_disk_bytes": number + 1,
    }
    return record | fields


NEIGHBOURS = {f"Model {number}": neighbour(number) for number in range(6)}


@pytest.fixture
def host() -> Iterator[Host]:
    with serving() as host:
        yield host


@pytest.fixture
def desk(tmp_path: Path, host: Host) -> Desk:
    config = f'[probe]\nallow_private = true\nhugging_face = "{host.url}"\ncivitai = "{host.url}"\n'
    return Desk.at(tmp_path, config, {FILE: NEIGHBOURS, "clip.json": {}})


def civitai(host: Host) -> str:
    file = {"name": "nova_v9.safetensors", "sizeKB": 6.5, "hashes": {"SHA256": A.upper()}, "primary": True}
    return host.on_civitai(
        7,
        file,
        name="v9.0",
        modelId=12,
        model={"name": "Nova  Flat\nXL", "nsfw": True},
        baseModel="Illustrious",
        trainedWords=["flat", ""],
        description="<p>An <b>anime</b> model.</p><script>alert(1)</script>",
    )


def test_civitai_tells_a_whole_record_in_the_order_of_its_neighbours(desk: Desk, host: Host) -> None:
    url = civitai(host)
    shown = desk(*ADD, "--from", url, "--dry-run").done
    record = shown.json
    assert record == {
        "name": "Nova Flat XL",
        "baseline": "stable_diffusion_xl",
        "type": "ckpt",
        "description": "An anime model.",
        "version": "v9.0",
        "homepage": f"{host.url}/models/12?modelVersionId=7",
        "nsfw": True,
        "config": {
            "files": [{"path": "nova_v9.safetensors", "sha256sum": A}],
            "download": [{"file_name": "nova_v9.safetensors", "file_path": "", "file_url": url}],
        },
        "trigger": ["flat"],
        "size_on_disk_bytes": 6656,
    }
    assert list(record) == [field for field in NEIGHBOURS["Model 0"] if field != "style"]
    assert "all other records have style: fill that in" in shown.err
    assert "note: baseline: baseModel\n" in shown.err
    assert desk("queue", "list", "--json").done.json["total"] == 0

    page = f"{host.url}/models/12/nova?modelVersionId=7"
    assert desk(*ADD, "--from", page, "--dry-run").done.json == record


def test_a_model_that_civitai_gives_no_name_is_called_as_its_file_is(desk: Desk, host: Host) -> None:
    url = host.on_civitai(7, {"name": "nova_v9.safetensors", "sizeKB": 6.5}, model={"name": " "})
    assert desk(*ADD, "--from", url, "--dry-run").done.json["name"] == "nova_v9"
    assert desk(*ADD, "Nova", "--from", url, "--dry-run").done.json["name"] == "Nova"


def test_hugging_face_tells_file_name_and_homepage(desk: Desk, host: Host) -> None:
    url = host.on_hugging_face("/XpucT/Deliberate/resolve/main/Deliberate%20v5.safetensors", A, 7)
    record = desk(*ADD, "--from", url.replace("/resolve/", "/blob/") + "?download=true", "--dry-run").done.json
    assert (record["name"], record["homepage"]) == ("Deliberate", f"{host.url}/XpucT/Deliberate")
    assert record["config"]["download"][0]["file_url"] == url
    assert record["config"]["files"] == [{"path": "Deliberate v5.safetensors", "sha256sum": A}]
    assert record["size_on_disk_bytes"] == 7
    assert desk("queue", "add", "create", "clip", "--from", url, "--dry-run").done.json["name"] == "Deliberate"


def test_what_is_submitted_says_where_it_comes_from_and_its_link_is_known(desk: Desk, host: Host) -> None:
    url = civitai(host)
    rest = json.dumps({"style": "anime", "description": "My own words."}).encode()
    change = desk(*ADD, "Nova", "--from", url, "--payload", "-", "--json", stdin=rest).done.json
    assert change["model_name"] == change["payload"]["name"] == "Nova"
    assert change["payload"]["description"] == "My own words."
    evidence = change["request_metadata"]["evidence"]
    assert evidence["url"] == url
    assert evidence["asked"] == f"{host.url}/api/v1/model-versions/7"
    assert evidence["fields"]["config.files[0].sha256sum"] == "files[].hashes.SHA256"
    assert evidence["fields"]["type"] == "the same in all others"
    assert not {"style", "description"} & set(evidence["fields"])
    assert [link["verdict"] for link in change["links"]] == ["good"]
    assert len(host.asked) == 1

    shown = desk("queue", "show", 1).done.out
    assert f"\n  filled from  {host.url}/api/v1/model-versions/7, as who submitted it says\n" in shown
    assert "               nsfw: model.nsfw\n" in shown
    assert "nsfw (model.nsfw)" in desk("queue", "diff", 1).done.out
    assert desk.land(1)
    assert list(desk.clone.records(FILE)["Nova"]) == list(NEIGHBOURS["Model 0"])


def test_an_update_takes_another_file_and_leaves_the_rest(desk: Desk, host: Host) -> None:
    url = civitai(host)
    update = ("queue", "add", "update", "image_generation", "Model 1", "--from", url)
    record = desk(*update, "--dry-run").done.json
    config = {
        "files": [{"path": "nova_v9.safetensors", "sha256sum": A}],
        "download": [{"file_name": "nova_v9.safetensors", "file_path": "", "file_url": url}],
    }
    assert record == {**NEIGHBOURS["Model 1"], "config": config, "size_on_disk_bytes": 6656}
    assert desk(*update).done.out == "1\n"
    assert desk("queue", "add", "update", "image_generation", "none", "--from", url).refusal.startswith(
        "image_generation has no model 'none' in what has landed"
    )


def test_in_a_list_a_new_record_has_the_field_that_it_is_known_by(desk: Desk, host: Host) -> None:
    own = '[[category]]\nname = "own"\nfile = "own.json"\nrecords = "models[id]"\nlinks = { url = "url" }\n'
    desk.configure(f"{own}[probe]\nallow_private = true\n")
    desk.clone.commit({"own.json": {"models": [{"id": "a", "url": "https://example.org/a"}]}})
    url = host.at("/new.bin", Answered(headers={"Content-Length": "7"}))
    assert desk("queue", "add", "create", "own", "--from", url, "--dry-run").done.json == {"id": "new", "url": url}


@pytest.mark.slow
def test_a_person_is_shown_the_record_and_asked(desk: Desk, host: Host) -> None:
    url = civitai(host)
    for said, code, total in ((b"n\n", 1, 0), (b"y\n", 0, 1)):
        ours, theirs = pty.openpty()
        with desk.running(*ADD, "--from", url, stdin=theirs) as process:
            os.write(ours, said)
            out, err = process.communicate(timeout=60)
        os.close(ours)
        os.close(theirs)
        assert process.returncode == code, err
        assert '"name": "Nova Flat XL"' in err.decode()
        assert "Submit this? [y/N]" in err.decode()
        assert desk("queue", "list", "--json").done.json["total"] == total
    assert out == b"1\n"


@pytest.mark.parametrize(
    ("path", "answer", "refusal"),
    [
        ("/o/r/resolve/main/f", Answered(404), "the host has no such file"),
        ("/o/r/resolve/main/f", Answered(403), "the host tells only those who log in; give the record by --payload"),
        ("/o/r/resolve/main/f", Answered(500), "the host answers with status 500"),
        ("/api/download/models/7", Answered(content=b"[]"), "the host answers what Civitai does not"),
        ("/api/download/models/8", Answered(), "the host has no such file"),
    ],
)
def test_a_url_of_which_nothing_is_told_is_refused(
    desk: Desk, host: Host, path: str, answer: Answered, refusal: str
) -> None:
    host.at(path.replace("/download/models/7", "/v1/model-versions/7"), answer)
    url = host.url + path
    assert desk(*ADD, "--from", url).refusal == f"{url}: {refusal}"


@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        (("create", "image_generation"), "name the model"),
        (("create", "image_generation", "m", "--dry-run"), "--dry-run shows what --from fills in: give a URL"),
        (
            ("delete", "image_generation", "m", "--from", "u"),
            "a delete takes no payload: leave --payload and --from out",
        ),
        (("update", "image_generation", "--from", "u"), "say which model is to be updated"),
        (("create", "text_generation", "--from", "u"), "no repository of the config holds text_generation; held are: "),
        (("create", "clip", "--from", "ftp://u/x"), "ftp://u/x: it is no http(s) URL"),
        (("create", "clip", "--from", "http://127.0.0.1:1/"), "http://127.0.0.1:1/: 127.0.0.1 refuses the connection"),
    ],
)
def test_what_cannot_be_filled_is_refused_in_one_line(desk: Desk, words: tuple[str, ...], refusal: str) -> None:
    assert desk("queue", "add", *words).refusal.startswith(refusal)


def test_evidence_that_makes_no_sense_is_not_shown(desk: Desk) -> None:
    for evidence in (7, {"url": 7}, {"url": "u", "asked": "a", "asked_at": 1, "fields": {"a": []}}):
        line = {
            "operation": "create",
            "category": "clip",
            "model_name": "m",
            "payload": {},
            "request_metadata": {"evidence": evidence},
        }
        assert desk("queue", "import", "-", stdin=json.dumps(line).encode()).done
    assert all("filled" not in desk("queue", "show", number).done.out for number in (1, 2, 3))


# What filling keeps to, whatever it is given

IMAGE = SPECIFIED[MODEL_REFERENCE_CATEGORY.image_generation].links
assert IMAGE is not None
KEYS = ("config", "download", "files", "file_url", "file_name", "path", "sha256sum", "size_on_disk_bytes", "name")
VALUES = st.recursive(
    st.sampled_from([None, 7, "x", A]),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=8,
)
RECORDS = st.dictionaries(st.sampled_from(KEYS), VALUES, max_size=4)
TOLD = Description(
    "asked",
    Found(Standing.there, A, 7),
    FileTold(Told("https://example.org/f", "URL"), Told("f", "URL"), Told(A, "sha"), Told(7, "size")),
    {"name": Told("m", "name")},
)


def test_a_dot_that_belongs_to_a_key_has_a_backslash_before_it_as_in_all_dotted_paths() -> None:
    fields = LinkFields(url=r"v1\.0.files[].u\.rl", sha256=r"v1\.0.files[].sha")
    filled = new_record({}, TOLD, fields, [], "m").record
    assert filled["v1.0"] == {"files": [{"u.rl": "https://example.org/f", "sha": A}]}
    assert links_of(filled, fields) == [Link("https://example.org/f", A)]


@settings(max_examples=60)
@given(RECORDS, st.lists(RECORDS, max_size=6))
def test_a_new_record_has_its_link_and_all_that_was_given(known: dict[str, Any], neighbours: list[Any]) -> None:
    assert IMAGE is not None
    before = json.dumps([known, neighbours])
    try:
        filled = new_record(known, TOLD, IMAGE, neighbours, "m")
    except CannotFillError:
        return
    assert json.dumps([known, neighbours]) == before
    assert set(known) <= set(filled.record)
    assert links_of(filled.record, IMAGE)[0].url == "https://example.org/f"
    assert filled.sources["config.download[0].file_url"] == "URL"


@settings(max_examples=60)
@given(RECORDS)
def test_an_edited_record_differs_where_its_file_is_told_and_nowhere_else(record: dict[str, Any]) -> None:
    assert IMAGE is not None
    try:
        filled = edited_record(record, TOLD, IMAGE)
    except CannotFillError:
        return
    if filled is not None:
        assert "https://example.org/f" in [link.url for link in links_of(filled.record, IMAGE)]
        changed = {key for key in {*record, *filled.record} if record.get(key) != filled.record.get(key)}
        assert changed <= {"config", "size_on_disk_bytes"}
