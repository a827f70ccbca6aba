"""Hosts are asked whether what records say of their files is true, without downloading them."""

from __future__ import annotations

import ipaddress
import socket
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refsync.categories import MODEL_REFERENCE_CATEGORY, SPECIFIED
from refsync.file_locks import locked_within
from refsync.hosts import addresses
from refsync.hosts.asking import MOST_BYTES, Asking
from refsync.hosts.link import Link, links_of
from refsync.hosts.probing import Hosts, Probed, Prober
from refsync.hosts.verdict import Verdict
from refsync.use_cases.links import probing
from tests.support.command_line import Desk
from tests.support.hosts import Host, Told, record_linking, serving

A, B = "a" * 64, "b" * 64


@pytest.fixture
def host() -> Iterator[Host]:
    with serving() as host:
        yield host


def probe(
    host: Host, *links: Link, pauses: list[float] | None = None, timeout: float = 5.0, most: int = 100
) -> list[Probed]:
    prober = Prober(
        Asking(allows_private=True, timeout_seconds=timeout, most=lambda name: most),
        Hosts(host.url, host.url),
        pause=(pauses if pauses is not None else []).append,
    )
    found = {probed.link: probed for probed in prober.probe(links)}
    return [found[link] for link in links]


def verdicts(host: Host, *links: Link) -> list[Verdict]:
    return [probed.verdict for probed in probe(host, *links)]


@pytest.mark.parametrize("quoted", ['"{}"', 'W/"{}"', "{}"])
def test_hugging_face_tells_hash_and_size_and_its_store_is_not_asked(host: Host, quoted: str) -> None:
    url = host.on_hugging_face("/org/repo/resolve/main/model.safetensors", A, 7, quoted=quoted)
    assert verdicts(host, Link(url, A, 7), Link(url, B, 7), Link(url, A, 8), Link(url)) == [
        Verdict.good,
        Verdict.changed,
        Verdict.changed,
        Verdict.good,
    ]
    assert {path for _, path in host.asked} == {"/org/repo/resolve/main/model.safetensors"}
    assert {verb for verb, _ in host.asked} == {"HEAD"}
    assert all("refsync" in agent for agent in host.agents)


def test_a_repository_that_is_gone_is_told_from_one_that_asks_for_a_login(host: Host) -> None:
    gated, gone = ("/o/r/resolve/main/gated", "/o/r/resolve/main/gone")
    host.at(gated, Told(403, {"X-Error-Code": "GatedRepo"}))
    host.at(gone, Told(401, {"X-Error-Code": "RepoNotFound"}))
    assert verdicts(
        host, Link(host.url + gated), Link(host.url + gone), Link(f"{host.url}/o/r/resolve/main/never")
    ) == [
        Verdict.login_needed,
        Verdict.gone,
        Verdict.gone,
    ]


def test_a_repository_that_was_renamed_is_followed_on_its_host(host: Host) -> None:
    host.on_hugging_face("/new/r/resolve/main/f", A, 7)
    host.at("/old/r/resolve/main/f", Told(307, {"Location": "/new/r/resolve/main/f"}))
    assert verdicts(host, Link(f"{host.url}/old/r/resolve/main/f", B)) == [Verdict.changed]


def test_civitai_tells_the_hash_of_the_file_that_is_meant(host: Host) -> None:
    files: list[dict[str, Any]] = [
        {"name": "pruned", "sizeKB": 2.5, "hashes": {"SHA256": B.upper()}, "downloadUrl": "elsewhere"},
        {"name": "full", "sizeKB": 7, "hashes": {"SHA256": A.upper()}, "primary": True},
    ]
    url = host.on_civitai(7, *files)
    assert verdicts(host, Link(url, A, 7168), Link(url, B, 2560), Link(url, "c" * 64)) == [
        Verdict.good,
        Verdict.good,
        Verdict.changed,
    ]


