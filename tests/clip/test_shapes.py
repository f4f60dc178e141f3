"""Shapes as types: each public function of the network, its axes named and checked at every call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from jaxtyping import Float, Int, jaxtyped
from torch import Tensor
from typeguard import TypeCheckError, typechecked

from clipviz.clip import ARCHITECTURES, CLIP, CBOWConfig, Tower, resize_positions
from clipviz.clip.figure3 import loss


def checked(function: Callable) -> Callable:
    """`typechecked` inside: typeguard 4 must see the function itself, or it warns and checks nothing."""
    return jaxtyped(typechecker=None)(typechecked(function))


# An axis of one name has one length within a call; {...} is reckoned from the call's arguments.
Pixels = Float[Tensor, "n 3 s s"]
Tokens = Int[Tensor, "m l"]
AlignedTokens = Int[Tensor, "n l"]
Images = Float[Tensor, "n {clip.config.embed_dim}"]
Texts = Float[Tensor, "m {clip.config.embed_dim}"]
Scalar = Float[Tensor, ""]
Kept = Int[Tensor, "n k"]
KeptStream = Float[Tensor, "n {keep.shape[1]+1} {clip.config.vision.width}"]
TextStream = Float[Tensor, "m l {clip.config.text.width}"]
Positions = Float[Tensor, "p d"]
NewPositions = Float[Tensor, "{1+grid*grid} d"]


@checked
def encode_both(clip: CLIP, pixels: Pixels, tokens: Tokens) -> tuple[Images, Texts, Scalar]:
    return clip(pixels, tokens)


@checked
def encode_image(clip: CLIP, pixels: Pixels) -> Images:
    return clip.visual(pixels)


@checked
def encode_text(clip: CLIP, tokens: Tokens) -> Texts:
    return clip.text(tokens)


@checked
def embed_kept(clip: CLIP, pixels: Pixels, keep: Kept) -> KeptStream:
    return clip.visual.embed(pixels, keep)


@checked
def embed_tokens(clip: CLIP, tokens: Tokens) -> TextStream:
    return clip.text.embed(tokens)


@checked
def whole_loss(clip: CLIP, pixels: Pixels, tokens: AlignedTokens) -> Scalar:
    return loss(clip, pixels, tokens)


@checked
def resized(embedding: Positions, grid: int) -> NewPositions:
    return resize_positions(embedding, grid)


BLOCK = {
    "ln_1": "n l d", "q": "n h l c", "k": "n h l c", "v": "n h l c", "probs": "n h l l", "heads": "n h l c",
    "attn": "n l d", "ln_2": "n l d", "mlp": "n l d",
}  # fmt: skip
POOL = {"pool.q": "n h 1 c", "pool.k": "n h l c", "pool.v": "n h l c", "pool.probs": "n h 1 l"}


def axes(tap: str) -> str:
    """The axes of a tap, as the docstring of `Tower` names them."""
    if tap in ("features", "embedding"):
        return "n d" if tap == "features" else "n e"
    if tap == "stem" or tap.startswith("stage."):
        return "n _ _ _"
    if tap.startswith("pool."):
        return POOL[tap]
    return BLOCK.get(tap.rpartition(".")[2], "n l d")


@checked
def trace_and_tail(tower: Tower, x: Pixels | AlignedTokens) -> None:
    """All taps of a tower in one scope: an axis of one name has one length in all of them."""
    given = tower.trace(x, want=tower.taps())
    for tap in [*tower.taps(), "embedding"]:
        kind = Float[Tensor, axes(tap)]
        assert isinstance(given[tap], kind), f"{tap} is {list(given[tap].shape)}, not {axes(tap)}"
        if tap != "embedding":
            assert isinstance(tower.tail(tap, given[tap], given), Float[Tensor, "n e"]), tap


SMALL_CBOW = CBOWConfig(context_length=16, vocab_size=64, width=32)


@pytest.fixture(params=["vit", "resnet", "bag of words"])
def clip(request, small):
    if request.param != "bag of words":
        return small(request.param)
    return CLIP(replace(small("vit").config, text=SMALL_CBOW)).eval()


def test_every_public_function_keeps_its_axes(clip, make_pictures, make_captions):
    pixels, tokens = make_pictures(3, clip.config.vision.image_size), make_captions(5, clip.config.text)
    with torch.no_grad():
        encode_both(clip, pixels, tokens)
        encode_image(clip, pixels)
        encode_text(clip, tokens[1:, :12])
        whole_loss(clip, pixels, tokens[:3])
        trace_and_tail(clip.visual, pixels)
        trace_and_tail(clip.text, tokens)
        if hasattr(clip.text, "embed"):
            embed_tokens(clip, tokens)
        if hasattr(clip.visual, "embed"):
            embed_kept(clip, pixels, torch.tensor([[0, 3, 7, 11]] * 3))
    resized(torch.zeros(50, 6), 9)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_the_nine_keep_their_axes(name):
    """At full size, on tensors that have shapes and no numbers."""
    config = ARCHITECTURES[name]
    with torch.device("meta"), torch.no_grad():
        clip = CLIP(config).eval()
        pixels = torch.empty(2, 3, config.vision.image_size, config.vision.image_size)
        tokens = torch.zeros(3, 77, dtype=torch.long)
        encode_both(clip, pixels, tokens)
        encode_image(clip, pixels)
        encode_text(clip, tokens)
        given = clip.visual.trace(pixels, clip.visual.taps())
    vision = config.vision
    last = given["stage.4" if name.startswith("RN") else "embed"].shape
    assert last == ((2, vision.features, vision.grid, vision.grid) if name.startswith("RN")
                    else (2, 1 + vision.grid**2, vision.width))  # fmt: skip


def test_the_checker_bites(small, make_pictures):
    """A check that accepted everything would pass the tests above."""
    clip, pixels = small("vit"), make_pictures(2, 40)
    with pytest.raises(TypeCheckError):
        encode_image(clip, pixels[0])
    with pytest.raises(TypeCheckError):
        whole_loss(clip, pixels, torch.zeros(3, 16, dtype=torch.long))
    with pytest.raises(TypeCheckError):
        encode_text(clip, torch.zeros(2, 16))

    @checked
    def transposed(clip: CLIP, pixels: Pixels) -> Images:
        return clip.visual(pixels).T

    with pytest.raises(TypeCheckError):
        transposed(clip, pixels)
