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
    web: Annotated[
        bool, typer.Option("--web", help="Serve the page at the end, with changes to review, until Ctrl-C.")
    ] = False,
) -> None:
    """See the whole story on a reference made for it: a real clone, a real daemon, a few changes."""
    from refsync.cli.demo_stage import workplace
    from refsync.cli.demo_story import say_goodbye, tell
    from refsync.cli.demo_web import page_shown

    if web:
        from refsync.cli.serve import check_extra

        check_extra("refsync demo --web")
    with workplace(directory, keep=keep) as folder:
        tell(folder, page_shown(folder, keep=keep) if web else None)
    say_goodbye(folder, keep=keep)
