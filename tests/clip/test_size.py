"""The network can be read in one sitting: few lines, small files, one list of names."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from pathlib import Path

import pytest

import clipviz.clip
from clipviz.clip import CBOW, Tower

FOLDER = Path(clipviz.clip.__file__).parent
QUIET = {tokenize.COMMENT, tokenize.NL, tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT, tokenize.ENDMARKER}


def code_lines(source: str) -> int:
    """Lines with code on them: no blank ones, no comments, no docstrings."""
    lines: set[int] = set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type not in QUIET:
            lines |= set(range(token.start[0], token.end[0] + 1))
    for node in ast.walk(ast.parse(source)):
        documented = isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        if documented and ast.get_docstring(node) is not None:
            lines -= set(range(node.body[0].lineno, node.body[0].end_lineno + 1))
    return len(lines)


def test_the_counter_counts_code_only():
    about, code = '"""About.\n\nMore."""\n\n# why\n', "x = 1  # what\ny = (\n    2,\n)\n\n\n"
    source = about + code + 'def f():\n    """It."""\n    return """a\nb"""\n'
    assert code_lines(source) == 1 + 3 + 1 + 2


def test_the_network_stays_under_800_lines_of_code():
    counts = {path.name: code_lines(path.read_text(encoding="utf-8")) for path in sorted(FOLDER.rglob("*.py"))}
    assert len(counts) > 8
    assert sum(counts.values()) < 800, counts


def test_no_file_is_over_250_lines():
    long = {path.name: n for path in FOLDER.rglob("*.py") if (n := len(path.read_text().splitlines())) > 250}
    assert not long


def documented_taps() -> dict[str, list[str]]:
    """The names in the docstring of `Tower`, by kind of tower."""
    text = (Tower.__doc__ or "").split("they are, in")[1].split("A vision transformer's L")[0]
    parts = re.split(r"\n\s+(a [\w ]+?)(?: \(.*\))?:\n", text)
    return {kind: re.findall(r"``([^`]+)``", names) for kind, names in zip(parts[1::2], parts[2::2], strict=True)}


@pytest.mark.parametrize("kind", ["a transformer", "a ResNet", "a bag of words"])
def test_the_documented_taps_are_the_taps_in_their_order(kind, small):
    from clipviz.clip import CBOWConfig

    towers = {
        "a transformer": [small("vit").visual, small("vit").text],
        "a ResNet": [small("resnet").visual],
        "a bag of words": [CBOW(CBOWConfig(16, 64, 32), 24)],
    }
    for tower in towers[kind]:
        seen = list(dict.fromkeys(re.sub(r"\.\d+", ".{i}", tap) for tap in tower.taps()))
        assert seen == documented_taps()[kind]
