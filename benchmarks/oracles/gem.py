"""What GEM's own wheel finds on a small seeded ViT, kept in ``gem.npz`` for `tests/explanation/methods/test_paths.py`.

The wheel wants an environment of its own, with the open_clip of its time: from 2.25 on open_clip's transformers take
the batch first, and the blocks that the wheel leaves alone would then attend across the pictures, without an error.

    uv venv gem-venv --python 3.11
    uv pip install --python gem-venv/bin/python gem_torch==1.0.1 open_clip_torch==2.24.0
    gem-venv/bin/python benchmarks/oracles/gem.py [--out benchmarks/oracles/gem.npz]

The maps are raw: ``GEMWrapper.forward`` resizes to pixels (bilinear) and scales to [0, 1] per text, at the end. Before
that a map is ``normalize(feat_gem)[:, 1:] @ texts.T`` with ``feat_gem, _ = wrapper.model.visual(pixels)``, which is
what is kept here; that resizing and scaling it gives what ``forward`` returns is checked as this runs.
The weights are not kept but made again from the bits of PCG64, whose stream numpy promises not to change.
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import zlib
from collections.abc import Mapping, Sequence
from importlib.metadata import version
from pathlib import Path

import numpy as np

HERE = Path(__file__).resolve().parent
SEED = 20231201
SHAPE = {"image_size": 32, "patch_size": 8, "width": 64, "layers": 8, "head_width": 16, "embed_dim": 32}
TEXTS = ["dog", "red circle", "forest"]
# Pixels of the trained size, and of a larger picture, for which positions are interpolated.
SIZES = (32, 48)
# name: (depth, iterations, inverse temperature)
CASES = {"default": (7, 1, None), "shallow": (3, 1, None), "often": (5, 2, None), "sharp": (7, 1, 12.0)}


def uniform(name: str, shape: Sequence[int], seed: int = SEED) -> np.ndarray:
    """Numbers in [-1, 1), float64, that depend on ``name``, ``shape`` and ``seed`` alone."""
    bits = np.random.PCG64([seed, zlib.crc32(name.encode())]).random_raw(math.prod(shape))
    return ((bits >> np.uint64(11)) / 2.0**52 - 1.0).reshape(shape)


def weights(shapes: Mapping[str, Sequence[int]], seed: int = SEED) -> dict[str, np.ndarray]:
    """A vision tower's state, float32, by the names that CLIP's released code gives its parameters."""
    made = {}
    for name, shape in shapes.items():
        drawn = uniform(name, shape, seed)
        if ".ln_" in f".{name}" and name.endswith("weight"):
            drawn = 1 + 0.3 * drawn
        elif len(shape) == 1:
            drawn = 0.3 * drawn
        else:
            drawn = drawn * math.sqrt(3 / math.prod(shape[1:])) * (1.5 if "in_proj" in name else 1.0)
        made[name] = drawn.astype(np.float32)
    return made


def pictures(size: int, seed: int = SEED) -> np.ndarray:
    """Pixels [2, 3, size, size], float32, as they enter the network."""
    return (2 * uniform(f"pixels {size}", (2, 3, size, size), seed)).astype(np.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=HERE / "gem.npz")
    out = parser.parse_args().out
    # This file is called as the package that it runs is.
    sys.path[:] = [path for path in sys.path if Path(path or ".").resolve() != HERE]
    import open_clip
    import torch
    import torch.nn.functional as F
    from gem.gem_wrapper import GEMWrapper

    def network() -> torch.nn.Module:
        torch.manual_seed(SEED)  # of the text tower, whose vectors are kept
        clip = open_clip.model.CLIP(
            embed_dim=SHAPE["embed_dim"],
            vision_cfg={k: SHAPE[k] for k in ("image_size", "patch_size", "width", "layers", "head_width")},
            text_cfg={"width": 32, "heads": 2, "layers": 2},
            quick_gelu=True,
        ).eval()
        state = clip.visual.state_dict()
        made = weights({name: tuple(value.shape) for name, value in state.items()})
        clip.visual.load_state_dict({name: torch.from_numpy(value) for name, value in made.items()})
        return clip

    kept: dict[str, np.ndarray] = {}
    with torch.no_grad():
        for case, (depth, iterations, inverse_temperature) in CASES.items():
            wrapper = GEMWrapper(
                network(), open_clip.get_tokenizer("ViT-B-32"), depth, iterations, inverse_temperature
            ).eval()
            texts = wrapper.encode_text(TEXTS)[0]  # [P, E]
            for size in SIZES:
                pixels = torch.from_numpy(pictures(size))
                unit = F.normalize(wrapper.model.visual(pixels)[0], dim=-1)  # [N, 1 + h*w, E]
                side = size // SHAPE["patch_size"]
                maps = (unit[:, 1:] @ texts.T).transpose(1, 2).unflatten(2, (side, side))  # [N, P, h, w]
                whole = wrapper.min_max(F.interpolate(maps, size=(size, size), mode="bilinear"))
                assert torch.allclose(whole, wrapper(pixels, TEXTS), atol=1e-4)
                kept[f"{case}/{size}"] = maps.numpy()
    about = {
        "seed": SEED,
        "shape": SHAPE,
        "quick_gelu": True,
        "cases": CASES,
        "texts": [f"a photo of a {text}." for text in TEXTS],
        "versions": {name: version(name) for name in ("gem_torch", "open_clip_torch", "torch", "numpy")},
    }
    np.savez_compressed(out, about=np.array(json.dumps(about)), texts=texts.numpy(), **kept)
    print(f"{out.name}: {out.stat().st_size} bytes, {sorted(kept)}")


if __name__ == "__main__":
    main()
