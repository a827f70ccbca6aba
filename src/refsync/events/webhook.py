"""A target that takes webhooks: news as JSON, signed as Standard Webhooks 1.0 has it (https://www.standardwebhooks.com).

The operator's word for the URL is trusted, so a host of a private network is as good as any; a redirect is an answer
of somebody else, and is not followed.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import time
from datetime import UTC, datetime
from http import HTTPStatus
from urllib.parse import urlsplit

from refsync.credentials import SecretSource
from refsync.dumping import dump
from refsync.errors import CredentialError, UndeliveredError
from refsync.events.message import Message, Send

_MOST_ANSWER_BYTES = 0
"""Nothing is done with what it says."""
_PREFIX = "whsec_"
_SHORTEST_KEY_BYTES = 24
_LONGEST_KEY_BYTES = 64


def webhook(name: str, url: str, secret: SecretSource, timeout_seconds: float) -> Send:
    """What sends to a URL.

    Args:
        name: of the target, for people.
        url: of the receiver.
        secret: gives the key that messages are signed with, in base64, with or without ``whsec_`` before it.
        timeout_seconds: what each step of an exchange may take.
    """

    def send(message: Message) -> None:
        from refsync.exchange import Exchange, Unanswered, asked_by_header  # httpx, in the thread that needs it

        key = key_of(secret(), name)
        content = body_of(message).encode()
        at = int(time.time())
        headers = {
            "content-type": "application/json",
            "user-agent": "refsync",
            "webhook-id": message.id,
            "webhook-timestamp": str(at),
            "webhook-signature": signature(key, message.id, at, content),
        }
        exchange = Exchange(urlsplit(url).hostname or name, timeout_seconds, told_by=f"`url` of [[notify]] {name}")
        try:
            answer = exchange.ask("POST", url, headers, content=content, most_bytes=_MOST_ANSWER_BYTES)
        except Unanswered as failure:
            raise UndeliveredError(failure.problem) from None
        if not HTTPStatus.OK <= answer.status < HTTPStatus.MULTIPLE_CHOICES:
            raise UndeliveredError(_refused(answer.status), again_after=asked_by_header(answer, time.time()))

    return send


def body_of(message: Message) -> str:
    """The JSON that is sent: its type, when it happened, and the news with the same in words."""
    happened = datetime.fromtimestamp(message.at, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    data = {"text": message.text, **message.data}
    return dump({"type": message.kind, "timestamp": happened, "data": data}, ensure_ascii=True)


def signature(key: bytes, message_id: str, at: int, content: bytes) -> str:
    """The signature of a message sent at a time in whole Unix seconds, by its version's name."""
    signed = hmac.new(key, f"{message_id}.{at}.".encode() + content, hashlib.sha256).digest()
    return f"v1,{base64.b64encode(signed).decode()}"


def key_of(secret: str, name: str) -> bytes:
    """The bytes of a key as it is written down.

    Raises:
        CredentialError: it is none.
    """
    try:
        key = base64.b64decode(secret.strip().removeprefix(_PREFIX), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not _SHORTEST_KEY_BYTES <= len(key) <= _LONGEST_KEY_BYTES:
        raise CredentialError(
            f"the secret of [[notify]] {name} is no key of {_SHORTEST_KEY_BYTES} to {_LONGEST_KEY_BYTES} bytes in "
            "base64; make one: openssl rand -base64 32"
        )
    return key


def _refused(status: int) -> str:
    if HTTPStatus.MULTIPLE_CHOICES <= status < HTTPStatus.BAD_REQUEST:
        return f"it answers {status}, and a redirect is not followed: write the URL that it leads to"
    try:
        return f"it answers {status} {HTTPStatus(status).phrase}"
    except ValueError:
        return f"it answers {status}"
