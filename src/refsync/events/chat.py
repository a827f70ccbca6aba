"""A target that apprise knows by a URL: chats, mail and many others; the URL is the secret that lets refsync in."""

from __future__ import annotations

import logging
from importlib.util import find_spec
from typing import Any

from refsync.commands import install_command
from refsync.credentials import SecretSource
from refsync.errors import ConfigError, CredentialError, UndeliveredError
from refsync.events.message import Message, Send

LONGEST_SECONDS = 60.0
"""What an attempt takes at the most."""
_UNSEEN = "\u200b"


def check_installed() -> None:
    """See that apprise is there.

    Raises:
        ConfigError: it is not; the text has the command that installs it.
    """
    if find_spec("apprise") is None:
        raise ConfigError(f'a target of kind "apprise" needs apprise; install it: {install_command("notify")}')


def chat(name: str, url: SecretSource) -> Send:
    """What sends to a service, ``name`` being the target's for people."""

    def send(message: Message) -> None:
        service = _service(name, url())
        try:
            has_taken_it = service.notify(body=without_mentions(message.text), body_format="markdown")
        except Exception as problem:  # whatever a plug-in raises; its text may hold the URL
            raise UndeliveredError(f"apprise failed with {type(problem).__name__}") from None
        if not has_taken_it:
            raise UndeliveredError("the service has not taken it; check its URL, and whether it can be reached")

    return send


def check_url(name: str, url: SecretSource) -> None:
    """See that apprise knows the URL.

    Raises:
        ConfigError: apprise is not installed.
        CredentialError: it does not, or the URL cannot be had.
    """
    _service(name, url())


def without_mentions(text: str) -> str:
    """Text in which no service finds a mention, some of which look for them in code, too: nothing of it is lost."""
    return text.replace("@", f"@{_UNSEEN}").replace("<!", f"<{_UNSEEN}!").replace("<#", f"<{_UNSEEN}#")


def _service(name: str, url: str) -> Any:
    check_installed()
    import apprise

    _keep_quiet()
    service = apprise.Apprise(
        asset=apprise.AppriseAsset(http_redirects=False, storage_mode="memory", service_timeout=LONGEST_SECONDS)
    )
    try:
        is_known = service.add(url)
    except Exception:  # whatever a plug-in raises; its text may hold the URL
        is_known = False
    if not is_known:
        raise CredentialError(
            f"the secret of [[notify]] {name} is no URL that apprise knows; see https://appriseit.com/services/"
        )
    return service


def _keep_quiet() -> None:
    """Let nothing of apprise's log, which may hold parts of a URL, come out: what became of it is told by refsync."""
    log = logging.getLogger("apprise")
    if not log.handlers:
        log.addHandler(logging.NullHandler())
    log.propagate = False
