"""Tuning is live: the config file is watched, a good edit takes effect, a bad one changes nothing."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.support.daemon import Site, image_clone, record, wait_for
from tests.support.repositories import Clone

TEXT_CATEGORIES = (
    "text_generation", "blip", "codeformer", "controlnet", "esrgan", "gfpgan", "safety_checker", "miscellaneous",
)  # fmt: skip
MANUAL = '[apply]\nwhen = "manual"\n'


@pytest.fixture
def site(tmp_path: Path) -> Site:
    site = Site(tmp_path)
    image_clone(site.clone.path)
    site.write_config(MANUAL)
    return site


def test_an_edit_in_place_takes_effect_on_what_waits(site: Site) -> None:
    with site.daemon() as daemon:
        site.approve("Dreamlike")
        daemon.wait_until_idle()
        assert not site.has_model("Dreamlike")
        site.write_config()
        daemon.wait_until_logged("the changed config is in force")
        wait_for("the commit", lambda: site.has_model("Dreamlike"))


def test_an_edit_by_rename_takes_effect(site: Site) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        fresh = site.config_file.with_suffix(".new")
        fresh.write_text(site.config_text())
        fresh.rename(site.config_file)
        daemon.wait_until_logged("the changed config is in force")


def test_an_edit_of_the_file_behind_a_link_takes_effect(site: Site) -> None:
    target = site.folder / "elsewhere" / "refsync.toml"
    target.parent.mkdir()
    site.config_file.rename(target)
    site.config_file.symlink_to(target)
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        target.write_text(site.config_text())
        daemon.wait_until_logged("the changed config is in force")


def test_sighup_reads_the_config_again(site: Site) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        daemon.send(signal.SIGHUP)
        daemon.wait_until_logged("the config was read again: nothing to change")


@pytest.mark.parametrize(
    ("edit", "reason"),
    [
        ('[apply]\nwhen = "sometimes"\n', "apply.when"),
        ("[apply]\nsetle_seconds = 1\n", "settle_seconds"),
        ("no TOML at all", "refsync.toml"),
    ],
)
def test_a_bad_edit_is_refused_with_the_reason_and_the_old_settings_stay(site: Site, edit: str, reason: str) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        site.write_config(edit)
        daemon.wait_until_logged("the changed config is refused, the old settings stay in force")
        assert reason in daemon.lines("is refused")[0]
        daemon.wait_until_idle()
        assert len(daemon.lines("is refused")) == 1
        site.write_config()
        daemon.wait_until_logged("the changed config is in force")


def test_a_key_that_needs_a_restart_says_so(site: Site) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        site.write_config(state=site.folder / "other")
        daemon.wait_until_logged("state_directory changed in the config file; it takes effect after a restart")
        daemon.wait_until_logged("the changed config is in force")
        assert not (site.folder / "other").exists()


def test_a_repository_that_is_added_is_served(site: Site) -> None:
    text = Clone.create(site.folder / "text", {"text_generation.json": {"Llama": record("Llama")}})
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        site.write_config(
            f'[[repository]]\nname = "text"\npath = "{text.path}"\n[repository.categories]\n'
            + "".join(f'{category} = "{category}.json"\n' for category in TEXT_CATEGORIES)
        )
        daemon.wait_until_logged(f"text: recorded up to {text.tip[:12]}, commits: 1, operations: 1")
        text.commit({"text_generation.json": {}})
        daemon.wait_until_logged(f"text: recorded up to {text.tip[:12]}, commits: 1, operations: 1")
        daemon.wait_until_logged("text: text_generation changed on disk")


def test_the_log_level_and_form_are_live(site: Site) -> None:
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        site.write_config(form="json", level="INFO")
        daemon.wait_until_logged('"message": "the changed config is in force')


def test_a_config_behind_a_swapped_link_to_its_folder_is_taken_at_once(site: Site) -> None:
    """As orchestrators mount it: refsync.toml -> ..data/refsync.toml, and ..data -> the newest version's folder."""
    etc = site.config_file.parent
    for version, more in (("..1", MANUAL), ("..2", ""), ("..3", MANUAL)):
        (etc / version).mkdir()
        (etc / version / "refsync.toml").write_text(site.config_text(more))
    (etc / "..data").symlink_to("..1")
    site.config_file.unlink()
    site.config_file.symlink_to("..data/refsync.toml")
    with site.daemon() as daemon:
        daemon.wait_until_idle()
        for times, version in enumerate(("..2", "..3"), 1):
            (etc / "..data_tmp").symlink_to(version)
            (etc / "..data_tmp").rename(etc / "..data")
            daemon.wait_until_logged("the changed config is in force", times=times)


def test_a_byte_order_mark_in_front_of_the_config_is_none_of_it(site: Site) -> None:
    site.config_file.write_bytes(b"\xef\xbb\xbf" + site.config_text().encode())
    assert ": good;" in site.run("config", "check").stdout
