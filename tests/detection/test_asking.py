"""What is asked: labels and background as vectors, and what is refused in words."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F

import clipviz
from clipviz.detection.asking import Asked
from clipviz.errors import InputError, PromptError
from clipviz.explanation.neutral import NEUTRAL
from clipviz.model import Model
from clipviz.text import Prompt


def test_a_margin_is_the_cosine_less_the_mean_cosine_with_the_background(vit: Model) -> None:
    labels, ground = [Prompt("dog", ("a {}", "the {}")), "a cat"], ["a thing", "a scene", "a room"]
    asked = Asked(vit, labels, ground, False)
    units = F.normalize(torch.randn(5, 24, generator=torch.Generator().manual_seed(0)), dim=-1)
    own, rest = vit.encode_prompts(labels), vit.encode_prompts(ground)
    expected = [[u @ own[j] - np.mean([u @ other for other in rest]) for j in range(2)] for u in units.numpy()]
    np.testing.assert_allclose(asked.margins(units), expected, atol=1e-6)
    np.testing.assert_allclose(Asked(vit, labels, None, False).margins(units), units.numpy() @ own.T, atol=1e-6)
    assert asked.about["labels"] == ["dog", "a cat"] and asked.about["background"] == ground
    assert asked.about["templates"]["dog"] == ["a {}", "the {}"]


@pytest.mark.parametrize(
    ("labels", "background", "says"),
    [
        ([], NEUTRAL, "No label is given: pass what to look for"),
        (None, NEUTRAL, "No label is given: pass what to look for"),
        (iter([]), NEUTRAL, "pass for instance"),
        ("  ", NEUTRAL, "pass words"),
        (5, NEUTRAL, "pass for instance"),
        ({"a dog": 1}, NEUTRAL, "pass for instance"),
        (["a dog", "a dog"], NEUTRAL, "'a dog' is given twice: give each label once"),
        (["Dog", "a cat", "dog"], NEUTRAL, "'Dog' and 'dog' are one and the same text to .*: leave one out"),
        (["a dog"], ["a DOG"], "'a dog' is 'a DOG' of the background to .*: name other texts in background="),
        (["a dog"], (), "pass for instance"),
        # of more than 25 texts torch would take distances by a product, which is off by a thousandth
        ([*(f"thing {i}" for i in range(30)), "a photo"], NEUTRAL, "name other texts in background="),
        ([*(f"thing {i}" for i in range(30)), "Thing 3"], NEUTRAL, "leave one out"),
    ],
)
def test_labels_that_are_none(vit: Model, labels: Any, background: Any, says: str) -> None:
    with pytest.raises(PromptError, match=says):
        Asked(vit, labels, background, False)


def test_a_model_that_is_none() -> None:
    with pytest.raises(InputError, match=r"use clipviz\.load"):
        Asked("ViT-B-32", ["a dog"], NEUTRAL, False)  # type: ignore[arg-type]


def test_words_never_seen_are_named() -> None:
    asked = Asked(clipviz.load(), ["a zebra", "a red circle"], NEUTRAL, False)
    assert len(asked.notes) == 1 and "'zebra'" in asked.notes[0] and "mean nothing" in asked.notes[0]
