"""A git that is too old is told before it is asked for what it does not know, and one that was updated is taken."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support.daemon import Site, image_clone, wait_for
from tests.support.transports import script


def older_git(folder: Path) -> Path:
    """A git that says that it is old, in a folder to put in front of the others."""
    folder.mkdir()
    git = f'if [ "$1" = version ]; then echo git version 2.25.1; else exec {shutil.which("git")} "$@"; fi'
    script(folder / "git", git)
    return folder


@pytest.mark.slow
def test_a_git_too_old_is_told_and_one_that_was_updated_is_taken_without_a_restart(tmp_path: Path) -> None:
    site = Site(tmp_path)
    image_clone(site.clone.path)
    site.write_config("[watch]\nrescan_seconds = 1\n")
    old = older_git(tmp_path / "bin")
    path = f"{old}:/usr/local/bin:/usr/bin:/bin"
    line = "git 2.25 is too old; update it to 2.32 or newer"
    with site.daemon(PATH=path) as daemon:
        daemon.wait_until_logged(f"image: held: {line}")
        assert line in site.run("status", PATH=path).stdout
        assert line in site.run("sync", PATH=path).stderr
        site.approve("Dreamlike")
        assert not site.has_model("Dreamlike")
        (old / "git").unlink()
        wait_for("the commit", lambda: site.has_model("Dreamlike"))
