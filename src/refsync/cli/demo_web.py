"""The demo's last scene, ``--web``: a few more changes wait, and the page shows them until somebody ends it."""

from __future__ import annotations

import json
import re
import shlex
import time
from collections.abc import Callable
from pathlib import Path

from refsync.cli.demo_reference import MORE_PAYLOADS
from refsync.cli.demo_stage import running, wait_until
from refsync.cli.demo_story import Play, call, prompt, say, step

_LOOKS_EVERY_SECONDS = 0.2
_SERVES_AT = re.compile(r"refsync serves at (http://\S+)")


def page_shown(folder: Path, *, keep: bool) -> Callable[[Play], None]:
    """What goes on after the story, until it is interrupted."""

    def scene(play: Play) -> None:
        step(10, "For who would rather look than type there is a page. More changes wait on it.")
        for name, record in MORE_PAYLOADS.items():
            Path(name).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
        call("queue add update image_generation Juggernaut --payload juggernaut10.json --by ada --notes 'it is out'")
        call("queue add update image_generation Juggernaut --payload photographs.json --by bob")
        call("queue add create image_generation DreamShaper --payload dreams.json --by ada")
        call("queue add delete controlnet control_depth --by bob")
        _let_grace_in(folder)
        prompt("refsync serve --bind 127.0.0.1:0 &")
        log = folder / "door.log"
        with running("door", log, "serve", "--bind", "127.0.0.1:0") as check:
            wait_until(lambda: bool(_SERVES_AT.search(log.read_text())), "the page to be served", check)
            address = _SERVES_AT.findall(log.read_text())[0]
            say("")
            say(f"The page is at {address} - log in by Grace's token.", style="bold")
            say(f"Figures for Prometheus are at {address}/metrics.")
            say(f"Ctrl-C ends page and daemon; {folder} is {'kept' if keep else 'removed then'}.")
            _wait(play.check, check)

    return scene


def _let_grace_in(folder: Path) -> None:
    textfile = json.dumps(str(folder / "refsync.prom"))  # TOML writes text as JSON does
    lines = ("[serve]", 'tokens_file = "tokens"', "[metrics]", f"textfile = {textfile}")
    with (folder / "refsync.toml").open("a", encoding="utf-8") as config:
        config.writelines(f"{line}\n" for line in ("", *lines))
    prompt(f"printf '%s\\n' {shlex.join(lines)} >> refsync.toml")
    call("token add grace --username Grace --role approver")


def _wait(*checks: Callable[[], None]) -> None:
    """Until a signal ends it, or something that it needs has ended."""
    while True:
        for check in checks:
            check()
        time.sleep(_LOOKS_EVERY_SECONDS)
