"""What only rules need, and only some of them: the extra ``refsync[rules]``."""

from __future__ import annotations

from importlib.util import find_spec

from refsync.commands import install_command
from refsync.errors import ConfigError


def check_installed() -> None:
    """See that schemas and patterns can be used.

    Raises:
        ConfigError: what that needs is not installed; the text has the command that does so.
    """
    if not all(map(find_spec, ("jsonschema", "re2"))):
        needed = "schemas and patterns need jsonschema and google-re2"
        raise ConfigError(f"{needed}; install them: {install_command('rules')}")
