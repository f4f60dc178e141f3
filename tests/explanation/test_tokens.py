"""Which words made the score: by hand, adding up, and told in every form that a result has."""

from __future__ import annotations

import json
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
import torch.nn.functional as F
from PIL import Image

import clipviz
from clipviz.clip import CBOWConfig, Config, ViTConfig
from clipviz.errors import ClipvizError, ClipvizWarning, DataError, InputError, ModelError, PromptError
from clipviz.explanation.tokens import _tokens_of_words, token_attribution
from clipviz.explanation.words import TokenAttribution
from clipviz.model import Model
from clipviz.weights import Weights, build, config_to_open_clip

from .conftest import small_model

TEXT = "a red circle, on the forest."
METHODS = ["leave_one_out", "integrated_gradients"]


@pytest.fixture(scope="module")
def lively() -> Model:
    """A small ViT with embeddings large enough that words matter."""
    model = small_model("vit")
    with torch.no_grad():
        for part in (model.clip.text.token_embedding.weight, model.clip.text.positional_embedding):
            part.mul_(20)
    return model


@pytest.fixture(scope="module")
def bag() -> Model:
    torch.manual_seed(0)
    config = Config(24, ViTConfig(64, 16, 48, 3, 16), CBOWConfig(context_length=16, width=32))
    return Model("a bag", Weights(build(config, None, "a bag of words")))


@pytest.fixture(scope="module")
def other() -> Model:
    import open_clip
    from open_clip.tokenizer import SimpleTokenizer

    config = config_to_open_clip(small_model("vit").clip.config)
    config["vision_cfg"]["pool_type"] = "avg"
    torch.manual_seed(0)
    module = open_clip.CustomTextCLIP(**config).eval().requires_grad_(False)
    told = {"mean": (0.48, 0.46, 0.41), "std": (0.27, 0.26, 0.28)}
    return Model.wrap(module, told, SimpleTokenizer(context_length=16), name="avg")


def cosine(model: Model, picture: Image.Image, text: str) -> float:
    return (model.encode_images([picture]) @ model.encode_texts([text]).T).item()


