"""What a disk is short of."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace

import pytest

from refsync.disk_room import LEAST_BYTES, LEAST_FILES, Shortage, ShortageKind, shortage

BLOCK = 4096
ENOUGH = {"f_flag": 0, "f_frsize": BLOCK, "f_bavail": LEAST_BYTES // BLOCK, "f_files": 1 << 20, "f_favail": LEAST_FILES}


@pytest.mark.parametrize(
    ("differs", "short"),
    [
        ({}, None),
        ({"f_files": 0, "f_favail": 0}, None),  # a disk that counts no files
        ({"f_flag": os.ST_RDONLY, "f_bavail": 0}, Shortage(ShortageKind.read_only)),
        ({"f_bavail": LEAST_BYTES // BLOCK - 1}, Shortage(ShortageKind.bytes, LEAST_BYTES - BLOCK)),
        ({"f_favail": LEAST_FILES - 1}, Shortage(ShortageKind.files, LEAST_FILES - 1)),
    ],
)
def test_a_disk_is_short_of_what_it_has_less_of_than_is_needed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, differs: dict[str, int], short: Shortage | None
) -> None:
    monkeypatch.setattr(os, "statvfs", lambda _: SimpleNamespace(**ENOUGH | differs))
    assert shortage(tmp_path) == short
