"""What a submission's name, place and stamps meet in the reference: what is refused, and what is worth a remark."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches

from refsync.documents.merge import Record, Stamps
from refsync.documents.names import differing_traits, folded
from refsync.documents.values import same_value
from refsync.errors import PayloadError, RequestError
from refsync.pending_queue.models import AuditOperation, Submission


def check_place(submission: Submission, is_coming: Callable[[str], bool], names: Collection[str]) -> None:
    """See that a place is asked for where one can be had, next to a model that is there or about to be.

    Raises:
        RequestError: it is not.
    """
    model = submission.after or submission.before
    if model is None:
        return
    if submission.after is not None and submission.before is not None:
        raise RequestError("after and before are two places: give one or the other")
    if submission.operation != AuditOperation.CREATE:
        raise RequestError(f"only a new model is given a place; {submission.operation} leaves it where it stands")
    if model == submission.model_name or not is_coming(model):
        near = get_close_matches(model, names, n=1)
        nearest = f"; the nearest is {near[0]!r}" if near else ""
        raise RequestError(f"no place next to {model!r}: {submission.category} has no such other model{nearest}")


def remark_on_models(given: Submission, found: Submission, *, has_variants: bool) -> Iterator[str]:
    """What the submission names and is not written, or is written under another name."""
    if given.model_name != found.model_name:
        yield f"{given.model_name!r} is a variant of {found.model_name!r}, so that the change is one of that model"
    follow = (found.related_models or ()) if has_variants else ()
    for name in given.related_models or ():
        if name not in follow:
            yield f"the related model {name!r} is not written with it: it is no variant of {found.model_name!r}"


def remark_on_name(name: str, looks: Iterable[Mapping[str, str]]) -> Iterator[str]:
    """Whether a new model's name looks like another's; ``looks`` give what is folded of each name -> the name."""
    other = next((each[folded(name)] for each in looks if folded(name) in each), None)
    if other is not None and other != name:
        traits = " and ".join(differing_traits(other, name))
        yield f"the name {name!r} looks like that of {other!r}, from which it differs by {traits}"


def remark_on_stamps(payload: Record | None, base: Record | None, stamps: Stamps) -> Iterator[str]:
    """What of a payload is left out, because refsync writes it by itself.

    Raises:
        PayloadError: a field that holds stamps is no object.
    """
    for field, keys in stamps.items() if payload is not None else ():
        given, there = (payload or {}).get(field, {}), (base or {}).get(field, {})
        if not isinstance(given, dict):
            raise PayloadError(f"{field}: has to be an object, for refsync writes its stamps into it")
        known = there if isinstance(there, dict) else {}
        left_out = [key for key in keys if key in given and not same_value(given[key], known.get(key))]
        if left_out:
            yield f"refsync writes {field}.{{{', '.join(left_out)}}} by itself: what the payload says of it is left out"
