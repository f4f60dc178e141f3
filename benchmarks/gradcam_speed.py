"""What a heatmap costs, in image forward passes, and beside pytorch-grad-cam.

    python benchmarks/gradcam_speed.py [--pairs 15] [--threads 2]

Both sides run in one process on the same random weights, in turn; text vectors are ready on both; medians of pairs.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable
from importlib.metadata import version

import numpy as np
import torch
from PIL import Image

import clipviz
from clipviz.explanation.methods.places import spatial_tap
from clipviz.explanation.origin import Origin
from clipviz.explanation.question import Question
from clipviz.model import Look

PROMPTS = [f"a photo of a {thing}" for thing in ("dog", "cat", "tree", "house", "car", "boat", "bird", "chair")]


class Cosine:
    """pytorch-grad-cam's target: the cosine of its network's output with a text vector."""

    def __init__(self, text: torch.Tensor):
        self.text = text

    def __call__(self, output: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.normalize(output, dim=-1) @ self.text


def tokens_to_grid(tokens: torch.Tensor) -> torch.Tensor:
    side = round((tokens.shape[1] - 1) ** 0.5)
    return tokens[:, 1:].transpose(1, 2).unflatten(2, (side, side))


def median_pair(ours: Callable[[], object], theirs: Callable[[], object], pairs: int) -> tuple[float, float, float]:
    """Median seconds of each, and the median of the ratios of neighbours, run in turn."""
    ours(), theirs()
    times = []
    for _ in range(pairs):
        row = []
        for side in (ours, theirs):
            start = time.perf_counter()
            side()
            row.append(time.perf_counter() - start)
        times.append(row)
    a, b = zip(*times, strict=True)
    return statistics.median(a), statistics.median(b), statistics.median(y / x for x, y in times)


def main() -> None:
    import open_clip
    from pytorch_grad_cam import GradCAM

    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    print(f"torch {torch.__version__}, {arguments.threads} threads, pytorch-grad-cam {version('grad-cam')}, "
          f"open_clip {open_clip.__version__}, {arguments.pairs} pairs, float32, one picture")  # fmt: skip
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (224, 224, 3), dtype=np.uint8))
    for name in ("ViT-B-32", "RN50"):
        torch.manual_seed(0)
        network = open_clip.create_model(name).eval()
        model = clipviz.Model.wrap(network, {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28]}, name=name)
        pixels, frame = model.prepare(picture)
        texts = torch.from_numpy(model.encode_prompts(PROMPTS))
        visual = network.visual
        layer = visual.layer4 if name == "RN50" else visual.transformer.resblocks[-1].ln_1
        reshape = None if name == "RN50" else tokens_to_grid

        # what `explain` does for a picture once the texts are vectors
        asked = {n: Question(model, PROMPTS[:n], "gradcam") for n in (1, 8)}

        origin = Origin.of(picture, picture)

        def look() -> Look:
            return Look(model, pixels, picture, frame)  # noqa: B023 - used within the iteration

        def forward() -> None:
            with torch.no_grad():
                model.clip.visual(pixels)  # noqa: B023 - used within the iteration

        def ours(n: int) -> np.ndarray:
            return np.stack([heatmap.values for heatmap in asked[n].row(look(), origin)])  # noqa: B023

        peer = GradCAM(model=visual, target_layers=[layer], reshape_transform=reshape)

        def readme(n: int) -> list[np.ndarray]:
            return [peer(input_tensor=pixels, targets=[Cosine(text)]) for text in texts[:n]]  # noqa: B023

        def best(n: int) -> np.ndarray:
            batch = pixels.expand(n, -1, -1, -1).clone()  # noqa: B023
            return peer(input_tensor=batch, targets=[Cosine(text) for text in texts[:n]])  # noqa: B023

        print(f"\n{name}: Grad-CAM at {spatial_tap(model)}")
        one, pass_, _ = median_pair(lambda: ours(1), forward, arguments.pairs)
        ratio = statistics.median(
            a / b
            for a, b in (median_pair(lambda: ours(1), forward, 3)[:2] for _ in range(max(1, arguments.pairs // 3)))
        )
        print(f"  one image forward pass   {1e3 * pass_:8.1f} ms")
        print(f"  one map                  {1e3 * one:8.1f} ms   {ratio:.2f}x a forward pass (at most 1.3)")
        visual.requires_grad_(True)
        mine, theirs, gain = median_pair(lambda: ours(8), lambda: readme(8), max(3, arguments.pairs // 3))
        print(f"  8 prompts, ours          {1e3 * mine:8.1f} ms")
        print(f"  8 prompts, its README    {1e3 * theirs:8.1f} ms   ours is {gain:.1f}x faster (at least 12)")
        visual.requires_grad_(False)  # the best it can do: only the tail trainable, eight copies in one batch
        tail = visual.attnpool if name == "RN50" else visual.transformer.resblocks[-1]
        tail.requires_grad_(True)
        if name == "RN50":
            visual.layer4[-1].requires_grad_(True)
        mine, theirs, gain = median_pair(lambda: ours(8), lambda: best(8), max(3, arguments.pairs // 3))
        print(f"  8 prompts, its best use  {1e3 * theirs:8.1f} ms   ours is {gain:.1f}x faster")


if __name__ == "__main__":
    main()
