"""``refsync demo``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer


def demo(
    keep: Annotated[bool, typer.Option("--keep", help="Leave the folder in place at the end.")] = False,
    directory: Annotated[
        Path | None, typer.Option(metavar="DIR", help="An empty or new folder to play in; else a temporary one.")
    ] = None,
) -> None:
    """See the whole story on a reference made for it: a real clone, a real daemon, a few changes."""
    from refsync.cli.demo_stage import workplace
    from refsync.cli.demo_story import say_goodbye, tell

    with workplace(directory, keep=keep) as folder:
        tell(folder)
    say_goodbye(folder, keep=keep)
