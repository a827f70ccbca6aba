"""What is GitHub's own: conditional requests, limits, redirects, Apps, and one clear line for each refusal."""

from __future__ import annotations

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from refsync.credentials import Credential, CredentialSource
from refsync.errors import ConfigError, CredentialError, ForgeRefusedError, ForgeUnavailableError, RefsyncError
from refsync.forges.github import GitHubForge, open_github
from refsync.forges.github_app import app_credential
from refsync.forges.pace import Pace
from tests.support.daemon import wait_for
from tests.support.forge import ForgeStandIn, unhurried
from tests.support.forge_merging import Style
from tests.support.repositories import git

BRANCH = "refsync/batch-1-3f2a9c"
SECRET = "ghp_quitesecret"


@pytest.fixture
def forge(tmp_path: Path) -> Iterator[ForgeStandIn]:
    with ForgeStandIn(tmp_path / "one") as stand_in:
        stand_in.commit("main", {"image.json": {"a": {}}}, "first")
        yield stand_in


@pytest.fixture
def github(forge: ForgeStandIn) -> GitHubForge:
    return connect(forge, secret(SECRET))


def secret(text: str) -> CredentialSource:
    return lambda: Credential("x-access-token", text)


def connect(forge: ForgeStandIn, credential: CredentialSource | None = None) -> GitHubForge:
    return open_github(forge.repository, base_url=forge.url, credential=credential, pace=unhurried())


def person_proposes(forge: ForgeStandIn, branch: str = "topic") -> int:
    forge.commit(branch, {f"{branch}.json": {}})
    return forge.open_by_person(branch, branch)


def refusal(github: GitHubForge) -> str:
    """The one line of a call that a person has to do something about."""
    with pytest.raises(RefsyncError) as refused:
        github.find()
    text = str(refused.value)
    assert "\n" not in text
    assert SECRET not in text
    return text


def statuses(forge: ForgeStandIn) -> list[int]:
    return [request.status for request in forge.requests]


# What it costs


def test_refsync_itself_does_not_import_what_only_a_forge_needs() -> None:
    asked = "import refsync.cli.main, refsync.application, refsync.daemon.service, refsync.forges.github, sys; "
    command = [sys.executable, "-c", asked + "sys.exit(bool({'httpx', 'jwt'} & set(sys.modules)))"]
    assert subprocess.run(command, check=False).returncode == 0


def test_asking_again_costs_nothing_while_nothing_moves(forge: ForgeStandIn, github: GitHubForge) -> None:
    number = person_proposes(forge)
    forge.check(number, "lint", "success")
    first = (github.find(), github.find("topic"), github.state(number))
    forge.requests.clear()
    assert (github.find(), github.find("topic"), github.state(number)) == first
    assert set(statuses(forge)) == {304}
    assert len(forge.requests) == 6


def test_every_page_is_asked_conditionally(forge: ForgeStandIn, github: GitHubForge) -> None:
    forge.page_size = 1
    for branch in ("one", "two", "three"):
        person_proposes(forge, branch)
    assert len(github.find()) == 3
    forge.requests.clear()
    assert len(github.find()) == 3
    assert statuses(forge) == [304, 304, 304]


def test_what_moved_is_seen(forge: ForgeStandIn, github: GitHubForge) -> None:
    number = person_proposes(forge)
    assert github.state(number).title == "topic"
    forge.retitle(number, "better")
    assert github.state(number).title == "better"


@pytest.mark.parametrize("outcome", ["open", "merged", "closed"])
def test_the_state_of_one_costs_five_requests_at_most(forge: ForgeStandIn, github: GitHubForge, outcome: str) -> None:
    number = person_proposes(forge)
    if outcome != "open":
        (forge.merge if outcome == "merged" else forge.close)(number, by="bob")
    forge.requests.clear()
    assert github.state(number).state == outcome
    assert len(forge.requests) <= 5


