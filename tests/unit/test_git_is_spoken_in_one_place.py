"""Only ``clone/`` knows git's commands; everyone else calls what they are for."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "src/refsync"
A_PERSON_S = SOURCE / "use_cases/demo.py"
"""The demo plays a person who works in the clone, with the commands that it shows."""


def spoken(source: str) -> Iterator[str]:
    """Each call that hands git's words over: of ``run_git``, of a ``run`` with a word, or of a program called git."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Call) and node.args:
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            starts_git = name in ("run", "Popen", "check_output") and "git" in words(node.args[0])
            if starts_git or name == "run_git" or (name == "run" and isinstance(first_word(node.args[0]), str)):
                yield ast.unparse(node)


def first_word(node: ast.expr) -> object:
    return node.value if isinstance(node, ast.Constant) else None


def words(node: ast.expr) -> list[object]:
    return [first_word(each) for each in node.elts] if isinstance(node, ast.List | ast.Tuple) else []


def test_only_the_clone_s_code_speaks_git() -> None:
    outside = [path for path in SOURCE.rglob("*.py") if not path.is_relative_to(SOURCE / "clone")]
    heard = {str(path.relative_to(SOURCE)): list(spoken(path.read_text(encoding="utf-8"))) for path in outside}
    assert {path: calls for path, calls in heard.items() if calls and SOURCE / path != A_PERSON_S} == {}


@pytest.mark.parametrize(
    "code", ["clone.run('log', '-1')", "run_git(folder, *words)", "subprocess.run(['git', 'log'])", "Popen(('git', x))"]
)
def test_git_s_words_are_heard(code: str) -> None:
    assert list(spoken(code)) == [code]
