"""What single values of the config file may be: each check returns the value or raises ``ValueError``, saying why."""

from __future__ import annotations

import ipaddress
import os
import re
import shlex
from collections.abc import Sequence
from difflib import get_close_matches
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo

from refsync.categories import SPECIFIED, CategoryName, catalogue_in, is_table
from refsync.config.crontab import check_cron_line
from refsync.documents.shape import Shape
from refsync.file_patterns import is_pattern
from refsync.review.finding import Rule

DEFAULT_SCHEDULE = "0 6 * * *"


def nearest(name: str, known: Sequence[str]) -> str:
    """Word the advice which known name was probably meant."""
    found = get_close_matches(name, known, n=1, cutoff=0.0)
    return f"; the nearest is {found[0]}" if found else ""


def shown(value: object) -> str:
    """Quote a value on one line, shortened where it is long."""
    try:
        text = repr(value)
    except RecursionError:
        return "what is nested too deeply"
    return text if len(text) <= 60 else f"{text[:57]}..."


def _absolute_folder(path: Path) -> Path:
    if path == Path() or "\0" in str(path):
        raise ValueError("must be the path of a folder")
    if path.parts[0].startswith("~"):
        raise ValueError("must be written out in full: ~ is another folder for the daemon than for you")
    if not path.is_absolute():
        raise ValueError(f"must be an absolute path, not {shown(str(path))}")
    return Path(os.path.normpath(path))


def _repository_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):
        raise ValueError(f"must be letters, digits, '.', '_' and '-', the first no '.' or '-'; not {shown(name)}")
    return name


def _branch_name(name: str) -> str:
    unfit = re.search(r"[\x00-\x20\x7f~^:?*\[\\]|\.\.|@\{|//|/\.|\.lock(/|$)|^[-/.@]|[/.]$", name)
    if not name or unfit or name.startswith("refs/"):
        raise ValueError(f"must be a branch name as `git branch` shows it, not {shown(name)}")
    return name


def _branch_prefix(prefix: str) -> str:
    try:
        _branch_name(f"{prefix}batch-1")
    except ValueError:
        raise ValueError(f"must be the beginning of a branch name, such as 'refsync/'; not {shown(prefix)}") from None
    if not prefix:
        raise ValueError("must not be empty: it tells refsync's branches from people's")
    return prefix


def _remote_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]*", name):  # a URL may hold a password, so it is not shown
        raise ValueError("must be the name of a remote as `git remote` lists it")
    return name


def _remote_url(url: str) -> str:
    """Refuse what is no URL; it is not shown, for it may hold a password, which must not stand there at all."""
    if not url:
        return url
    userinfo = url.partition("://")[2].partition("/")[0].rpartition("@")[0]
    if ":" in userinfo or (url.startswith("http") and userinfo):
        raise ValueError("must hold no user name, password or token; leave them out")
    if not url.isprintable() or not re.match(r"[a-z][a-z0-9+]*://[^/]|/|[^/:]+:[^:]", url) or "::" in url.split("[")[0]:
        raise ValueError('must be a URL such as "https://github.com/owner/name", "git@host:path" or a path')
    return url


def _absolute_file(path: Path) -> Path:
    if path == Path():
        raise ValueError("must be the path of a file")
    _no_token(path.name)
    return _absolute_folder(path)


def _no_token(text: str) -> str:
    """Refuse what a forge gives out as a token; a name of one is shown in listings, a token must not be."""
    if re.match(r"gh[a-z]_\w{16}|github_pat_|glpat-", text):
        raise ValueError("looks like a token itself; put that into a file and name the file in token_file")
    return text


def _user_name(name: str) -> str:
    if not name.isprintable() or ":" in name:
        raise ValueError("must be a user name: printable characters, without a colon")
    return _no_token(name)


def _variable_name(name: str) -> str:
    _no_token(name)
    if name and not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):  # not shown: it may be the secret itself
        raise ValueError("must be the name of an environment variable, not its value")
    return name


def _credential_name(name: str) -> str:
    _no_token(name)
    if name and (not re.fullmatch(r"[A-Za-z0-9_.-]+", name) or name in (".", "..")):
        raise ValueError("must be the name that LoadCredential= gives it, not its value")
    return name


def _forge_repository(name: str) -> str:
    if name and not re.fullmatch(r"[A-Za-z0-9_.-]+/[A-Za-z0-9_.-]+", name):
        raise ValueError(f"must be owner/name, or empty to take it from the remote's URL; not {shown(name)}")
    return name


def _forge_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/@?#]+(/[^\s@?#]*)?", url):  # not shown: it may hold a password
        raise ValueError('must be the https URL of an API, such as "https://github.example.org/api/v3"')
    return url.rstrip("/")