def test_a_call_leaves_no_connection_open(forge: ForgeStandIn, github: GitHubForge) -> None:
    github.find()
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(5):
        github.find()
    # The stand-in closes its end of the last one in its own time.
    wait_for("connections to be closed", lambda: len(list(Path("/proc/self/fd").iterdir())) <= before)


# Limits


@pytest.mark.parametrize("kind", ["primary", "secondary"])
def test_a_limit_is_honoured_without_asking_again(forge: ForgeStandIn, github: GitHubForge, kind: str) -> None:
    forge.rate_limit(90, "primary" if kind == "primary" else "secondary")
    waits = []
    for _ in range(2):
        with pytest.raises(ForgeUnavailableError) as limited:
            github.find()
        waits.append(limited.value.retry_seconds)
    assert waits == pytest.approx([90, 90], abs=5)
    assert len(forge.requests) == 1


def test_a_limit_is_measured_by_the_forge_s_own_clock(forge: ForgeStandIn, github: GitHubForge) -> None:
    forge.clock = lambda: time.time() + 86400
    forge.rate_limit(90)
    with pytest.raises(ForgeUnavailableError) as limited:
        github.find()
    assert limited.value.retry_seconds == pytest.approx(90, abs=5)


def test_no_limit_is_waited_for_longer_than_an_hour(forge: ForgeStandIn, github: GitHubForge) -> None:
    forge.rate_limit(90_000)
    with pytest.raises(ForgeUnavailableError) as limited:
        github.find()
    assert limited.value.retry_seconds == 3600


def test_a_limit_that_is_over_is_forgotten(forge: ForgeStandIn) -> None:
    now = [0.0]
    pace = Pace(clock=lambda: now[0])
    github = open_github(forge.repository, base_url=forge.url, credential=None, pace=pace)
    forge.rate_limit(90)
    with pytest.raises(ForgeUnavailableError) as limited:
        github.find()
    assert limited.value.retry_seconds
    now[0] += limited.value.retry_seconds
    forge.rate_limit(0)
    assert github.find() == []


def test_writes_keep_their_distance(forge: ForgeStandIn) -> None:
    slept: list[float] = []
    pace = Pace(write_seconds=2.0, clock=lambda: sum(slept), sleep=slept.append)
    github = open_github(forge.repository, base_url=forge.url, credential=None, pace=pace)
    number = person_proposes(forge)
    github.find()
    assert slept == []
    github.update(number, labels=["one"])
    github.find()
    github.update(number, labels=["two"])
    assert slept == [2.0]


# The credential


def test_the_credential_is_asked_anew_at_each_call(forge: ForgeStandIn) -> None:
    secrets = iter(["one", "two"])
    github = connect(forge, lambda: Credential("x-access-token", next(secrets)))
    for present in ("one", "two"):
        forge.require_token(present)
        assert github.find() == []


def test_a_wrong_token_is_named_and_not_shown(forge: ForgeStandIn, github: GitHubForge) -> None:
    forge.require_token("another")
    assert "Bad credentials: the credential is wrong, expired or revoked; replace it" in refusal(github)


def test_a_missing_token_is_asked_for(forge: ForgeStandIn) -> None:
    forge.require_token("another")
    assert "a credential is needed; configure one" in refusal(connect(forge))


@pytest.mark.parametrize("broken", ["", f"{SECRET}\nX-More: yes", f" {SECRET}", f"{SECRET}ü"])
def test_a_token_that_no_header_can_carry_is_not_sent(forge: ForgeStandIn, broken: str) -> None:
    assert "holds characters that no token has" in refusal(connect(forge, secret(broken)))
    assert forge.requests == []


def test_a_forge_that_repeats_the_token_does_not_put_it_into_the_text(forge: ForgeStandIn) -> None:
    git(forge.remote, "branch", "repeated", "main")
    github = connect(forge, secret("repeated"))
    with pytest.raises(ForgeRefusedError, match=r"No commits between main and \*\*\*"):
        github.open(head="repeated", base="main", title="t", body="b")