def test_a_version_that_is_gone_is_looked_for_by_its_hash(host: Host) -> None:
    there = host.on_civitai(8, {"hashes": {"SHA256": A}, "downloadUrl": "https://civitai.com/api/download/models/8"})
    host.files[f"/api/v1/model-versions/by-hash/{A}"] = host.files["/api/v1/model-versions/8"]
    (probed,) = probe(host, Link(there.replace("/8", "/7"), A))
    assert (probed.verdict, probed.found.elsewhere) == (Verdict.gone, "https://civitai.com/api/download/models/8")


@pytest.mark.parametrize(
    "lie", [b"", b"no JSON", b"[]", b"{" * 100_000, b'{"files": 7}', b'{"files": [{"sizeKB": 1e400}]}', b"\xff"]
)
def test_what_civitai_never_answers_is_unknown(host: Host, lie: bytes) -> None:
    url = host.on_civitai(7)
    host.files["/api/v1/model-versions/7"] = Told(content=lie)
    (probed,) = probe(host, Link(url))
    assert (probed.verdict, probed.found.why) == (Verdict.unknown, "the host answers what Civitai does not")


def test_any_other_host_is_asked_for_the_size(host: Host) -> None:
    head = host.at("/head", Told(headers={"Content-Length": "7"}))
    here = host.at("/here", Told(302, {"Location": "/head"}))
    only_get = iter([Told(405), Told(206, {"Content-Range": "bytes 0-0/9"}, b"x")])
    host.files["/get"] = lambda: next(only_get)
    assert verdicts(host, Link(head, size=7), Link(here, size=8), Link(f"{host.url}/get", size=9)) == [
        Verdict.good,
        Verdict.changed,
        Verdict.good,
    ]


def test_of_an_endless_file_nothing_is_read_and_an_endless_answer_is_cut_off(host: Host) -> None:
    endless = iter([Told(405), Told(endless=True)])
    host.files["/endless"] = lambda: next(endless)
    url = host.on_civitai(7)
    host.files["/api/v1/model-versions/7"] = Told(endless=True)
    assert verdicts(host, Link(f"{host.url}/endless", size=9), Link(url)) == [Verdict.good, Verdict.unknown]
    assert MOST_BYTES < 16 * 1024 * 1024


def test_a_host_that_redirects_without_end_or_is_slow_is_unknown(host: Host) -> None:
    host.at("/circle", Told(302, {"Location": "/circle"}))
    host.at("/slow", Told(seconds=1.0))
    (circle,) = probe(host, Link(f"{host.url}/circle"))
    (slow,) = probe(host, Link(f"{host.url}/slow"), timeout=0.2)
    assert circle.found.why == "it redirects without end"
    assert slow.verdict is Verdict.unknown
    assert "does not answer within 0.2 seconds" in str(slow.found.why)


def test_a_host_is_asked_one_question_at_a_time_and_waits_are_kept(host: Host) -> None:
    answers = iter([Told(429, {"Retry-After": "7"}), Told(headers={"Content-Length": "1"})])
    host.files["/busy"] = lambda: next(answers)
    links = [Link(f"{host.url}/busy"), *(Link(host.at(f"/{number}", Told(seconds=0.01))) for number in range(5))]
    pauses: list[float] = []
    assert {probed.verdict for probed in probe(host, *links, pauses=pauses)} == {Verdict.good}
    assert host.most_at_once == 1
    assert sum(7 <= pause < 8 for pause in pauses) == 1
    assert sum(0.2 <= pause <= 0.4 for pause in pauses) == 5


def test_a_host_may_ask_to_wait_until_a_moment_that_has_passed(host: Host) -> None:
    answers = iter([Told(503, {"Retry-After": "Thu, 01 Jan 2026 00:00:00 GMT"}), Told(headers={"Content-Length": "1"})])
    host.files["/busy"] = lambda: next(answers)
    pauses: list[float] = []
    assert [each.verdict for each in probe(host, Link(f"{host.url}/busy"), pauses=pauses)] == [Verdict.good]
    assert all(0 <= pause < 1 for pause in pauses)


