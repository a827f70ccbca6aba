"""``refsync demo``."""

import typer


def demo(ctx: typer.Context) -> None:
    """The story of a few changes."""
