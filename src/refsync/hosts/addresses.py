"""Which addresses a stranger's URL may lead to: none of this machine or its networks."""

from __future__ import annotations

import ipaddress
import socket
import threading
from contextlib import suppress
from urllib.parse import SplitResult

Address = ipaddress.IPv4Address | ipaddress.IPv6Address

_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")  # what stands in the last 32 bits is asked for


class ForbiddenAddressError(Exception):
    """The URL leads to an address that a stranger may not have asked."""


class UnknownHostError(Exception):
    """The name of the host is not known."""


def address_of(url: SplitResult, *, allows_private: bool, seconds: float) -> str:
    """The address to connect to for a URL.

    Args:
        url: an ``http`` or ``https`` URL with a host.
        allows_private: whether it may be one of this machine or its networks.
        seconds: for so long the host's name is looked up.

    Raises:
        ForbiddenAddressError: one of the host's addresses is not public.
        UnknownHostError: it has none.
    """
    addresses = _looked_up(url, seconds)
    if not addresses:
        raise UnknownHostError
    if not allows_private and not all(is_public(ipaddress.ip_address(each)) for each in addresses):
        raise ForbiddenAddressError
    return addresses[0]


def _looked_up(url: SplitResult, seconds: float) -> list[str]:
    """The addresses of a URL's host; the look-up has a thread, since nothing else can end the wait for it."""
    addresses: list[str] = []

    def look_up() -> None:
        with suppress(OSError, UnicodeError):
            found = socket.getaddrinfo(url.hostname, url.port, type=socket.SOCK_STREAM)
            addresses.extend(str(each[4][0]).partition("%")[0] for each in found)

    thread = threading.Thread(target=look_up, name="look up", daemon=True)
    thread.start()
    thread.join(seconds)
    return list(addresses)


def is_public(address: Address) -> bool:
    """Whether an address is one of the public internet, also where it stands for one of the older kind.

    >>> is_public(ipaddress.ip_address("::ffff:127.0.0.1")), is_public(ipaddress.ip_address("9.9.9.9"))
    (False, True)
    """
    if isinstance(address, ipaddress.IPv6Address):
        inner = address.ipv4_mapped or address.sixtofour
        if inner is None and address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(inner)
    return address.is_global and not address.is_multicast
