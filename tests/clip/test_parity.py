"""The same weights give the same vectors here and in open_clip."""

from __future__ import annotations

from dataclasses import replace

import open_clip
import pytest
import torch
import torch.nn.functional as F

from clipviz.clip import ARCHITECTURES, CLIP, ResNetConfig


def apart(a: torch.Tensor) -> float:
    """The smallest difference of two rows: whether a comparison of them could fail at all."""
    distance = torch.cdist(a, a, p=float("inf"))
    return float((distance + torch.eye(len(a))).min())


# The two of the first promise in batches of eight; the others, some of them gigabytes, one or two at a time.
BATCH = {"ViT-B-32": 8, "RN50": 8, "RN101": 2, "RN50x4": 2, "ViT-B-16": 2}
NAMES = [pytest.param(n, marks=() if BATCH.get(n) == 8 else pytest.mark.slow) for n in ARCHITECTURES]


@pytest.mark.parametrize("name", NAMES)
def test_vectors_and_logits_equal_open_clip(name, make_random, make_peer, make_pictures, make_captions):
    config, n = ARCHITECTURES[name], BATCH.get(name, 1)
    torch.manual_seed(0)
    quick = make_random(CLIP(config))
    with torch.device("meta"):
        slow = CLIP(replace(config, quick_gelu=False)).eval()
    slow.load_state_dict(quick.state_dict(), assign=True)
    pixels, tokens = make_pictures(n, config.vision.image_size), make_captions(max(2, n), config.text)
    seen = []
    for clip, tag in ((quick, f"{name}-quickgelu"), (slow, name)):
        peer = make_peer(clip, open_clip.get_model_config(tag))
        with torch.no_grad():
            images, texts, scale = clip(pixels, tokens)
            their_images, their_texts = peer.encode_image(pixels, True), peer.encode_text(tokens, True)
            their_scale = peer.logit_scale.exp()
        assert apart(texts) > 1e-3 and (n == 1 or apart(images) > 1e-3)
        assert torch.allclose(images, their_images, rtol=0, atol=1e-5)
        assert torch.allclose(texts, their_texts, rtol=0, atol=1e-5)
        assert torch.allclose(scale * images @ texts.T, their_scale * their_images @ their_texts.T, rtol=0, atol=1e-5)
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
