"""Remotes of every kind on this machine alone: a bare repository by path, over http(s), and over ssh."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import ssl
import subprocess
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import MappingProxyType

import pytest

from refsync.clone.remotes import Remote
from refsync.credentials import Credential
from tests.support.daemon import wait_for
from tests.support.repositories import clean_environment, git

USER = "refsync-bot"
SECRET = "s3cret/of+the'bot"
SSHD = "/usr/sbin/sshd"
TRANSPORTS = ("path", "http", "ssh")


@dataclass(frozen=True)
class Transport:
    """How a clone reaches a bare repository, and what lets it in."""

    url: str
    remote: Remote


@contextmanager
def transport_to(bare: Path, kind: str, folder: Path) -> Iterator[Transport]:
    """Serve a bare repository by one of ``TRANSPORTS``; what that needs is kept in the folder."""
    if kind == "path":
        yield Transport(str(bare), Remote())
    elif kind == "http":
        with serve_http(bare.parent) as server:
            remote = Remote(credential=lambda: Credential(USER, SECRET), url=server.origin)
            yield Transport(server.url(bare), remote)
    else:
        with serve_ssh(folder) as ssh:
            files = Remote(ssh_key_file=ssh.key_file, ssh_known_hosts_file=ssh.known_hosts_file)
            yield Transport(ssh.url(bare), files)


def bare_repository(path: Path) -> Path:
    """An empty one that takes pushes and gives parts, as a forge does."""
    git(path.parent, "init", "-q", "--bare", "-b", "main", str(path))
    for key in ("http.receivepack", "uploadpack.allowFilter", "uploadpack.allowAnySHA1InWant"):
        git(path, "config", key, "true")
    return path


def script(path: Path, text: str) -> Path:
    """A shell script that can be run, such as a hook."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(0o755)
    return path


def part_of_git(monkeypatch: pytest.MonkeyPatch, folder: Path, name: str, text: str) -> None:
    """Have this script stand for a program of git's (``git-upload-pack``), for the git of this process."""
    parts = folder / "git-core"
    parts.mkdir()
    for each in Path(git(folder, "--exec-path")).iterdir():
        if each.name != name:
            (parts / each.name).symlink_to(each)
    script(parts / name, text)
    monkeypatch.setenv("GIT_EXEC_PATH", str(parts))


# http


@dataclass(frozen=True)
class Request:
    method: str
    path: str
    authorization: str | None


Answer = Callable[["HttpHandler"], None]


@dataclass
class HttpRemote:
    """A web server before ``git http-backend``; ``answer`` replaces what it says to those whom it lets in."""

    root: Path
    origin: str
    secret: str = SECRET
    answer: Answer | None = None
    redirect: str = ""
    """The origin that everybody is sent on to."""
    requests: list[Request] = field(default_factory=list)
    released: threading.Event = field(default_factory=threading.Event)

    def url(self, bare: Path) -> str:
        return f"{self.origin}/{bare.relative_to(self.root)}"

    def lets_in(self, authorization: str | None) -> bool:
        return authorization == "Basic " + b64encode(f"{USER}:{self.secret}".encode()).decode()


