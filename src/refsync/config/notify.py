"""``[[notify]]``: whom news is sent to."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from refsync.config.faults import Fault, FaultsError, only_one
from refsync.config.repository import Table
from refsync.config.values import (
    Category,
    CredentialName,
    File,
    PositiveSeconds,
    RepositoryName,
    TargetName,
    VariableName,
    WebhookURL,
)
from refsync.events.kinds import EventKind

_SOURCES = ("secret_file", "secret_variable", "secret_credential")


class NotifySettings(Table):
    """One target; empty lists of events, repositories and categories do not restrict."""

    name: TargetName
    kind: Literal["webhook", "apprise"] = "webhook"
    url: WebhookURL = ""
    secret_file: File | None = None
    secret_variable: VariableName = ""
    secret_credential: CredentialName = ""
    events: tuple[EventKind, ...] = ()
    repositories: tuple[RepositoryName, ...] = ()
    categories: tuple[Category, ...] = ()
    timeout_seconds: PositiveSeconds = 10.0
    dead_after_hours: Annotated[float, Field(gt=0, le=720)] = 24.0

    @model_validator(mode="after")
    def _name_what_it_needs(self) -> Self:
        if only_one(self, _SOURCES, "of the secret") is None:
            what = "the key that messages are signed with" if self.kind == "webhook" else "the URL, as apprise has it"
            raise FaultsError([Fault((_SOURCES[0],), f"is needed, or one of its like: the place of {what}")])
        if self.kind == "webhook" and not self.url:
            raise FaultsError([Fault(("url",), "is required of a webhook")])
        if self.kind == "apprise" and self.url:
            reason = "is for a webhook; the URL that apprise takes is a secret: name its place in secret_file"
            raise FaultsError([Fault(("url",), reason)])
        return self
