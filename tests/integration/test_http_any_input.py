"""Whatever is sent to the door, by whoever may do most, it answers, and never by a bug."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from refsync.http.app import create_app
from refsync.tokens import add_token
from tests.support.door import bearer, open_door
from tests.support.reference import Reference

SETTINGS = '[apply]\nwhen = "manual"\n[serve]\ntokens_file = "tokens"\n'
METHODS = ("get", "post", "put", "delete")
# A word that the code knows meets the rest more often than any text does.
WORDS = st.sampled_from(
    ["clip", "ViT", "pending", "legacy", "1", "-1", "0", "99999999999999999999", "true", "a/b", "..", ""]
)
TEXTS = WORDS | st.text(max_size=30)
_FIELDS = """
    name batch_title approved_ids rejected_ids reject_reason change_ids job_id statuses categories model_name
    requested_by purge_all dry_run allow_mixed_batch metadata config
"""
NAMES = st.sampled_from(_FIELDS.split())
VALUES: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES | TEXTS, inner, max_size=3),
    max_leaves=8,
)
BODIES = (
    st.none()
    | st.binary(max_size=60)
    | st.dictionaries(NAMES, VALUES, max_size=5).map(lambda value: json.dumps(value).encode())
)


@pytest.fixture(scope="module")
def reference(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Reference]:
    made = Reference(tmp_path_factory.mktemp("door"), {"clip.json": {"ViT": {"name": "ViT"}}}, more=SETTINGS)
    yield made
    made.close()


@pytest.fixture(scope="module")
def routes(reference: Reference) -> list[tuple[str, str, list[str]]]:
    """Every method and path of the door, with the names of its queries."""
    paths = create_app(reference.application).openapi()["paths"]
    return [
        (method, path, [each["name"] for each in paths[path][method].get("parameters", ()) if each["in"] == "query"])
        for path in paths
        for method in METHODS
        if method in paths[path]
    ]


@pytest.fixture(scope="module")
def client(reference: Reference) -> Iterator[httpx.Client]:
    token = add_token(reference.folder / "tokens", id="bob", username="Bob", role="approver")
    with open_door(reference.application, reference.folder, port=True) as door, bearer(door, token) as bob:
        yield bob


@pytest.mark.slow
@given(data=st.data())
@settings(max_examples=200)
def test_no_input_is_a_bug(client: httpx.Client, routes: list[tuple[str, str, list[str]]], data: st.DataObject) -> None:
    method, path, queries = data.draw(st.sampled_from(routes))
    while "{" in path:
        before, _, rest = path.partition("{")
        word = quote(data.draw(TEXTS).encode("utf-8", "surrogatepass"), safe="")
        path = before + word + rest.partition("}")[2]
    asked = {name: data.draw(st.none() | TEXTS.map(_writable)) for name in queries}
    query = {name: value for name, value in asked.items() if value is not None}
    body = data.draw(BODIES) if method in ("post", "put") else None
    got = client.request(method, path, params=query, content=body)
    assert got.status_code in (200, 202, 304, 400, 404, 405, 409, 413, 422, 503), (method, path, query, body, got.text)
    if got.status_code == 503:
        assert "/readyz" in path or "no daemon serves" in got.text, (method, path, query, body, got.text)
    if got.status_code >= 400 and "/readyz" not in path:
        assert list(got.json()) == ["detail"]


def _writable(text: str) -> str:
    return text.encode("utf-8", "replace").decode()
