"""Models that are already in memory: open_clip's, transformers', and what their preprocessing says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from ..clip import CLIP, Config, ResNetConfig, TextConfig, ViTConfig
from ..errors import ModelError
from . import huggingface
from .network import Weights, build
from .other import wrap_other
from .preprocess import settle
from .states import from_open_clip


def from_module(module: Any, preprocess: Any) -> Weights:
    """Copy a model of open_clip or transformers into the reference network, or, where it is another's, as it is.

    Raises ModelError for what is no such model, and where ``preprocess`` does not tell the mean and std.
    """
    settled = settle(read_transform(preprocess), {}, "The preprocessing")
    config: Any = getattr(module, "config", None)
    if getattr(config, "model_type", None) is not None:
        network = huggingface.config_from_huggingface(config.to_dict(), strict=False)
        state = huggingface.from_huggingface(module.state_dict())
        return Weights(build(network, state, f"the {type(module).__name__} in memory"), settled)
    if not isinstance(module, nn.Module):
        raise ModelError(f"Model.wrap takes a model of open_clip or transformers; got {type(module).__name__}.")
    plain = _plain_config(module)
    if plain is None:
        return Weights(wrap_other(module), settled)
    state = from_open_clip(module.state_dict())
    return Weights(build(plain, state, f"the {type(module).__name__} in memory"), settled)


def _plain_config(module: nn.Module) -> Config | None:
    """The `Config` of an open_clip module, or None where its towers are not the paper's."""
    from open_clip.transformer import Transformer

    visual: Any = getattr(module, "visual", None)
    text: Any = getattr(module, "text", module)
    blocks = getattr(text, "transformer", None)
    pooled = getattr(text, "pool_type", getattr(text, "text_pool_type", None))
    if not isinstance(blocks, Transformer) or pooled != "argmax" or not _causal(getattr(text, "attn_mask", None)):
        return None
    if any(isinstance(part, nn.LayerNorm) and part.eps != 1e-5 for part in module.modules()):
        return None
    state = from_open_clip(module.state_dict())
    vision: ViTConfig | ResNetConfig
    if hasattr(visual, "attnpool") and hasattr(visual, "layer4"):
        width = visual.conv3.out_channels
        stages = [len(getattr(visual, f"layer{i}")) for i in range(1, 5)]
        side = round((visual.attnpool.positional_embedding.shape[0] - 1) ** 0.5)
        vision = ResNetConfig(side * 32, (stages[0], stages[1], stages[2], stages[3]), width,
                              width * 32 // visual.attnpool.num_heads)  # fmt: skip
    elif hasattr(visual, "conv1") and isinstance(getattr(visual, "transformer", None), Transformer):
        if getattr(visual, "attn_pool", None) is not None or visual.pool_type != "tok" or visual.final_ln_after_pool:
            return None
        block, width = visual.transformer.resblocks[0], visual.conv1.out_channels
        size = visual.image_size[0] if isinstance(visual.image_size, (list, tuple)) else visual.image_size
        vision = ViTConfig(size, visual.conv1.kernel_size[0], width, len(visual.transformer.resblocks),
                           width // block.attn.num_heads, block.mlp.c_fc.out_features / width)  # fmt: skip
    else:
        return None
    context, text_width = state["text.positional_embedding"].shape
    words = TextConfig(context, state["text.token_embedding.weight"].shape[0], text_width,
                       blocks.resblocks[0].attn.num_heads, len(blocks.resblocks))  # fmt: skip
    quick = _quick_gelu(module)
    if quick is None or "text.text_projection" not in state:
        return None
    config = Config(state["text.text_projection"].shape[1], vision, words, quick)
    with torch.device("meta"):
        expected = _shapes(CLIP(config).state_dict())
    return config if _shapes(state) == expected else None


def _causal(mask: Any) -> bool:
    """Whether ``mask`` is the paper's: each token sees itself and those before it, and nothing else is changed."""
    if not isinstance(mask, Tensor) or mask.ndim != 2 or mask.shape[0] != mask.shape[1]:
        return False
    return torch.equal(mask.detach().to("cpu", torch.float32), torch.full(mask.shape, float("-inf")).triu(1))


def _quick_gelu(module: nn.Module) -> bool | None:
    """The one activation of both towers' blocks; None where they differ or it is neither of the two we have."""
    from open_clip.transformer import QuickGELU

    acts = [part for name, part in module.named_modules() if name.endswith("mlp.gelu")]
    if all(type(act) is QuickGELU for act in acts):
        return True
    exact = all(type(act) is nn.GELU and act.approximate == "none" for act in acts)
    return False if exact else None


def _shapes(state: Mapping[str, Tensor]) -> dict[str, tuple[int, ...]]:
    return {name: tuple(t.shape) for name, t in state.items() if not name.endswith("num_batches_tracked")}


def read_transform(preprocess: Any) -> dict[str, Any]:
    """open_clip's ``preprocess_cfg`` out of a torchvision ``Compose`` or transformers' image processor.

    A mapping is taken as it stands.
    """
    if isinstance(preprocess, dict):
        return preprocess
    processor = getattr(preprocess, "image_processor", preprocess)  # a CLIPProcessor holds one beside its tokenizer
    if hasattr(processor, "image_mean"):
        fields = ("image_mean", "image_std", "size", "crop_size", "resample", "rescale_factor",
                  "do_center_crop", "do_resize", "do_rescale", "do_normalize")  # fmt: skip
        said: dict[str, Any] = {name: getattr(processor, name, None) for name in fields}
        for name in ("size", "crop_size"):
            said[name] = said[name] if isinstance(said[name], int | None) else dict(said[name])
        return huggingface.preprocess_from_huggingface({k: v for k, v in said.items() if v is not None})
    steps = {type(step).__name__: step for step in getattr(preprocess, "transforms", [])}
    if "Normalize" not in steps:
        raise ModelError(
            "The preprocessing has no Normalize step to read the mean and std from: pass the transform that "
            "open_clip.create_model_and_transforms returned last, or a dict with 'mean' and 'std'."
        )
    found: dict[str, Any] = {k: [float(x) for x in getattr(steps["Normalize"], k)] for k in ("mean", "std")}
    resize = steps.get("Resize")
    if resize is not None:
        found["interpolation"] = resize.interpolation.value
        found["resize_mode"] = (
            "squash" if isinstance(resize.size, (list, tuple)) and len(resize.size) == 2 else "shortest"
        )
    elif "ResizeKeepRatio" in steps:
        found["resize_mode"] = "longest" if steps["ResizeKeepRatio"].longest == 1.0 else "shortest"
        found["interpolation"] = steps["ResizeKeepRatio"].interpolation.value
        if found["resize_mode"] == "longest" and "CenterCropOrPad" in steps:
            found["fill_color"] = steps["CenterCropOrPad"].fill
    crop = steps.get("CenterCrop")
    if resize is not None and crop is not None and _sides(resize.size) != _sides(crop.size):
        raise ModelError(
            f"The preprocessing resizes to {resize.size} and crops to {crop.size}, and clipviz cuts what it resized "
            f"to: pass a transform with Resize({min(_sides(crop.size))}), or a dict with 'mean' and 'std'."
        )
    return found


def _sides(size: Any) -> set[int]:
    return set(size) if isinstance(size, (list, tuple)) else {size}
