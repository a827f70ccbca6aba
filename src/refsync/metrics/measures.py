"""What the daemon tells of its life; nobody listens, unless the config names a file for it."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

from refsync.application import Application
from refsync.commands import install_command
from refsync.errors import ConfigError
from refsync.ways_out import Observer


class Measures(Observer):
    """Is told, and keeps nothing."""

    def reloaded(self, *, good: bool) -> None:
        """The config was read, and is in force or was refused."""

    def passed(self, seconds: float) -> None:
        """A pass took so many seconds."""

    def heard(self, events: int) -> None:
        """So many files were told to have changed."""

    def overflowed(self) -> None:
        """The kernel threw file events away."""

    def write(self, application: Application) -> float | None:
        """Publish how things are now; in how many seconds to ask again, where it is too early.

        Raises:
            RefsyncError: the store cannot be read.
            OSError: the file cannot be written.
        """
        return None


def measures_to(textfile: str) -> Measures:
    """What keeps figures and writes them to a file; to none, with an empty name.

    Raises:
        ConfigError: what that needs is not installed; the text has the command that does so.
    """
    if not textfile:
        return Measures()
    check_installed()
    from refsync.metrics.textfile import Textfile

    return Textfile(Path(textfile))


def check_installed() -> None:
    """See that figures can be made.

    Raises:
        ConfigError: what that needs is not installed; the text has the command that does so.
    """
    if find_spec("prometheus_client") is None:
        raise ConfigError(f"metrics need prometheus-client; install it: {install_command('metrics')}")
