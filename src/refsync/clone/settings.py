"""What refsync's own git commands obey: the one list of settings and variables that they neutralise or keep.

Git's settings are made for people. Whoever may write a clone's config, or commit a ``.gitattributes``, could have
commands run or bytes changed behind refsync's back, and what an operator likes to see would be taken for data.
So every git command is told the settings below, by its environment: those win over all files, included ones
too. Whatever is not named stays in force.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

Settings = Sequence[tuple[str, str]]
"""Keys and values, the later ones stronger."""


class Neutralised(NamedTuple):
    """A setting that refsync's git commands do not take from anybody, what they are told instead, and why."""

    key: str
    value: str
    reason: str


NEUTRALISED = (
    # What runs commands.
    Neutralised("core.hooksPath", os.devnull, "a hook runs as the service, may see its secrets and stop its work"),
    Neutralised("core.fsmonitor", "", "a command that status runs; empty says no to every version of git"),
    Neutralised("core.alternateRefsCommand", "true", "a command that fetch and push run; this one says nothing"),
    Neutralised("protocol.ext.allow", "never", "such a remote is a command"),
    Neutralised("submodule.recurse", "false", "a checkout for the checks would rewire the clone's submodules"),
    Neutralised("maintenance.auto", "false", "it is done when refsync has time for it, and never behind its back"),
    # What changes bytes or history.
    Neutralised("core.attributesFile", os.devnull, "an operator's attributes are not the repository's"),
    Neutralised("core.useReplaceRefs", "false", "what lands and is counted is what was committed"),
    Neutralised("i18n.commitEncoding", "UTF-8", "messages are written in UTF-8"),
    Neutralised("i18n.logOutputEncoding", "UTF-8", "and read in it"),
    # What decides where a push goes, and what with it.
    Neutralised("push.followTags", "false", "only the branch in hand is pushed"),
    Neutralised("push.gpgSign", "false", "the service has no key, and a remote may not take signed pushes"),
    Neutralised("push.pushOption", "", "a remote that takes no options would refuse"),
    Neutralised("push.recurseSubmodules", "no", "no other repository is pushed"),
    Neutralised("fetch.recurseSubmodules", "false", "no other repository is fetched"),
    Neutralised("fetch.pruneTags", "false", "a person's tags stay"),
    Neutralised("fetch.writeCommitGraph", "false", "maintenance again"),
    # What keeps what comes from a remote within bounds.
    Neutralised("fetch.fsckObjects", "true", "an object that git itself would not make is not taken"),
    *(
        Neutralised(f"fetch.fsck.{fault}", "error", "a name that leads elsewhere on some file systems")
        for fault in ("hasDot", "hasDotdot", "hasDotgit", "fullPathname", "nullSha1")
    ),
    *(
        Neutralised(f"fetch.fsck.{fault}", "warn", "old histories have such people and dates, and they harm nobody")
        for fault in (
            "badDate",
            "badDateOverflow",
            "badEmail",
            "badName",
            "badTimezone",
            "missingEmail",
            "missingNameBeforeEmail",
            "missingSpaceBeforeDate",
            "missingSpaceBeforeEmail",
            "zeroPaddedDate",
            "zeroPaddedFilemode",
        )
    ),
    Neutralised("core.bigFileThreshold", "64m", "what is larger is streamed, and not held in memory"),
    # What changes how git's answers look.
    Neutralised("color.ui", "false", "answers are read by a program"),
    *(
        Neutralised(f"color.{name}", "false", "each of these is stronger than color.ui")
        for name in ("advice", "branch", "diff", "push", "remote", "status", "transport")
    ),
    Neutralised("core.quotePath", "true", "git's own way to show a path in its messages"),
    Neutralised("diff.orderFile", os.devnull, "paths are expected in git's order"),
    Neutralised("diff.external", "", "a command that diff runs"),
    Neutralised("diff.noprefix", "false", "a shown diff is one that can be applied"),
    Neutralised("diff.mnemonicPrefix", "false", "the same"),
    Neutralised("diff.relative", "false", "paths are told from the root"),
    Neutralised("diff.renames", "false", "a renamed file is one gone and one new"),
    Neutralised("diff.ignoreSubmodules", "none", "each path that differs is told"),
    Neutralised("log.follow", "false", "a log of one path is not one of its earlier names"),
    Neutralised("log.showSignature", "false", "a program is run for it, and what it says stands among the answers"),
    Neutralised("log.mailmap", "false", "authors are told as they were committed"),
    Neutralised("log.showRoot", "true", "the first commit has changed files, too"),
    Neutralised("log.decorate", "false", "answers are read by a program"),
    Neutralised("log.abbrevCommit", "false", "ids are whole"),
    Neutralised("status.branch", "false", "answers are read by a program"),
    Neutralised("status.showStash", "false", "the same"),
    Neutralised("status.short", "false", "the same"),
    Neutralised("status.relativePaths", "false", "paths are told from the root"),
    Neutralised("status.renames", "false", "a renamed file is one gone and one new"),
    Neutralised("status.submoduleSummary", "false", "git would be run in the submodules"),
)

