"""open_clip's model configuration (``model_cfg``) <-> the reference network's `Config`."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ..clip import CBOWConfig, Config, ResNetConfig, TextConfig, ViTConfig
from ..errors import ModelError, nearest

# What open_clip's keys may hold for the network to be the paper's. Anything else is another architecture.
_PLAIN_VISION: dict[str, tuple[Any, ...] | None] = {
    "ls_init_value": (None,), "patch_dropout": None, "attentional_pool": (False,), "no_ln_pre": (False,),
    "pos_embed_type": ("learnable",), "final_ln_after_pool": (False,), "pool_type": ("tok",),
    "output_tokens": None, "attn_pooler_queries": None, "attn_pooler_heads": None, "act_kwargs": (None,),
    "norm_kwargs": (None,), "block_type": (None, "default"), "timm_model_name": (None,),
}  # fmt: skip
_PLAIN_TEXT: dict[str, tuple[Any, ...] | None] = {
    "ls_init_value": (None,), "embed_cls": (False,), "pad_id": None, "eos_id": None, "no_causal_mask": (False,),
    "final_ln_after_pool": (False,), "pool_type": ("argmax",), "proj_bias": (False,), "proj_type": ("linear",),
    "output_tokens": None, "act_kwargs": (None,), "norm_kwargs": (None,), "block_type": (None, "default"),
    "mlp_ratio": (4, 4.0), "hf_model_name": (None,), "hf_tokenizer_name": (None,), "tokenizer_kwargs": (None, {}),
    "tokenizer_mode": (None,),
}  # fmt: skip
_VISION = {"image_size", "layers", "width", "head_width", "mlp_ratio", "patch_size"}
_TEXT = {"context_length", "vocab_size", "width", "heads", "layers"}
_BAG = {"context_length", "vocab_size", "width"}  # of the bag of words, which is ours: "text_cfg": {"cbow": true, ...}
_NUMBERS = ("embed_dim", "image_size", "layers", "width", "head_width", "patch_size", "context_length", "vocab_size",
            "heads")  # fmt: skip
_TOP = {"embed_dim", "vision_cfg", "text_cfg", "quick_gelu", "custom_text"}
_PLAIN_TOP: dict[str, tuple[Any, ...] | None] = {
    "init_logit_scale": None, "init_logit_bias": (None,), "nonscalar_logit_scale": None, "output_dict": None,
    "multimodal_cfg": (None,),
}  # fmt: skip


# What a configuration may hand to open_clip's tokenizer. Any other key goes on to transformers, where
# "trust_remote_code" runs a program that lies in the folder.
_TOKENIZER: dict[str, type | tuple[type, ...]] = {
    "clean": str, "strip_sep_token": bool, "language": (str, type(None)), "reduction_mask": str,
}  # fmt: skip
_HUB_ID = re.compile(r"\w[\w.-]*(/\w[\w.-]*)?")


class OtherArchitecture(ModelError):
    """The configuration is sound, but not one of the paper's: open_clip runs it (see `other`)."""


def config_from_open_clip(model_cfg: Mapping[str, Any], quick_gelu: bool | None = None) -> Config:
    """The `Config` of an open_clip ``model_cfg``; ``quick_gelu`` overrides the activation it names.

    Raises OtherArchitecture, naming the key, where the configuration is not one of the paper's architectures,
    and ModelError for a key that open_clip does not know either.
    """
    if not isinstance(model_cfg, Mapping):
        raise ModelError(f"model_cfg is {model_cfg!r}: it is a mapping with embed_dim, vision_cfg and text_cfg.")
    for key in ("embed_dim", "vision_cfg", "text_cfg"):
        if key not in model_cfg:
            raise ModelError(f"The model configuration has no {key!r}; it has {sorted(model_cfg)}.")
    _check_values(model_cfg)
    vision, text = dict(model_cfg["vision_cfg"]), dict(model_cfg["text_cfg"])
    bag = bool(text.pop("cbow", False))
    check_names(model_cfg)
    _refuse_others("model_cfg", model_cfg, _TOP, _PLAIN_TOP)
    _refuse_others("vision_cfg", vision, _VISION, _PLAIN_VISION)
    _refuse_others("text_cfg", text, _BAG if bag else _TEXT, {} if bag else _PLAIN_TEXT)
    size = square(vision.get("image_size", 224))
    layers, width = vision.get("layers", 12), vision.get("width", 768)
    tower: ViTConfig | ResNetConfig
    if isinstance(layers, (list, tuple)):
        tower = ResNetConfig(size, tuple(layers), width, vision.get("head_width", 64))  # type: ignore[arg-type]
    else:
        tower = ViTConfig(
            size,
            vision.get("patch_size", 16),
            width,
            layers,
            vision.get("head_width", 64),
            vision.get("mlp_ratio", 4.0),
        )
    quick = bool(model_cfg.get("quick_gelu", False)) if quick_gelu is None else quick_gelu
    words = CBOWConfig(**text) if bag else TextConfig(**{k: text[k] for k in _TEXT if k in text})
    return checked(Config(model_cfg["embed_dim"], tower, words, quick))