def _category(name: object, info: ValidationInfo) -> CategoryName:
    catalogue = catalogue_in(info.context)
    if not isinstance(name, str) or name not in catalogue:
        raise ValueError(f"is no category{nearest(str(name), list(catalogue))}")
    return catalogue.parse(name)


def _check_rule(name: object) -> object:
    if name not in set(Rule):
        raise ValueError(f"is no rule of refsync check{nearest(str(name), list(Rule))}")
    return name


def category_file(text: str) -> str:
    """Refuse what is no JSON file inside the clone; drop ``./``."""
    path = PurePosixPath(text)
    if not path.parts or text.endswith("/") or not text.isprintable():
        raise ValueError(f"{shown(text)} is no file name")
    if path.is_absolute() or ".." in path.parts:
        raise ValueError(f"{shown(text)} is a path outside the clone; write it relative to the clone's folder")
    if ".git" in (part.casefold() for part in path.parts):
        raise ValueError(f"{shown(text)} is git's own; name a file of the work tree")
    return str(path)


_ROUTES = frozenset({"metadata", "info", "me", "model_categories", "pending_queue"})
"""What the HTTP API has in the place of a category."""


def _own_category(name: str) -> str:
    if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", name):
        raise ValueError(f"must be small letters, digits and _, a letter first; not {shown(name)}")
    if name in SPECIFIED.plain_names or name in _ROUTES:
        raise ValueError(f"{name} is a name of the specification: give it rules alone, or the category another name")
    return name


def _json_file(text: str) -> str:
    if is_table(text):
        raise ValueError(f"{shown(text)} is a CSV table; a category of one's own is a JSON file")
    if is_pattern(text):
        raise ValueError(f"{shown(text)} stands for many files; write it as `files`")
    return category_file(text)


def _file_pattern(text: str) -> str:
    path = category_file(text)
    folder, _, name = path.rpartition("/")
    if name.count("*") != 1 or "*" in folder or not name.endswith(".json"):
        raise ValueError(f'must be the JSON files of one folder, such as "models/*.json"; not {shown(text)}')
    return path


def _records_place(text: str) -> str:
    return str(Shape.parse(text))


def _author(text: str) -> str:
    if not re.fullmatch(r"[^<>\x00-\x20\x7f]([^<>\x00-\x1f\x7f]*[^<>\x00-\x20\x7f])? <[^<>\x00-\x20\x7f]+>", text):
        raise ValueError(f'must be "Name <mail>", not {shown(text)}')
    return text


def _schedule(line: str) -> str:
    if line != DEFAULT_SCHEDULE:  # which is known to be good
        check_cron_line(line)
    return line


def _store_url(url: str) -> str:
    if url and not re.match(r"[a-z][a-z0-9_+]*://", url):  # not shown: it may hold a password
        raise ValueError('must be an SQLAlchemy URL such as "sqlite:////srv/queue.db", or empty')
    return url


def _bind_address(address: str) -> str:
    if address and _host_and_port(address) is None:
        raise ValueError(f'must be ADDRESS:PORT, such as "127.0.0.1:19800" or "[::1]:19800"; not {shown(address)}')
    return address


def _host_and_port(address: str) -> tuple[str, int] | None:
    match = re.fullmatch(r"(?:\[([0-9A-Fa-f:.]+)\]|([0-9.]+|localhost)):([0-9]{1,5})", address)
    if match is None or int(match[3]) > 65535:
        return None
    host = match[1] or match[2]
    try:
        ipaddress.ip_address("127.0.0.1" if host == "localhost" else host)
    except ValueError:
        return None
    return host, int(match[3])


def host_and_port(address: str) -> tuple[str, int]:
    """The two parts of a checked ``serve.bind``."""
    parts = _host_and_port(address)
    assert parts is not None
    return parts


def is_loopback(address: str) -> bool:
    """Whether only this machine reaches a checked ``serve.bind``."""
    host, _ = host_and_port(address)
    return host == "localhost" or ipaddress.ip_address(host).is_loopback


def _optional_file(path: str) -> str:
    return str(_absolute_file(Path(path))) if path else path


def _textfile(path: str) -> str:
    if path and not path.endswith(".prom"):
        raise ValueError("has to end with .prom: node-exporter reads no other file")
    return _optional_file(path)


def _horde_url(url: str) -> str:
    if not re.fullmatch(r"https://[^\s/@?#]+|http://(localhost|127\.[0-9.]+|\[::1\])(:[0-9]+)?", url.rstrip("/")):
        raise ValueError('must be the https URL of the horde, without a path, such as "https://aihorde.net"')
    return url.rstrip("/")


def _host_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/@?#]+", url.rstrip("/")):
        raise ValueError(
            f'must be the URL of a host, without a path, such as "https://huggingface.co"; not {shown(url)}'
        )
    return url.rstrip("/")


