"""A fresh network has the released code's random weights, as open_clip implements it: moments of each group."""

from __future__ import annotations

import math
import re
from dataclasses import replace

import pytest
import torch

from clipviz.clip import CLIP, CBOWConfig, Config, ResNetConfig, TextConfig, ViTConfig

# Wide enough for moments to be sharp; depth, widths and embedding all differ, so that no rule hides behind another.
TEXT = TextConfig(context_length=40, vocab_size=700, width=128, heads=4, layers=5)
CONFIGS = {
    "vit": Config(160, ViTConfig(image_size=96, patch_size=16, width=192, layers=3, head_width=32), TEXT),
    "resnet": Config(160, ResNetConfig(image_size=96, layers=(1, 2, 1, 2), width=16, head_width=32), TEXT),
}


def theirs(config: Config) -> torch.nn.Module:
    from open_clip.model import CLIP as Peer

    vision, text = config.vision, config.text
    vision_cfg = {"image_size": vision.image_size, "width": vision.width, "head_width": vision.head_width}
    vision_cfg["layers"] = vision.layers
    vision_cfg["patch_size"] = getattr(vision, "patch_size", None)
    text_cfg = {key: getattr(text, key) for key in ("context_length", "vocab_size", "width", "heads", "layers")}
    return Peer(config.embed_dim, vision_cfg, text_cfg, quick_gelu=True)


def group(name: str) -> str:
    """Parameters of one rule: the blocks of one tower and the residual blocks of a ResNet go together."""
    return re.sub(r"(resblocks|layer\d)\.?\d+", r"\1", name)


def moments(state: dict[str, torch.Tensor]) -> dict[str, tuple[float, float, float, int]]:
    """Mean, deviation, tail (fourth moment over deviation^4: 3 for a normal, 1.8 for a uniform one), number."""
    groups: dict[str, list[torch.Tensor]] = {}
    for name, tensor in state.items():
        groups.setdefault(group(name), []).append(tensor.detach().double().flatten())
    found = {}
    for name, parts in groups.items():
        # each tensor by its own size: a 1x1 convolution of another width has another deviation
        x = torch.cat([p / p.std() if len(parts) > 1 and p.numel() > 1 and p.std() > 0 else p for p in parts])
        scale = torch.stack([p.std(unbiased=False) for p in parts]).mean()
        spread = x.std(unbiased=False)
        tail = ((x - x.mean()) ** 4).mean() / spread**4 if spread > 0 else torch.zeros(())
        mean = torch.stack([p.mean() for p in parts]).mean()
        found[name] = (float(mean), float(scale), float(tail), x.numel())
    return found


@pytest.mark.parametrize("kind", CONFIGS)
def test_the_moments_of_every_group_are_open_clips(kind):
    torch.manual_seed(0)
    ours = moments(dict(CLIP(CONFIGS[kind]).named_parameters()))
    state = {k if k.startswith(("visual.", "logit")) else f"text.{k}": v
             for k, v in theirs(CONFIGS[kind]).named_parameters()}  # fmt: skip
    peers = moments(state)
    assert ours.keys() == peers.keys() and len(ours) > 25
    for name, (mean, scale, tail, n) in ours.items():
        their_mean, their_scale, their_tail, _ = peers[name]
        noise = 6 / math.sqrt(n)
        assert mean == pytest.approx(their_mean, abs=max(scale, 1e-9) * noise), f"mean of {name}"
        assert scale == pytest.approx(their_scale, rel=noise), f"deviation of {name}"
        assert tail == pytest.approx(their_tail, rel=5 * noise), f"distribution of {name}"


def test_text_scales_follow_width_and_depth():
    torch.manual_seed(0)
    text = CLIP(CONFIGS["vit"]).text
    assert text.token_embedding.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert text.positional_embedding.std().item() == pytest.approx(0.01, rel=0.05)
    assert text.text_projection.std().item() == pytest.approx(128**-0.5, rel=0.03)
    for block in text.transformer.resblocks:
        assert block.attn.in_proj_weight.std().item() == pytest.approx(128**-0.5, rel=0.02)
        assert block.attn.out_proj.weight.std().item() == pytest.approx(128**-0.5 * 10**-0.5, rel=0.03)
        assert block.mlp.c_fc.weight.std().item() == pytest.approx(256**-0.5, rel=0.02)
        assert block.mlp.c_proj.weight.std().item() == pytest.approx(128**-0.5 * 10**-0.5, rel=0.02)
        assert not block.attn.in_proj_bias.any() and not block.attn.out_proj.bias.any()


def test_a_residual_block_begins_as_the_identity(make_pictures):
    torch.manual_seed(0)
    visual = CLIP(CONFIGS["resnet"]).visual.eval()
    assert not visual.layer2[1].bn3.weight.any()
    x = make_pictures(2, 96)
    stage = visual.trace(x, ["stage.2"])["stage.2"]
    assert torch.equal(visual.layer2[1](stage), stage)
    assert visual.bn3.weight.all(), "the stem's third norm is none of a residual block"


@pytest.mark.parametrize("config", [*CONFIGS.values(), replace(CONFIGS["vit"], text=CBOWConfig(40, 700, 128))])
def test_the_temperature_begins_at_0_07(config):
    assert CLIP(config).logit_scale.item() == pytest.approx(math.log(1 / 0.07), abs=1e-6)


def test_a_bag_of_words_begins_as_the_transformers_tables_do():
    torch.manual_seed(0)
    text = CLIP(replace(CONFIGS["vit"], text=CBOWConfig(40, 700, 128))).text
    assert text.token_embedding.weight.std().item() == pytest.approx(0.02, rel=0.02)
    assert text.text_projection.std().item() == pytest.approx(128**-0.5, rel=0.03)


def test_the_same_seed_gives_the_same_network():
    states = []
    for _ in range(2):
        torch.manual_seed(5)
        states.append(CLIP(CONFIGS["resnet"]).state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_every_parameter_is_given_a_value():
    """`torch.empty` may hold anything: a parameter that no rule fills would show as not finite or as all zero."""
    kept = torch.utils.deterministic.fill_uninitialized_memory
    try:
        torch.use_deterministic_algorithms(True)
        torch.utils.deterministic.fill_uninitialized_memory = True  # fills with NaN
        for config in (*CONFIGS.values(), replace(CONFIGS["vit"], text=CBOWConfig(40, 700, 128))):
            empty = [name for name, p in CLIP(config).named_parameters() if not p.isfinite().all()]
            assert not empty
    finally:
        torch.use_deterministic_algorithms(False)
        torch.utils.deterministic.fill_uninitialized_memory = kept
