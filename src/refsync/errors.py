"""Every failure that refsync can explain.

::

    RefsyncError
    ├── TemporaryError              the same call may succeed later
    │   ├── GitBusyError            somebody else holds git's own lock
    │   ├── GitTimeoutError         a git command outlived its deadline
    │   ├── GitUnwritableError      the disk of the clone is full, or may not be written
    │   ├── GitInterruptedError     a git command was killed from outside
    │   ├── ObjectLostError         an object that was built is gone before it was published
    │   ├── BranchMovedError        the branch is not where it was when the work began
    │   ├── StoreBusyError          the queue store is locked or its disk is full
    │   │   └── LostRaceError       its server took a transaction back in favour of another one
    │   ├── StoreUnavailableError   the queue's database server does not answer, or takes no writes
    │   ├── LeaseLostError          another process runs passes by now
    │   ├── UnservedError           no daemon serves the store
    │   ├── RemoteUnavailableError  the remote does not answer, or answers nonsense
    │   ├── ForgeUnavailableError   the forge does not answer, or asks to wait
    │   └── UndeliveredError        a target of [[notify]] has not taken a message
    └── PermanentError              a person has to change something first
        ├── ConfigError             the config file or a REFSYNC_ variable
        ├── StateDirectoryError     the state directory cannot be used
        │   └── AlreadyRunningError another daemon serves it
        ├── CloneError              the clone cannot be used as it is
        │   ├── LocalEditsError     a person's uncommitted work is in the way
        │   └── LandingRefusedError a file of the commit cannot be written there (also a MendedUnseenError)
        ├── GitCommandError         git refused for a reason of its own
        ├── MendedUnseenError       and does so where nobody here sees it, so that it is tried again now and then
        │   ├── RemoteRefusedError  the remote refuses: no access, no such repository
        │   │   ├── BranchMissingError  it has no such branch
        │   │   └── PushRefusedError    it refuses this very push: a hook, a protected branch
        │   ├── ForgeRefusedError   the forge refuses: no access, no such repository, a rule of its own
        │   └── CredentialError     a credential that is configured cannot be read
        ├── DocumentError           a category file that cannot be read or edited safely
        ├── StoreError              the store is damaged or of a newer version
        ├── WatchError              the folders cannot be watched in the way asked for
        ├── UnknownCategoryError    no such category, or no repository holds it (also a ValueError)
        └── RequestError            what was asked for is refused (also a ValueError)
            ├── PayloadError        the record handed in
            │   └── BrokenRulesError    it breaks rules of its category
            ├── ModelNameError      the model name handed in
            ├── NotAllowedError     who asks may not do that
            ├── ModelNotFoundError  there is no such model
            ├── ModelExistsError    there is one already
            ├── ChangeNotFoundError no change has this id
            ├── ChangeStateError    the change's status does not allow it
            ├── BatchNotFoundError  no batch has this number
            └── BatchStateError     the batch's state does not allow it

The text of each is one line for a person: what, where, what to do.
"""

from __future__ import annotations

import errno
from collections.abc import Sequence


def writable(text: str) -> str:
    r"""Text without the lone surrogates that stand for bytes of no encoding: nothing that takes UTF-8 takes them.

    >>> writable(b"caf\xe9".decode(errors="surrogateescape")) == "caf" + chr(92) + "udce9"
    True
    """
    return text.encode("utf-8", "backslashreplace").decode()


_ADVICE = {
    errno.EMFILE: "raise the limit of open files (LimitNOFILE= of the service, ulimit -n in a shell)",
    errno.ENFILE: "raise the machine's limit of open files (sysctl fs.file-max)",
    errno.EAGAIN: "raise the limit of processes (TasksMax= of the service, ulimit -u in a shell)",
    errno.ENOMEM: "free some memory",
    errno.ENOSPC: "make room",
    errno.EDQUOT: "make room, or raise the quota",
    errno.EROFS: "mount it for writing",
}


def told(problem: RefsyncError | OSError) -> str:
    """A failure of ours or of the system's as one line: where, what, and what to do as far as that is known.

    >>> told(OSError(errno.EROFS, "Read-only file system", "/srv/x"))
    '/srv/x: Read-only file system; mount it for writing'
    """
    if isinstance(problem, RefsyncError) or problem.strerror is None:
        return str(problem)
    place = f"{problem.filename}: " if problem.filename is not None else ""
    advice = _ADVICE.get(problem.errno or 0)
    return writable(f"{place}{problem.strerror}{f'; {advice}' if advice else ''}")


class RefsyncError(Exception):
    """A failure that refsync can explain in one line.

    >>> try:
    ...     raise ModelNameError("model name is empty; give one")
    ... except RefsyncError as error:
    ...     print(error)
    model name is empty; give one
    """

    def __init__(self, text: str = "") -> None:
        """Keep the text in a shape that can be written anywhere."""
        super().__init__(writable(text))


class TemporaryError(RefsyncError):
    """The same call may succeed later.

    >>> issubclass(GitBusyError, TemporaryError)
    True
    """


class RemoteUnavailableError(TemporaryError):
    """The remote does not answer in time, or answers what git cannot make sense of."""


class ForgeUnavailableError(TemporaryError):
    """The forge does not answer in time, fails, or asks to wait.

    ``retry_seconds`` is how long it asks to wait, ``None`` where it does not say.
    """

    def __init__(self, reason: str, *, retry_seconds: float | None = None) -> None:
        """Keep how long the forge asks to wait."""
        super().__init__(reason)
        self.retry_seconds = retry_seconds