@pytest.mark.parametrize("name", ["lively", "bag", "other"])
def test_leave_one_out_by_hand(name: str, picture: Image.Image, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(name)
    found = token_attribution(TEXT, picture, model=model)
    words = ["a", "red", "circle,", "on", "the", "forest."]
    assert found.words == tuple(words)
    score = cosine(model, picture, TEXT)
    assert found.score == pytest.approx(score, abs=1e-6)
    want = [score - cosine(model, picture, " ".join(words[:i] + words[i + 1 :])) for i in range(6)]
    np.testing.assert_allclose(found.values, want, atol=1e-6)
    assert np.abs(found.values).max() > 1e-3
    empty = model.tokenizer([""])[:, :16]
    with torch.no_grad():
        unit = F.normalize(model.network.text(empty), dim=-1).numpy()
    assert found.baseline_score == pytest.approx((model.encode_images([picture]) @ unit.T).item(), abs=1e-6)
    assert found.completeness_error == pytest.approx(sum(want) - score + found.baseline_score, abs=1e-5)


@pytest.mark.parametrize("name", ["lively", "bag"])
def test_integrated_gradients_add_up(name: str, picture: Image.Image, request: pytest.FixtureRequest) -> None:
    model = request.getfixturevalue(name)
    found = token_attribution(TEXT, picture, model=model, method="integrated_gradients")
    assert found.score == pytest.approx(cosine(model, picture, TEXT), abs=1e-6)
    assert abs(found.completeness_error) < 1e-4
    assert found.values.sum() == pytest.approx(found.score - found.baseline_score, abs=1e-4)
    assert abs(found.score - found.baseline_score) > 1e-2
    errors = [
        abs(token_attribution(TEXT, picture, model=model, method="integrated_gradients", steps=k).completeness_error)
        for k in (1, 4, 16)
    ]
    assert errors[0] > errors[1] > errors[2] - 1e-6


def test_integrated_gradients_are_the_path_by_finite_differences(lively: Model, picture: Image.Image) -> None:
    """Many small steps along the way, one token moved at a time."""
    found = token_attribution("red forest", picture, model=lively, method="integrated_gradients")
    start, end = lively.tokenizer.sot_token_id, lively.tokenizer.eot_token_id
    (red,), (forest,) = (lively.tokenizer.encode(word) for word in found.words)
    tower = lively.clip.text
    unit = torch.from_numpy(lively.encode_images([picture])[0]).double()
    try:
        tower.double()
        given = tower.trace(torch.tensor([[start, red, forest, end]]), ["embed"])
        x, x0 = given["embed"], tower.trace(torch.tensor([[start, 0, 0, end]]), ["embed"])["embed"]
        assert found.baseline_score == pytest.approx(
            (F.normalize(tower(torch.tensor([[start, 0, 0, end]])), dim=-1)[0] @ unit).item(), abs=1e-6
        )
        steps, h, want = 400, 1e-4, np.zeros(2)
        at = ((torch.arange(steps).double() + 0.5) / steps)[:, None, None]
        for token in range(2):
            move = torch.zeros_like(x)
            move[:, 1 + token] = (x - x0)[:, 1 + token]
            ends = [
                F.normalize(tower.tail("embed", x0 + at * (x - x0) + side * h * move, given), dim=-1) @ unit
                for side in (1, -1)
            ]
            want[token] = ((ends[0] - ends[1]) / (2 * h)).mean().item()
    finally:
        tower.float()
    np.testing.assert_allclose(found.values, want, atol=1e-4)


def test_words_are_their_tokens(lively: Model) -> None:
    for text in ("a red-circle, it's 42!", "숲 속의 개", "  two   spaces ", "naïve café"):
        words, ids = _tokens_of_words(lively, text)
        assert words == text.split()
        assert list(chain(*ids)) == lively.tokenizer.encode(text)
    words, ids = _tokens_of_words(lively, "salt &amp;pepper")
    assert list(chain(*ids)) == lively.tokenizer.encode("salt &amp;pepper")
    words, ids = _tokens_of_words(lively, "a &nbsp;b &lt; c")  # entities that make or hold a space
    assert list(chain(*ids)) == lively.tokenizer.encode("a &nbsp;b &lt; c")
    assert len(words) == len(ids)


@pytest.mark.parametrize("method", METHODS)
def test_a_text_of_one_word(lively: Model, picture: Image.Image, method: str) -> None:
    found = token_attribution("forest", picture, model=lively, method=method)
    assert found.words == ("forest",)
    assert found.values[0] == pytest.approx(found.score - found.baseline_score, abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_the_words_of_a_template_count(lively: Model, picture: Image.Image, method: str) -> None:
    look = lively.look(picture)
    found = token_attribution(clipviz.Prompt("dog", "a photo of a {}."), look, method=method)
    assert found.words == ("a", "photo", "of", "a", "dog.")
    assert found.provenance["templates"] == ["a photo of a {}."]
    again = token_attribution("a photo of a dog.", look, method=method)
    np.testing.assert_array_equal(found.values, again.values)
    swapped = token_attribution("a photo of a cat.", look, method=method)
    assert np.abs(found.values - swapped.values).max() > 1e-4


@pytest.mark.parametrize("around", [torch.no_grad, torch.inference_mode, torch.enable_grad])
def test_leaves_no_trace(lively: Model, picture: Image.Image, around: type) -> None:
    state, chance = {k: v.clone() for k, v in lively.clip.state_dict().items()}, torch.get_rng_state().clone()
    with around():
        found = [token_attribution(TEXT, picture, model=lively, method=method) for method in METHODS]
    assert all(np.isfinite(one.values).all() for one in found)
    assert all(torch.equal(v, state[k]) for k, v in lively.clip.state_dict().items())
    assert all(p.grad is None and not p.requires_grad for p in lively.clip.parameters())
    assert torch.equal(torch.get_rng_state(), chance)


@pytest.fixture(scope="module")
def found(lively: Model, picture: Image.Image) -> TokenAttribution:
    return token_attribution("a <b>red</b> circle", picture, model=lively)


def test_the_result_in_its_forms(found: TokenAttribution, tmp_path: Path) -> None:
    assert "\n" not in repr(found)
    assert repr(found).startswith("TokenAttribution('a <b>red</b> circle': ")
    table = found.to_pandas()
    assert table["word"].tolist() == list(found.words)
    assert table["share"].sum() == pytest.approx(1)
    back = TokenAttribution.load(found.save(tmp_path / "x.json"))
    assert repr(back) == repr(found)
    np.testing.assert_array_equal(back.values, found.values)
    assert back.provenance == json.loads(json.dumps(found.provenance))
    assert pd.read_csv(found.save(tmp_path / "x.csv"))["value"].tolist() == pytest.approx(found.values.tolist())
    assert Image.open(found.save(tmp_path / "x.png")).size[0] > 100
    for page in (found.save(tmp_path / "x.html").read_text("utf-8"), found._repr_html_()):
        assert "<b>red" not in page
        assert "&lt;b&gt;red&lt;/b&gt;" in page
    with pytest.raises(InputError, match="token attribution is saved as"):
        found.save(tmp_path / "x.txt")
    for content in (
        "{}",
        "[]",
        "no json",
        json.dumps({**json.loads((tmp_path / "x.json").read_text()), "values": [1]}),
    ):
        (tmp_path / "bad.json").write_text(content)
        with pytest.raises(DataError, match="is no saved token attribution"):
            TokenAttribution.load(tmp_path / "bad.json")
    with pytest.raises(DataError, match="There is no file"):
        TokenAttribution.load(tmp_path / "none.json")


def test_words_never_seen_are_named(lively: Model, picture: Image.Image) -> None:
    seen = frozenset(lively.tokenizer.encode("a red circle"))
    told = Model("told", Weights(lively.clip, seen_token_ids=seen))
    with pytest.warns(ClipvizWarning, match="told never saw 'forest'") as warned:
        found = token_attribution("a red forest", picture, model=told)
    assert [warning.filename for warning in warned] == [__file__]
    assert found.notes == ("told never saw 'forest' in training.",)
    assert token_attribution("a red circle", picture, model=told).notes == ()


@pytest.mark.parametrize(
    ("text", "options", "error", "said"),
    [
        ("", {}, PromptError, "empty"),
        ("  ", {}, PromptError, "blank"),
        (["a dog"], {}, PromptError, "one string"),
        ("dog " * 15, {}, PromptError, "has 15 tokens and small-vit reads 14: shorten it by 1"),
        (clipviz.Prompt("dog", ("a {}", "the {}")), {}, PromptError, "2 templates"),
        ("a dog", {"method": "leave_one"}, InputError, "Did you mean 'leave_one_out'"),
        ("a dog", {"method": "integrated_gradients", "steps": 0}, InputError, "steps=0"),
    ],
)
@pytest.mark.parametrize("method", METHODS)
def test_what_is_refused(
    vit: Model, picture: Image.Image, method: str, text: object, options: dict[str, object],
    error: type[ClipvizError], said: str,
) -> None:  # fmt: skip
    with pytest.raises(error) as raised:
        token_attribution(text, picture, model=vit, **{"method": method, **options})
    assert said in str(raised.value)


def test_what_a_model_run_by_open_clip_cannot(other: Model, picture: Image.Image) -> None:
    with pytest.raises(ModelError, match="take method='leave_one_out'"):
        token_attribution("a dog", picture, model=other, method="integrated_gradients")
    with pytest.raises(PromptError, match="its end is cut off"):
        token_attribution("dog " * 16, picture, model=other)
    with pytest.raises(InputError, match="one image and got list"):
        token_attribution("a dog", [picture], model=other)
