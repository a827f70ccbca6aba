"""What git shows for files that differ, made outside of any clone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import gettempdir

from refsync.clone.process import run_git
from refsync.scratch import scratch_folder


def text_diff(files: Mapping[str, tuple[bytes | None, bytes]]) -> str:
    """The unified diff of these versions of files by path; ``None`` is one that is not there."""
    with scratch_folder(Path(gettempdir(), "refsync-diff-")) as folder:
        return "".join(_diff_of_file(folder.path, path, *files[path]) for path in sorted(files))


def _diff_of_file(folder: Path, path: str, before: bytes | None, after: bytes) -> str:
    for side, content in (("a", before), ("b", after)):
        if content is not None:
            (folder / side / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / side / path).write_bytes(content)
    if before is None:
        return _shown(folder / "b", "--src-prefix=a/", "--dst-prefix=b/", "/dev/null", path)
    return _shown(folder, "--no-prefix", f"a/{path}", f"b/{path}")


def _shown(folder: Path, *arguments: str) -> str:
    shown = run_git(folder, "diff", "--no-index", "--no-color", "--no-ext-diff", *arguments, accept=(0, 1))
    return shown.output.decode(errors="replace")
