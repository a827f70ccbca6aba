"""Messages on their way: in order, at least once, signed, given up in the end, and told to who has to know."""

from __future__ import annotations

import json
import threading
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from refsync.application import Application
from refsync.config import load_config
from refsync.daemon.notifying import Notifying
from refsync.errors import ConfigError, CredentialError, UndeliveredError
from refsync.events import chat, sending
from refsync.events.webhook import key_of
from refsync.metrics.life import Life
from refsync.pending_queue.models import AuditOperation
from refsync.targets import links_of, targets_of
from refsync.use_cases.conventions import ConfigPlace
from refsync.use_cases.doctor.examination import doctor
from refsync.use_cases.notifying import discard_dead, retry_dead, try_target
from refsync.use_cases.settings import show_config
from refsync.use_cases.status import TargetStatus, status
from tests.support.daemon import wait_for
from tests.support.notify import keep_to_targets, let_be_due, send_waiting, told_reference
from tests.support.receiver import KEY, SECRET, Receiver, receiving, target_of
from tests.support.reference import Reference

_CREATE = AuditOperation.CREATE
MODELS = ("alpha", "beta")


def submit_two(reference: Reference) -> None:
    for model in MODELS:
        reference.submit(model, {"version": "2"})


def told_models(receiver: Receiver) -> list[str]:
    return [each.body["data"]["changes"][0]["model"] for each in receiver.taken]


def target_status(application: Application) -> TargetStatus:
    [found] = status(application).targets
    return found


def test_each_message_is_signed_as_the_standard_has_it_and_keeps_its_id_at_each_try(tmp_path: Path) -> None:
    with receiving() as receiver, told_reference(tmp_path, receiver.url) as reference:
        receiver.answers = [500, 429, 204]
        submit_two(reference)
        for _ in range(3):
            send_waiting(reference.application)
            let_be_due(reference.application)
    assert [each.status for each in receiver.asked] == [500, 429, 204, 204]
    first, again, at_last, other = receiver.asked
    assert first.id == again.id == at_last.id != other.id
    assert first.content == again.content == at_last.content
    assert told_models(receiver) == [*MODELS]
    for each in receiver.asked:
        assert each.is_signed_with(KEY)
        assert not each.is_signed_with(KEY[::-1])
        assert abs(int(each.headers["webhook-timestamp"]) - time.time()) < 60
        assert each.headers["content-type"] == "application/json"
        assert each.body["timestamp"].endswith("Z")


def test_a_failure_holds_back_what_is_behind_it_and_the_delays_grow(tmp_path: Path) -> None:
    with receiving() as receiver, told_reference(tmp_path, receiver.url) as reference:
        receiver.answers = [500] * 6
        submit_two(reference)
        [target], links = targets_of(reference.application.config), links_of(reference.application.config)
        delays = []
        for _ in range(6):
            delays.append(sending.send_next(target, reference.application.store, links, lambda *_: None) or 0.0)
            assert (
                0 < (sending.send_next(target, reference.application.store, links, lambda *_: None) or 0) <= delays[-1]
            )
            let_be_due(reference.application)
        assert len(receiver.asked) == 6
        assert len({each.id for each in receiver.asked}) == 1
        shown = target_status(reference.application)
    assert [delay / (2.0 * 2**number) for number, delay in enumerate(delays)] == pytest.approx([0.75] * 6, abs=0.26)
    assert (shown.waiting, shown.dead, shown.problem) == (2, 0, "it answers 500 Internal Server Error")


@pytest.mark.parametrize(("asked", "waits"), [("120", 120), ("999999", 3600)])
def test_a_target_that_says_when_to_come_again_is_left_alone_until_then(
    tmp_path: Path, asked: str, waits: float
) -> None:
    with receiving() as receiver, told_reference(tmp_path, receiver.url) as reference:
        receiver.answers = [(429, {"Retry-After": asked})]
        reference.submit("alpha", {"version": "2"})
        [target], links = targets_of(reference.application.config), links_of(reference.application.config)
        pause = sending.send_next(target, reference.application.store, links, lambda *_: None)
    assert pause == waits


def test_a_receiver_that_hangs_is_given_up_in_time_and_asked_again(tmp_path: Path) -> None:
    with receiving() as receiver, told_reference(tmp_path, receiver.url, "timeout_seconds = 0.2") as reference:
        receiver.answers = [None]
        reference.submit("alpha", {"version": "2"})
        assert send_waiting(reference.application) == [("ops", "failed")]
        problem = target_status(reference.application).problem
        let_be_due(reference.application)
        assert send_waiting(reference.application) == [("ops", "delivered")]
        assert target_status(reference.application).problem is None
    assert problem == "127.0.0.1 does not answer within 0.2 seconds"


def test_a_redirect_is_not_followed(tmp_path: Path) -> None:
    with receiving() as elsewhere, receiving() as receiver, told_reference(tmp_path, receiver.url) as reference:
        receiver.answers = [(307, {"Location": elsewhere.url})]
        reference.submit("alpha", {"version": "2"})
        send_waiting(reference.application)
        problem = target_status(reference.application).problem
    assert elsewhere.asked == []
    assert problem == "it answers 307, and a redirect is not followed: write the URL that it leads to"


