"""The architecture that a state dict was trained with, as far as its shapes tell."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from functools import cache

from torch import Tensor

from ..clip import Config, ResNetConfig, TextConfig, ViTConfig
from ..errors import ModelError
from .configs import config_from_open_clip


def infer_config(state: Mapping[str, Tensor], quick_gelu: bool, source: str, *, openai: bool = False) -> Config:
    """The `Config` of a state dict in the reference network's names.

    Shapes tell everything but the activation and how many heads share a width. The heads are those of the open_clip
    architecture with these shapes; where there is none, a head in one of OpenAI's archives (``openai``) is 64 wide.
    Raises ModelError where the tensors are no CLIP's, or where several or no known architectures fit.
    """
    try:
        found = _shapes(state, quick_gelu)
    except (KeyError, IndexError, ValueError, ZeroDivisionError) as error:
        names = ", ".join(list(state)[:5])
        raise ModelError(
            f"The tensors of {source} are not those of a CLIP ({error} is missing or has an odd shape; it begins with "
            f"{names}): put its open_clip_config.json beside it into a folder and load that."
        ) from error
    fitting = {config for config in _known() if headless(config) == headless(found)}
    if openai and not fitting:
        return found
    if len(fitting) != 1:
        known = sorted(_names_of(fitting))
        told = f"{' and '.join(known)} fit alike" if known else "no architecture of open_clip has these shapes"
        raise ModelError(
            f"The number of heads cannot be seen in the shapes of {source}, and {told}: name the architecture, as in "
            "load('ViT-B-32', that file), or put its open_clip_config.json beside it and load the folder."
        )
    return dataclasses.replace(fitting.pop(), quick_gelu=quick_gelu)


def headless(config: Config) -> Config:
    """``config`` without what shapes do not tell."""
    vision = dataclasses.replace(config.vision, head_width=1)
    if isinstance(vision, ViTConfig):  # a ratio is written with four digits, and its product is what has a shape
        vision = dataclasses.replace(vision, mlp_ratio=int(vision.width * vision.mlp_ratio) / vision.width)
    text = dataclasses.replace(config.text, heads=1) if isinstance(config.text, TextConfig) else config.text
    return dataclasses.replace(config, vision=vision, text=text, quick_gelu=False)


def _shapes(state: Mapping[str, Tensor], quick_gelu: bool) -> Config:
    shape = {name: tuple(tensor.shape) for name, tensor in state.items()}
    vision: ViTConfig | ResNetConfig
    if "visual.proj" in shape:
        width, _, patch, _ = shape["visual.conv1.weight"]
        cells = shape["visual.positional_embedding"][0] - 1
        inside = shape["visual.transformer.resblocks.0.mlp.c_fc.weight"][0]
        layers = _count(shape, "visual.transformer.resblocks.")
        vision = ViTConfig(_side(cells) * patch, patch, width, layers, min(64, width), inside / width)
    else:
        width = shape["visual.layer1.0.conv1.weight"][0]
        side = _side(shape["visual.attnpool.positional_embedding"][0] - 1)
        stages = [_count(shape, f"visual.layer{i}.") for i in range(1, 5)]
        vision = ResNetConfig(side * 32, (stages[0], stages[1], stages[2], stages[3]), width)
    context, text_width = shape["text.positional_embedding"]
    text = TextConfig(context, shape["text.token_embedding.weight"][0], text_width, max(1, text_width // 64),
                      _count(shape, "text.transformer.resblocks."))  # fmt: skip
    return Config(shape["text.text_projection"][1], vision, text, quick_gelu)


def _count(names: Iterable[str], prefix: str) -> int:
    return len({name[len(prefix) :].split(".")[0] for name in names if name.startswith(prefix)})


def _side(cells: int) -> int:
    side = round(cells**0.5)
    if side * side != cells:
        raise ValueError(f"a square of {cells} cells")
    return side


@cache
def _architectures() -> dict[str, Config]:
    import open_clip

    found = {}
    for name in open_clip.list_models():
        try:
            found[name] = config_from_open_clip(open_clip.get_model_config(name))
        except ModelError:
            continue  # run by open_clip, not by the reference network
    return found


def _known() -> set[Config]:
    return {dataclasses.replace(config, quick_gelu=False) for config in _architectures().values()}


def _names_of(configs: Iterable[Config]) -> list[str]:
    wanted = set(configs)
    return [n for n, c in _architectures().items() if not c.quick_gelu and c in wanted]
