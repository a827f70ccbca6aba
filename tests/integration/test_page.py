"""The page as somebody uses it whose browser runs no script: who is let in, what screens show, what forms do."""

from __future__ import annotations

import getpass
import html
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from fastapi.routing import APIRoute
from hypothesis import given, settings
from hypothesis import strategies as st

from refsync.http.page.routes import SCREENS
from refsync.http.page.sessions import DAY_SECONDS, Sessions
from refsync.pending_queue.models import AuditOperation
from refsync.tokens import add_token, revoke_tokens
from tests.support.door import client_of
from tests.support.page import IMAGES, Reader, Stage, form_on, model, open_page, play, told
from tests.support.repositories import git

HOSTILE = '<script>alert("x")</script>\'&\u202e`'
ADDRESSES = (
    "/",
    "/?status=any",
    "/changes/1",
    "/changes/5",
    "/submit",
    "/submit?category=image_generation&model=Deliberate",
    "/submit?category=image_generation&model=new",
    "/batches",
    "/batches/1",
    "/models?category=image_generation",
    "/model?category=image_generation&model=stable_diffusion",
    "/model?category=image_generation&model=stable_diffusion&told=yes",
    "/status",
)


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with open_page(tmp_path_factory.mktemp("page")) as stage:
        play(stage.reference)
        yield stage


@pytest.fixture
def grace(stage: Stage) -> Iterator[Reader]:
    with stage.reader("grace") as reader:
        yield reader


@pytest.fixture
def ada(stage: Stage) -> Iterator[Reader]:
    with stage.reader("ada") as reader:
        yield reader


def submit(stage: Stage, name: str, operation: AuditOperation = AuditOperation.CREATE, **fields: Any) -> int:
    payload = None if operation is AuditOperation.DELETE else model(name, **fields)
    return stage.reference.submit(name, payload, operation, category=IMAGES)


def approved(reader: Reader, *ids: int, title: str = "New models") -> httpx.Response:
    return reader.send(reader.get("/"), "/review/approve", id=ids, title=title)


# who is let in


def test_nobody_is_led_to_the_log_in_and_from_there_to_where_they_were_going(stage: Stage) -> None:
    with stage.reader() as nobody:
        seen = nobody.get("/batches?before=3")
        assert seen.url.path == "/login"
        seen = nobody.send(seen, "/login", key=stage.tokens["grace"])
        assert (seen.url.path, seen.url.query) == ("/batches", b"before=3")
        assert "Grace" in seen.text


@pytest.mark.parametrize("elsewhere", ["https://evil.example", "//evil.example", "/\\evil.example", "evil"])
def test_a_log_in_leads_nowhere_else(stage: Stage, elsewhere: str) -> None:
    with stage.reader() as nobody:
        assert nobody.log_in(stage.tokens["grace"], to=elsewhere).url.path == "/"


@pytest.mark.slow
def test_who_guesses_is_told_so_and_after_ten_times_that_it_is_too_often(tmp_path: Path) -> None:
    with open_page(tmp_path) as stage, stage.reader() as nobody:
        assert told(nobody.log_in("")) == (401, "type your token")
        for _ in range(10):
            assert told(nobody.log_in("a guess")) == (401, "Invalid API key")
        seen = nobody.log_in("a guess")
        assert told(seen) == (429, "too many failed attempts")
        assert int(seen.headers["retry-after"]) > 0


def test_a_log_in_without_a_cookie_is_told_what_is_missing(stage: Stage) -> None:
    got = httpx.post(f"{stage.url}/login", data={"key": stage.tokens["grace"]})
    assert told(got) == (400, "the browser sent no cookie: allow them, and use https beyond this machine")


