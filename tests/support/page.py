"""The page of a reference in which a little has happened, and people who look at it by an HTTP client."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from refsync.categories import MODEL_REFERENCE_CATEGORY
from refsync.pending_queue.models import AuditOperation
from refsync.tokens import add_token
from tests.support.door import open_door
from tests.support.reference import Reference

IMAGES = MODEL_REFERENCE_CATEGORY.image_generation
SETTINGS = '[apply]\nwhen = "manual"\n[serve]\ntokens_file = "tokens"\n'


def model(name: str, **fields: Any) -> dict[str, Any]:
    record = {
        "name": name,
        "baseline": "stable diffusion 1",
        "description": f"What {name} is good for",
        "version": "1.0",
        "nsfw": False,
        "tags": ["general"],
        "config": {
            "files": [{"path": f"{name}.safetensors", "sha256sum": "a" * 64}],
            "download": [{"file_name": f"{name}.safetensors", "file_url": f"https://models.example/{name}"}],
        },
    }
    return record | fields


FILES = {
    "stable_diffusion.json": {name: model(name) for name in ("AbyssOrangeMix", "Deliberate", "stable_diffusion")},
    "clip.json": {"ViT-L/14": {"name": "ViT-L/14", "type": "clip"}, "old": {"name": "old", "type": "clip"}},
}
ROLES = {"ada": "requestor", "grace": "approver", "guest": "none"}


@dataclass
class Reader:
    """Somebody with a browser that runs no script: follows links, fills forms in, keeps cookies."""

    client: httpx.Client

    def get(self, address: str) -> httpx.Response:
        return self.client.get(address, follow_redirects=True)

    def log_in(self, token: str, to: str = "/") -> httpx.Response:
        return self.send(self.client.get("/login", params={"to": to}), "/login", key=token)

    def send(self, seen: httpx.Response, action: str, **words: Any) -> httpx.Response:
        """Fill in the form of a screen that goes there, and press its button."""
        form = form_on(seen, action)
        return self.client.post(action, data={**form, **words}, follow_redirects=True)


def form_on(seen: httpx.Response, action: str) -> dict[str, Any]:
    """The hidden words of the form that goes to an address, or has a button that does."""
    forms = re.findall(r"<form\b.*?</form>", seen.text, re.DOTALL)
    found = [each for each in forms if 'method="post"' in each and f'action="{action}"' in each]
    assert found, f"no form goes to {action} from {seen.url}: {seen.text}"
    hidden = re.findall(r'<input type="hidden" name="([^"]*)" value="([^"]*)">', found[0])
    return {name: html.unescape(value) for name, value in hidden}


def told(seen: httpx.Response) -> tuple[int, str]:
    """The status and the one line of a refusal."""
    (line,) = re.findall(r'<div class="refused" role="alert"><strong>Not done.</strong> (.*?)</div>', seen.text)
    return seen.status_code, html.unescape(line)


@dataclass
class Stage:
    """The reference, its door, and a token for each of the people."""

    reference: Reference
    door: httpx.Client
    tokens: dict[str, str]

    @contextmanager
    def reader(self, who: str = "") -> Iterator[Reader]:
        """Somebody who has logged in, or nobody."""
        plain = httpx.HTTPTransport(verify=False)  # which reads no certificates
        with httpx.Client(transport=plain, base_url=self.door.base_url, timeout=30.0) as client:
            reader = Reader(client)
            if who:
                seen = reader.log_in(self.tokens[who])
                assert seen.status_code == 200, seen.text
            yield reader

    @property
    def url(self) -> str:
        return str(self.door.base_url).rstrip("/")


@contextmanager
def open_page(folder: Path, *, files: Any = FILES, more: str = SETTINGS) -> Iterator[Stage]:
    """A page to look at."""
    reference = Reference(folder, files, more=more)
    tokens = {
        name: add_token(folder / "tokens", id=name, username=name.title(), role=role) for name, role in ROLES.items()
    }
    try:
        with open_door(reference.application, folder, port=True) as door:
            yield Stage(reference, door, tokens)
    finally:
        reference.close()


def play(reference: Reference) -> None:
    """A few things happen: a batch lands, one is held, one is open; changes wait, two of them for the same model."""
    submit, approve = reference.submit, reference.approve
    landed = submit("stable_diffusion", model("stable_diffusion", version="1.5"), category=IMAGES)
    approve(landed, title="stable_diffusion 1.5", by="grace")
    _seal(reference)
    reference.sync()
    held = submit("old", None, AuditOperation.DELETE)
    approve(held, title="Clear clip out", by="grace")
    (reference.clone.path / "clip.json").write_text('{"a person": "edits"}\n')
    _seal(reference)
    reference.sync()
    rejected = submit("Deliberate", model("Deliberate", nsfw=True), category=IMAGES, by="eve")
    reference.application.queue.process_batch(
        approver_id="grace",
        approver_username="Grace",
        batch_title="",
        approved_ids=None,
        rejected_ids=[rejected],
        reject_reason="it is not an nsfw model",
    )
    submit("Juggernaut", model("Juggernaut", version="9"), AuditOperation.CREATE, category=IMAGES)
    newer = model("Deliberate", version="3.0", nsfw=True, description="Anything")
    submit("Deliberate", newer, category=IMAGES)
    submit("Deliberate", model("Deliberate", tags=["general", "people"]), category=IMAGES, by="bob")
    submit("AbyssOrangeMix", None, AuditOperation.DELETE, category=IMAGES, by="bob")
    approve(
        submit("Anything", model("Anything"), AuditOperation.CREATE, category=IMAGES), title="Newcomers", by="grace"
    )


def _seal(reference: Reference) -> None:
    from refsync.pending_queue.models import Actor
    from refsync.use_cases.batches import seal_batch

    seal_batch(reference.application, actor=Actor("grace", "Grace", None))
