from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from refsync.scratch import set_folder_mode


def mode_of(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def test_a_folder_that_has_its_permissions_from_its_own_folder_is_left_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "chmod", lambda *_: pytest.fail("nothing is to be set"))
    set_folder_mode(tmp_path, tmp_path.stat().st_mode)


def test_the_bit_is_set_where_it_is_missing(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir(0o700)
    set_folder_mode(folder, 0o2770)
    assert mode_of(folder) == 0o2770


def refused(*_: object) -> None:
    raise PermissionError(1, "Operation not permitted")


def test_who_may_not_name_the_bit_keeps_a_folder_that_has_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    folder.chmod(0o2770)
    monkeypatch.setattr(os, "chmod", refused)
    set_folder_mode(folder, 0o2775)
    assert mode_of(folder) == 0o2770


def test_who_may_not_set_the_bit_is_told_where_it_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "chmod", refused)
    with pytest.raises(PermissionError):
        set_folder_mode(tmp_path, 0o2770)