def test_a_session_ends_when_the_token_is_revoked_and_when_its_owner_logs_out(stage: Stage) -> None:
    token = add_token(stage.reference.folder / "tokens", id="eve", username="Eve", role="approver")
    with stage.reader() as eve, stage.reader("grace") as grace:
        eve.log_in(token)
        cookies = dict(eve.client.cookies)
        revoke_tokens(stage.reference.folder / "tokens", "eve")
        assert eve.get("/").url.path == "/login"
        assert httpx.post(f"{stage.url}/batches/seal", cookies=cookies).status_code == 401
        kept = dict(grace.client.cookies)
        grace.send(grace.get("/"), "/logout")
        assert httpx.get(f"{stage.url}/status", cookies=kept).status_code == 303


def test_a_session_lasts_a_day() -> None:
    now = [100.0]
    sessions = Sessions(lambda: now[0])
    session = sessions.begin("a key")
    now[0] += DAY_SECONDS - 1
    assert sessions.key_of(session) == "a key"
    now[0] += 1
    assert sessions.key_of(session) is None


def test_the_cookie_is_not_for_scripts_or_other_sites_and_travels_by_tls_alone(stage: Stage) -> None:
    here, there, behind = (
        httpx.get(f"{stage.url}/login", headers=headers).headers["set-cookie"]
        for headers in ({}, {"host": "models.example.org"}, {"x-forwarded-proto": "https"})
    )
    for cookie in (here, there, behind):
        assert {"HttpOnly", "SameSite=strict", "Path=/", "Max-Age=86400"} <= set(cookie.split("; "))
    assert "Secure" not in here
    assert "Secure" in there.split("; ")
    assert "Secure" in behind.split("; ")


def test_a_log_in_gives_a_new_id(stage: Stage) -> None:
    with stage.reader() as nobody:
        nobody.get("/login")
        before = nobody.client.cookies["refsync_login"]
        nobody.log_in(stage.tokens["ada"])
        assert nobody.client.cookies["refsync_session"] != before


def test_a_link_of_another_site_leads_in_without_a_log_in_and_ends_no_session(stage: Stage) -> None:
    got = httpx.get(f"{stage.url}/batches?before=3", headers={"sec-fetch-site": "cross-site"})
    assert (got.status_code, got.headers.get("set-cookie")) == (200, None)
    assert 'content="0;url=/batches?before=3"' in got.text
    assert "refsync_session" not in httpx.get(f"{stage.url}/login").headers["set-cookie"]


@pytest.mark.slow
def test_behind_a_proxy_that_says_who_it_is_nobody_logs_in_and_every_form_still_wants_its_token(tmp_path: Path) -> None:
    me = getpass.getuser()
    more = (
        f'[people]\nrequestors = ["ada"]\napprovers = ["proxy:ada"]\noperators = ["{me}"]\n'
        f'[serve]\nidentity = ["token", "proxy"]\nproxy_users = ["{me}"]\ntokens_file = "tokens"\n'
    )
    with open_page(tmp_path, more=more) as stage:
        change = submit(stage, "new")
        with client_of(tmp_path / "door.sock", **{"x-remote-user": "ada"}) as client:
            ada = Reader(client)
            seen = ada.get("/")
            assert "ada" in seen.text
            assert "Log out" not in seen.text
            assert client.post("/review/approve", data={"id": change, "title": "T"}).status_code == 403
            assert ada.send(seen, "/review/approve", id=change, title="T").status_code == 200
            assert stage.reference.change(change).approved_by == "ada"


# what holds for every screen


@pytest.mark.parametrize("path", ADDRESSES)
def test_every_screen_runs_nothing_and_loads_nothing_but_what_is_ours(grace: Reader, path: str) -> None:
    seen = grace.get(path)
    assert seen.status_code == 200, seen.text
    assert seen.headers["content-security-policy"].startswith("default-src 'self';")
    assert seen.headers["cache-control"] == "private, no-store"
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son\w+=|javascript:", seen.text)
    assert not re.search(r'(?:src|action|formaction|hx-get|hx-post)="(?:\w+:|//)', seen.text)
    assert all(each.startswith("https://models.example/") for each in re.findall(r'href="([^/#"][^"]*)"', seen.text))
    for form in re.findall(r"<form\b[^>]*method=\"post\".*?</form>", seen.text, re.DOTALL):
        assert 'name="token"' in form or "<button" not in form, form
    ids = re.findall(r'\sid="([^"]*)"', seen.text)
    assert len(ids) == len(set(ids))


