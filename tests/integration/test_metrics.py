"""What the daemon and the door tell Prometheus."""

from __future__ import annotations

import importlib.metadata
import re
import shutil
import subprocess
import sys
import time
from functools import partial
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from refsync.errors import ConfigError
from refsync.forges import github
from refsync.metrics.measures import measures_to
from refsync.metrics.textfile import Textfile
from refsync.pending_queue.models import Actor
from tests.support.daemon import Site, image_clone, wait_for
from tests.support.door import open_door
from tests.support.forge import ForgeStandIn, unhurried
from tests.support.published import RequestedReference
from tests.support.queue import review
from tests.support.reference import Reference

PROJECT = Path(__file__).parents[2]
RULES = PROJECT / "systemd" / "refsync.rules.yml"
LANDED = (("operation", "create"), ("outcome", "applied"))
REFUSED = (("operation", "update"), ("outcome", "rejected"))


def names_in(text: str) -> set[str]:
    """The figures that the README's table names, in full."""
    table = text.split("\n## Figures\n")[1].split("\n## ")[0]
    cells = "".join(line for line in table.splitlines() if line.startswith("| "))
    return {f"refsync_{name}" for name in re.findall(r"`([a-z_]+)(?:\{[a-z,]+\})?`", cells)}


class Scrape:
    """A text as Prometheus reads it."""

    def __init__(self, text: str) -> None:
        families = list(text_string_to_metric_families(text))
        self.types = {family.name: family.type for family in families}
        self.samples = {(s.name, tuple(sorted(s.labels.items()))): s.value for each in families for s in each.samples}
        assert len(families) == len(self.types)
        assert len(self.samples) == sum(len(each.samples) for each in families)

    def __call__(self, name: str, *pairs: tuple[str, str], **labels: str) -> float | None:
        return self.samples.get((f"refsync_{name}", tuple(sorted([*pairs, *labels.items()]))))


def test_the_file_tells_of_queue_batches_clones_and_counters(tmp_path: Path) -> None:
    reference, file = Reference(tmp_path), tmp_path / "refsync.prom"
    application, began = reference.application, time.time()
    textfile = Textfile(file, rest=0)
    textfile.write(application)
    assert Scrape(file.read_text())("queue_oldest_pending_timestamp_seconds") is None

    reference.create("gamma", {"version": "1"})
    waits = reference.submit("alpha", {"version": "2"})
    review(application.queue, reject=[reference.submit("beta", {"version": "2"})])
    reference.clone.commit({"blip.json": b"{"})
    reference.sync()
    textfile.passed(0.02)
    textfile.write(application)

    told = Scrape(file.read_text())
    assert told("build_info", version=importlib.metadata.version("refsync")) == 1
    assert told("config_last_reload_successful") == 1
    assert told("queue_changes", status="pending") == told("queue_changes", status="applied") == 1
    assert told("queue_oldest_pending_timestamp_seconds") == reference.change(waits).requested_at
    assert told("batches", state="held") == told("batches", state="open") == 0
    assert told("changes_finished_total", *LANDED) == told("changes_finished_total", *REFUSED) == 1
    assert told("approval_to_landed_seconds_count", publish="local") == 1
    assert told("pass_duration_seconds_bucket", le="0.025") == 1
    passed = told("last_pass_timestamp_seconds", repository="image") or 0
    assert passed >= began
    assert told("last_good_pass_timestamp_seconds", repository="image") == passed
    assert told("unreadable_files", repository="image") == 1
    assert told("models", category="clip") == 3
    assert told("metadata_operations_total", category="clip", operation="create") == 3
    assert told("last_good_pass_timestamp_seconds", repository="image") == told(
        "last_pass_timestamp_seconds", repository="image"
    )
    assert told.types["refsync_changes_finished"] == told.types["refsync_metadata_operations"] == "counter"
    assert told.types["refsync_pass_duration_seconds"] == "histogram"
    assert not any(name.endswith("_created") for name, _ in told.samples)
    reference.close()


def test_the_file_tells_of_pushes_and_of_what_the_forge_was_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(github, "open_github", partial(github.open_github, pace=unhurried()))
    file = tmp_path / "refsync.prom"
    with ForgeStandIn(tmp_path) as forge:
        reference = RequestedReference(tmp_path, forge)
        queue, textfile = reference.application.queue, Textfile(file, rest=0)
        reference.application.observer = textfile
        hook = reference.remote.path / "hooks" / "pre-receive"
        hook.write_text("#!/bin/sh\nexit 1\n")
        hook.chmod(0o755)
        reference.update("alpha", {"version": "2"})
        reference.sync()
        textfile.write(reference.application)
        refused = Scrape(file.read_text())
        hook.unlink()
        queue.retry_batch(1, actor=Actor("bob", "Bob"))
        reference.sync()
        textfile.write(reference.application)
        told = Scrape(file.read_text())
        proposal = queue.get_batch(1).proposal
        reference.close()
    assert refused("held_batches", repository="image", kind="refused_push") == 1
    assert refused("push_attempts_total", repository="image", result="refused") == 1
    assert told("push_attempts_total", repository="image", result="arrived") == 1
    assert (told("forge_requests_total", repository="image", result="2xx") or 0) >= 2
    assert told("forge_rate_limit_remaining", repository="image") == 4321
    assert told("held_batches", repository="image", kind="refused_push") is None
    assert told("batches", state="proposed") == told("pull_requests_open", repository="image") == 1
    assert proposal
    assert told("pull_request_oldest_timestamp_seconds", repository="image") == proposal.opened_at
    assert told("remote_behind_commits", repository="image") == 0


