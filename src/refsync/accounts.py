"""The accounts of the operating system: who runs a command."""

from __future__ import annotations

import os
import pwd
from collections.abc import Mapping


def account_name(uid: int) -> str:
    """The login name of a user id; the number itself where it has none."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def has_account(name: str) -> bool:
    """Whether somebody has this login name."""
    try:
        pwd.getpwnam(name)
    except KeyError:
        return False
    return True


def acting_account(environ: Mapping[str, str]) -> str:
    """The login name of who runs this process; where that is root by ``sudo``, of who called it.

    Only root's word is taken for it: anybody can set a variable.
    """
    uid = os.getuid()
    caller = environ.get("SUDO_USER") if uid == 0 else None
    return caller or account_name(uid)
