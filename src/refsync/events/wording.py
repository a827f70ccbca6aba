"""News in words for people, in Markdown; pure.

Whatever people typed stands in code spans, so that no mention, link or HTML of theirs takes effect.
"""

from __future__ import annotations

from collections.abc import Iterator

from refsync.events.kinds import EventKind
from refsync.events.news import News, ToldChange, ToldField
from refsync.plain_text import cut
from refsync.review.markdown_text import code, value

MOST_TEXT = 1800
"""Characters: some chats take 2,000."""
_MOST_NAME = 100
_MOST_REASON = 300


def text_of(news: News) -> str:
    """The news, and a line for each model as long as there is room."""
    lines = [_headline(news)]
    length, shown = len(lines[0]), 0
    for line in map(_change_line, news.changes):
        length += len(line) + 1
        if length > MOST_TEXT:
            break
        lines.append(line)
        shown += 1
    if (left := news.change_count - shown) > 0:
        lines.append(f"- and {left} more")
    return "\n".join(lines)


def _headline(news: News) -> str:
    where = f" in {code(news.repository)}" if news.repository else ""
    who = _name(news.by) if news.by else "somebody"
    how_many = f"{news.change_count} change{'' if news.change_count == 1 else 's'}"
    batch = f"batch {news.batch} {code(cut(news.title or '', _MOST_NAME))}"
    reason = f": {code(cut(news.reason, _MOST_REASON))}" if news.reason else ""
    match news.event:
        case EventKind.submitted:
            return f"{who} submitted {how_many}{where}"
        case EventKind.approved:
            return f"{who} approved {how_many}{where} into {batch}"
        case EventKind.rejected:
            return f"{who} rejected {how_many}{where}{reason}"
        case EventKind.held:
            return f"{batch} is held{where}{reason}{_link(news)}"
        case EventKind.proposed:
            return f"{batch} can be reviewed{where}{_link(news)}"
        case EventKind.landed:
            return f"{batch} landed{where}{_link(news)}"
        case EventKind.reverted:
            undone = ", ".join(map(str, news.undoes))
            return f"{batch} landed{where} and undoes batch {undone}{_link(news)}"
        case EventKind.foreign_commit:
            return f"{who} committed {code(cut(news.title or '', _MOST_NAME))}{where}{_link(news)}"
        case EventKind.pass_failing:
            return f"passes fail{where}{reason}"


def _link(news: News) -> str:
    """Where to look at it, as far as that is known; the URL is the forge's, and ends at the first odd character."""
    named = f" as {code(news.commit[:12])}" if news.commit else ""
    if news.link:
        return f"{named}: <{news.link}>"
    return named or (f" on {code(cut(news.branch, _MOST_NAME))}" if news.branch else "")


def _change_line(change: ToldChange) -> str:
    told = [f"- {change.operation} {change.category} {code(cut(change.model, _MOST_NAME))}"]
    if fields := list(_fields(change)):
        told.append(f": {', '.join(fields)}")
    if change.by:
        told.append(f", by {_name(change.by)}")
    if change.approved_by:
        told.append(f", approved by {_name(change.approved_by)}")
    return "".join(told)


def _fields(change: ToldChange) -> Iterator[str]:
    for each in change.fields:
        yield f"{code(each.field_path)} {_values(each)}"
    if (left := change.field_count - len(change.fields)) > 0:
        yield f"{left} more field{'' if left == 1 else 's'}"


def _values(field: ToldField) -> str:
    match field.change_type:
        case "added":
            return f"is now {value(field.new_value)}"
        case "removed":
            return f"is gone, was {value(field.old_value)}"
        case _:
            return f"{value(field.old_value)} → {value(field.new_value)}"


def _name(person: str) -> str:
    return code(cut(person, _MOST_NAME))
