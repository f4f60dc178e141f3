"""Architectures that are not the paper's (SigLIP, CoCa, EVA, ConvNeXt, MobileCLIP ...), run by open_clip.

They are behind the same `Model`, with what they can offer: vectors, and gradients of the pixels. What is inside
of them has no names here, so an explainer that looks inside cannot serve them.
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from ..errors import ModelError
from .configs import check_names, square


class OtherNetwork(nn.Module):
    """An open_clip model with the surface of the reference network: ``visual(pixels)``, ``text(tokens)``."""

    def __init__(self, module: nn.Module, architecture: str, tokenizer: str | None = None):
        super().__init__()
        self.module = module
        self.architecture, self.tokenizer_of = architecture, tokenizer
        self.image_size = square(module.visual.image_size)  # type: ignore[union-attr, arg-type]
        self.embed_dim = _embed_dim(module)
        self.quick_gelu = any(type(part).__name__ == "QuickGELU" for part in module.modules())

    def visual(self, pixels: Tensor) -> Tensor:
        return self.module.encode_image(pixels)  # type: ignore[operator]

    def text(self, tokens: Tensor) -> Tensor:
        return self.module.encode_text(tokens)  # type: ignore[operator]

    @property
    def logit_scale(self) -> Tensor:
        return self.module.logit_scale  # type: ignore[return-value]

    @property
    def logit_bias(self) -> Tensor | None:
        """SigLIP's: where it is there, a pair's probability is the sigmoid of scale * cosine + bias."""
        return getattr(self.module, "logit_bias", None)

    def tokenizer(self) -> Any:
        """open_clip's tokenizer of this architecture; ModelError where its files cannot be had."""
        import open_clip

        if self.tokenizer_of is None:
            raise ModelError(
                "This model was wrapped without a tokenizer: Model.wrap(module, preprocess, "
                "open_clip.get_tokenizer(name)) can encode texts."
            )
        try:
            return open_clip.get_tokenizer(self.tokenizer_of, **self._no_programs())
        except Exception as error:  # whatever the hub's client, transformers or a missing package raise
            named = (open_clip.get_model_config(self.tokenizer_of) or {}).get("text_cfg", {}).get("hf_tokenizer_name")
            raise ModelError(
                f"The tokenizer {named or self.tokenizer_of!r} of {self.architecture} could not be loaded "
                f"({_first_line(error)}): fetch it once with a network and the transformers package; pictures can be "
                "encoded without."
            ) from error

    def _no_programs(self) -> dict[str, bool]:
        """For a folder with a tokenizer of transformers, which would else ask on the terminal to run its program."""
        _, _, folder = str(self.tokenizer_of).partition("local-dir:")
        if not folder:
            return {}
        config = json.loads((Path(folder) / "open_clip_config.json").read_text("utf-8"))
        check_names(config["model_cfg"], Path(folder))
        return {"trust_remote_code": False} if config["model_cfg"]["text_cfg"].get("hf_tokenizer_name") else {}


def build_other(
    name: str,
    file: str | None,
    *,
    quick_gelu: bool | None = None,
    image_size: int | None = None,
) -> OtherNetwork:
    """Architecture ``name`` (or ``"local-dir:folder"``) in open_clip, with the weights of ``file``, frozen, float32."""
    import open_clip

    try:
        with torch.inference_mode(False), torch.no_grad():
            module = open_clip.create_model(
                name, pretrained=file, pretrained_text=False, force_image_size=image_size,
                force_quick_gelu=bool(quick_gelu), require_pretrained=bool(file) or name.startswith("local-dir:"),
            )  # fmt: skip
    except Exception as error:  # open_clip asserts, and passes on what torch, timm and the hub raise
        config = open_clip.get_model_config(name) or {}
        tower = (config.get("text_cfg") or {}).get("hf_model_name")
        from_hub = f"; its text tower {tower!r} is described on the Hugging Face hub only" if tower else ""
        raise ModelError(f"open_clip could not build {name} ({_first_line(error)}){from_hub}.") from error
    return _frozen(OtherNetwork(module, name, name))


def wrap_other(module: nn.Module) -> OtherNetwork:
    """A frozen copy of an open_clip model that is not the paper's."""
    for part in ("encode_image", "encode_text", "visual", "logit_scale"):
        if not hasattr(module, part):
            raise ModelError(
                f"{type(module).__name__} has no {part}: Model.wrap takes open_clip's models and a CLIPModel."
            )
    with torch.inference_mode(False), torch.no_grad():
        return _frozen(OtherNetwork(copy.deepcopy(module), type(module).__name__))


def other_in_folder(path: Path, image_size: int | None) -> OtherNetwork:
    """A folder of open_clip's layout, built and read by open_clip."""
    network = build_other(f"local-dir:{path}", None, image_size=image_size)
    network.architecture = str(_vision_name(json.loads((path / "open_clip_config.json").read_text("utf-8"))))
    return network


def _vision_name(config: Mapping[str, Any]) -> str:
    return str(config["model_cfg"].get("vision_cfg", {}).get("timm_model_name") or "other")


def _frozen(network: OtherNetwork) -> OtherNetwork:
    return network.float().eval().requires_grad_(False)


def _embed_dim(module: nn.Module) -> int:
    text = getattr(module, "text", None)
    width = getattr(text, "output_dim", None)
    projection = getattr(module, "text_projection", None)
    if width is None and projection is not None:
        width = projection.out_features if isinstance(projection, nn.Linear) else projection.shape[1]
    if width is None:
        raise ModelError(f"{type(module).__name__} does not tell the width of its vectors (text.output_dim).")
    return int(width)


def _first_line(error: Exception) -> str:
    """What an exception says, in a line; of tensors that do not fit, the first five names of each kind."""
    lines = (str(error).strip() or type(error).__name__).splitlines()
    kinds = {"Missing key(s)": "missing", "Unexpected key(s)": "left over"}
    told = []
    for line in lines[1:]:
        for begins, kind in kinds.items():
            if line.strip().startswith(begins):
                names = re.findall(r'"([^"]+)"', line)
                told.append(f"{len(names)} {kind}: {', '.join(names[:5])}{', ...' if len(names) > 5 else ''}")
    if other := [line.split()[3].rstrip(":") for line in lines[1:] if line.strip().startswith("size mismatch for ")]:
        told.append(f"{len(other)} of another shape: {', '.join(other[:5])}{', ...' if len(other) > 5 else ''}")
    return "; ".join(told) or lines[0][:200]