def test_a_missing_permission_is_named(forge: ForgeStandIn, github: GitHubForge) -> None:
    forge.permit(pull_requests="read")
    with pytest.raises(ForgeRefusedError, match="give the credential the permission pull_requests=write"):
        github.open(head=BRANCH, base="main", title="t", body="b")


def test_debug_logs_of_the_library_hold_no_token(
    forge: ForgeStandIn, github: GitHubForge, caplog: pytest.LogCaptureFixture
) -> None:
    forge.install_app()
    with caplog.at_level("DEBUG"):
        refusal(github)
        key = forge.install_app()
        app_credential(app_id=7, installation_id=42, key_file=key, base_url=forge.url)()
    assert forge.app
    assert not any(token in caplog.text for token in (SECRET, *forge.app.tokens))


# The repository's name


def test_a_renamed_repository_goes_on_working(forge: ForgeStandIn, github: GitHubForge) -> None:
    number = person_proposes(forge)
    forge.rename("others/renamed")
    assert [pull.number for pull in github.find("topic")] == [number]
    assert github.full_name == "others/renamed"
    forge.requests.clear()
    github.find("topic")
    assert len(forge.requests) == 1


def test_writing_to_a_renamed_repository_happens_once_at_its_new_name(forge: ForgeStandIn, github: GitHubForge) -> None:
    forge.commit(BRANCH, {"b.json": {}})
    forge.rename("owner/second")
    forge.rename("owner/third")
    assert github.open(head=BRANCH, base="main", title="t", body="b").number == 1
    assert github.update(1, comment="hello") == []
    assert (github.full_name, forge.pulls[1].comments) == ("owner/third", ["hello"])


def test_an_unknown_repository_is_refused(forge: ForgeStandIn) -> None:
    github = open_github("owner/other", base_url=forge.url, credential=None)
    assert "in owner/other: 127.0.0.1" in (text := refusal(github))
    assert "check the repository's name and that the credential may see it" in text


@pytest.mark.parametrize("status", [301, 302, 307, 308])
def test_a_token_never_follows_a_redirect_to_another_host(
    tmp_path: Path, forge: ForgeStandIn, github: GitHubForge, status: int
) -> None:
    with ForgeStandIn(tmp_path / "two") as elsewhere:
        forge.redirect_next(elsewhere.url, status)
        text = refusal(github)
        assert f"redirects to {elsewhere.url}, where credentials are not sent" in text
        assert elsewhere.requests == []


def test_a_redirect_that_leads_nowhere_ends(forge: ForgeStandIn, github: GitHubForge) -> None:
    for _ in range(10):
        forge.redirect_next(f"{forge.url}/again")
    assert "redirects without end" in refusal(github)


# A host that does not do what it should


def test_a_page_that_is_no_json_is_called_so(forge: ForgeStandIn, github: GitHubForge) -> None:
    forge.garbage_next()
    assert "is no JSON; check base_url" in refusal(github)


@pytest.mark.parametrize("text", ['{"a": 1}', "[1]", '[{"number": null}]', '"x"', "null", "{}", "[" * 100_000, "[}"])
def test_an_answer_of_another_shape_is_a_failure_of_the_forge(
    forge: ForgeStandIn, github: GitHubForge, text: str
) -> None:
    forge.garbage_next(text)
    assert "check base_url" in refusal(github)


def test_a_host_that_refuses_connections_is_unavailable(tmp_path: Path) -> None:
    with ForgeStandIn(tmp_path) as gone:
        github = connect(gone)
    assert "refuses the connection; check base_url" in refusal(github)


def test_a_host_that_nobody_knows_is_unavailable() -> None:
    github = open_github("owner/name", base_url="https://forge.invalid/api/v3", credential=secret(SECRET))
    assert "forge.invalid is not a known host; check base_url" in refusal(github)


def test_a_host_that_does_not_answer_is_not_waited_for(forge: ForgeStandIn) -> None:
    github = open_github(forge.repository, base_url=forge.url, credential=None, timeout_seconds=0.2)
    forge.delay_next(60)
    assert "does not answer within 0.2 seconds" in refusal(github)