def _field_path(path: str) -> str:
    if not re.fullmatch(r"[^.\[\]\s]+(\[\])?(\.[^.\[\]\s]+(\[\])?)*", path):
        raise ValueError(
            f'must be a field by its dotted path, [] behind each list, as "files[].url"; not {shown(path)}'
        )
    return path


def _webhook_url(url: str) -> str:
    if url and not re.fullmatch(r"https?://[^\s/@?#]+([/?][^\s#]*)?", url):  # not shown: it may hold a password
        raise ValueError('must be an http(s) URL without user name or password, such as "https://ops.example.org/hook"')
    return url


def _target_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", name):
        raise ValueError(
            f"must be up to 64 letters, digits, '.', '_' and '-', the first a letter or digit; not {shown(name)}"
        )
    return name


def _header_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9-]+", name):
        raise ValueError(f"must be the name of a header, not {shown(name)}")
    return name


def _origin(origin: str) -> str:
    if not re.fullmatch(r"https?://[A-Za-z0-9.-]+(:[0-9]{1,5})?", origin):
        raise ValueError(f'must be an origin, such as "https://models.example.org"; not {shown(origin)}')
    return origin


def _command(line: object) -> object:
    """Split a command line into its words, as a shell does; nothing else of a shell is at work."""
    try:
        words = shlex.split(line) if isinstance(line, str) else line
    except ValueError as problem:
        raise ValueError(f"{shown(line)} is no command line: {str(problem).lower()}") from None
    if isinstance(words, list) and (not words or words[0] == ""):
        raise ValueError("names no program")
    if isinstance(words, list) and any(isinstance(word, str) and "\0" in word for word in words):
        raise ValueError(f"{shown(line)} is no command line: it has a null character")
    return words


def _person(text: str) -> str:
    """Refuse who is no person: a login name, or ``PROVIDER:ID``."""
    if not re.fullmatch(r"([a-z][a-z0-9_-]*:)?[^\s:]([^\n\r]*\S)?", text) or not text.isprintable():
        raise ValueError(f"must be a login name of this machine, or PROVIDER:ID; not {shown(text)}")
    return text


def _upper(text: object) -> object:
    return text.upper() if isinstance(text, str) else text


Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]
PositiveSeconds = Annotated[float, Field(gt=0, allow_inf_nan=False)]
LeaseSeconds = Annotated[float, Field(ge=1, le=3600, allow_inf_nan=False)]
Folder = Annotated[Path, AfterValidator(_absolute_folder)]
File = Annotated[Path, AfterValidator(_absolute_file)]
UserName = Annotated[str, AfterValidator(_user_name)]
RepositoryName = Annotated[str, AfterValidator(_repository_name)]
BranchName = Annotated[str, AfterValidator(_branch_name)]
BranchPrefix = Annotated[str, AfterValidator(_branch_prefix)]
RemoteName = Annotated[str, AfterValidator(_remote_name)]
RemoteURL = Annotated[str, AfterValidator(_remote_url)]
VariableName = Annotated[str, AfterValidator(_variable_name)]
CredentialName = Annotated[str, AfterValidator(_credential_name)]
ForgeRepository = Annotated[str, AfterValidator(_forge_repository)]
ForgeURL = Annotated[str, AfterValidator(_forge_url)]
Category = Annotated[CategoryName, BeforeValidator(_category)]
CheckRule = Annotated[Rule, BeforeValidator(_check_rule)]
CategoryFile = Annotated[str, AfterValidator(category_file)]
Command = Annotated[tuple[str, ...], BeforeValidator(_command)]
Author = Annotated[str, AfterValidator(_author)]
Schedule = Annotated[str, AfterValidator(_schedule)]
BindAddress = Annotated[str, AfterValidator(_bind_address)]
OptionalFile = Annotated[str, AfterValidator(_optional_file)]
Textfile = Annotated[str, AfterValidator(_textfile)]
HordeURL = Annotated[str, AfterValidator(_horde_url)]
FieldPath = Annotated[str, AfterValidator(_field_path)]
OwnCategoryName = Annotated[str, AfterValidator(_own_category)]
JsonFileName = Annotated[str, AfterValidator(_json_file)]
FilePattern = Annotated[str, AfterValidator(_file_pattern)]
RecordsPlace = Annotated[str, AfterValidator(_records_place)]
HostURL = Annotated[str, AfterValidator(_host_url)]
WebhookURL = Annotated[str, AfterValidator(_webhook_url)]
TargetName = Annotated[str, AfterValidator(_target_name)]
HeaderName = Annotated[str, AfterValidator(_header_name)]
Origin = Annotated[str, AfterValidator(_origin)]
Person = Annotated[str, AfterValidator(_person)]
StoreURL = Annotated[str, AfterValidator(_store_url)]
LogLevel = Annotated[
    Literal["TRACE", "DEBUG", "INFO", "SUCCESS", "WARNING", "ERROR", "CRITICAL"], BeforeValidator(_upper)
]