def test_what_a_screen_loads_is_there_and_may_be_kept(grace: Reader) -> None:
    loaded = set(re.findall(r'(?:src|href)="(/static/[^"]*)"', grace.get("/").text))
    assert loaded == {f"/static/{name}" for name in ("icon.svg", "page.css", "htmx.min.js", "page.js")}
    style = grace.get("/static/page.css")
    loaded |= {f"/static/{name}" for name in re.findall(r'(?:import |url\()"([^"]*)"', style.text)}
    assert "/static/pico.min.css" in loaded
    got = [grace.get(each) for each in sorted(loaded)]
    assert {(each.status_code, each.headers["x-content-type-options"]) for each in got} == {(200, "nosniff")}
    known = {"if-none-match": style.headers["etag"]}
    assert grace.client.get("/static/page.css", headers=known).status_code == 304
    assert grace.get("/static/htmx.LICENSE").status_code == 404
    assert grace.get("/static/..%2fpage.css").status_code == 404


def test_every_form_wants_the_token_of_who_sends_it(grace: Reader, ada: Reader) -> None:
    routes = [route for each in SCREENS for route in each.router.routes]
    forms = [route.path for route in routes if isinstance(route, APIRoute) and "POST" in (route.methods or ())]
    assert len(forms) > 10
    others = form_on(ada.get("/"), "/logout")["token"]
    for path in forms:
        to = path.replace("{number}", "1")
        for token in ("", others):
            got = grace.client.post(to, data={"token": token, "key": "k"})
            assert told(got) == (
                403,
                "the form is not from this page, or older than its process; load it again, and repeat it",
            ), to
        assert grace.client.post(to, json={}).status_code == 415


def test_who_may_not_review_or_submit_sees_no_button_and_is_refused(stage: Stage) -> None:
    with stage.reader("guest") as guest, stage.reader("ada") as ada:
        token = form_on(guest.get("/"), "/logout")["token"]
        assert "Approve" not in guest.get("/").text
        got = guest.client.post("/review/approve", data={"token": token, "id": 4, "title": "T"})
        assert told(got) == (403, "Guest may not review changes")
        got = guest.client.post(
            "/submit", data={"token": token, "operation": "delete", "category": "clip", "model": "x"}
        )
        assert told(got) == (403, "Guest may not submit changes")
        token = form_on(ada.get("/"), "/logout")["token"]
        got = ada.client.post("/batches/seal", data={"token": token})
        assert told(got) == (403, "Ada may not review changes")


@pytest.mark.slow
def test_what_strangers_wrote_is_text_wherever_it_stands(tmp_path: Path) -> None:
    with open_page(tmp_path) as stage, stage.reader("grace") as grace:
        record = {"name": HOSTILE, HOSTILE: HOSTILE, "nsfw": False}
        line = {"operation": "create", "category": "clip", "model_name": HOSTILE, "payload": record, "notes": HOSTILE}
        seen = grace.send(grace.get("/submit"), "/submit/lines", lines=json.dumps(line))
        assert seen.url.path == "/changes/1"
        approved(grace, 1, title=HOSTILE.replace("\u202e", ""))
        grace.send(grace.get("/batches"), "/batches/seal")
        stage.reference.sync()
        here = {"category": "clip", "model": HOSTILE}
        screens = [grace.get(path) for path in ("/?status=any", "/changes/1", "/batches", "/batches/1", "/status")]
        screens += [grace.client.get(path, params=here) for path in ("/model", "/submit", "/models", "/submit/names")]
        assert [each.status_code for each in screens] == [200] * 9
        assert grace.send(screens[6], "/submit", record='{"name": "another"}').url.path == "/changes/2"
        assert stage.reference.change(2).model_name == HOSTILE
        for each in screens:
            assert "<script>alert" not in each.text, each.url
            assert "\u202e" not in re.sub(r'value="[^"]*"', "", each.text), each.url
            assert "alert(" in each.text or each.url.path == "/status"


