"""What the demo shows: the story of a few changes, told by the commands that a person would type."""

from __future__ import annotations

import json
import shlex
import shutil
import sys
from collections.abc import Callable
from contextlib import ExitStack, redirect_stderr
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from refsync.categories import MODEL_REFERENCE_CATEGORY, CategoryName
from refsync.cli.demo_reference import FILES, HAND_EDIT, PAYLOADS, STYLES
from refsync.cli.demo_stage import running, wait_until
from refsync.cli.output import console
from refsync.errors import RefsyncError

if TYPE_CHECKING:
    from refsync.application import Application
    from refsync.backends.git_backend import GitBackend

_IMAGES = MODEL_REFERENCE_CATEGORY.image_generation
_LONGEST_LINE = 100
_CLONE_SETTINGS = (
    ("user.name", "Grace"),
    ("user.email", "grace@example.org"),
    ("commit.gpgsign", "false"),
    ("core.autocrlf", "false"),
)
_DIFF_STYLES = (("@@", "cyan"), ("+++", "bold"), ("---", "bold"), ("+", "green"), ("-", "red"))


@dataclass
class Play:
    """What the later steps need: the running parts, and the categories that the reader was told of."""

    application: Application
    reader: GitBackend
    told: set[CategoryName]
    check: Callable[[], None]

    def wait_for_batch(self, number: int) -> None:
        """Wait until the daemon has landed a batch."""
        self._wait(lambda: self.application.queue.get_batch(number).state == "landed", f"batch {number} to land")

    def wait_for_reader(self) -> None:
        """Wait until file events told the reader that the image models changed."""
        self._wait(lambda: _IMAGES in self.told, "the reader to be told of the new file")
        self.told.clear()

    def wait_until_recorded(self) -> None:
        """Wait until the daemon has recorded everything that landed."""
        (reference,) = self.application.repositories
        tip = _git("rev-parse", "HEAD").strip()

        def is_recorded() -> bool:
            stored = reference.metadata.stored_metadata(reference.format, _IMAGES)
            return stored is not None and stored.recorded_commit == tip

        self._wait(is_recorded, "the metadata to be recorded")

    def _wait(self, condition: Callable[[], bool], what: str) -> None:
        wait_until(condition, what, self.check)


def tell(folder: Path, epilogue: Callable[[Play], None] | None = None) -> None:
    """Play the whole story in an empty folder, which is the current one; ``epilogue`` while the daemon still runs.

    Raises:
        RefsyncError: something went otherwise than told.
    """
    with ExitStack() as stack:
        stack.enter_context(redirect_stderr(sys.stdout))  # the commands' notes belong to the story
        _open_the_curtain(folder)
        _show_the_reference()
        play = _start(folder, stack)
        _ask_for_changes()
        _review()
        _show_the_commit(play)
        _read(play)
        _edit_by_hand(play)
        _run_into_a_conflict(play)
        _look_back(play)
        if epilogue is not None:
            epilogue(play)


def say_goodbye(folder: Path, *, keep: bool) -> None:
    """Tell what is left, and what to do next."""
    refsync = _as_called()
    say("")
    if keep:
        at_work = f"{refsync} --config {shlex.quote(str(folder / 'refsync.toml'))}"
        say(f"The daemon has ended; {folder} is kept. Go on there:")
        _commands(f"{at_work} run", f"{at_work} status", f"git -C {shlex.quote(str(folder / 'reference'))} log --stat")
    else:
        say("The daemon has ended, and the folder is removed. To keep one and play with it:")
        _commands(f"{refsync} demo --keep")
    say("Next, with a clone of your own reference repository:")
    _commands(f"{refsync} init PATH", f"{refsync} run", f"{refsync} --help")


def _as_called() -> str:
    """How a person calls refsync here: by name, or by the path of a virtual environment that is not activated."""
    if shutil.which("refsync"):
        return "refsync"
    called = Path(sys.argv[0])
    return (
        shlex.quote(str(called)) if called.name == "refsync" else f"{shlex.quote(sys.executable)} -m refsync.cli.main"
    )


# The steps


def _open_the_curtain(folder: Path) -> None:
    say(
        "refsync keeps a model reference in git: people ask for changes, others review them, a daemon commits "
        "them. Here is the whole story, for real, in a folder of its own."
    )
    say("")
    prompt(f"cd {shlex.quote(str(folder))}")


def _show_the_reference() -> None:
    step(1, "A reference is a git repository with one JSON file per category.")
    _make_reference(Path("reference"))
    for name, record in PAYLOADS.items():
        Path(name).write_text(json.dumps(record, indent=2) + "\n", encoding="utf-8")
    prompt("ls reference")
    for name, style in STYLES.items():
        typer.echo(f"{name:<22} {style}")


def _make_reference(clone: Path) -> None:
    clone.mkdir()
    _git("init", "-q", "-b", "main")
    for setting in _CLONE_SETTINGS:
        _git("config", *setting)
    for name, content in FILES.items():
        (clone / name).write_bytes(content)
    _git("add", ".")
    _git("commit", "-q", "-m", "The reference as it is")


