"""Batches' messages within the messages of others: a forge's squash quotes, indents and adds to them."""

from __future__ import annotations

import re
from collections.abc import Iterator

from refsync.clone.commits import ParsedCommit, parse_message

_ADDED = re.compile(r"(?:Co-authored-by|Signed-off-by|Reviewed-by|Acked-by|Reviewed-on): .*", re.IGNORECASE)
"""Lines that forges and people put below a message."""


def parse_quoted(message: str) -> Iterator[ParsedCommit]:
    """What each batch's message that is quoted in another one says, without its title.

    Anybody can write such a paragraph: it tells where to look, and never what happened.
    """
    for paragraph in re.split(r"\n[^\S\n]*\n", message.replace("\r\n", "\n")):
        lines = [line.strip() for line in paragraph.splitlines()]
        ours = "\n".join(line for line in lines if line and not _ADDED.fullmatch(line))
        if parsed := parse_message(f"-\n\n{ours}\n"):
            yield parsed
