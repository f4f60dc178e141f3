"""The numbers that LeGrad's own wheel gives on a small seeded vision transformer: `legrad.npz`.

Run in an environment of its own (the wheel wants open_clip 2.23, the project 3.3):

    uv venv .venv-legrad --python 3.11
    uv pip install --python .venv-legrad/bin/python legrad_torch==1.1
    .venv-legrad/bin/python -P benchmarks/oracles/legrad.py

(-P: else this file would be found under the wheel's name.)
The wheel's `compute_legrad_clip` runs as it stands, but for two functions of its last lines, which are replaced by the
identity: `F.interpolate` (patches to pixels) and `min_max`. What is left is the raw sum over the blocks from
`layer_index` on. Each picture goes alone, as the wheel takes it.

The file holds the weights (float16, which float32 holds exactly, so that no other release of numpy or torch has to
draw the same ones), the pixels, the unit vectors of the texts, and ``maps.{layer_index}`` [pictures, texts, h, w];
``about`` is a JSON text with seed, shape and versions.
"""

from __future__ import annotations

import copy
import json
import platform
import types
from importlib.metadata import version
from pathlib import Path

import numpy as np
import open_clip
import torch
from legrad import wrapper

SEED = 20240403
VISION = {"image_size": 32, "patch_size": 8, "width": 32, "layers": 4, "head_width": 16}
TEXT = {"context_length": 8, "vocab_size": 16, "width": 16, "heads": 1, "layers": 1}  # never read
EMBED, QUICK_GELU = 16, False
STARTS = (0, -2, -1)  # -2 is the wheel's default


def main() -> None:
    rng = np.random.default_rng(SEED)
    model = open_clip.CLIP(EMBED, VISION, TEXT, quick_gelu=QUICK_GELU).eval()
    weights = {name: drawn(rng, name, tuple(t.shape)) for name, t in model.visual.state_dict().items()}
    model.visual.load_state_dict({name: torch.from_numpy(w.astype(np.float32)) for name, w in weights.items()})

    pixels = rng.standard_normal((2, 3, 32, 32)).astype(np.float16).astype(np.float32)
    texts = rng.standard_normal((5, EMBED))
    texts = (texts / np.linalg.norm(texts, axis=1, keepdims=True)).astype(np.float32)

    with torch.no_grad():
        units = torch.nn.functional.normalize(model.encode_image(torch.from_numpy(pixels)), dim=-1).numpy()
    maps = {str(start): raw_maps(model, start, pixels, texts) for start in STARTS}
    about = {
        "seed": SEED, "vision": VISION, "embed_dim": EMBED, "quick_gelu": QUICK_GELU,
        "versions": {
            **{p: version(p) for p in ("legrad_torch", "open_clip_torch", "torch", "numpy")},
            "python": platform.python_version(),
        },
    }  # fmt: skip
    np.savez_compressed(
        Path(__file__).with_suffix(".npz"),
        about=np.array(json.dumps(about)), pixels=pixels.astype(np.float16), texts=texts, units=units,
        **{f"maps.{start}": m for start, m in maps.items()}, **{f"weights.{n}": w for n, w in weights.items()},
    )  # fmt: skip
    for start, m in maps.items():
        print(f"layer_index {start}: maps {m.shape} from {m.min():.3g} to {m.max():.3g}")


def drawn(rng: np.random.Generator, name: str, shape: tuple[int, ...]) -> np.ndarray:
    """Weights wide enough that attention is far from uniform and no part is negligible."""
    noise = rng.standard_normal(shape)
    if "ln_" in name:
        noise = 0.2 * noise + name.endswith("weight")
    elif name.endswith("bias"):
        noise = 0.2 * noise
    elif len(shape) > 1 and "embedding" not in name:
        noise = 1.5 * noise / np.sqrt(np.prod(shape[1:]))
    return noise.astype(np.float16)


def raw_maps(model: open_clip.CLIP, start: int, pixels: np.ndarray, texts: np.ndarray) -> np.ndarray:
    """The wheel's maps before they are enlarged and scaled: [pictures, texts, h, w]."""
    functional = types.SimpleNamespace(**vars(torch.nn.functional))
    functional.interpolate = lambda x, **_: x
    kept = wrapper.F, wrapper.min_max
    wrapper.F, wrapper.min_max = functional, lambda x: x
    try:
        explained = wrapper.LeWrapper(copy.deepcopy(model), layer_index=start)
        found = [
            explained.compute_legrad_clip(torch.from_numpy(texts), torch.from_numpy(one[None]))[0] for one in pixels
        ]
    finally:
        wrapper.F, wrapper.min_max = kept
    return torch.stack(found).detach().numpy().astype(np.float32)


if __name__ == "__main__":
    main()
