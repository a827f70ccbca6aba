"""What other users than its owner, and root, may do with a file: by everybody's bits, and by those of its group."""

from __future__ import annotations

import grp
import os
import pwd
import stat


def others_may_write(found: os.stat_result) -> bool:
    """Whether anybody else may write it; into a folder, whether they may put files and take them away."""
    return bool(found.st_mode & stat.S_IWOTH or (found.st_mode & stat.S_IWGRP and _is_shared(found)))


def others_may_read(found: os.stat_result) -> bool:
    """Whether anybody else may read it."""
    return bool(found.st_mode & stat.S_IROTH or (found.st_mode & stat.S_IRGRP and _is_shared(found)))


def _is_shared(found: os.stat_result) -> bool:
    """Whether its group has, as far as this machine tells, another member than the owner."""
    if found.st_gid == 0:
        return False
    try:
        owner, group = pwd.getpwuid(found.st_uid), grp.getgrgid(found.st_gid)
    except KeyError:
        return True
    if found.st_uid != 0 and owner.pw_gid != found.st_gid:
        return True
    return bool(set(group.gr_mem) - {owner.pw_name, "root"})