def test_a_connection_that_is_cut_is_unavailable(forge: ForgeStandIn, github: GitHubForge) -> None:
    forge.cut_next()
    assert "the connection to 127.0.0.1" in refusal(github)


def test_a_certificate_that_is_not_trusted_is_named_and_nothing_is_sent(tmp_path: Path) -> None:
    with ForgeStandIn(tmp_path, certificate=certificate(tmp_path)) as forge:
        text = refusal(connect(forge, secret(SECRET)))
        assert "the certificate of 127.0.0.1" in text
        assert "is not trusted" in text
        assert forge.requests == []


def test_a_certificate_of_an_authority_of_one_s_own_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = certificate(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(own))
    with ForgeStandIn(tmp_path, certificate=own) as forge:
        assert connect(forge, secret(SECRET)).find() == []


def certificate(folder: Path) -> Path:
    """A certificate for the loopback that is its own authority, with its key."""
    key, name = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "forge")])
    begin = datetime.now(UTC) - timedelta(days=1)
    loopback = x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(x509.random_serial_number()).add_extension(loopback, critical=False)
    made = builder.not_valid_before(begin).not_valid_after(begin + timedelta(days=30))
    file = folder / "certificate.pem"
    signed = made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)
    file.write_bytes(signed + key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return file


@pytest.mark.parametrize("url", ["ftp://me:hidden@example.org", "api.github.com", "https://", "http://[", "http://a:x"])
def test_a_base_url_that_is_none_is_a_mistake_of_the_config(url: str) -> None:
    with pytest.raises(ConfigError, match="write for example https://api") as refused:
        open_github("owner/name", base_url=url, credential=None)
    assert "hidden" not in str(refused.value)


def test_pages_and_a_rename_are_followed_below_the_path_of_an_enterprise_server(forge: ForgeStandIn) -> None:
    forge.page_size = 1
    github = open_github(forge.repository, base_url=f"{forge.url}/api/v3", credential=None)
    person_proposes(forge, "one")
    person_proposes(forge, "two")
    forge.rename("owner/renamed")
    assert [pull.number for pull in github.find()] == [2, 1]


# A GitHub App


def test_an_app_s_token_opens_the_door_and_is_kept(forge: ForgeStandIn) -> None:
    key = forge.install_app(app_id=7, installation_id=42)
    credential = app_credential(app_id=7, installation_id=42, key_file=key, base_url=forge.url)
    github = connect(forge, credential)
    assert (github.find(), github.find()) == ([], [])
    assert forge.app
    assert len(forge.app.tokens) == 1
    assert credential() == Credential("x-access-token", forge.app.tokens[0])


def test_an_app_s_token_is_replaced_shortly_before_its_end(forge: ForgeStandIn) -> None:
    key, now = forge.install_app(), [time.time()]
    credential = app_credential(app_id=7, installation_id=42, key_file=key, base_url=forge.url, clock=lambda: now[0])
    first = credential().secret
    forge.clock = lambda: now[0]
    now[0] += 3000
    assert credential().secret == first
    now[0] += 500
    assert credential().secret != first


@pytest.mark.parametrize("skew", [-45, 45, 200])
def test_an_app_is_let_in_though_the_clocks_differ(forge: ForgeStandIn, skew: float) -> None:
    key = forge.install_app()
    forge.clock = lambda: time.time() + skew
    assert app_credential(app_id=7, installation_id=42, key_file=key, base_url=forge.url)().secret


def test_threads_that_need_an_app_s_token_at_once_share_one(forge: ForgeStandIn) -> None:
    key = forge.install_app()
    credential = app_credential(app_id=7, installation_id=42, key_file=key, base_url=forge.url)
    secrets: list[str] = []
    threads = [threading.Thread(target=lambda: secrets.append(credential().secret)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert forge.app
    assert secrets == forge.app.tokens * 4


@pytest.mark.parametrize("content", ["", "nonsense", "-----BEGIN RSA PRIVATE KEY-----\nAAAA\n", "ключ", "elliptic"])
def test_a_file_that_is_no_key_is_named_without_its_content(forge: ForgeStandIn, tmp_path: Path, content: str) -> None:
    key = tmp_path / "app.pem"
    key.write_text(elliptic_key() if content == "elliptic" else content)
    with pytest.raises(CredentialError) as refused:
        app_credential(app_id=7, installation_id=42, key_file=key, base_url=forge.url)()
    assert str(refused.value) == f"the App's key {key} is no private key in PEM format; download it again"


def elliptic_key() -> str:
    key = ec.generate_private_key(ec.SECP256R1())
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


def test_a_missing_key_file_is_named(forge: ForgeStandIn, tmp_path: Path) -> None:
    with pytest.raises(CredentialError, match=r"app\.pem cannot be read \(No such file or directory\)"):
        app_credential(app_id=7, installation_id=42, key_file=tmp_path / "app.pem", base_url=forge.url)()


def test_a_suspended_app_is_refused(forge: ForgeStandIn) -> None:
    key = forge.install_app()
    assert forge.app
    forge.app.suspended = True
    with pytest.raises(ForgeRefusedError, match=r"installation 42 of the GitHub App 7: .*has been suspended"):
        app_credential(app_id=7, installation_id=42, key_file=key, base_url=forge.url)()


def test_an_app_with_another_s_key_is_refused_with_what_to_check(forge: ForgeStandIn, tmp_path: Path) -> None:
    with ForgeStandIn(tmp_path / "two") as other:
        wrong = other.install_app()
    forge.install_app()
    with pytest.raises(ForgeRefusedError, match="check the App's id, its key and this machine's clock"):
        app_credential(app_id=7, installation_id=42, key_file=wrong, base_url=forge.url)()


def test_an_unknown_installation_is_refused(forge: ForgeStandIn) -> None:
    key = forge.install_app()
    with pytest.raises(ForgeRefusedError, match="installation 43 of the GitHub App 7"):
        app_credential(app_id=7, installation_id=43, key_file=key, base_url=forge.url)()


# What the stand-in does as GitHub does, since other tests build on it


def test_the_remote_has_the_head_of_each_pull_request_of_a_fork_too(forge: ForgeStandIn) -> None:
    proposed = forge.commit("topic", {"x.json": {}}, fork="ada/reference")
    number = forge.open_by_person("topic", "from a fork", fork="ada/reference")
    assert git(forge.remote, "rev-parse", f"refs/pull/{number}/head") == proposed
    assert git(forge.remote, "branch", "--list", "topic") == ""


@pytest.mark.parametrize(
    ("style", "parents", "commits", "people"),
    [("merge", 2, 4, "Ada GitHub"), ("squash", 1, 2, "Bob GitHub"), ("rebase", 1, 3, "Ada Ada")],
)
def test_the_stand_in_merges_as_github_does(
    forge: ForgeStandIn, style: Style, parents: int, commits: int, people: str
) -> None:
    forge.commit(BRANCH, {"b.json": {}}, "Add b\n\nwhy b\n\nRefsync-Job: 1")
    forge.commit(BRANCH, {"c.json": {}}, "Add c")
    number = forge.open_by_person(BRANCH, "Two more", by="bob")
    commit = forge.merge(number, by="ada", style=style)
    assert len(git(forge.remote, "show", "-s", "--format=%P", commit).split()) == parents
    assert git(forge.remote, "rev-list", "--count", "main") == str(commits)
    assert git(forge.remote, "show", "-s", "--format=%an %cn", commit) == people
    message = git(forge.remote, "show", "-s", "--format=%B", commit)
    expected = {
        "merge": f"Merge pull request #1 from owner/{BRANCH}\n\nTwo more",
        "squash": "Two more (#1)\n\n* Add b\n\n  why b\n\n  Refsync-Job: 1\n\n* Add c"
        "\n\n---------\n\nCo-authored-by: Ada <ada@example.org>",
        "rebase": "Add c",
    }
    assert message == expected[style]