def test_each_figure_stands_in_the_readme_and_alerts_ask_for_no_other(tmp_path: Path) -> None:
    reference = Reference(tmp_path)
    reference.submit("alpha", {"version": "2"})
    Textfile(tmp_path / "refsync.prom").write(reference.application)
    reference.close()
    types = Scrape((tmp_path / "refsync.prom").read_text()).types
    endings = {"counter": "_total", "info": "_info"}
    known = {name + endings.get(kind, "") for name, kind in types.items()}
    assert names_in((PROJECT / "README.md").read_text()) == known
    asked = set(re.findall(r"refsync_\w+", "".join(re.findall(r"^ +expr: (.*)$", RULES.read_text(), re.MULTILINE))))
    assert asked
    assert asked <= known


def test_prometheus_takes_the_alerts() -> None:
    tool = shutil.which("promtool")
    if tool is None:
        pytest.skip("no promtool: install prometheus")
    done = subprocess.run([tool, "check", "rules", str(RULES)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + done.stdout


def test_who_has_just_looked_at_everything_says_when_to_ask_again(tmp_path: Path) -> None:
    reference, file = Reference(tmp_path), tmp_path / "refsync.prom"
    textfile = Textfile(file, rest=3600)
    assert textfile.write(reference.application) is None
    file.unlink()
    assert (textfile.write(reference.application) or 0) > 0
    assert not file.exists()
    reference.close()


def test_the_daemon_writes_it_after_each_pass_and_tells_of_a_refused_config(tmp_path: Path) -> None:
    site, file = Site(tmp_path), tmp_path / "state" / "refsync.prom"
    image_clone(site.clone.path)
    more = f'[metrics]\ntextfile = "{file}"\n'
    site.write_config(more)

    def told(name: str, *pairs: tuple[str, str], **labels: str) -> float:
        return Scrape(file.read_text())(name, *pairs, **labels) or 0

    with site.daemon() as daemon:
        wait_for("the file", file.exists)
        site.approve("Dreamlike")
        wait_for("the landing in it", lambda: told("changes_finished_total", *LANDED) == 1)
        assert told("file_events_total") > 0
        assert told("pass_duration_seconds_count") > 0
        site.write_config(f"{more}[apply]\nwhen = 7\n")
        wait_for("the refusal in it", lambda: told("config_last_reload_successful") == 0)
        site.write_config("")
        daemon.wait_until_logged("the changed config is in force")
        daemon.wait_until_idle()
        assert daemon.stop() == 0
    assert not list(file.parent.glob("*.tmp.*"))


def test_a_file_that_cannot_be_written_is_told_once_and_holds_nothing_up(tmp_path: Path) -> None:
    site = Site(tmp_path)
    image_clone(site.clone.path)
    site.write_config(f'[metrics]\ntextfile = "{tmp_path}/nowhere/refsync.prom"\n')
    with site.daemon() as daemon:
        site.approve("Dreamlike")
        wait_for("the commit", lambda: site.has_model("Dreamlike"))
        daemon.wait_until_idle()
        (line,) = daemon.lines("the metrics cannot be written")
        assert "nowhere" in line


def test_the_door_passes_the_daemons_file_on_with_figures_of_its_own(tmp_path: Path) -> None:
    reference = Reference(tmp_path, more=f'[metrics]\ntextfile = "{tmp_path}/refsync.prom"')
    with open_door(reference.application, tmp_path) as door:
        before = Scrape(door.get("/metrics").text)
        Textfile(tmp_path / "refsync.prom").write(reference.application)
        door.get("/nowhere")
        got = door.get("/metrics")
    told = Scrape(got.text)
    assert got.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert before("queue_changes", status="pending") is None
    assert told("queue_changes", status="pending") == 0
    assert (told("door_requests_total", code="200"), told("door_requests_total", code="404")) == (1, 1)
    assert (told("door_process_resident_memory_bytes") or 0) > 0
    reference.close()


def test_without_the_extra_the_command_that_installs_it_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("refsync.metrics.measures.find_spec", lambda name: None)
    measures_to("")
    with pytest.raises(ConfigError, match="need prometheus-client") as refused:
        measures_to("/var/lib/refsync.prom")
    assert f"install it: {sys.executable} -m pip install 'prometheus-client>=" in str(refused.value)
    reference = Reference(tmp_path)
    with open_door(reference.application, tmp_path) as door:
        got = door.get("/metrics")
    reference.close()
    assert (got.status_code, got.json()["detail"]) == (503, str(refused.value))