NEUTRALISED_BY_NAME = (
    Neutralised("filter.*.clean", "", "files are written from blobs, and compared with them, without filters"),
    Neutralised("filter.*.smudge", "", "the same"),
    Neutralised("filter.*.process", "", "the same"),
    Neutralised("filter.*.required", "false", "an absent filter (git-lfs, for one) must not stop a landing"),
    Neutralised("diff.*.command", "", "a command that diff runs"),
    Neutralised("diff.*.textconv", "", "a command that diff runs"),
    Neutralised("merge.*.driver", "", "a command that merge-tree runs"),
    Neutralised("hook.*.command", "", "a hook that stands in the config"),
    Neutralised("hook.*.enabled", "false", "the same"),
)
"""Settings whose key holds a name, for which the config has to be asked first."""

VARIABLES = {
    "LC_ALL": "C",  # messages that we read must not be translated
    "GIT_TERMINAL_PROMPT": "0",  # nobody is there to answer
    "GIT_ASKPASS": "",  # nor a window of the desktop, of git's or of ssh's
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_OPTIONAL_LOCKS": "0",  # a look must not write: it would wake the watcher, and lock a person out
    "GIT_LITERAL_PATHSPECS": "1",  # a path is a path, whatever characters it has
    "GIT_NO_REPLACE_OBJECTS": "1",  # what lands and is counted is what was committed
    "GIT_GRAFT_FILE": f"{os.devnull}/none",  # the same; a file that is there would be warned of
    "GIT_ATTR_NOSYSTEM": "1",  # the machine's attributes are not the repository's
}
"""What every git command is told by variables."""

KEPT_VARIABLES = (
    "GIT_CONFIG_COUNT",  # settings of the operator's environment; ours come behind
    "GIT_CONFIG_KEY_",
    "GIT_CONFIG_VALUE_",
    "GIT_CONFIG_GLOBAL",  # where the operator's settings are
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_SSH",  # how this machine reaches others: GIT_SSH_COMMAND and GIT_SSH_VARIANT, too
    "GIT_SSL_",  # GIT_SSL_CAINFO and the like
    "GIT_PROXY_",
    "GIT_HTTP_",
    "GIT_ALLOW_PROTOCOL",  # what the operator forbids stays forbidden
    "GIT_PROTOCOL_FROM_USER",
    "GIT_EXEC_PATH",  # where this machine's git has its parts
)
"""How the names of variables begin that git gets as they are; no other one whose name begins with ``GIT_``.

Those would point git elsewhere (``GIT_DIR`` inside a hook), or win over what it is told here
(``GIT_CONFIG_PARAMETERS``).
"""

KEPT = {
    "http.*": "proxies and certificates of this machine; headers only where no credential is configured",
    "credential.*": "this machine's own credentials, where none is configured",
    "url.*.insteadOf": "this machine's mirrors",
    "core.sshCommand": "how this machine reaches others",
    "core.gitProxy": "the same; these five of the machine's config only (clone/own_settings.py)",
    "safe.directory": "whose clones git may trust",
    "protocol.*": "what the operator forbids stays forbidden",
    "core.autocrlf": "a file that people's git wrote is compared in their way; with core.eol and core.safecrlf",
    "core.excludesFile": "what people's git ignores is in the way all the same",
    "core.fileMode": "what the file system can do; with core.symlinks, ignoreCase, trustCtime and checkStat",
    "core.sharedRepository": "who may write the clone",
    "core.sparseCheckout": "which files the clone shows",
    "extensions.*": "how the clone is stored",
    "pack.*": "how much memory and time packing may take",
    "remote.*.pushurl": "of the clone's own config only; the operator's may be meant for another repository",
}
"""What stays in force on purpose, as patterns of keys, and why."""

_NAMED = tuple(
    (re.compile(rf"{section}\..+\.{name}", re.DOTALL), setting.value)
    for setting in NEUTRALISED_BY_NAME
    for section, name in [setting.key.split(".*.")]
)


def git_environment(
    environ: Mapping[str, str], extra: Mapping[str, str] | None = None, settings: Settings = ()
) -> dict[str, str]:
    """The environment of a git command.

    Args:
        environ: the environment of this process.
        extra: variables to set beside.
        settings: what git is told beside :data:`NEUTRALISED`, and stronger.
    """
    kept = {key: value for key, value in environ.items() if not key.startswith("GIT_") or _is_kept(key)}
    told = [*((each.key, each.value) for each in NEUTRALISED), *settings]
    return kept | VARIABLES | _as_variables(told, environ) | dict(extra or {})


def neutralised_by_name(keys: Iterable[str]) -> list[tuple[str, str]]:
    """What to tell git so that none of these keys, as its config has them, runs a filter or another command."""
    return [(key, value) for key in keys for pattern, value in _NAMED if pattern.fullmatch(key)]


def _is_kept(variable: str) -> bool:
    return variable.startswith(KEPT_VARIABLES)


def _as_variables(settings: Settings, environ: Mapping[str, str]) -> dict[str, str]:
    """Settings as git takes them from its environment (since 2.31), behind those that are there already."""
    count = environ.get("GIT_CONFIG_COUNT", "")
    first = int(count) if count.isdecimal() else 0
    variables = {"GIT_CONFIG_COUNT": str(first + len(settings))}
    for position, (key, value) in enumerate(settings, start=first):
        variables |= {f"GIT_CONFIG_KEY_{position}": key, f"GIT_CONFIG_VALUE_{position}": value}
    return variables