@pytest.mark.parametrize(
    ("path", "status", "line"),
    [
        ("/changes/999", 404, "no change has the id 999"),
        ("/batches/999", 404, "no batch has the number 999"),
        ("/changes/x", 422, "change_id: Input should be a valid integer"),
        ("/?category=nothing", 404, "unknown category 'nothing'"),
        ("/?status=gone", 400, "unknown status 'gone'"),
        ("/?offset=-1", 400, "offset: expected a number"),
        ("/?batch=x", 400, "batch: expected a number"),
        ("/model?category=clip&model=nobody", 404, "no commit ever touched clip 'nobody'"),
        ("/submit?category=nothing&model=x", 404, "unknown category 'nothing'"),
    ],
)
def test_what_is_not_there_is_told_in_one_line_with_its_status(
    grace: Reader, path: str, status: int, line: str
) -> None:
    got, text = told(grace.get(path))
    assert got == status
    assert text.startswith(line)


# the queue


def test_the_queue_shows_what_waits_with_its_rivals_by_status_category_and_person(grace: Reader) -> None:
    def rows(path: str) -> list[int]:
        return [int(each) for each in re.findall(r'class="number" href="/changes/(\d+)"', grace.get(path).text)]

    assert rows("/")[:4] == [4, 5, 6, 7]
    assert rows("/?person=bob") == [6, 7]
    assert rows("/?category=clip&status=any")[:1] == [2]
    assert rows("/?status=rejected")[:1] == [3]
    assert rows("/?model=deliber")[:2] == [5, 6]
    assert rows("/?status=any&batch=1") == [1]
    assert rows("/?status=&batch=1") == [1]
    assert "No change is like that." in grace.get("/?batch=1").text
    assert 'hx-get="/?status=any&amp;batch=1"' in grace.get("/?status=&batch=1").text, "it stays what it shows"
    assert 'rival: <a href="/changes/6">#6</a>' in grace.get("/?person=ada").text


def test_several_are_approved_with_a_title_rejected_with_a_reason_and_withdrawn(stage: Stage, grace: Reader) -> None:
    one, two, three = (submit(stage, name) for name in ("one", "two", "three"))
    seen = approved(grace, one, two, title="")
    assert re.search(rf"approved {one}-{two} into batch \d+: Newcomers", seen.text)
    seen = grace.send(grace.get("/?model=three"), "/review/reject", id=[three], reason="no such file")
    assert (seen.url.query, stage.reference.change(three).reject_reason) == (
        b"status=pending&model=three",
        "no such file",
    )
    seen = grace.send(grace.get("/?status=approved"), "/review/withdraw", id=[one, two])
    assert f"{one}-{two}: pending again" in seen.text
    assert "pending again" not in grace.get("/").text, "it is told once"
    grace.send(grace.get(f"/changes/{one}"), "/review/reject", reason="enough of it")
    assert stage.reference.change(one).status == "rejected"


def test_a_refused_review_stays_as_it_was_typed(stage: Stage, grace: Reader) -> None:
    change = submit(stage, "typed")
    seen = grace.send(grace.get("/?model=typed"), "/review/reject", id=[change], title="my title", reason=" ")
    assert told(seen) == (400, "reject reason is empty; give one")
    assert f'value="{change}" aria-label="Select change {change}" checked' in seen.text
    assert 'value="my title"' in seen.text
    assert told(approved(grace)) == (400, "no change is selected: tick those that you mean")
    assert told(approved(grace, 3))[1].startswith("change 3 is rejected, not pending")
    seen = grace.send(grace.get(f"/changes/{change}"), "/review/reject", reason="")
    assert told(seen)[0] == 400
    assert f"<title>Change {change}" in seen.text


