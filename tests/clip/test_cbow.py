"""The bag of words is a text tower like the other."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from clipviz.clip import CBOW, CLIP, CBOWConfig
from clipviz.clip.figure3 import loss
from clipviz.errors import ModelError


@pytest.fixture(scope="module")
def clip(small):
    torch.manual_seed(0)
    return CLIP(replace(small("vit").config, text=CBOWConfig(context_length=16, vocab_size=64, width=32))).eval()


START, END = 62, 63


def test_it_is_the_projected_mean_of_the_caption_with_start_and_end(clip):
    assert isinstance(clip.text, CBOW)
    caption = [START, 5, 9, 5, END]
    expected = clip.text.token_embedding.weight[caption].mean(dim=0) @ clip.text.text_projection
    assert torch.allclose(clip.text(torch.tensor([caption])), expected, atol=1e-7)


def test_padding_does_not_count_and_token_0_does(clip):
    bare = clip.text(torch.tensor([[START, 5, END]]))
    assert torch.allclose(clip.text(torch.tensor([[START, 5, END, 0, 0, 0]])), bare, atol=1e-7)
    assert torch.allclose(clip.text(torch.tensor([[START, 5, END, 7, 7, 7]])), bare, atol=1e-7)
    # 0 is a token like any other ("!" in CLIP's vocabulary) as long as the caption has not ended
    assert not torch.allclose(clip.text(torch.tensor([[START, 5, 0, END]])), bare, atol=1e-4)


def test_order_makes_no_difference_and_the_empty_caption_is_finite(clip):
    texts = torch.tensor([[START, 5, 9, 7, END], [START, 7, 5, 9, END]])
    one, other = clip.text(texts)
    assert torch.allclose(one, other, atol=1e-7)
    assert torch.isfinite(clip.text(torch.tensor([[START, END, 0, 0]]))).all()


@pytest.mark.parametrize("tap", ["embed", "features"])
def test_tail_equals_encode(clip, make_captions, tap):
    assert clip.text.taps() == ["embed", "features"]
    tokens = make_captions(4, clip.config.text)
    with torch.no_grad():
        given = clip.text.trace(tokens, [tap])
        again = clip.text.tail(tap, given[tap], given)
        assert torch.allclose(F.normalize(again), F.normalize(clip.text(tokens)), rtol=0, atol=1e-6)
        other = clip.text.tail(tap, given[tap].roll(1, dims=0), given)
    assert not torch.allclose(other, again, atol=1e-4)


def test_there_is_no_attention_to_replace(clip, make_captions):
    tokens = make_captions(2, clip.config.text)
    given = clip.text.trace(tokens, ["features"])
    with pytest.raises(ModelError, match="has no attention"):
        clip.text(tokens, attend={0: lambda q, k, v: v})
    with pytest.raises(ModelError, match="has no attention"):
        clip.text.tail("features", given["features"], given, attend={0: lambda q, k, v: v})
    with pytest.raises(ModelError, match="'embed'"):
        clip.text.trace(tokens, ["block.0"])


def test_it_learns(small, make_pictures, make_captions):
    """A few steps fit four pairs: the gradient reaches both towers' first parameters."""
    torch.manual_seed(0)
    clip = CLIP(replace(small("vit").config, text=CBOWConfig(context_length=16, vocab_size=64, width=32)))
    pixels, tokens = make_pictures(4, 40), make_captions(4, clip.config.text)
    before = {name: p.detach().clone() for name, p in clip.named_parameters()}
    optimiser = torch.optim.Adam(clip.parameters(), lr=3e-3)
    first = loss(clip, pixels, tokens).item()
    for _ in range(60):
        optimiser.zero_grad()
        value = loss(clip, pixels, tokens)
        value.backward()
        optimiser.step()
    assert value.item() < 0.1 * first
    still = [name for name, p in clip.named_parameters() if torch.equal(p, before[name])]
    assert not still
