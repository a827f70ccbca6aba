"""The options of the commands that compare revisions of any clone."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Base = Annotated[str | None, typer.Argument(help="The revision to compare with. A...B is what B did since it left A.")]
Head = Annotated[str | None, typer.Argument(help="The revision to look at. Default: the work tree.")]
Directory = Annotated[Path, typer.Option(metavar="DIR", help="The clone, or a folder in it.")]
