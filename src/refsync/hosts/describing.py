"""A host asked what it tells of a URL."""

from __future__ import annotations

from refsync.hosts import any_host, civitai, hugging_face
from refsync.hosts.asking import Ask
from refsync.hosts.description import Description
from refsync.hosts.probing import Hosts


def describe(url: str, hosts: Hosts, ask: Ask) -> Description:
    """What a URL's host tells of it; that of the file's page in a browser does as well.

    Raises:
        CannotAskError: the host cannot be asked, or its answer is none.
        RationOverError: it has been asked as often as it may be.
    """
    if hugging_face.has_page(url, hosts.hugging_face):
        return hugging_face.describe(url, hosts.hugging_face, ask)
    if civitai.has_page(url, hosts.civitai):
        return civitai.describe(url, hosts.civitai, ask)
    return any_host.describe(url, ask)
