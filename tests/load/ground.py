"""What a load run works on: repositories with a remote each, machines with clones of all of them, and a queue."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.support.daemon import Daemon, Site
from tests.support.repositories import Clone, git

IMAGE = ("blip", "clip", "codeformer", "controlnet", "esrgan", "gfpgan", "safety_checker", "image_generation")


class Machine(Site):
    """A state directory, a config and a clone of every repository."""

    def __init__(self, folder: Path, text: str) -> None:
        folder.mkdir()
        self._text = text
        super().__init__(folder)

    def write_config(self, *_: object, **__: object) -> None:
        self.config_file.parent.mkdir(exist_ok=True)
        self.config_file.write_text(self._text)


@dataclass(frozen=True)
class Ground:
    """All of it: the remotes, the desk at which changes are submitted, and the machines that land them."""

    remotes: Sequence[Path]
    desk: Machine
    machines: Sequence[Machine]

    def start(self) -> list[Daemon]:
        """A daemon on each machine, ready."""
        daemons = [Daemon(machine) for machine in self.machines]
        for daemon in daemons:
            daemon.wait_until_logged("refsync serves")
        return daemons


def prepare(folder: Path, url: str, *, repositories: int, daemons: int) -> Ground:
    """Make it, in an empty folder."""
    remotes = [_remote(folder / f"remote{number}.git", category(number)) for number in range(repositories)]
    names = ["desk", *(f"node{number}" for number in range(daemons))]
    machines = []
    for name in names:
        machine = Machine(folder / name, _config(folder / name, url, repositories))
        for number, remote in enumerate(remotes):
            git(folder, "clone", "-q", str(remote), str(machine.folder / f"clone{number}"))
            Clone(machine.folder / f"clone{number}").configure()
        machines.append(machine)
    return Ground(remotes, machines[0], machines[1:])


def category(number: int) -> str:
    """The name of the one category of a repository."""
    return f"load_{number:02}"


def _remote(path: Path, name: str) -> Path:
    made = Clone.create(path.with_suffix(".start"), {f"{name}.json": {"first": {"n": 0}}})
    subprocess.run(["git", "clone", "-q", "--bare", str(made.path), str(path)], check=True)
    return path


def _config(folder: Path, url: str, repositories: int) -> str:
    lines = [
        f'state_directory = "{folder / "state"}"',
        f'[queue]\nurl = "{url}"',
        "[guard]\nopen_changes = 10000000\nopen_changes_by_person = 10000000",
        '[log]\nlevel = "INFO"',
        "[watch]\nrescan_seconds = 30.0",
    ]
    for number in range(repositories):
        name = category(number)
        lines.append(f'[[category]]\nname = "{name}"\nfile = "{name}.json"')
        lines.append(
            f'[[repository]]\nname = "{name}"\npath = "{folder / f"clone{number}"}"\npublish = "push"\n'
            f'fetch_seconds = 600.0\n[repository.categories]\n{name} = "{name}.json"'
        )
        if number == 0:  # each category of the specification needs one that holds it
            lines += [f'{each} = "{each}.json"' for each in (*IMAGE, "miscellaneous")]
    return "\n".join(lines)