def test_changes_are_removed_for_good_only_by_who_means_it(stage: Stage, grace: Reader) -> None:
    change = submit(stage, "purged")
    seen = grace.send(grace.get("/?model=purged"), "/purge")
    assert told(seen) == (400, "nothing was removed: tick that you mean it")
    assert "1 removed for good" in grace.send(grace.get("/?model=purged"), "/purge", sure="yes").text
    assert stage.reference.application.queue.get_change(change) is None


# a change


def test_a_change_shows_what_it_asks_for_what_is_critical_and_exactly_what_lands(tmp_path: Path) -> None:
    with open_page(tmp_path) as stage, stage.reader("grace") as grace:
        change = submit(stage, "Deliberate", AuditOperation.UPDATE, nsfw=True, version="2")
        seen = grace.get(f"/changes/{change}")
        assert "The record is as it was when this was made from it." in seen.text
        critical = re.findall(r'<code>([^<]*)</code> <span class="critical">', seen.text)
        assert critical == ["nsfw"]
        shown = re.findall(r'<span class="is-(added|removed)">(.*)', seen.text)
        approved(grace, change)
        grace.send(grace.get("/batches"), "/batches/seal")
        stage.reference.sync()
        lines = git(stage.reference.clone.path, "show", "--format=", "HEAD").splitlines()
        landed = [line for line in lines if line[:1] in "+-" and not line.startswith(("+++", "---"))]
        assert [text.replace("&#34;", '"') for _, text in shown] == landed
        after = grace.get(f"/changes/{change}")
        assert "The commit that it landed in" in after.text
        assert re.findall(r'<span class="is-(added|removed)">(.*)', after.text) == shown


def test_a_change_of_what_others_have_changed_since_shows_all_three_values(tmp_path: Path) -> None:
    with open_page(tmp_path) as stage, stage.reader("grace") as grace:
        change = submit(stage, "Deliberate", AuditOperation.UPDATE, version="2")
        ours = model("Deliberate", version="3", nsfw=True)
        stage.reference.clone.commit({"stable_diffusion.json": {"Deliberate": ours}})
        seen = grace.get(f"/changes/{change}").text
        assert "Others have changed the record since it was made." in seen
        row = re.findall(r"<code>version</code>.*?</tr>", seen, re.DOTALL)[0]
        assert re.findall(r'<code class="value">&#34;(.*?)&#34;', row) == ["1.0", "3", "2"]
        assert "left as it is now" in re.findall(r"<code>nsfw</code>.*?</tr>", seen, re.DOTALL)[0]
        assert "It would not land now: " in seen


# submitting


def test_the_editor_begins_with_the_record_or_with_a_neighbours_shape(ada: Reader) -> None:
    def record(name: str) -> Any:
        seen = ada.client.get("/submit", params={"category": "image_generation", "model": name})
        (text,) = re.findall(r'<textarea id="record".*?>(.*?)</textarea>', seen.text, re.DOTALL)
        return json.loads(text.replace("&#34;", '"'))

    assert record("Deliberate")["description"] == "What Deliberate is good for"
    assert record("Deliberately") == {
        "name": "Deliberately",
        "baseline": "",
        "description": "",
        "version": "",
        "nsfw": False,
        "tags": [""],
        "config": {
            "files": [{"path": "", "sha256sum": ""}],
            "download": [{"file_name": "", "file_url": ""}],
        },
    }


def test_names_are_completed(ada: Reader) -> None:
    seen = ada.get("/submit/names?category=image_generation&model=diff")
    assert re.findall(r'value="(.*?)"', seen.text) == ["stable_diffusion"]


def test_what_is_typed_is_checked_without_being_submitted(stage: Stage, ada: Reader) -> None:
    seen = ada.get("/submit?category=image_generation&model=Deliberate")

    def verdict(record: str) -> str:
        form = form_on(seen, "/submit")
        got = ada.client.post("/submit/check", data={**form, "record": record})
        return " ".join(re.sub("<.*?>", "", got.text).split())

    before = stage.reference.application.queue.list_changes(limit=0).total
    assert verdict(json.dumps(model("Deliberate", version="7"))) == "It can be submitted."
    assert verdict("{").startswith("payload: line 1, column 2: ")
    assert "nothing would be written" in verdict(json.dumps(model("Deliberate")))
    assert "version" in verdict('{"version": 1, "version": 2}')
    assert stage.reference.application.queue.list_changes(limit=0).total == before