def _start(folder: Path, stack: ExitStack) -> Play:
    from refsync.application import open_application
    from refsync.config import load_config

    step(2, "One command looks at the clone and writes a config; one runs the daemon.")
    call("init reference --state state")
    prompt("refsync run &")
    check = stack.enter_context(running("daemon", folder / "daemon.log", "run"))
    application = stack.enter_context(open_application(load_config(None, {})))
    (reader,) = application.backends.values()
    play = Play(application, reader, set(), check)
    wait_until(lambda: application.state.daemon() is not None, "the daemon to start", check)
    play.wait_until_recorded()
    reader.fetch_category(_IMAGES)
    stack.callback(reader.watch().stop)
    reader.register_invalidation_callback(play.told.add)
    say("the daemon serves the state directory and has folded the history into its counters")
    return play


def _ask_for_changes() -> None:
    step(3, "People ask for changes. Each gets a number and waits for review.")
    call("queue add create image_generation Juggernaut --payload juggernaut.json --by ada")
    call("queue add update controlnet control_canny --payload canny.json --by ada")
    call("queue add delete clip ViT-H-14 --by bob")
    call("queue add update image_generation stable_diffusion --payload adult.json --by bob")
    call("queue add update image_generation Deliberate --payload people.json --by ada")
    call("queue add update image_generation Deliberate --payload newer.json --by bob")
    call("queue list")


def _review() -> None:
    step(4, "A reviewer compares them with the reference as it is now, rejects and approves.")
    call("queue diff 2 4")
    call("queue reject 4 --reason 'it is not an nsfw model' --by grace")
    call("queue approve 1 2 3 --title 'Juggernaut in, ViT-H-14 out' --by grace")


def _show_the_commit(play: Play) -> None:
    play.wait_for_batch(1)
    step(5, "The daemon has made one commit, of the lines of these models only. Tabs and CRLF stay.")
    prompt("git -C reference show -U1")
    _show_diff(_git("show", "-U1"))


def _read(play: Play) -> None:
    play.wait_for_reader()
    step(6, "Programs that read the reference are told by file events, and get the new record.")
    call("model show image_generation Juggernaut")
    _python("Juggernaut", play)


def _edit_by_hand(play: Play) -> None:
    step(7, "A person edits a file and commits it by hand, as ever. Readers follow.")
    file = Path("reference/stable_diffusion.json")
    old, new = HAND_EDIT
    prompt(f"sed -i 's/{old.decode()}/{new.decode()}/' {file}")
    file.write_bytes(file.read_bytes().replace(old, new))
    prompt("git -C reference commit -am 'Describe Deliberate better'")
    typer.echo(_git("commit", "-am", "Describe Deliberate better"), nl=False)
    play.wait_until_recorded()
    play.wait_for_reader()
    _python("Deliberate", play)


def _run_into_a_conflict(play: Play) -> None:
    step(8, "Changes 5 and 6 were made before that edit: 5 of the same field, 6 of another one.")
    call("queue approve 5 6 --title 'Deliberate 3' --by grace")
    play.wait_for_batch(2)
    say("Nobody's edit is overwritten: 5 is refused with both values, 6 is merged.")
    call("queue show 5")
    prompt("git -C reference show -U1 --format=%s")
    _show_diff(_git("show", "-U1", "--format=%s"))


def _look_back(play: Play) -> None:
    step(9, "What has happened is counted for each category, and git tells the rest.")
    play.wait_until_recorded()
    call("metadata show")
    call("status")
    prompt("git -C reference log --oneline")
    typer.echo(_git("log", "--oneline"), nl=False)


# How they are told


def step(number: int, text: str) -> None:
    """Begin a step of the story."""
    say("")
    say(f"{number}. {text}", style="bold")


def say(text: str, *, style: str = "") -> None:
    """Tell something, in lines that a person reads."""
    out = console()
    out.print(text, style=style, width=min(out.width, _LONGEST_LINE))


def prompt(command: str) -> None:
    """Show a command as it would be typed, on one line however narrow the terminal is."""
    console().print(f"$ {command}", style="bold cyan", soft_wrap=True)


def _commands(*commands: str) -> None:
    for command in commands:
        console().print(f"  {command}", style="bold cyan", soft_wrap=True)


def call(line: str) -> None:
    """Show a command line of refsync and run it here, which is quicker than a process for each."""
    from refsync.cli.exit_codes import EXIT_INTERRUPTED
    from refsync.cli.program import program

    prompt(f"refsync {line}")
    arguments = shlex.split(line)
    code = program(arguments)(args=arguments, prog_name="refsync", standalone_mode=False)
    if code == EXIT_INTERRUPTED:
        raise KeyboardInterrupt
    if code:
        raise RefsyncError(f"the demo's `refsync {line}` failed with exit code {code}; please report it")


def _python(model: str, play: Play) -> None:
    """Show what a program gets that reads through the backend."""
    records = play.reader.fetch_category(_IMAGES) or {}
    console().print(f'>>> backend.fetch_category("image_generation")["{model}"]', style="bold cyan", soft_wrap=True)
    typer.echo(repr(records[model]))


def _show_diff(text: str) -> None:
    out = console()
    for line in text.replace("\r", "").splitlines():
        if out.is_terminal:
            style = next((style for start, style in _DIFF_STYLES if line.startswith(start)), "")
            out.print(line, style=style, soft_wrap=True)
        else:
            typer.echo(line)  # with its tabs


def _git(*arguments: str) -> str:
    from refsync.use_cases.demo import git_by_hand

    return git_by_hand(Path("reference"), *arguments)
