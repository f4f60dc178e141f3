"""Models in memory: copied into the reference network where they are the paper's, and told apart where not."""

from __future__ import annotations

import pytest
import torch

from clipviz.clip import CLIP
from clipviz.errors import ModelError
from clipviz.weights import OtherNetwork, config_to_open_clip, fingerprint, from_module
from clipviz.weights.memory import read_transform

TOLD = {"mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]}


@pytest.mark.parametrize("custom", [False, True])
def test_open_clips_module_is_copied(clip: CLIP, theirs, custom: bool) -> None:
    module = theirs(clip, custom_text=custom)
    found = from_module(module, TOLD)
    assert isinstance(found.clip, CLIP)
    assert found.clip.config == clip.config
    before = fingerprint(found.clip)
    with torch.no_grad():
        module.logit_scale.add_(1)
    assert fingerprint(found.clip) == before == fingerprint(clip)


@pytest.mark.parametrize(
    ("tower", "change"),
    [
        ("vision_cfg", {"pool_type": "avg"}),
        ("vision_cfg", {"no_ln_pre": True}),
        ("vision_cfg", {"ls_init_value": 0.1}),
        ("vision_cfg", {"attentional_pool": True, "attn_pooler_heads": 2}),
        ("vision_cfg", {"norm_kwargs": {"eps": 1e-6}}),
        ("text_cfg", {"pool_type": "last"}),
        ("text_cfg", {"no_causal_mask": True}),
        ("text_cfg", {"proj_bias": True}),
        ("text_cfg", {"mlp_ratio": 2.0}),
        ("text_cfg", {"act_kwargs": {"approximate": "tanh"}}),
        ("vision_cfg", {"act_kwargs": {"approximate": "tanh"}}),
    ],
)
def test_what_is_not_the_papers_stays_with_open_clip(vit: CLIP, tower: str, change: dict) -> None:
    import open_clip

    config = config_to_open_clip(vit.config)
    config[tower] |= change
    config["quick_gelu"] = "act_kwargs" not in change
    torch.manual_seed(0)
    module = open_clip.CustomTextCLIP(**config).eval()
    found = from_module(module, TOLD).clip
    assert isinstance(found, OtherNetwork)
    pixels = torch.randn(2, 3, 32, 32)
    with torch.no_grad():
        torch.testing.assert_close(found.visual(pixels), module.encode_image(pixels), atol=1e-5, rtol=1e-5)


def test_an_edited_mask_and_a_mixed_activation_stay_with_open_clip(vit: CLIP, theirs) -> None:
    module = theirs(vit)
    module.attn_mask[0, 1] = 0
    assert isinstance(from_module(module, TOLD).clip, OtherNetwork)
    module = theirs(vit)
    module.visual.transformer.resblocks[1].mlp.gelu = torch.nn.GELU()
    assert isinstance(from_module(module, TOLD).clip, OtherNetwork)


def test_what_is_no_model_is_told() -> None:
    with pytest.raises(ModelError, match=r"open_clip or transformers; got int"):
        from_module(3, TOLD)
    with pytest.raises(ModelError, match=r"Linear has no encode_image"):
        from_module(torch.nn.Linear(2, 2), TOLD)


@pytest.mark.parametrize("mode", ["shortest", "longest", "squash"])
def test_open_clips_transform_tells_its_own_settings(mode: str) -> None:
    from open_clip.transform import PreprocessCfg, image_transform_v2

    told = PreprocessCfg(size=32, mean=(0.1, 0.2, 0.3), std=(0.4, 0.5, 0.6), interpolation="bilinear", resize_mode=mode)
    assert read_transform(image_transform_v2(told, is_train=False)) == {
        **TOLD, "interpolation": "bilinear", "resize_mode": mode, **({"fill_color": 0} if mode == "longest" else {}),
    }  # fmt: skip
    with pytest.raises(ModelError, match=r"no Normalize step"):
        read_transform(lambda image: image)
    with pytest.raises(ModelError, match=r"\(std\)"):
        from_module(torch.nn.Identity(), {"mean": [0, 0, 0]})


def test_a_crop_of_a_larger_picture_is_refused() -> None:
    from torchvision import transforms as t

    end = [t.ToTensor(), t.Normalize(TOLD["mean"], TOLD["std"])]
    with pytest.raises(ModelError, match=r"resizes to 256 and crops to \(224, 224\).*Resize\(224\)"):
        read_transform(t.Compose([t.Resize(256), t.CenterCrop(224), *end]))
    assert read_transform(t.Compose([t.Resize(224), t.CenterCrop(224), *end]))["resize_mode"] == "shortest"
