"""What the buttons of the forge's stand-in do in git, as GitHub does it."""

from __future__ import annotations

import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from tests.support.repositories import git

if TYPE_CHECKING:
    from tests.support.forge import ForgeStandIn, Pull

GITHUB = {"GIT_COMMITTER_NAME": "GitHub", "GIT_COMMITTER_EMAIL": "noreply@github.com"}
ENTERPRISE = {"GIT_COMMITTER_NAME": "GitHub Enterprise", "GIT_COMMITTER_EMAIL": "noreply@github.example.org"}

Style = Literal["merge", "squash", "rebase"]


def merged_commit(forge: ForgeStandIn, pull: Pull, style: Style, old: str, by: str) -> str:
    """Make the commits of a merge; gives the last one."""
    return {"merge": _merged, "squash": _squashed, "rebase": _rebased}[style](forge, pull, old, by)


def _merged(forge: ForgeStandIn, pull: Pull, old: str, by: str) -> str:
    owner = (pull.fork or forge.repository).partition("/")[0]
    message = f"Merge pull request #{pull.number} from {owner}/{pull.head}\n\n{pull.title}"
    return _commit(forge, _tree(forge, old, pull.head_commit), message, by, old, pull.head_commit)


def _squashed(forge: ForgeStandIn, pull: Pull, old: str, by: str) -> str:
    """By whoever opened the request, not by who merges it."""
    body = pull.body if forge.squash_keeps == "request" else _squash_text(forge, pull, old)
    message = f"{pull.title} (#{pull.number})\n\n{body}"
    return _commit(forge, _tree(forge, old, pull.head_commit), message, pull.author, old)


def _squash_text(forge: ForgeStandIn, pull: Pull, old: str) -> str:
    """One commit's own text; of several each one under a bullet; then who wrote them beside the author."""
    commits = git(forge.remote, "rev-list", "--reverse", f"{old}..{pull.head_commit}").split()
    messages = [git(forge.remote, "log", "-1", "--format=%B", commit) for commit in commits]
    if len(messages) == 1:
        text = messages[0].partition("\n")[2].strip()
    else:
        text = "\n\n".join("* " + message.replace("\n", "\n  ").replace("\n  \n", "\n\n") for message in messages)
    writers = _co_authors(forge, pull, commits)
    line = "\n\n---------" if writers and len(messages) > 1 else ""
    return f"{text}{line}" + ("\n\n" + "\n".join(writers) if writers else "")


def _co_authors(forge: ForgeStandIn, pull: Pull, commits: Sequence[str]) -> list[str]:
    author = f"{forge.name_of(pull.author)} <{_mail(pull.author)}>"
    writers = dict.fromkeys(git(forge.remote, "log", "-1", "--format=%an <%ae>", commit) for commit in commits)
    return [f"Co-authored-by: {writer}" for writer in writers if writer != author]


def _rebased(forge: ForgeStandIn, pull: Pull, old: str, by: str) -> str:
    """Each commit keeps its author and gets the merger as its committer."""
    merger = {"GIT_COMMITTER_NAME": forge.name_of(by), "GIT_COMMITTER_EMAIL": _mail(by)}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(folder) / "clone"
        git(Path(folder), "clone", "-q", "--no-checkout", str(forge.remote), str(copy))
        git(copy, "fetch", "-q", "origin", pull.head_commit)
        git(copy, "checkout", "-q", "--detach", old)
        for commit in git(copy, "rev-list", "--reverse", "--no-merges", f"{old}..{pull.head_commit}").split():
            git(copy, "cherry-pick", "--allow-empty", "--keep-redundant-commits", commit, check=True, **merger)
        git(copy, "push", "-q", "origin", f"HEAD:refs/pull/{pull.number}/rebased")
        git(forge.remote, "update-ref", "-d", f"refs/pull/{pull.number}/rebased")
        return git(copy, "rev-parse", "HEAD")


def _tree(forge: ForgeStandIn, base: str, head: str) -> str:
    return git(forge.remote, "merge-tree", "--write-tree", base, head).split()[0]


def _commit(forge: ForgeStandIn, tree: str, message: str, author: str, *parents: str) -> str:
    written_by = {"GIT_AUTHOR_NAME": forge.name_of(author), "GIT_AUTHOR_EMAIL": _mail(author)}
    return forge.run("commit-tree", tree, *(f"-p{parent}" for parent in parents), stdin=message.encode(), **written_by)


def _mail(login: str) -> str:
    return f"{login}@users.noreply.github.com"
