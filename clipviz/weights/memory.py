"""Models that are already in memory: open_clip's modules, and what their preprocessing says."""

from __future__ import annotations

from typing import Any

from ..clip import Config, ResNetConfig, TextConfig, ViTConfig
from ..errors import ModelError
from .network import Weights, build
from .states import from_open_clip


def from_open_clip_module(module: Any, preprocess: Any) -> Weights:
    """Copy an open_clip ``CLIP`` (or a `CustomTextCLIP` of the paper's towers) into the reference network."""
    from open_clip.transformer import QuickGELU, TextTransformer, Transformer

    state = from_open_clip(module.state_dict())
    visual, text = module.visual, getattr(module, "text", module)
    text_blocks = getattr(getattr(text, "transformer", None), "resblocks", None)
    if text_blocks is None or not isinstance(text.transformer, Transformer):
        raise ModelError(f"{type(module).__name__} has a text tower that is not the paper's; wrap an open_clip CLIP.")
    size = visual.image_size[0] if isinstance(visual.image_size, (list, tuple)) else visual.image_size
    vision: ViTConfig | ResNetConfig
    if hasattr(visual, "attnpool") and hasattr(visual, "layer4"):
        width = visual.conv3.out_channels
        layers = tuple(len(getattr(visual, f"layer{i}")) for i in range(1, 5))
        vision = ResNetConfig(size, layers, width, width * 32 // visual.attnpool.num_heads)  # type: ignore[arg-type]
    elif hasattr(visual, "conv1") and isinstance(getattr(visual, "transformer", None), Transformer):
        block, width = visual.transformer.resblocks[0], visual.conv1.out_channels
        vision = ViTConfig(
            size,
            visual.conv1.kernel_size[0],
            width,
            len(visual.transformer.resblocks),
            width // block.attn.num_heads,
            block.mlp.c_fc.out_features / width,
        )
        if getattr(visual, "attn_pool", None) is not None or visual.pool_type != "tok":
            raise ModelError("The vision tower pools otherwise than the paper's (class token); wrap an open_clip CLIP.")
    else:
        raise ModelError(f"The vision tower {type(visual).__name__} is neither the paper's ViT nor its ResNet.")
    if isinstance(text, TextTransformer) and text.pool_type != "argmax":
        raise ModelError("The text tower pools otherwise than at the end-of-text token; wrap an open_clip CLIP.")
    table = state["text.token_embedding.weight"]
    context = state["text.positional_embedding"].shape[0]
    heads = text_blocks[0].attn.num_heads
    quick = any(isinstance(m, QuickGELU) for m in text.transformer.modules())
    embed_dim = state["text.text_projection"].shape[1]
    config = Config(
        embed_dim, vision, TextConfig(context, table.shape[0], table.shape[1], heads, len(text_blocks)), quick
    )
    return Weights(build(config, state, f"the {type(module).__name__} in memory"), read_transform(preprocess))


def read_transform(preprocess: Any) -> dict[str, Any]:
    """open_clip's ``preprocess_cfg`` out of a torchvision ``Compose``, or as it stands where it is a mapping."""
    if isinstance(preprocess, dict):
        return preprocess
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
    return found
