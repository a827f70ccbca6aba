"""Let in as a GitHub App: an installation's token is minted just before it is used and lives for an hour."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from refsync.credentials import Credential, CredentialSource
from refsync.errors import CredentialError

USERNAME = "x-access-token"  # under which git over https takes an installation's token
TOKEN_SECONDS = 3600.0
MARGIN_SECONDS = 300.0  # a token is used for that long at most: a fetch with its retries
WRONG_KEY = "check the App's id, its key and this machine's clock"


@dataclass(frozen=True)
class _Token:
    secret: str
    expires_at: float


def app_credential(
    *,
    app_id: int,
    installation_id: int,
    key_file: Path,
    base_url: str,
    clock: Callable[[], float] = time.time,
) -> CredentialSource:
    """The tokens of one installation of a GitHub App; may be asked from several threads.

    Asking raises CredentialError where the key cannot be read, ForgeRefusedError where GitHub does not take it or the
    installation is suspended or gone, and ForgeUnavailableError.
    """
    lock = threading.Lock()
    secret, keep_until = "", 0.0

    def credential() -> Credential:
        nonlocal secret, keep_until
        with lock:
            if clock() >= keep_until:
                token = _mint(app_id, installation_id, key_file, base_url)
                secret, keep_until = token.secret, _keep_until(token, clock())
            return Credential(USERNAME, secret)

    return credential


def _keep_until(token: _Token, now: float) -> float:
    """Shortly before its end, which is told in the forge's time: a clock that is slow must not keep it for longer."""
    return now + min(token.expires_at - now, TOKEN_SECONDS) - MARGIN_SECONDS


def _mint(app_id: int, installation_id: int, key_file: Path, base_url: str) -> _Token:
    from refsync.forges.github_api import GitHubApi  # only who needs PyGithub loads it

    api = GitHubApi(base_url, lambda: Credential("app", _signed(app_id, key_file)), unauthorized=WRONG_KEY)
    doing = f"get a token for installation {installation_id} of the GitHub App {app_id}"
    return api.send("POST", f"/app/installations/{installation_id}/access_tokens", {}, _token, doing=doing)


def _token(data: Any) -> _Token:
    return _Token(str(data["token"]), datetime.fromisoformat(data["expires_at"]).timestamp())


def _signed(app_id: int, key_file: Path) -> str:
    """Who we are, signed with the App's key; PyGithub dates it a minute back, for clocks that are ahead."""
    from github.Auth import AppAuth
    from jwt import PyJWTError

    try:
        return AppAuth(app_id, key_file.read_text("ascii").strip() or "no key").token
    except OSError as error:
        raise CredentialError(f"the App's key {key_file} cannot be read ({error.strerror}); check it") from None
    except (ValueError, TypeError, AttributeError, PyJWTError):  # whatever the key is instead; none may show it
        raise CredentialError(f"the App's key {key_file} is no private key in PEM format; download it again") from None