def test_a_record_is_submitted_with_its_numbers_as_they_were_typed_and_a_refused_one_stays(
    stage: Stage, ada: Reader
) -> None:
    seen = ada.client.get("/submit", params={"category": "image_generation", "model": "numbers"})
    refused = ada.send(seen, "/submit", record='{"name": 1.50', notes="my notes", after="Deliberate")
    assert told(refused)[0] == 422
    assert "{&#34;name&#34;: 1.50</textarea>" in refused.text
    assert "my notes</textarea>" in refused.text
    assert 'name="after" value="Deliberate"' in refused.text
    seen = ada.send(
        refused, "/submit", record='{"name": "numbers",\r\n "scale": 1.50}', notes="two\r\nlines", after="Deliberate"
    )
    number = int(seen.url.path.rpartition("/")[2])
    assert f"submitted {number}: waiting for review" in seen.text
    assert "1.50" in seen.text
    change = stage.reference.change(number)
    assert (change.requested_by, change.after, change.notes) == ("ada", "Deliberate", "two\nlines")


def test_a_model_is_renamed_deleted_and_many_are_submitted_at_once(stage: Stage, ada: Reader) -> None:
    seen = ada.get("/submit?category=image_generation&model=AbyssOrangeMix")
    after = ada.send(seen, "/submit/rename", new="Abyss", notes="shorter")
    assert re.search(r"submitted \d+-\d+: waiting for review", after.text)
    gone = {"operation": "delete", "category": "image_generation", "model": "AbyssOrangeMix"}
    after = ada.send(seen, "/submit", **gone, notes="gone")
    change = stage.reference.change(int(after.url.path.rpartition("/")[2]))
    assert (change.operation, change.notes) == ("delete", "gone")
    lines = '{"operation": "delete", "category": "clip", "model_name": "old"}\n{"operation": 7}\n'
    refused = ada.send(ada.get("/submit"), "/submit/lines", lines=lines)
    assert told(refused) == (422, "line 2: lacks category, model_name")
    assert "{&#34;operation&#34;: 7}" in refused.text
    assert told(ada.send(seen, "/submit/rename", new=" "))[0] == 422


# batches, models, status


@pytest.mark.slow
def test_batches_are_sealed_tried_again_abandoned_and_reverted(tmp_path: Path) -> None:
    with open_page(tmp_path) as stage, stage.reader("grace") as grace:
        play(stage.reference)
        seen = grace.get("/batches")
        assert "<strong>Held:</strong> clip.json has local edits in the clone" in seen.text
        assert "batch 2 goes on with the next pass" in grace.send(seen, "/batches/2/retry").text
        stage.reference.sync()
        assert told(grace.send(seen, "/batches/2/abandon", reason=" "))[0] == 400
        assert "batch 2 is abandoned" in grace.send(grace.get("/batches"), "/batches/2/abandon", reason="no").text
        assert "batch 3 sealed" in grace.send(grace.get("/batches"), "/batches/seal").text
        assert told(grace.send(seen, "/batches/seal"))[1].startswith("no batch is open")
        seen = grace.send(grace.get("/batches/1"), "/batches/1/revert")
        assert re.search(r"changes \d+ undo batch 1, once they are approved", seen.text)
        assert told(grace.send(grace.get("/batches/1"), "/batches/1/revert"))[1].startswith("batch 1 is being reverted")


