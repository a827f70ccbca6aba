"""Let in as a GitHub App: an installation's token is minted just before it is used and lives for an hour."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from refsync.credentials import Credential, CredentialSource
from refsync.errors import CredentialError, RefsyncError
from refsync.forges.github_answers import TokenAnswer

USERNAME = "x-access-token"  # under which git over https takes an installation's token
TOKEN_SECONDS = 3600.0
MARGIN_SECONDS = 300.0  # a token is used for that long at most: a fetch with its retries
JWT_SECONDS = 540.0  # GitHub takes ten minutes at most
CLOCK_SECONDS = 60.0  # this machine's clock may be ahead by so much
NEEDED_TO_PUSH = {"contents": "write"}
NEEDED_FOR_REVIEW = {"contents": "write", "pull_requests": "write"}
GOOD_FOR_REVIEW = {"checks": "read", "statuses": "read"}
"""Without these a pull request is followed all the same."""


def app_credential(
    *,
    app_id: int,
    installation_id: int,
    key_file: Path,
    base_url: str,
    repository: Callable[[], str | None] = lambda: None,
    is_for_review: bool = True,
    clock: Callable[[], float] = time.time,
) -> CredentialSource:
    """The tokens of one installation of a GitHub App; may be asked from several threads.

    Asking raises CredentialError where the key cannot be read, ForgeRefusedError where GitHub does not take it or the
    installation is suspended or gone, and ForgeUnavailableError.

    Args:
        app_id: of the App.
        installation_id: of its installation.
        key_file: of the App's private key.
        base_url: of the API.
        repository: gives the ``owner/name`` that a token is to be good for, ``None`` for all of the installation.
        is_for_review: whether pull requests are opened with it, and not only commits pushed.
        clock: Unix time.
    """
    lock = threading.Lock()
    secret, keep_until = "", 0.0

    def credential() -> Credential:
        nonlocal secret, keep_until
        with lock:
            if clock() >= keep_until:
                wishes = _wishes(repository(), is_for_review=is_for_review)
                token = _mint(app_id, installation_id, lambda: _signed(app_id, key_file, clock()), base_url, wishes)
                secret, keep_until = token.token, _keep_until(token, clock())
            return Credential(USERNAME, secret)

    return credential


def _wishes(repository: str | None, *, is_for_review: bool) -> Iterator[dict[str, Any]]:
    """What a token may be for, the least first: an App may lack what is only good to have, a name may be an old one."""
    needed = NEEDED_FOR_REVIEW if is_for_review else NEEDED_TO_PUSH
    wanted = [needed | GOOD_FOR_REVIEW, needed] if is_for_review else [needed]
    places: list[dict[str, Any]] = [{"repositories": [repository.rpartition("/")[2]]}] if repository else []
    for place in (*places, {}):
        for permissions in wanted:
            yield {**place, "permissions": permissions}


def _keep_until(token: TokenAnswer, now: float) -> float:
    """Shortly before its end, which is told in the forge's time: a clock that is slow must not keep it for longer."""
    return now + min(token.expires_at.timestamp() - now, TOKEN_SECONDS) - MARGIN_SECONDS


def _mint(
    app_id: int, installation_id: int, sign: Callable[[], str], base_url: str, wishes: Iterator[dict[str, Any]]
) -> TokenAnswer:
    from refsync.forges.github_customs import LetInBy, github_customs
    from refsync.forges.pace import Pace
    from refsync.forges.rest import AnsweredRefusalError, RestApi

    customs = github_customs(LetInBy.APP_KEY)
    api = RestApi(base_url, lambda: Credential("app", sign()), customs, pace=Pace(write_seconds=0.0))
    path = f"/app/installations/{installation_id}/access_tokens"
    doing = f"get a token for installation {installation_id} of the GitHub App {app_id}"
    refusal: RefsyncError | None = None
    for wish in wishes:
        try:
            return api.send("POST", path, wish, TokenAnswer, doing=doing)
        except AnsweredRefusalError as refused:
            if refused.answer.status != 422:
                raise
            refusal = refused
    assert refusal
    raise refusal


def _signed(app_id: int, key_file: Path, now: float) -> str:
    """Who we are, signed with the App's key, and dated a minute back, for clocks that are ahead."""
    import jwt

    claims = {"iss": str(app_id), "iat": int(now - CLOCK_SECONDS), "exp": int(now + JWT_SECONDS - CLOCK_SECONDS)}
    try:
        return jwt.encode(claims, key_file.read_text("ascii").strip() or "no key", algorithm="RS256")
    except OSError as error:
        raise CredentialError(f"the App's key {key_file} cannot be read ({error.strerror}); check it") from None
    except (ValueError, TypeError, AttributeError, jwt.PyJWTError):  # whatever the key is; none may show it
        raise CredentialError(f"the App's key {key_file} is no private key in PEM format; download it again") from None
