"""The same weights give the same vectors here and in open_clip."""

from __future__ import annotations

from dataclasses import replace

import open_clip
import pytest
import torch
import torch.nn.functional as F

from clipviz.clip import CLIP, Config, ResNetConfig, TextConfig, ViTConfig

CONFIGS = {
    "ViT-B-32": Config(512, ViTConfig(), TextConfig()),
    "RN50": Config(1024, ResNetConfig(), TextConfig()),
}


def apart(a: torch.Tensor) -> float:
    """The smallest difference of two rows: whether a comparison of them could fail at all."""
    distance = torch.cdist(a, a, p=float("inf"))
    return float((distance + torch.eye(len(a))).min())


@pytest.mark.parametrize("name", CONFIGS)
def test_vectors_and_logits_equal_open_clip(name, make_random, make_peer, make_pictures, make_captions):
    torch.manual_seed(0)
    config = CONFIGS[name]
    quick = make_random(CLIP(config))
    with torch.device("meta"):
        slow = CLIP(replace(config, quick_gelu=False))
    slow.load_state_dict(quick.state_dict(), assign=True)
    pixels, tokens = make_pictures(8, config.vision.image_size), make_captions(8, config.text)
    seen = []
    for clip, tag in ((quick, f"{name}-quickgelu"), (slow.eval(), name)):
        peer = make_peer(clip, open_clip.get_model_config(tag))
        with torch.no_grad():
            images, texts, scale = clip(pixels, tokens)
            their_images, their_texts = peer.encode_image(pixels, True), peer.encode_text(tokens, True)
            their_logits, _ = peer.get_logits(pixels, tokens)
        assert apart(images) > 1e-3 and apart(texts) > 1e-3
        assert torch.allclose(images, their_images, rtol=0, atol=1e-5)
        assert torch.allclose(texts, their_texts, rtol=0, atol=1e-5)
        assert torch.allclose(scale * images @ texts.T, their_logits, rtol=0, atol=1e-5)
        seen.append((images, texts))
    (images, texts), (other_images, other_texts) = seen
    assert (texts - other_texts).abs().max() > 1e-4, "the activation makes no difference to the texts"
    same = torch.equal(images, other_images)
    assert same == isinstance(config.vision, ResNetConfig), "only a ResNet's pictures know no GELU"


def test_a_text_may_be_cut_after_the_longest(small, make_captions):
    clip = small("vit")
    tokens = make_captions(6, clip.config.text)[1:]
    cut = tokens[:, : int(tokens.argmax(dim=-1).max()) + 1]
    assert cut.shape[1] < tokens.shape[1]
    assert torch.allclose(F.normalize(clip.text(cut)), F.normalize(clip.text(tokens)), rtol=0, atol=1e-6)