def _check_values(model_cfg: Mapping[str, Any]) -> None:
    """ModelError where a number is none, or a mapping of keys is something else."""
    for where in ("vision_cfg", "text_cfg"):
        if not isinstance(model_cfg[where], Mapping):
            raise ModelError(f"model_cfg has {where} = {model_cfg[where]!r}: it is a mapping of keys.")
    for where, part in (("model_cfg", model_cfg), *((w, model_cfg[w]) for w in ("vision_cfg", "text_cfg"))):
        for key in _NUMBERS:
            value = part.get(key, 1)
            several = isinstance(value, (list, tuple)) and key in ("image_size", "layers") and where == "vision_cfg"
            absent = value is None and key == "patch_size"
            if not absent and not all(type(n) is int and n > 0 for n in (value if several else [value])):
                raise ModelError(f"{where} has {key} = {value!r}: a whole number above 0 is needed there.")
        ratio = part.get("mlp_ratio", 4.0)
        if type(ratio) not in (int, float) or not 0 < ratio < float("inf"):
            raise ModelError(f"{where} has mlp_ratio = {ratio!r}: a number above 0 is needed there.")
    for key in ("quick_gelu", "custom_text"):
        if not isinstance(model_cfg.get(key, False), bool):
            raise ModelError(f"model_cfg has {key} = {model_cfg[key]!r}: true or false is needed there.")


def checked(config: Config) -> Config:
    """``config`` itself; ModelError where its numbers do not go together."""
    vision, text = config.vision, config.text
    width = vision.features if isinstance(vision, ResNetConfig) else vision.width
    if isinstance(vision, ResNetConfig) and len(vision.layers) != 4:
        raise ModelError(f"vision_cfg has layers = {list(vision.layers)}: a ResNet of CLIP has 4 stages.")
    if isinstance(vision, ViTConfig) and not vision.patch_size:
        raise ModelError("vision_cfg has no patch_size: a vision transformer needs one, such as 32.")
    if vision.head_width < 1 or width % vision.head_width:
        raise ModelError(f"vision_cfg has heads of {vision.head_width} numbers in a width of {width}: they must fit.")
    if isinstance(text, TextConfig) and (text.heads < 1 or text.width % text.heads):
        raise ModelError(f"text_cfg has {text.heads} heads in a width of {text.width}: their number must divide it.")
    return config


def check_names(model_cfg: Mapping[str, Any], folder: Path | None = None) -> None:
    """ModelError where open_clip, timm or transformers would be sent to a program or a file of the configuration's.

    A tokenizer and a text tower are named as on the Hugging Face hub, and never by a path, neither from the
    working directory nor from ``folder``.
    """
    text, vision = model_cfg["text_cfg"], model_cfg["vision_cfg"]
    for key in ("hf_tokenizer_name", "hf_model_name"):
        name = text.get(key)
        if not name and name in (None, ""):
            continue
        whole = isinstance(name, str) and _HUB_ID.fullmatch(name) is not None and ".." not in name
        if not whole or Path(name).exists() or (folder is not None and (folder / name).exists()):
            raise ModelError(
                f"text_cfg has {key} = {name!r}, which is a path or no name: it may only be a name of the Hugging "
                f"Face hub, such as 'roberta-base' or 'google/mt5-base'; write one of those, or leave {key} out."
            )
    name = vision.get("timm_model_name")
    if name is not None and not (isinstance(name, str) and re.fullmatch(r"[\w.]+", name)):
        raise ModelError(
            f"vision_cfg has timm_model_name = {name!r}: it may only be a name of timm's own models, such as "
            "'vit_base_patch16_siglip_224', and neither a path nor an address."
        )
    given = text.get("tokenizer_kwargs") or {}
    if not isinstance(given, Mapping):
        raise ModelError(f"text_cfg has tokenizer_kwargs = {given!r}: it is a mapping of {', '.join(_TOKENIZER)}.")
    for key, value in given.items():
        if key not in _TOKENIZER or not isinstance(value, _TOKENIZER[key]):
            raise ModelError(
                f"text_cfg hands its tokenizer {key} = {value!r}, and only {', '.join(_TOKENIZER)} are let through "
                f"(others could run a program of the folder): take {key!r} out of tokenizer_kwargs."
            )


def square(size: Any) -> int:
    """The side of open_clip's ``image_size``, a number or a pair of equal ones."""
    sides = set(size) if isinstance(size, (list, tuple)) else {size}
    if len(sides) != 1:
        raise ModelError(f"image_size is {size}: clipviz takes models of square pictures only.")
    return int(sides.pop())


def _refuse_others(
    where: str, given: Mapping[str, Any], known: set[str], plain: Mapping[str, tuple[Any, ...] | None]
) -> None:
    for key, value in given.items():
        if key in known:
            continue
        if key not in plain and key not in (theirs := _open_clip_keys(where)):
            raise ModelError(f"{where} has the unknown key {key!r}. {nearest(key, [*known, *plain, *theirs])}")
        allowed = plain.get(key, (None, False))
        if allowed is not None and value not in allowed:
            raise OtherArchitecture(
                f"{where} has {key} = {value!r}, which is no part of the paper's CLIP: "
                f"the reference network has {', '.join(sorted(known))}."
            )


def _open_clip_keys(where: str) -> list[str]:
    """What open_clip's own model classes take."""
    from open_clip.model import CLIPTextCfg, CLIPVisionCfg

    part = {"vision_cfg": CLIPVisionCfg, "text_cfg": CLIPTextCfg}.get(where)
    return [field.name for field in dataclasses.fields(part)] if part else []


def config_to_open_clip(config: Config) -> dict[str, Any]:
    """The open_clip ``model_cfg`` under which open_clip builds the same network."""
    vision: dict[str, Any] = {
        "image_size": config.vision.image_size,
        "width": config.vision.width,
        "head_width": config.vision.head_width,
    }
    if isinstance(config.vision, ResNetConfig):
        vision |= {"layers": list(config.vision.layers), "patch_size": None}
    else:
        vision |= {"layers": config.vision.layers, "patch_size": config.vision.patch_size}
        vision |= {"mlp_ratio": config.vision.mlp_ratio}
    text = dataclasses.asdict(config.text)
    if isinstance(config.text, CBOWConfig):
        text |= {"cbow": True}
    return {"embed_dim": config.embed_dim, "quick_gelu": config.quick_gelu, "vision_cfg": vision, "text_cfg": text}