@pytest.mark.slow
def test_a_batch_that_deletes_too_much_wants_to_be_told_that_it_may(tmp_path: Path) -> None:
    more = '[guard]\ndeletions = { count = 0, share = 0.0 }\n[serve]\ntokens_file = "tokens"\n'
    with open_page(tmp_path, more=more) as stage, stage.reader("grace") as grace:
        approved(grace, submit(stage, "Deliberate", AuditOperation.DELETE))
        stage.reference.sync()
        seen = grace.get("/batches/1")
        assert "It may delete them: try again" in seen.text
        grace.send(seen, "/batches/1/retry")
        stage.reference.sync()
        assert stage.reference.batches()[0].state == "landed"


@pytest.mark.slow
def test_a_model_shows_who_gave_each_field_its_value_also_one_that_is_gone(tmp_path: Path) -> None:
    with open_page(tmp_path) as stage, stage.reader("grace") as grace:
        approved(grace, submit(stage, "Deliberate", AuditOperation.UPDATE, version="2"), title="Newer")
        grace.send(grace.get("/batches"), "/batches/seal")
        stage.reference.sync()
        short = grace.get("/model?category=image_generation&model=Deliberate")
        (address,) = re.findall(r'<p><a href="(/model[^"]*)">Who gave', short.text)
        seen = grace.get(html.unescape(address)).text
        row = re.findall(r"<code>version</code>.*?</tr>", seen, re.DOTALL)[0]
        assert "Ada &lt;ada&gt;, approved by Grace &lt;grace&gt;" in row
        assert 'href="/batches/1"' in row
        stage.reference.clone.commit({"stable_diffusion.json": {}})
        seen = grace.get("/model?category=image_generation&model=Deliberate").text
        assert "It is not there any more." in seen
        assert "<strong>delete</strong>" in seen


def test_the_status_tells_of_repositories_passes_and_what_is_held(grace: Reader) -> None:
    seen = grace.get("/status").text
    for what in ("no daemon", "image", "clip.json", "has local edits", "Batch 2: Clear clip out", "Last pass"):
        assert what in seen


@pytest.mark.slow
def test_a_file_that_cannot_be_read_is_told_on_the_screen_of_its_change(tmp_path: Path) -> None:
    with open_page(tmp_path) as stage, stage.reader("grace") as grace:
        change = submit(stage, "new")
        stage.reference.clone.commit({"stable_diffusion.json": b"{"})
        seen = grace.get(f"/changes/{change}")
        assert seen.status_code == 200
        assert "stable_diffusion.json at the tip of image" in seen.text


# nonsense

ROUTES = [
    (method, route.path)
    for each in SCREENS
    for route in each.router.routes
    if isinstance(route, APIRoute)
    for method in sorted(route.methods or ())
    if route.path != "/logout"
]
WORDS = """
    category model status person batch offset before told to id title reason sure operation record notes lines new old
"""
KNOWN = st.sampled_from(["image_generation", "Deliberate", "1", "-1", "9" * 30, "delete", "{}", "/changes/5", ""])
TEXTS = KNOWN | st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=30)


@pytest.fixture(scope="module")
def bob(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reader]:
    """Somebody who may do most, on a page of their own."""
    with open_page(tmp_path_factory.mktemp("nonsense")) as stage:
        play(stage.reference)
        with stage.reader("grace") as reader:
            yield reader


@pytest.mark.slow
@given(
    route=st.sampled_from(ROUTES),
    word=TEXTS,
    words=st.dictionaries(st.sampled_from(WORDS.split()), TEXTS, max_size=5),
)
@settings(max_examples=200)
def test_no_address_and_no_form_is_a_bug(bob: Reader, route: tuple[str, str], word: str, words: dict[str, str]) -> None:
    method, path = route
    path = re.sub(r"\{\w+\}", quote(word, safe="") or "x", path)
    if method == "GET":
        got = bob.client.get(path, params=words)
    else:
        got = bob.client.post(path, data={**words, "token": form_on(bob.get("/"), "/logout")["token"]})
    assert got.status_code < 500, (path, words, got.text)
    assert "\u202e" not in re.sub(r'value="[^"]*"|<textarea.*?</textarea>', "", got.text)