def test_what_fails_for_too_long_is_dead_named_by_status_and_sent_again_when_told_to(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with receiving() as receiver, told_reference(tmp_path, receiver.url, "dead_after_hours = 1") as reference:
        application = reference.application
        receiver.answers = [500, 500]
        submit_two(reference)
        send_waiting(application)
        let_be_due(application)
        with monkeypatch.context() as later:
            now = time.time()
            later.setattr(time, "time", lambda: now + 3601)
            reference.submit("gamma", {"version": "1"}, operation=_CREATE)  # its hour has only begun
            became = send_waiting(application)
        assert became == [("ops", "failed"), ("ops", "dead"), ("ops", "dead")]
        shown = target_status(application)
        assert (shown.waiting, shown.dead, shown.command) == (1, 2, "refsync notify retry ops")
        let_be_due(application)
        send_waiting(application)
        assert told_models(receiver) == ["gamma"]
        assert target_status(application).problem is None
        assert retry_dead(application, "ops").messages == 2
        send_waiting(application)
        assert told_models(receiver) == ["gamma", *MODELS]
        first, again, _, at_last, _ = receiver.asked
        assert first.id == again.id == at_last.id
        assert first.content == at_last.content  # it tells when the event happened, not when it was retried
        assert target_status(application).dead == 0
        assert discard_dead(application, "ops").messages == 0


def test_the_doctor_names_a_target_that_fails_what_is_dead_and_a_secret_that_is_none(tmp_path: Path) -> None:
    with receiving() as receiver, told_reference(tmp_path, receiver.url) as reference:
        file = tmp_path / "ops.key"

        def told() -> list[str]:
            return [str(each.what) for each in doctor(reference.config_file, {}).checks if each.where == "ops"]

        file.chmod(0o600)
        assert told() == ["None"]
        receiver.answers = [503]
        reference.submit("alpha", {"version": "2"})
        send_waiting(reference.application)
        with reference.application.store.writing() as queue:
            queue.outbox.let_die("ops", older_than=time.time(), now=time.time())
        assert told() == ["it answers 503 Service Unavailable", "messages that could not be delivered: 1"]
        file.write_text("s3cret")
        assert "no key of 24 to 64 bytes in base64; make one: openssl rand -base64 32" in told()[0]
        file.unlink()
        assert any("there is no such file" in str(each.what) for each in doctor(reference.config_file, {}).checks)


def test_a_message_can_be_tried_and_its_refusal_is_told(tmp_path: Path) -> None:
    with receiving() as receiver, told_reference(tmp_path, receiver.url) as reference:
        tried = try_target(reference.application.config, "ops")
        receiver.answers = [404]
        with pytest.raises(UndeliveredError, match="notify ops: it answers 404 Not Found"):
            try_target(reference.application.config, "ops")
    [taken] = receiver.taken
    assert (taken.id, taken.kind) == (tried.message_id, "test")
    assert taken.is_signed_with(KEY)


@pytest.mark.parametrize("secret", ["", "short", "whsec_", "whsec_" + "A" * 28, "not base64 at all!", "A" * 200])
def test_a_secret_that_is_no_key_is_refused_without_being_shown(secret: str) -> None:
    with pytest.raises(CredentialError) as refused:
        key_of(secret, "ops")
    assert len(secret) < 8 or secret not in str(refused.value)


def test_a_key_is_taken_with_and_without_its_prefix() -> None:
    assert key_of(SECRET, "ops") == key_of(SECRET.removeprefix("whsec_"), "ops") == KEY


@pytest.mark.slow
def test_two_senders_of_one_queue_do_not_send_at_the_same_time(tmp_path: Path) -> None:
    with receiving() as receiver, told_reference(tmp_path, receiver.url) as reference:
        for number in range(20):
            reference.submit(f"m{number:02}", {"version": "1"}, operation=_CREATE)
        application = reference.application
        senders = [
            Notifying(targets_of(application.config), application.store, links_of(application.config), lambda *_: None)
            for _ in range(2)
        ]
        wait_for("all messages", lambda: target_status(application).waiting == 0)
        for each in senders:
            each.stop()
    assert told_models(receiver) == [f"m{number:02}" for number in range(20)]


def test_a_target_that_hangs_holds_up_no_other(tmp_path: Path) -> None:
    (tmp_path / "chat.key").write_text(SECRET)
    with receiving() as hanging, receiving() as receiver:
        hanging.answers = [None]
        more = "timeout_seconds = 0.5\n" + target_of(receiver.url, "chat")
        with told_reference(tmp_path, hanging.url, more) as reference:
            reference.submit("alpha", {"version": "2"})
            application = reference.application
            threads = Notifying(
                targets_of(application.config), application.store, links_of(application.config), lambda *_: None
            )
            wait_for("the message to the other", lambda: receiver.taken)
            assert hanging.taken == []
            hanging.let_go.set()
            threads.stop()
            for thread in threading.enumerate():
                if thread.name.startswith("notify "):
                    thread.join(10)


def test_tries_are_counted_by_target_and_result() -> None:
    life = Life()
    for result in ("delivered", "failed", "failed", "dead"):
        life.notified("ops", result)
    counted = {
        sample.labels["result"]: sample.value
        for family in life.registry.collect()
        if family.name == "refsync_notifications"
        for sample in family.samples
        if sample.name.endswith("_total")
    }
    assert counted == {"delivered": 1, "failed": 2, "dead": 1}


FAULTS: list[tuple[str, str]] = [
    ('name = "a"', "notify.a.secret_file: is needed"),
    ('name = "a"\nsecret_file = "x"', "notify.a.url: is required of a webhook"),
    (
        'name = "a"\nsecret_file = "x"\nsecret_variable = "Y"\nurl = "https://h/"',
        "notify.a.secret_variable: secret_file",
    ),
    ('name = "a"\nsecret_file = "x"\nurl = "https://u:p@h/"', "notify.a.url: must be an http"),
    ('name = "a"\nkind = "apprise"\nsecret_file = "x"\nurl = "https://h/"', "notify.a.url: is for a webhook"),
    ('name = "a"\nsecret_file = "x"\nurl = "https://h/"\nevents = ["lande"]', "notify.a.events"),
    ('name = "a"\nsecret_file = "x"\nurl = "https://h/"\nrepositories = ["imago"]', "imago is no repository"),
    ('name = "a"\nsecret_file = "x"\nurl = "https://h/"\nevnts = []', "is no known key; the nearest is events"),
    ('name = "a b"\nsecret_file = "x"\nurl = "https://h/"', "must be up to 64 letters"),
]


@pytest.mark.parametrize(("table", "reason"), FAULTS)
def test_a_mistake_in_a_target_is_told_with_its_key(tmp_path: Path, table: str, reason: str) -> None:
    file = tmp_path / "refsync.toml"
    file.write_text(f'[[notify]]\n{table}\n[[repository]]\nname = "image"\npath = "image"\n')
    with pytest.raises(ConfigError) as refused:
        load_config(file, {})
    assert any(reason in problem for problem in refused.value.problems), refused.value.problems
    assert "u:p" not in "".join(refused.value.problems)


# what apprise knows


@pytest.fixture
def apprise() -> Iterator[Any]:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of what it imports
        yield pytest.importorskip("apprise", reason="refsync[notify] is not installed")


@contextmanager
def chat_reference(folder: Path, url: str) -> Iterator[Reference]:
    """One whose target ``ops`` is a service that apprise knows."""
    (folder / "ops.url").write_text(url)
    table = '[[notify]]\nname = "ops"\nkind = "apprise"\nsecret_file = "ops.url"\nevents = ["submitted"]'
    reference = Reference(folder, more=table)
    keep_to_targets(reference.application)
    yield reference
    reference.close()


def test_apprise_sends_to_a_service_and_no_mention_of_people_takes_effect(
    tmp_path: Path, apprise: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    with receiving() as receiver:
        place = receiver.url.removeprefix("http://").partition("/")[0]
        with chat_reference(tmp_path, f"json://user:s3cret@{place}/hook") as reference:
            reference.submit("alpha", {"version": "@everyone <!channel>"})
            receiver.answers = [500]
            send_waiting(reference.application)
            problem = target_status(reference.application).problem
            let_be_due(reference.application)
            send_waiting(reference.application)
            shown = show_config(ConfigPlace(reference.config_file, {})).model_dump_json()
    assert problem == "the service has not taken it; check its URL, and whether it can be reached"
    [taken] = receiver.taken
    message = json.loads(taken.content)["message"]
    assert "alpha" in message
    assert "@everyone" not in message
    assert "<!channel" not in message
    assert "s3cret" not in f"{shown}{capfd.readouterr()}{problem}"


def test_apprise_follows_no_redirect(tmp_path: Path, apprise: Any) -> None:
    with receiving() as elsewhere, receiving() as receiver:
        place = receiver.url.removeprefix("http://").partition("/")[0]
        receiver.answers = [(307, {"Location": elsewhere.url})]
        with chat_reference(tmp_path, f"json://{place}/hook") as reference:
            reference.submit("alpha", {"version": "2"})
            assert send_waiting(reference.application) == [("ops", "failed")]
    assert elsewhere.asked == []


def test_a_url_that_apprise_does_not_know_is_told_without_being_shown(tmp_path: Path, apprise: Any) -> None:
    with chat_reference(tmp_path, "nonsense://s3cret") as reference:
        with pytest.raises(CredentialError, match=r"is no URL that apprise knows") as refused:
            try_target(reference.application.config, "ops")
        assert any("apprise knows" in str(each.what) for each in doctor(reference.config_file, {}).checks)
    assert "s3cret" not in str(refused.value)


def test_a_chat_without_apprise_names_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(chat, "find_spec", lambda name: None)
    with (
        chat_reference(tmp_path, "json://localhost") as reference,
        pytest.raises(ConfigError, match=r"pip install .*apprise"),
    ):
        try_target(reference.application.config, "ops")
