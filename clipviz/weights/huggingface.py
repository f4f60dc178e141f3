"""Hugging Face's `CLIPModel`: its configuration, its names of tensors and its folder <-> ours.

config.json                 vision_config, text_config, projection_dim
model.safetensors           or pytorch_model.bin, or shards beside an index
preprocessor_config.json    mean, std, size and resampling
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from ..clip import Config, ResNetConfig, TextConfig, ViTConfig
from ..errors import ModelError, nearest
from .configs import checked

CONFIG, PREPROCESS = "config.json", "preprocessor_config.json"
WEIGHTS = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
_ACTIVATIONS = {"quick_gelu": True, "gelu": False}
_RESAMPLE = {0: "nearest", 1: "lanczos", 2: "bilinear", 3: "bicubic"}

# What a key means when config.json leaves it out: `CLIPVisionConfig` and `CLIPTextConfig` of transformers.
_VISION = {"hidden_size": 768, "intermediate_size": 3072, "num_hidden_layers": 12, "num_attention_heads": 12,
           "image_size": 224, "patch_size": 32, "hidden_act": "quick_gelu", "layer_norm_eps": 1e-5,
           "num_channels": 3}  # fmt: skip
_TEXT = {"hidden_size": 512, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 8,
         "max_position_embeddings": 77, "vocab_size": 49408, "hidden_act": "quick_gelu",
         "layer_norm_eps": 1e-5, "eos_token_id": 49407}  # fmt: skip
# Keys that change no number in evaluation: how weights were drawn, what generation would do, who wrote the file.
_NO_MATTER = {
    "attention_dropout", "dropout", "initializer_factor", "initializer_range", "model_type", "projection_dim",
    "bos_token_id", "pad_token_id", "torch_dtype", "dtype", "transformers_version", "architectures", "return_dict",
}  # fmt: skip

_TOP = {
    "logit_scale": "logit_scale",
    "text.token_embedding.weight": "text_model.embeddings.token_embedding.weight",
    "text.positional_embedding": "text_model.embeddings.position_embedding.weight",
    "text.ln_final.": "text_model.final_layer_norm.",
    "visual.class_embedding": "vision_model.embeddings.class_embedding",
    "visual.conv1.weight": "vision_model.embeddings.patch_embedding.weight",
    "visual.positional_embedding": "vision_model.embeddings.position_embedding.weight",
    "visual.ln_pre.": "vision_model.pre_layrnorm.",  # spelt so by them
    "visual.ln_post.": "vision_model.post_layernorm.",
}
_TURNED = {"text.text_projection": "text_projection.weight", "visual.proj": "visual_projection.weight"}
_TOWERS = {"text.transformer.resblocks.": "text_model.encoder.layers.",
           "visual.transformer.resblocks.": "vision_model.encoder.layers."}  # fmt: skip
_PARTS = {"ln_1": "layer_norm1", "ln_2": "layer_norm2", "attn.out_proj": "self_attn.out_proj",
          "mlp.c_fc": "mlp.fc1", "mlp.c_proj": "mlp.fc2"}  # fmt: skip


def is_huggingface(state: Mapping[str, Any]) -> bool:
    """Whether the tensors carry the names of `CLIPModel`."""
    return any(name.startswith(("vision_model.", "text_model.")) for name in state)


def from_huggingface(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """`CLIPModel`'s names -> the reference network's; q, k and v become one matrix. Unknown names stay as they are."""
    named: dict[str, Tensor] = {}
    parts: dict[str, dict[str, Tensor]] = {}
    for name, tensor in state.items():
        if name.endswith("embeddings.position_ids"):
            continue
        for ours, theirs in _TOP.items():
            if name == theirs or (theirs.endswith(".") and name.startswith(theirs)):
                named[ours + name.removeprefix(theirs)] = tensor
                break
        else:
            turned = next((ours for ours, theirs in _TURNED.items() if name == theirs), None)
            tower = next(((ours, theirs) for ours, theirs in _TOWERS.items() if name.startswith(theirs)), None)
            if turned:
                named[turned] = tensor.T
            elif tower is None:
                named[name] = tensor
            else:
                i, _, part = name.removeprefix(tower[1]).partition(".")
                module, _, kind = part.rpartition(".")
                ours = next((o for o, theirs in _PARTS.items() if theirs == module), "")
                if module in ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"):
                    parts.setdefault(f"{tower[0]}{i}.attn.in_proj_{kind}", {})[module[10]] = tensor
                else:
                    named[f"{tower[0]}{i}.{ours}.{kind}" if ours else name] = tensor
    for name, qkv in parts.items():
        if len(qkv) == 3:
            named[name] = torch.cat([qkv["q"], qkv["k"], qkv["v"]])
    if "logit_scale" in named and named["logit_scale"].numel() == 1:
        named["logit_scale"] = named["logit_scale"].reshape(())
    return named


def to_huggingface(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """The reference network's names -> `CLIPModel`'s; of a vision transformer only."""
    named: dict[str, Tensor] = {}
    for name, tensor in state.items():
        tower = next(((ours, theirs) for ours, theirs in _TOWERS.items() if name.startswith(ours)), None)
        if name in _TURNED:
            named[_TURNED[name]] = tensor.T
        elif tower is None:
            ours = next(o for o in _TOP if name == o or (o.endswith(".") and name.startswith(o)))
            named[_TOP[ours] + name.removeprefix(ours)] = tensor
        else:
            i, _, part = name.removeprefix(tower[0]).partition(".")
            if part.startswith("attn.in_proj_"):
                kind = part.removeprefix("attn.in_proj_")
                for letter, third in zip("qkv", tensor.chunk(3), strict=True):
                    named[f"{tower[1]}{i}.self_attn.{letter}_proj.{kind}"] = third
            else:
                module, _, kind = part.rpartition(".")
                named[f"{tower[1]}{i}.{_PARTS[module]}.{kind}"] = tensor
    return named


def config_from_huggingface(given: Mapping[str, Any], *, strict: bool = True) -> Config:
    """The `Config` of a ``config.json`` of ``model_type`` "clip"; ModelError for any other.

    ``strict`` refuses unknown keys; a configuration in memory has more than a file.
    """
    # before its version 5, transformers wrote some fifty keys about generation into every file
    strict = strict and not str(given.get("transformers_version")).startswith(("2.", "3.", "4."))
    if given.get("model_type") != "clip":
        raise ModelError(f"config.json is of model_type {given.get('model_type')!r}; of transformers' models clipviz "
                         "reads 'clip'. Other kinds come through open_clip's names (clipviz models).")  # fmt: skip
    vision = _settled("vision_config", given, _VISION, strict)
    text = _settled("text_config", given, _TEXT, strict)
    acts = {vision["hidden_act"], text["hidden_act"]}
    if len(acts) != 1 or not acts <= set(_ACTIVATIONS):
        raise ModelError(f"config.json names the activations {sorted(acts)}; CLIP has one, quick_gelu or gelu.")
    for where, part in (("vision_config", vision), ("text_config", text)):
        if part["layer_norm_eps"] != 1e-5 or part.get("num_channels", 3) != 3:
            raise ModelError(f"{where} has another layer_norm_eps or num_channels than the paper's 1e-5 and 3.")
    if text["intermediate_size"] != 4 * text["hidden_size"]:
        raise ModelError(
            f"text_config has intermediate_size {text['intermediate_size']}; the paper's is 4 x hidden_size."
        )
    if text["eos_token_id"] not in (2, text["vocab_size"] - 1):  # 2: a mistake of early folders, read as the highest
        raise ModelError(f"text_config pools at token {text['eos_token_id']}; CLIP pools at the highest of all.")
    ratio = vision["intermediate_size"] / vision["hidden_size"]
    tower = ViTConfig(vision["image_size"], vision["patch_size"], vision["hidden_size"], vision["num_hidden_layers"],
                      vision["hidden_size"] // vision["num_attention_heads"], ratio)  # fmt: skip
    words = TextConfig(text["max_position_embeddings"], text["vocab_size"], text["hidden_size"],
                       text["num_attention_heads"], text["num_hidden_layers"])  # fmt: skip
    return checked(Config(given.get("projection_dim", 512), tower, words, _ACTIVATIONS[acts.pop()]))


def _settled(where: str, given: Mapping[str, Any], defaults: Mapping[str, Any], strict: bool) -> dict[str, Any]:
    # Folders of before 2023 hold the values a second time under another name, and that one wins in transformers too.
    parts = [given.get(name) or {} for name in (where, f"{where}_dict")]
    if not all(isinstance(part, Mapping) for part in parts):
        raise ModelError(f"{where} of config.json is {given.get(where)!r}: it is a mapping of keys.")
    told = {**parts[0], **parts[1]}
    for key in told:
        if key not in defaults and key not in _NO_MATTER and strict:
            raise ModelError(f"{where} of config.json has the unknown key {key!r}. {nearest(key, defaults)}")
    for key, value in told.items():
        if isinstance(defaults.get(key), int) and type(value) is not int:
            raise ModelError(f"{where} of config.json has {key} = {value!r}: a whole number is needed there.")
    settled = {**defaults, **{k: v for k, v in told.items() if k in defaults}}
    if min(settled["hidden_size"], settled["num_attention_heads"]) < 1:
        raise ModelError(f"{where} of config.json has a width or a number of heads below 1: correct it.")
    return settled


def config_to_huggingface(config: Config) -> dict[str, Any]:
    """The ``config.json`` under which transformers builds the same network; ModelError for a ResNet."""
    vision, text = config.vision, config.text
    if isinstance(vision, ResNetConfig) or not isinstance(text, TextConfig):
        raise ModelError("transformers' CLIPModel has no such tower: save it with layout='open_clip'.")
    act = "quick_gelu" if config.quick_gelu else "gelu"
    return {
        "architectures": ["CLIPModel"], "model_type": "clip", "projection_dim": config.embed_dim,
        "vision_config": {
            "model_type": "clip_vision_model", "hidden_size": vision.width, "num_hidden_layers": vision.layers,
            "intermediate_size": int(vision.width * vision.mlp_ratio), "num_attention_heads": vision.heads,
            "image_size": vision.image_size, "patch_size": vision.patch_size, "hidden_act": act,
            "projection_dim": config.embed_dim, "layer_norm_eps": 1e-5,
        },
        "text_config": {
            "model_type": "clip_text_model", "hidden_size": text.width, "num_hidden_layers": text.layers,
            "intermediate_size": 4 * text.width, "num_attention_heads": text.heads, "hidden_act": act,
            "max_position_embeddings": text.context_length, "vocab_size": text.vocab_size,
            "projection_dim": config.embed_dim, "layer_norm_eps": 1e-5, "bos_token_id": text.vocab_size - 2,
            "eos_token_id": text.vocab_size - 1, "pad_token_id": text.vocab_size - 1,
        },
    }  # fmt: skip


def preprocess_from_huggingface(given: Mapping[str, Any]) -> dict[str, Any]:
    """open_clip's ``preprocess_cfg`` of a ``preprocessor_config.json`` (or of an image processor's fields)."""
    mean, std = given.get("image_mean"), given.get("image_std")
    if mean is None or std is None:
        raise ModelError(f"{PREPROCESS} has no image_mean and image_std, and wrong ones give plausible, wrong numbers.")
    for key in ("do_resize", "do_rescale", "do_normalize"):
        if not given.get(key, True):
            raise _other_preparation(f"{key} = {given[key]}", "true")
    factor = given.get("rescale_factor", 1 / 255)
    if not isinstance(factor, (int, float)) or abs(255 * factor - 1) > 1e-4:
        raise _other_preparation(f"rescale_factor = {given['rescale_factor']}", "1/255")
    if given.get("resample", 3) not in _RESAMPLE:
        raise _other_preparation(f"resample = {given['resample']!r}", "2 (bilinear) or 3 (bicubic)")
    size, cut = _sides("size", given.get("size", 224)), _sides("crop_size", given.get("crop_size", 224))
    crop, squash = given.get("do_center_crop", True), len(size) == 2
    if crop and set(size) != set(cut):
        raise _other_preparation(f"size = {given.get('size', 224)}, crop_size = {given.get('crop_size', 224)}", "equal")
    if not crop and not squash:
        raise _other_preparation("do_center_crop = False with a shortest edge", "true, or size is a height and a width")
    return {
        "mean": mean,
        "std": std,
        "interpolation": _RESAMPLE[int(given.get("resample", 3))],
        "resize_mode": "squash" if squash else "shortest",
    }


def _sides(key: str, size: Any) -> tuple[int, ...]:
    """(shortest edge,) or (height, width) of the ways in which a ``size`` is written."""
    told = {k: v for k, v in size.items() if v is not None} if isinstance(size, Mapping) else {"shortest_edge": size}
    named = [told[k] for k in (("height", "width") if "height" in told else ("shortest_edge",)) if k in told]
    if set(told) - {"height", "width", "shortest_edge"} or not named or not all(type(n) is int for n in named):
        raise _other_preparation(f"{key} = {size!r}", "a number, a shortest_edge, or a height and a width")
    return tuple(named)


def _other_preparation(what: str, allowed: str) -> ModelError:
    return ModelError(
        f"{PREPROCESS} has {what}, where clipviz prepares pictures as CLIP was trained ({allowed}): correct the file, "
        "or leave it away and give mean= and std= to load()."
    )


def preprocess_to_huggingface(preprocess: Mapping[str, Any], size: int) -> dict[str, Any]:
    """The ``preprocessor_config.json`` of open_clip's ``preprocess_cfg``; ModelError for what it cannot say."""
    mode = preprocess.get("resize_mode", "shortest")
    if mode == "longest":
        raise ModelError("transformers' CLIPImageProcessor cannot pad to a square: save with layout='open_clip'.")
    square = {"height": size, "width": size}
    resample = {name: number for number, name in _RESAMPLE.items()}[preprocess.get("interpolation", "bicubic")]
    return {
        "image_processor_type": "CLIPImageProcessor", "do_resize": True, "do_center_crop": mode == "shortest",
        "do_rescale": True, "rescale_factor": 1 / 255, "do_normalize": True, "do_convert_rgb": True,
        "size": {"shortest_edge": size} if mode == "shortest" else square, "crop_size": square, "resample": resample,
        "image_mean": list(preprocess["mean"]), "image_std": list(preprocess["std"]),
    }  # fmt: skip