def test_a_host_that_asks_to_wait_for_long_is_left_alone(host: Host) -> None:
    host.at("/busy", Told(503, {"Retry-After": "3600"}))
    probed = probe(host, Link(f"{host.url}/busy"), Link(host.at("/next", Told())))
    assert [each.verdict for each in probed] == [Verdict.unknown, Verdict.unknown]
    assert probed[1].found.why == "127.0.0.1 asks to wait"
    assert [path for _, path in host.asked] == ["/busy", "/busy"]


def test_a_host_is_asked_no_more_often_in_a_day_than_it_may_be(host: Host) -> None:
    links = [Link(host.at(f"/{number}", Told())) for number in range(3)]
    assert [each.verdict for each in probe(host, *links, most=1)] == [Verdict.good, Verdict.unknown, Verdict.unknown]
    assert len(host.asked) == 1


@pytest.mark.parametrize(
    "url",
    [
        "http://127.0.0.1:1/f",
        "http://localhost:1/f",
        "http://[::1]:1/f",
        "http://[::ffff:127.0.0.1]:1/f",
        "http://0.0.0.0:1/f",
        "http://169.254.169.254/latest/meta-data",
        "http://10.0.0.1/f",
        "http://2130706433/f",
        "http://[fe80::1]/f",
        "http://[64:ff9b::7f00:1]/f",
    ],
)
def test_a_private_address_is_never_asked(url: str) -> None:
    (probed,) = Prober(Asking(timeout_seconds=0.5)).probe([Link(url)])
    assert probed.verdict is Verdict.unknown
    assert "private network" in str(probed.found.why)


@pytest.mark.parametrize(
    "url", ["file:///etc/passwd", "ftp://example.org/f", "http://", "http://a:99999/f", "no url", "http://u:p@h/f"]
)
def test_what_is_no_plain_http_url_is_never_asked(url: str) -> None:
    (probed,) = Prober(Asking()).probe([Link(url)])
    assert probed.verdict is Verdict.unknown