class HttpHandler(BaseHTTPRequestHandler):
    """Asks for the password, then hands the request to ``git http-backend``."""

    site: HttpRemote
    body: bytes

    def do_GET(self) -> None:
        authorization = self.headers["Authorization"]
        self.site.requests.append(Request(self.command, self.path, authorization))
        self.body = self._read_body()
        if self.site.redirect:
            self.say(302, headers={"Location": self.site.redirect + self.path})
        elif not self.site.lets_in(authorization):
            self.say(401, headers={"WWW-Authenticate": 'Basic realm="git"'})
        elif self.site.answer:
            self.site.answer(self)
        else:
            self.run_backend()

    def do_POST(self) -> None:
        self.do_GET()

    def say(self, status: int, body: bytes = b"", headers: Mapping[str, str] = MappingProxyType({})) -> None:
        self.send_response(status)
        for name, value in ({"Content-Length": str(len(body))} | dict(headers)).items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Keep quiet."""

    def _read_body(self) -> bytes:
        if self.headers["Transfer-Encoding"] != "chunked":
            return self.rfile.read(int(self.headers["Content-Length"] or 0))
        chunks = []
        while size := int(self.rfile.readline(), 16):
            chunks.append(self.rfile.read(size))
            self.rfile.readline()
        self.rfile.readline()
        return b"".join(chunks)

    def run_backend(self) -> None:
        """Answer as git does."""
        path, _, query = self.path.partition("?")
        variables = {
            "GIT_PROJECT_ROOT": str(self.site.root),
            "GIT_HTTP_EXPORT_ALL": "1",
            "GIT_PROTOCOL": self.headers["Git-Protocol"] or "",
            "HTTP_CONTENT_ENCODING": self.headers["Content-Encoding"] or "",
            "CONTENT_TYPE": self.headers["Content-Type"] or "",
            "CONTENT_LENGTH": str(len(self.body)),
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "REMOTE_USER": USER,
            "REMOTE_ADDR": "127.0.0.1",
        }
        done = subprocess.run(
            ["git", "http-backend"],
            env=clean_environment() | variables,
            input=self.body,
            capture_output=True,
            check=True,
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n"))
        self.say(int(headers.pop("Status", "200").split()[0]), content, headers)


@contextmanager
def serve_http(root: Path, *, certificate: Path | None = None) -> Iterator[HttpRemote]:
    """Serve the bare repositories of a folder; with a certificate (and its key in the same file) over TLS."""
    handler = type("Handler", (HttpHandler,), {})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.daemon_threads = False  # so that closing waits for them
        if certificate:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True)
        site = HttpRemote(root, f"{'https' if certificate else 'http'}://127.0.0.1:{server.server_address[1]}")
        handler.site = site  # type: ignore[attr-defined]
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield site
        finally:
            site.released.set()
            server.shutdown()
            thread.join()


def self_signed(folder: Path) -> Path:
    """A certificate that nobody trusts, with its key in the same file."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    path = folder / "certificate.pem"
    subject = ("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1")
    key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-keyout", str(path))
    made = subprocess.run(["openssl", "req", "-x509", *key, *subject, "-days", "2"], capture_output=True, check=True)
    path.write_bytes(path.read_bytes() + made.stdout)
    return path


# ssh


@dataclass(frozen=True)
class SshServer:
    """OpenSSH's server, which lets the present user in by a key of its own."""

    folder: Path
    port: int

    @property
    def key_file(self) -> Path:
        return self.folder / "user key"  # a space, as a path may have

    @property
    def known_hosts_file(self) -> Path:
        return self.folder / "known hosts"

    def url(self, bare: Path) -> str:
        return f"ssh://{getpass.getuser()}@127.0.0.1:{self.port}{bare}"

    def know_host(self, key: Path) -> None:
        """Make this the host's key in the known hosts."""
        kind, public, *_ = key.with_suffix(".pub").read_text().split()
        self.known_hosts_file.write_text(f"[127.0.0.1]:{self.port} {kind} {public}\n")


@contextmanager
def serve_ssh(folder: Path) -> Iterator[SshServer]:
    """Serve this machine's repositories over ssh; skipped by name where OpenSSH is not installed."""
    if not os.path.exists(SSHD) or not shutil.which("ssh"):
        pytest.skip("OpenSSH's server or client is not installed")
    if os.geteuid() == 0:
        os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
    folder = folder / "ssh"
    folder.mkdir()
    server = SshServer(folder, _free_port())
    for name in ("host_key", server.key_file.name):
        make_key(folder / name)
    server.know_host(folder / "host_key")
    shutil.copy(folder / f"{server.key_file.name}.pub", folder / "authorized_keys")
    (folder / "sshd_config").write_text(
        f"ListenAddress 127.0.0.1\nPort {server.port}\nHostKey {folder}/host_key\nPidFile none\nUsePAM no\n"
        f"AuthorizedKeysFile {folder}/authorized_keys\nStrictModes no\nPasswordAuthentication no\n"
        f"KbdInteractiveAuthentication no\nKexAlgorithms curve25519-sha256\n"  # the quickest: each visit makes new keys
        f"SetEnv GIT_CONFIG_GLOBAL={os.devnull} GIT_CONFIG_NOSYSTEM=1\n"
    )
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [SSHD, "-D", "-e", "-f", f"{folder}/sshd_config"], stdin=subprocess.DEVNULL, stderr=log
        )
    try:
        wait_for("sshd", lambda: b"Server listening" in (folder / "log").read_bytes() or process.poll() is not None)
        assert process.poll() is None, (folder / "log").read_text()
        yield server
    finally:
        process.terminate()
        process.wait()


def make_key(path: Path) -> Path:
    """An ssh key without a passphrase."""
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(path)], check=True)
    return path


def _free_port() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port
