"""``python -m clipviz.clip`` prints an architecture with its shapes."""

from __future__ import annotations

import subprocess
import sys

import pytest
from click.testing import CliRunner

from clipviz.clip import ARCHITECTURES
from clipviz.clip.__main__ import main


def printed(*arguments: str) -> str:
    result = CliRunner().invoke(main, arguments)
    assert result.exit_code == 0, result.output
    return result.output


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_of_the_nine_is_printed_with_its_shapes(name):
    text, config = printed(name, "--batch", "3"), ARCHITECTURES[name]
    size, width = config.vision.image_size, config.text.width
    assert f"{name}: " in text and "QuickGELU" in text
    for shape in ([3, 3, size, size], [3, 77], [3, 77, width], [3, config.embed_dim], [3, 3]):
        assert str(shape) in text
    assert max(map(len, text.splitlines())) <= 120


def test_it_says_what_the_paper_says_of_vit_b_32():
    text = printed("ViT-B-32")
    assert "151.28 M parameters" in text and "8.82 GFLOP a picture" in text and "5.96 GFLOP a text" in text
    rows = {line.split("[")[0].strip(): line for line in text.split("\ntext:")[0].splitlines()}
    assert "[2, 50, 768]" in rows["embed"] and "[2, 12, 50, 50]" in rows["block.0.probs"]
    assert "block.1 .. 11" in rows


def test_the_bag_of_words_can_be_asked_for():
    text = printed("RN50", "--cbow")
    assert "bag of words" in text and "block." not in text


def test_an_unknown_name_is_answered_by_the_nearest():
    result = CliRunner().invoke(main, ["vit-b32"])
    assert result.exit_code == 2 and "'ViT-B-32'" in result.output and "Did you mean" in result.output


def test_it_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "clipviz.clip"], capture_output=True, text=True, check=True)
    assert done.stdout == printed("ViT-B-32")
