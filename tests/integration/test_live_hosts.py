"""The real hosts, for who has a network: ``REFSYNC_LIVE=1`` asks a handful of questions, one run at a time."""

from __future__ import annotations

import os

import pytest

from refsync.hosts.asking import Asking
from refsync.hosts.describing import describe
from refsync.hosts.link import Link
from refsync.hosts.probing import Hosts, Probed, Prober
from refsync.hosts.verdict import Verdict

pytestmark = pytest.mark.skipif(os.environ.get("REFSYNC_LIVE") != "1", reason="REFSYNC_LIVE=1 asks the real hosts")

HUGGING_FACE = "https://huggingface.co/openai/clip-vit-large-patch14/resolve/main"
CIVITAI = "https://civitai.com/api/download/models/128713"
GATED = "https://huggingface.co/meta-llama/Llama-2-7b/resolve/main/consolidated.00.pth"
ESRGAN = "https://github.com/xinntao/Real-ESRGAN/releases/download/v0.1.0/RealESRGAN_x4plus.pth"


def probed(*links: Link) -> list[Probed]:
    found = {each.link: each for each in Prober(Asking()).probe(links)}
    return [found[link] for link in links]


def test_hugging_face_tells_hash_and_size_what_is_gone_and_what_is_gated() -> None:
    there, wrong, gone, gated = probed(
        Link(f"{HUGGING_FACE}/model.safetensors"),
        Link(f"{HUGGING_FACE}/pytorch_model.bin", "a" * 64),
        Link(f"{HUGGING_FACE}/never.safetensors"),
        Link(GATED),
    )
    assert [each.verdict for each in (there, wrong, gone, gated)] == [
        Verdict.good,
        Verdict.changed,
        Verdict.gone,
        Verdict.login_needed,
    ]
    assert len(there.found.sha256 or "") == 64
    assert (there.found.size or 0) > 1_000_000


def test_civitai_tells_hash_and_size_and_what_a_record_needs() -> None:
    (there,) = probed(Link(CIVITAI))
    assert (there.verdict, len(there.found.sha256 or "")) == (Verdict.good, 64)
    told = describe(CIVITAI, Hosts(), Asking())
    assert {"name", "homepage", "baseline", "nsfw"} <= set(told.model)
    assert told.file.name.value.endswith(".safetensors")


def test_any_other_host_tells_the_size() -> None:
    good, wrong = probed(Link(ESRGAN, size=67_040_989), Link(ESRGAN, size=7))
    assert (good.verdict, wrong.verdict) == (Verdict.good, Verdict.changed)
