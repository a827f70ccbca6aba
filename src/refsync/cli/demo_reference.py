"""What the demo plays with: three category files, each in a style of its own, and the records that people hand in."""

from __future__ import annotations

import json
from typing import Any

Record = dict[str, Any]


def _model(name: str, description: str, *, version: str = "1.0", nsfw: bool = False, **more: Any) -> Record:
    return {"name": name, "description": description, "version": version, "nsfw": nsfw} | more


_DELIBERATE = _model("Deliberate", "A versatile model", version="2", nsfw=True)
_CANNY = {"name": "control_canny", "type": "controlnet", "description": "Follows edges", "version": "1.0"}

_IMAGES = {
    "AbyssOrangeMix": _model("AbyssOrangeMix", "Anime with soft light"),
    "Deliberate": _DELIBERATE,
    "stable_diffusion": _model("stable_diffusion", "The generalist", version="1.5"),
}
_CONTROLS = {
    "control_canny": _CANNY,
    "control_depth": _CANNY | {"name": "control_depth", "description": "Follows depth"},
}
_CLIPS = {name: {"name": name, "type": "clip"} for name in ("ViT-B/32", "ViT-H-14", "ViT-L/14")}

STYLES = {
    "stable_diffusion.json": "four spaces",
    "controlnet.json": "tabs",
    "clip.json": "two spaces, CRLF line ends, no final newline",
}
"""The files of the reference, and how each is written."""

FILES = {
    "stable_diffusion.json": json.dumps(_IMAGES, indent=4).encode() + b"\n",
    "controlnet.json": json.dumps(_CONTROLS, indent="\t").encode() + b"\n",
    "clip.json": json.dumps(_CLIPS, indent=2).replace("\n", "\r\n").encode(),
}

PAYLOADS = {
    "juggernaut.json": _model("Juggernaut", "Photographs", version="9"),
    "canny.json": _CANNY | {"version": "1.1"},
    "adult.json": _IMAGES["stable_diffusion"] | {"nsfw": True},
    "people.json": _DELIBERATE | {"description": "Realistic people"},
    "newer.json": _DELIBERATE | {"version": "3"},
}
"""The records that people hand in, by file name."""

_JUGGERNAUT = PAYLOADS["juggernaut.json"]
MORE_PAYLOADS = {
    "juggernaut10.json": _JUGGERNAUT | {"version": "10", "nsfw": True},
    "photographs.json": _JUGGERNAUT | {"description": "Photographs of people and places"},
    "dreams.json": _model("DreamShaper", "Dreams and photographs alike", version="8"),
}
"""Those that wait for a reviewer at the end, where the page is shown."""

HAND_EDIT = (b"A versatile model", b"Anything you can describe")
"""What a person changes in stable_diffusion.json by hand, from and to."""
