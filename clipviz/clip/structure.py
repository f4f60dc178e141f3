"""A CLIP on one page: what happens to a dummy batch, step by step, with the shape of each result."""

from __future__ import annotations

import torch
from torch import Tensor

from .config import CBOWConfig, Config, ResNetConfig
from .model import CLIP
from .tower import Tower

STEPS = {
    "ln_1": "layer norm",
    "q": "queries, by head",
    "k": "keys",
    "v": "values",
    "probs": "softmax(q k^T / sqrt(head width))",
    "heads": "probs @ v",
    "attn": "heads joined and projected; added to the stream",
    "ln_2": "layer norm",
    "mlp": "four times as wide, activation, back; added to the stream",
    "stem": "three 3x3 convolutions, the first of stride 2; average pool",
    "pool.q": "the mean cell asks",
    "pool.k": "keys of the mean and of all cells",
    "pool.v": "values",
    "pool.probs": "softmax(q k^T / sqrt(head width))",
}


def describe(name: str, config: Config, batch: int = 2) -> str:
    """The structure of ``config`` as text. Nothing is computed: the batch has shapes but no numbers."""
    with torch.device("meta"):
        clip = CLIP(config).eval()
        size, length = config.vision.image_size, config.text.context_length
        pixels, tokens = torch.empty(batch, 3, size, size), torch.zeros(batch, length, dtype=torch.long)
    cost, activation = clip.flops(), "QuickGELU" if config.quick_gelu else "GELU"
    if isinstance(config.vision, ResNetConfig):
        looks = f"stages of {', '.join(map(str, config.vision.layers))} residual blocks"
    else:
        vision = config.vision
        looks = f"{vision.layers} blocks of {vision.heads} heads, patches of {vision.patch_size} px"
    reads = "a bag of words"
    if not isinstance(config.text, CBOWConfig):
        reads = f"{config.text.layers} causal blocks of {config.text.heads} heads"
    lines = [
        f"{name}: {_millions(clip)} parameters, {activation}, embeddings of {config.embed_dim}",
        "",
        f"visual: {_millions(clip.visual)} parameters, {cost.image / 1e9:.3g} GFLOP a picture; {looks}",
        *_steps(clip.visual, pixels, "pixels"),
        "",
        f"text: {_millions(clip.text)} parameters, {cost.text / 1e9:.3g} GFLOP a text; {reads}",
        *_steps(clip.text, tokens, "tokens"),
        "",
        _line("logits", [batch, batch], "exp(logit_scale) * unit images @ unit texts^T"),
    ]
    return "\n".join(lines) + "\n"


def _steps(tower: Tower, x: Tensor, name: str) -> list[str]:
    """A line for the input, each tap and the embedding; blocks after the first are like it and take one line."""
    with torch.no_grad():
        seen = tower.trace(x, want=tower.taps())
    lines = [_line(name, x.shape, "")]
    last = max((int(tap.split(".")[1]) for tap in tower.taps() if tap.startswith("block.")), default=-1)
    for tap in tower.taps():
        kind, *rest = tap.split(".")
        if kind != "block":
            about = {"embed": "one token a row", "features": "what is read off", "stage": "residual blocks"}
            lines.append(_line(tap, seen[tap].shape, STEPS.get(tap) or about.get(kind, "")))
        elif rest[0] == "0":
            lines.append(_line(tap, seen[tap].shape, STEPS.get(rest[-1], "the stream after this block")))
        elif len(rest) == 1 and int(rest[0]) == last:
            lines.append(_line(f"block.1 .. {last}", seen[tap].shape, "each the same again"))
    return [*lines, _line("embedding", seen["embedding"].shape, "projected")]


def _line(step: str, shape: list[int] | torch.Size, about: str) -> str:
    return f"  {step:<16}{list(shape)!s:<24}{about}".rstrip()


def _millions(module: torch.nn.Module) -> str:
    return f"{sum(p.numel() for p in module.parameters()) / 1e6:.2f} M"