class UndeliveredError(TemporaryError):
    """A target of ``[[notify]]`` has not taken a message; the text holds no secret.

    ``again_after`` is how many seconds it wants to be left alone, ``None`` where it does not say.
    """

    def __init__(self, problem: str, *, again_after: float | None = None) -> None:
        super().__init__(problem)
        self.again_after = again_after


class PermanentError(RefsyncError):
    """Trying again cannot help before a person changes something.

    >>> issubclass(ConfigError, PermanentError)
    True
    """


class GitBusyError(TemporaryError):
    """Somebody else holds git's own lock."""


class GitTimeoutError(TemporaryError):
    """A git command outlived its deadline and was ended with its children."""


class GitUnwritableError(TemporaryError):
    """The disk of the clone is full, or a file of it may not be written."""


class GitInterruptedError(TemporaryError):
    """A git command was killed from outside before it had done or said what it was asked for."""


class ObjectLostError(TemporaryError):
    """A commit that was built is gone from the object database before it was published; it is built anew."""


class BranchMovedError(TemporaryError):
    """The branch is not where it was when the work began."""


class LeaseLostError(TemporaryError):
    """Another process runs the passes by now, so that this one must not write any more."""


class StoreBusyError(TemporaryError):
    """The queue store is locked by another process, or its disk is full."""


class LostRaceError(StoreBusyError):
    """The store's server took a transaction back in favour of another one; done again it may succeed."""


class StoreUnavailableError(TemporaryError):
    """The server that the queue store lies on does not answer, or takes no writes."""


class UnservedError(TemporaryError):
    """No daemon serves the store, so that nobody would do what was asked for."""


class ConfigError(PermanentError):
    """The config file, or a REFSYNC_ variable, cannot be used.

    ``problems`` holds one line for each mistake; the text is the first of them and how many more there are.
    """

    def __init__(self, *problems: str) -> None:
        """Keep every problem, so that a check can list them all."""
        self.problems = tuple(map(writable, problems))
        more = f" (and {len(problems) - 1} more: refsync config check)" if len(problems) > 1 else ""
        super().__init__("".join(problems[:1]) + more)


class StateDirectoryError(PermanentError):
    """The state directory cannot be created, read or written."""


class AlreadyRunningError(StateDirectoryError):
    """Another daemon serves this state directory."""


class CloneError(PermanentError):
    """The clone cannot be used as it is."""


class LocalEditsError(CloneError):
    """A person's uncommitted work is in the way of a landing."""


class GitCommandError(PermanentError):
    """Git refused for a reason of its own."""


class MendedUnseenError(PermanentError):
    """A person has to change something first, where nobody here sees it: it is tried again now and then.

    >>> issubclass(CredentialError, MendedUnseenError), issubclass(ConfigError, MendedUnseenError)
    (True, False)
    """


class LandingRefusedError(CloneError, MendedUnseenError):
    """A file of the commit cannot be written in the clone; nothing was moved."""


class RemoteRefusedError(MendedUnseenError):
    """The remote refuses: no access, no such repository."""


class BranchMissingError(RemoteRefusedError):
    """The remote has no such branch."""


class PushRefusedError(RemoteRefusedError):
    """The remote refuses this very push: a hook, a protected branch, somebody else's branch of that name."""


class ForgeRefusedError(MendedUnseenError):
    """The forge refuses: no access, no such repository, a rule of its own."""


class CredentialError(MendedUnseenError):
    """A credential that is configured cannot be read; the text never holds it."""


class DocumentError(PermanentError):
    """A category file that cannot be read or edited safely.

    ``line`` and ``column`` count from 1; ``None`` where the fault has no one place.
    """

    def __init__(self, reason: str, *, line: int | None = None, column: int | None = None) -> None:
        """Keep the reason and the place apart, so that a caller can put a file name in front."""
        self.reason = writable(reason)
        self.line = line
        self.column = column
        place = "" if line is None else f"line {line}" if column is None else f"line {line}, column {column}"
        super().__init__(f"{place}: {self.reason}" if place else self.reason)


class StoreError(PermanentError):
    """The store is damaged, or was written by a newer refsync."""


class WatchError(PermanentError):
    """The folders cannot be watched in the way that was asked for."""


class UnknownCategoryError(PermanentError, ValueError):
    """No such category, or no repository of the config holds it."""


class RequestError(PermanentError, ValueError):
    """What was asked for is refused; nothing was changed."""


class PayloadError(RequestError):
    """The record handed in cannot be used."""


class BrokenRulesError(PayloadError):
    """The record handed in breaks rules of its category that the record before kept.

    ``faults`` has for each the keys and list positions that lead to the field, and what is wrong there.
    """

    def __init__(self, reason: str, faults: Sequence[tuple[tuple[str | int, ...], str]]) -> None:
        """Keep each field apart from the sentence."""
        super().__init__(reason)
        self.faults = tuple(faults)


class ModelNameError(RequestError):
    """The model name handed in cannot be used."""


class NotAllowedError(RequestError):
    """Who asks for it may not do that; the text names who may."""


class ModelNotFoundError(RequestError):
    """There is no such model, and no open change creates it."""


class ModelExistsError(RequestError):
    """There is a model of this name already."""


class ChangeNotFoundError(RequestError):
    """No change has this id."""


class ChangeStateError(RequestError):
    """The change's status does not allow what was asked for."""


class BatchNotFoundError(RequestError):
    """No batch has this number."""


class BatchStateError(RequestError):
    """The batch's state does not allow what was asked for."""
