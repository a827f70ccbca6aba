"""Which fields of a record say where its files are, and what they are."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class LinkFields:
    """Where records keep links to files: dotted paths, ``[]`` behind each list.

    Attributes:
        url: the files' URLs.
        name: their names, beside the URLs.
        file: names again, beside the hashes where these stand elsewhere.
        sha256: the files' hashes.
        size: their sizes in bytes, or the size of all together.
    """

    url: str
    name: str = ""
    file: str = ""
    sha256: str = ""
    size: str = ""


RECORD_LINKS = LinkFields(
    url="config.download[].file_url",
    name="config.download[].file_name",
    file="config.files[].path",
    sha256="config.files[].sha256sum",
    size="size_on_disk_bytes",
)
"""Those of the specification's records that have any."""
