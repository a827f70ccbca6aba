"""The image and the compose file: what they let a container be, and, where podman works, that it does its work so."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tomllib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from refsync.config.layers import scalar_keys, variable
from tests.support.daemon import wait_for
from tests.support.repositories import Clone, git

PROJECT = Path(__file__).parents[2]
FOLDER = PROJECT / "systemd" / "containers"
CONTAINERFILE = (FOLDER / "Containerfile").read_text()
USER = 10001


def services() -> dict[str, dict[str, Any]]:
    yaml = pytest.importorskip("yaml")
    found: dict[str, dict[str, Any]] = yaml.safe_load((FOLDER / "compose.yaml").read_text())["services"]
    return found


OURS = ("worker", "reader", "door")


@pytest.mark.parametrize("name", OURS)
def test_a_service_writes_its_volumes_alone_and_becomes_nothing_more(name: str) -> None:
    service = services()[name]
    assert service["read_only"] is True
    assert service["cap_drop"] == ["ALL"]
    assert service["security_opt"] == ["no-new-privileges"]
    assert service["init"] is True
    assert "user" not in service  # that of the image
    mounts = [mount.split(":") for mount in service["volumes"]]
    assert {mount[0] for mount in mounts if mount[0].startswith(".")} == {"./etc"}
    assert all(mount[2:] == ["ro"] for mount in mounts if mount[0].startswith("."))
    assert [port.split(":")[0] for port in service.get("ports", [])] == (["127.0.0.1"] if name == "door" else [])


def test_each_daemon_has_state_and_clones_of_its_own_and_says_whether_it_is_well() -> None:
    worker, reader, door = (services()[name] for name in OURS)
    named = [{mount.split(":")[0] for mount in each["volumes"]} - {"./etc"} for each in (worker, reader)]
    assert not named[0] & named[1]
    assert worker["healthcheck"]["test"] == reader["healthcheck"]["test"] == ["CMD", "refsync", "status", "--check"]
    assert "token" not in door["secrets"]


@pytest.mark.parametrize("name", OURS)
def test_every_variable_is_a_key_of_the_config(name: str) -> None:
    known = {variable(key) for key in scalar_keys()}
    assert set(services()[name]["environment"]) <= known


def test_the_image_runs_as_nobody_in_particular_with_extras_that_there_are() -> None:
    assert re.findall(r"^USER (.*)$", CONTAINERFILE, re.MULTILINE) == ["refsync:refsync"]
    assert f"--uid {USER}" in CONTAINERFILE
    (extras,) = re.findall(r"/source\[([a-z,]+)\]", CONTAINERFILE)
    project = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]
    assert set(extras.split(",")) <= set(project["optional-dependencies"])
    assert json.loads(re.findall(r"HEALTHCHECK .*CMD (.*)$", CONTAINERFILE, re.MULTILINE)[0]) == [
        "refsync",
        "status",
        "--check",
    ]


# The real thing


def podman(*words: str | Path, check: bool = True, seconds: float = 600) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        ["podman", *map(str, words)], capture_output=True, text=True, check=False, timeout=seconds, cwd=PROJECT
    )
    assert not check or done.returncode == 0, done.stderr[-2000:]
    return done


@pytest.fixture(scope="module")
def base() -> str:
    """What the image stands on: one that is there, or that a registry gives."""
    if shutil.which("podman") is None:
        pytest.skip("there is no podman")
    name = os.environ.get("REFSYNC_TEST_BASE_IMAGE", "docker.io/library/debian:bookworm-slim")
    if podman("image", "exists", name, check=False).returncode:
        pulled = podman("pull", "--quiet", name, check=False, seconds=120)
        if pulled.returncode:
            pytest.skip(f"{name} is not to be had; REFSYNC_TEST_BASE_IMAGE names another base")
    if podman("run", "--rm", "--network", "none", name, "true", check=False).returncode:
        pytest.skip("podman runs no container here")
    return name


@pytest.fixture(scope="module")
def image(base: str) -> Iterator[str]:
    """The image, built; ``REFSYNC_TEST_WHEELS`` is a folder that has what pip takes."""
    name = f"localhost/refsync-test-{os.getpid()}"
    options = ["--network", "host", "--format", "docker", "--layers=false", "--build-arg", f"BASE={base}"]
    if wheels := os.environ.get("REFSYNC_TEST_WHEELS"):
        options += ["--volume", f"{wheels}:/wheels:ro", "--build-arg", "PIP_NO_INDEX=1"]
        options += ["--build-arg", "PIP_FIND_LINKS=/wheels"]
    podman("build", "--quiet", *options, "--file", FOLDER / "Containerfile", "--tag", name, PROJECT)
    yield name
    podman("rmi", "--force", name)


@contextmanager
def daemon(image: str, folder: Path) -> Iterator[str]:
    name = f"refsync-test-{os.getpid()}"
    config = f"{folder / 'etc'}:/etc/refsync:ro"
    writable = [f"{folder / 'state'}:/var/lib/refsync:U", f"{folder / 'clones'}:/srv/reference:U"]
    volumes = [word for mount in (config, *writable) for word in ("--volume", mount)]
    walls = ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--network", "none"]
    podman("run", "--detach", "--name", name, *walls, *volumes, image)
    try:
        yield name
    finally:
        podman("rm", "--force", name)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_a_change_lands_in_a_container_that_writes_nothing_else(image: str, tmp_path: Path) -> None:
    for each in ("etc", "state", "clones"):
        (tmp_path / each).mkdir()
    clone = Clone.create(tmp_path / "clones" / "image", {"clip.json": {"a": {"name": "a"}}})
    text = 'state_directory = "/var/lib/refsync"\n[[repository]]\nname = "image"\npath = "/srv/reference/image"\n'
    (tmp_path / "etc" / "refsync.toml").write_text(text)
    tmp_path.chmod(0o755)
    with daemon(image, tmp_path) as name:

        def inside(*words: str) -> subprocess.CompletedProcess[str]:
            return podman("exec", "--interactive", name, *words, check=False)

        wait_for("a good pass", lambda: inside("refsync", "status", "--check").returncode == 0, 60)
        assert (
            inside("sh", "-c", 'echo \'{"name": "b"}\' | refsync queue add create clip b --payload -').stdout == "1\n"
        )
        assert inside("refsync", "queue", "approve", "1", "--title", "From a container").returncode == 0
        wait_for("the landing", lambda: "applied" in inside("refsync", "queue", "show", "1").stdout, 60)
        assert inside("id", "-u").stdout == f"{USER}\n"
        assert "Read-only file system" in inside("touch", "/opt/refsync/x").stderr
        assert "NoNewPrivs:\t1\nSeccomp" in inside("cat", "/proc/1/status").stdout
        podman("stop", "--time", "15", name)
        assert podman("inspect", "--format", "{{.State.ExitCode}}", name).stdout == "0\n"
    assert '"b"' in git(tmp_path, "-c", "safe.directory=*", "-C", str(clone.path), "show", "main:clip.json")
