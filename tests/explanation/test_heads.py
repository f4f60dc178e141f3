"""The ranking of heads: sorted, and adding up to what the decomposition says."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import clipviz
from clipviz.errors import ClipvizWarning, InputError, ModelError, PromptError
from clipviz.explanation.heads import head_ranking
from clipviz.model import Model
from clipviz.weights import Weights

from .conftest import small_model

TEXTS = ["a red circle", "the forest"]


def test_ranks_every_head_of_every_text(vit: Model, picture: Image.Image) -> None:
    table = head_ranking(picture, TEXTS, model=vit)
    assert len(table) == 2 * 3 * 3  # texts, layers, heads
    np.testing.assert_allclose(table["patches"] + table["class_token"], table["contribution"], atol=1e-7)
    assert table["attention"].between(0, 1).all()
    maps = clipviz.explain([picture], TEXTS, model=vit, method="head_decomposition")
    for j, text in enumerate(TEXTS):
        mine = table[table["prompt"] == text]
        assert mine["rank"].tolist() == list(range(1, 10))
        assert mine["contribution"].is_monotonic_decreasing
        assert set(zip(mine["layer"], mine["head"], strict=True)) == {(i, k) for i in range(3) for k in range(3)}
        assert mine["patches"].sum() == pytest.approx(maps[0, j].values.sum(), abs=1e-5)
        parts = maps[0, j].details["parts"]
        rest = parts["mlps"] + parts["embedding"] + parts["biases"] + parts["ln_post"]
        assert mine["contribution"].sum() + rest == pytest.approx(maps[0, j].score, abs=1e-5)
        np.testing.assert_allclose(mine["share"], mine["contribution"] / maps[0, j].score, rtol=1e-4)
    one, two = (table[table["prompt"] == text].set_index(["layer", "head"])["contribution"] for text in TEXTS)
    assert (one - two).abs().max() > 1e-4  # another text, other heads


def test_against_ranks_by_the_difference(vit: Model, picture: Image.Image) -> None:
    look, index = vit.look(picture), ["layer", "head"]
    one, two = (head_ranking(look, text).set_index(index)["contribution"] for text in TEXTS)
    margin = head_ranking(look, TEXTS[0], against=TEXTS[1]).set_index(index)["contribution"]
    np.testing.assert_allclose(margin, (one - two)[margin.index], atol=1e-6)


def test_layers_and_attention_of_the_last_block(vit: Model, picture: Image.Image) -> None:
    look = vit.look(picture)
    table = head_ranking(look, TEXTS[0], layers=-1).set_index("head")
    assert set(table["layer"]) == {2}
    probs = look.trace(["block.2.probs"])["block.2.probs"][0, :, 0, 1:].sum(dim=-1)
    np.testing.assert_allclose(table["attention"].sort_index(), probs, atol=1e-6)
    every = head_ranking(look, TEXTS[0]).query("layer == 2").set_index("head")
    np.testing.assert_allclose(every["contribution"], table["contribution"], atol=1e-7)


def test_a_word_never_seen_gives_a_warning(vit: Model, picture: Image.Image) -> None:
    told = Model("told", Weights(vit.clip, seen_token_ids=frozenset(vit.tokenizer.encode("a red circle"))))
    with pytest.warns(ClipvizWarning, match="told never saw 'forest'") as warned:
        head_ranking(picture, ["a red circle", "a forest"], model=told)
    assert [warning.filename for warning in warned] == [__file__]


def test_what_is_refused(vit: Model, picture: Image.Image) -> None:
    with pytest.raises(ModelError, match="needs a ViT"):
        head_ranking(picture, "a dog", model=small_model("resnet"))
    with pytest.raises(InputError, match="one image and got list"):
        head_ranking([picture], "a dog", model=vit)
    with pytest.raises(PromptError, match="explained against itself"):
        head_ranking(picture, "a dog", model=vit, against="a dog")
    with pytest.raises(InputError, match="they are 0 to 2"):
        head_ranking(picture, "a dog", model=vit, layers=9)
