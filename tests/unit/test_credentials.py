from __future__ import annotations

from pathlib import Path

import pytest

from refsync.credentials import Credential, CredentialSource, token_source
from refsync.errors import CredentialError


def from_file(path: Path, username: str = "bot") -> CredentialSource:
    return token_source(username=username, file=path, variable="", credential="", environ={})


def from_variable(name: str, **environ: str) -> CredentialSource:
    return token_source(username="bot", file=None, variable=name, credential="", environ=environ)


def from_systemd(name: str, **environ: str) -> CredentialSource:
    return token_source(username="bot", file=None, variable="", credential=name, environ=environ)


def refusal(source: CredentialSource) -> str:
    with pytest.raises(CredentialError) as raised:
        source()
    assert "s3cret" not in str(raised.value)
    assert "\n" not in str(raised.value)
    return str(raised.value)


@pytest.mark.parametrize("end", ["", "\n", "\r\n", "\n\n"])
def test_a_token_is_read_from_a_file_without_its_line_end(tmp_path: Path, end: str) -> None:
    (tmp_path / "token").write_bytes(f"s3cret{end}".encode())
    assert from_file(tmp_path / "token")() == Credential("bot", "s3cret")


def test_a_file_is_read_at_each_use(tmp_path: Path) -> None:
    source = from_file(tmp_path / "token")
    for token in ("first", "second"):
        (tmp_path / "token").write_text(token)
        assert source().secret == token


def test_a_token_is_read_from_a_variable() -> None:
    assert from_variable("TOKEN", TOKEN="s3cret\n")() == Credential("bot", "s3cret")


def test_a_token_is_read_from_what_systemd_hands_over(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret\n")
    assert from_systemd("token", CREDENTIALS_DIRECTORY=str(tmp_path))() == Credential("bot", "s3cret")


def test_a_secret_is_left_out_of_the_repr() -> None:
    assert "s3cret" not in repr(Credential("bot", "s3cret"))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    told = refusal(from_file(tmp_path / "token"))
    assert told == f"token_file {tmp_path}/token: cannot be read: No such file or directory; put the token there"


def test_a_folder_in_place_of_the_file_is_told(tmp_path: Path) -> None:
    assert "cannot be read: Is a directory" in refusal(from_file(tmp_path))


def test_a_missing_variable_is_named() -> None:
    assert refusal(from_variable("TOKEN")).startswith("token_variable: the environment variable TOKEN is not set")


def test_a_daemon_to_which_systemd_hands_nothing_is_told_how() -> None:
    assert "CREDENTIALS_DIRECTORY is not set" in refusal(from_systemd("token"))
    assert "add LoadCredential=token:PATH to the unit" in refusal(from_systemd("token"))


def test_a_credential_that_systemd_was_not_told_of_is_named(tmp_path: Path) -> None:
    told = refusal(from_systemd("token", CREDENTIALS_DIRECTORY=str(tmp_path)))
    assert told.startswith(f"token_credential {tmp_path}/token: cannot be read")


@pytest.mark.parametrize("content", [b"", b"\n", b"  \n"])
def test_an_empty_file_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    assert refusal(from_file(tmp_path / "token")) == f"token_file {tmp_path}/token is empty; put the token there"


@pytest.mark.parametrize("content", [b"s3cret\nsecond", b"s3\x00cret", b"s3cret\x1b[0m", "\ufeffs3cret".encode()])
def test_a_secret_with_line_breaks_or_control_characters_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "token").write_bytes(content)
    assert "holds a line break or control character" in refusal(from_file(tmp_path / "token"))


def test_a_file_that_is_no_text_is_told(tmp_path: Path) -> None:
    (tmp_path / "token").write_bytes(b"s3cret\xff\xfe")
    assert "holds no text" in refusal(from_file(tmp_path / "token"))


def test_a_variable_that_is_empty_is_named() -> None:
    assert refusal(from_variable("TOKEN", TOKEN="")) == (
        "the environment variable TOKEN of token_variable is empty; put the token there"
    )


def test_a_user_name_with_a_line_break_is_told(tmp_path: Path) -> None:
    (tmp_path / "token").write_text("s3cret")
    told = refusal(from_file(tmp_path / "token", "bot\npassword=x"))
    assert told.startswith("`username` of [repository.credentials] holds a line break")