def test_a_redirect_to_a_private_address_is_not_followed(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    here = ipaddress.ip_address("127.0.0.1")
    monkeypatch.setattr(addresses, "is_public", lambda address: address == here)
    with serving("127.0.0.2") as inner:
        inner.at("/secret", Told())
        host.at("/f", Told(302, {"Location": f"{inner.url}/secret"}))
        (probed,) = Prober(Asking()).probe([Link(f"{host.url}/f")])
        assert probed.verdict is Verdict.unknown
        assert inner.asked == []


def test_the_address_that_was_looked_at_is_the_one_that_is_asked(host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    """A name that means another address at each look leads nowhere else."""
    looked = []
    genuine = socket.getaddrinfo

    def look_up(name: str, *arguments: Any, **options: Any) -> Any:
        looked.append(name)
        return genuine("127.0.0.1" if name == "rebinding.example" else name, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    url = host.at("/f", Told(headers={"Content-Length": "7"})).replace("127.0.0.1", "rebinding.example")
    assert verdicts(host, Link(url, size=7)) == [Verdict.good]
    assert looked.count("rebinding.example") == 1


def test_the_command_tells_what_is_wrong_and_asks_again_only_about_what_changed(tmp_path: Path, host: Host) -> None:
    good = host.on_hugging_face("/o/r/resolve/main/good", A, 7)
    bad = host.on_hugging_face("/o/r/resolve/main/bad", B, 7)
    desk = desk_at(
        tmp_path, host, {"clip.json": {"good": record_linking(good), "bad": record_linking(bad), "none": {}}}
    )

    found = desk("probe")
    assert found.code == 1
    assert found.out == f"clip bad: sha256 is bbbbbbbbbbbb…, the record says aaaaaaaaaaaa…: {bad}\n"
    assert "2 links: 1 good, 1 changed" in found.err
    assert [check["verdict"] for check in desk("probe", "clip", "--json").json] == ["good", "changed"]
    assert len(host.asked) == 2

    desk.clone.commit({"clip.json": {"good": record_linking(good), "bad": record_linking(bad, B)}})
    assert desk("probe", "clip").done.err == "2 links: 2 good\n"
    assert len(host.asked) == 3
    assert desk("probe", "clip", "good", "--again").done
    assert len(host.asked) == 4
    assert desk("probe", "clip", "never").refusal == "clip has no model 'never' in what has landed"


def desk_at(tmp_path: Path, host: Host, files: dict[str, Any], more: str = "", probe: str = "") -> Desk:
    """A desk that asks the stand-in."""
    told = f'[probe]\nallow_private = true\nhugging_face = "{host.url}"\ncivitai = "{host.url}"\n{probe}{more}'
    return Desk.at(tmp_path, told, files)


def test_what_was_said_of_links_is_told_without_asking_and_of_those_that_are_there_now(
    tmp_path: Path, host: Host
) -> None:
    good = host.on_hugging_face("/o/r/resolve/main/good", A, 7)
    desk = desk_at(
        tmp_path,
        host,
        {"clip.json": {"a": record_linking(good), "b": record_linking(good, B), "c": record_linking(host.url)}},
    )
    assert desk("model", "show", "clip", "a", "--links").done.out == f"{good}: not asked yet\n"
    assert "  links" not in desk("status").done.out
    assert desk("probe", "clip", "a", "b").code == 1
    assert desk("model", "show", "clip", "a", "--links").done.out.startswith(f"{good}: good (")
    assert "\n  links    1 good, 1 changed: refsync probe\n" in desk("status").done.out

    desk.clone.commit({"clip.json": {"a": record_linking(good)}})
    assert desk("status", "--json").done.json["repositories"][0]["links"] == {"good": 1}
    assert desk("model", "show", "clip", "b", "--links").refusal == "clip has no model 'b' in what has landed"
    assert len(host.asked) == 2


def test_every_question_of_a_day_counts_and_not_only_the_answers_that_are_kept(tmp_path: Path, host: Host) -> None:
    here = host.at("/here", Told(302, {"Location": "/there"}))
    host.at("/there", Told(headers={"Content-Length": "7"}))
    desk = desk_at(tmp_path, host, {"clip.json": {"a": record_linking(here)}}, probe="most_a_day = 5\n")
    assert desk("probe").done
    assert desk("probe", "--again").done
    (check,) = desk("probe", "--again", "--json").done.json
    assert check["why"] == "127.0.0.1 has been asked as often today as it may be"
    assert len(host.asked) == 5


def test_one_process_of_a_machine_asks_at_a_time(tmp_path: Path, host: Host, monkeypatch: pytest.MonkeyPatch) -> None:
    desk = desk_at(tmp_path, host, {"clip.json": {"a": record_linking(host.at("/a", Told()))}})
    assert desk("status").done
    monkeypatch.setattr(probing, "_PATIENCE_SECONDS", 0.0)
    with locked_within(desk.state / "probe.lock", 1.0):
        assert "another refsync on this machine asks hosts" in desk("probe").refusal
    assert host.asked == []
    assert desk("probe").done


def test_a_probe_that_is_given_up_breaks_off_the_question_that_it_waits_for(host: Host) -> None:
    is_over = threading.Event()

    def slow() -> Told:
        is_over.wait(30)
        return Told()

    host.files["/slow"] = slow
    quick = host.at("/quick", Told()).replace("127.0.0.1", "localhost")
    prober = Prober(Asking(allows_private=True), Hosts(host.url, host.url))
    probes = prober.probe([Link(f"{host.url}/slow"), Link(quick)])
    assert next(probes).link.url == quick
    probes.close()
    assert host.at_once <= 1
    assert not is_over.is_set()
    is_over.set()


def test_links_of_a_category_of_ones_own_are_where_its_config_says(tmp_path: Path, host: Host) -> None:
    url = host.on_hugging_face("/o/r/resolve/main/f", A, 7)
    other = host.on_hugging_face("/o/r/resolve/main/g", B, 8)
    files = [{"at": url, "sha256": A, "bytes": 7}, {"at": other, "sha256": A, "bytes": 8}]
    own = """[[category]]
name = "own"
file = "own.json"
links = { url = "files[].at", sha256 = "files[].sha256", size = "files[].bytes" }
[[category]]
name = "plain"
file = "plain.json"
"""
    desk = desk_at(tmp_path, host, {"own.json": {"m": {"files": files}}, "plain.json": {"m": record_linking(url)}}, own)
    assert [check["verdict"] for check in desk("probe", "--json").json] == ["good", "changed"]
    assert desk("probe", "plain").done.err == "0 links\n"
    desk.configure(own.replace("files[].at", "files[.at"))
    assert "must be a field by its dotted path" in desk("probe").err


KEYS = ("config", "download", "files", "file_url", "file_name", "path", "sha256sum")
ANYTHING = st.recursive(
    st.sampled_from([None, 7, "", "http://[", A]),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(KEYS), inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=40)
@given(ANYTHING)
def test_any_record_has_some_links(record: Any) -> None:
    fields = SPECIFIED[MODEL_REFERENCE_CATEGORY.image_generation].links
    for link in links_of({"config": record, "size_on_disk_bytes": record}, fields):
        assert len(link.key) == 64
        assert isinstance(link.host, str)


def test_text_that_no_database_takes_is_no_trouble(tmp_path: Path, host: Host) -> None:
    urls = [f"{host.url}/\0", f"{host.url}/\ud800", "http://\0/", "http://a\ud800b/", f"http://{'a' * 4000}/f"]
    desk = desk_at(tmp_path, host, {"clip.json": {str(place): record_linking(url) for place, url in enumerate(urls)}})
    assert {check["verdict"] for check in desk("probe", "--json").json} <= {"unknown", "gone"}
    assert desk("probe").code == 0


def test_check_asks_about_the_links_that_changed_records_bring_and_no_others(tmp_path: Path, host: Host) -> None:
    old = host.on_hugging_face("/o/r/resolve/main/old", B, 7)
    wrong = host.on_hugging_face("/o/r/resolve/main/wrong", B, 7)
    gone, gated = f"{host.url}/o/r/resolve/main/gone", host.at("/o/r/resolve/main/gated", Told(403))
    desk = desk_at(tmp_path, host, {"clip.json": {"old": record_linking(old)}})
    base = desk.clone.tip
    desk.clone.commit(
        {
            "clip.json": {
                "old": record_linking(old) | {"nsfw": True},
                "gone": record_linking(gone),
                "wrong": record_linking(wrong),
                "gated": record_linking(gated),
            }
        }
    )
    check = ("check", base, "--directory", desk.clone.path)
    assert desk(*check).done
    assert host.asked == []

    found = desk(*check, "--links")
    lines = desk.clone.read("clip.json").decode().splitlines()
    line = next(number for number, text in enumerate(lines, 1) if '"gone": {' in text)
    assert found.code == 1
    assert f'clip.json:{line}: "gone": {gone} is gone; link to a file that is there [link-gone]' in found.out
    assert f'"wrong": {wrong} is another file: sha256 {B}, not {A}; correct the record, or' in found.out
    assert f'"gated": {gated} is there only for those who log in; see that workers may [link-unsure]' in found.out
    assert len(host.asked) == 3
    assert desk("check", "--links", "--directory", desk.clone.path).done.out.startswith("nothing wrong")

    desk.configure('[repository.check]\nswitched_off = ["link-gone"]\n[probe]\nallow_private = true\n')
    found = desk(*check, "--links", "--json")
    assert [each["rule"] for each in found.json["failures"]] == []
    assert found.json["switched_off"] == ["link-gone"]
