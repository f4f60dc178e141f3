"""What the explainers cost, in image forward passes, and beside pytorch-grad-cam and captum.

    python benchmarks/explainers_speed.py [--pairs 7] [--threads 1] [--only dense legrad rise cam captum]

ViT-B-32 with random weights, one picture, text vectors ready, in one process. Each side is timed in turn with a forward
pass of the picture, or with the peer; what is printed are medians, and medians of the ratios of neighbours.
"""

from __future__ import annotations

import argparse
import statistics
import time
import warnings
from collections.abc import Callable, Sequence
from importlib.metadata import version
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

import clipviz
from clipviz.explanation import list_explainers
from clipviz.explanation.methods.places import spatial_tap
from clipviz.explanation.registry import find_explainer
from clipviz.explanation.target import Target
from clipviz.model import Look, Model

CAMS = {"gradcam": "GradCAM", "gradcam++": "GradCAMPlusPlus", "layercam": "LayerCAM", "hirescam": "HiResCAM",
        "xgradcam": "XGradCAM", "eigencam": "EigenCAM"}  # fmt: skip
PARTS = ("dense", "legrad", "rise", "cam", "captum")
SAMPLES = 64  # pictures of a throughput, and masks of RISE


class Cosine:
    """pytorch-grad-cam's target: the cosine of its network's output with a text vector."""

    def __init__(self, text: torch.Tensor):
        self.text = text

    def __call__(self, output: torch.Tensor) -> torch.Tensor:
        return F.normalize(output, dim=-1) @ self.text


def tokens_to_grid(tokens: torch.Tensor) -> torch.Tensor:
    side = round((tokens.shape[1] - 1) ** 0.5)
    return tokens[:, 1:].transpose(1, 2).unflatten(2, (side, side))


def in_turn(sides: Sequence[Callable[[], object]], pairs: int) -> tuple[list[float], float]:
    """Median seconds of each side, and the median of (first / second), run in turn after one round of warming up."""
    times: list[list[float]] = []
    for _ in range(pairs + 1):
        row = []
        for side in sides:
            start = time.perf_counter()
            side()
            row.append(time.perf_counter() - start)
        times.append(row)
    kept = times[1:]
    return [statistics.median(column) for column in zip(*kept, strict=True)], statistics.median(a / b for a, b in kept)


class Bench:
    """The model, its picture, and what every comparison runs."""

    def __init__(self, pairs: int):
        import open_clip

        torch.manual_seed(0)
        self.pairs = pairs
        self.network = open_clip.create_model("ViT-B-32").eval().requires_grad_(False)
        told = {"mean": [0.48, 0.46, 0.41], "std": [0.27, 0.26, 0.28]}
        self.model: Model = clipviz.Model.wrap(self.network, told, name="ViT-B-32, random weights")
        self.picture = Image.fromarray(np.random.default_rng(0).integers(0, 255, (224, 224, 3), dtype=np.uint8))
        self.pixels, self.frame = self.model.prepare(self.picture)
        texts = torch.randn(50, self.model.embed_dim, generator=torch.Generator().manual_seed(1))
        self.texts = F.normalize(texts, dim=-1)

    def ours(self, method: str, texts: int, **options: Any) -> Callable[[], object]:
        explainer = find_explainer(method, self.model)
        vectors = self.texts[:texts]
        target = Target(vectors, vectors[:0], tuple(f"text {i}" for i in range(texts)))
        # A new Look each time: the picture's own pass is part of the cost.
        return lambda: explainer.function(
            self.model, Look(self.model, self.pixels, self.picture, self.frame), target, **options
        )

    def forward(self) -> None:
        with torch.no_grad():
            self.model.clip.visual(self.pixels)

    def cost(self, said: str, side: Callable[[], object], most: float | None = None) -> None:
        (taken, _), ratio = in_turn((side, self.forward), self.pairs)
        limit = "" if most is None else f"   under {most}: {'met' if ratio < most else 'NOT MET'}"
        print(f"  {said:42s} {1e3 * taken:9.1f} ms {ratio:8.2f} passes{limit}", flush=True)

    def beside(self, said: str, ours: Callable[[], object], theirs: Callable[[], object]) -> None:
        (mine, other), _ = in_turn((ours, theirs), self.pairs)
        _, gain = in_turn((theirs, ours), self.pairs)
        print(
            f"  {said:42s} {1e3 * mine:9.1f} ms, theirs {1e3 * other:9.1f} ms, ours is {gain:.2f}x faster", flush=True
        )


def dense(bench: Bench) -> None:
    print("\n1 picture x 50 texts, dense features")
    table = list_explainers(bench.model)
    for name in table["name"][table["family"] == "dense"]:
        bench.cost(name, bench.ours(name, 50), 1.5)


def legrad(bench: Bench) -> None:
    print("\nOther methods")
    bench.cost("legrad, 8 texts", bench.ours("legrad", 8), 6)
    for name in ("gradcam", "grad_eclip", "relevance", "head_decomposition"):
        bench.cost(f"{name}, 1 text", bench.ours(name, 1))
        bench.cost(f"{name}, 8 texts", bench.ours(name, 8))


def rise(bench: Bench) -> None:
    batch = bench.pixels.expand(32, -1, -1, -1).contiguous()

    def own() -> None:
        with torch.inference_mode():
            for _ in range(SAMPLES // 32):
                bench.model.clip.visual(batch)

    ours = bench.ours("rise", 8, samples=SAMPLES, batch_size=32)
    (plain, masked), ratio = in_turn((own, ours), bench.pairs)
    print(f"\nRISE, {SAMPLES} masks in batches of 32, 8 texts: {SAMPLES / masked:.1f} a second; the model's own "
          f"throughput is {SAMPLES / plain:.1f}: {ratio:.2f}x, at least 0.9: "
          f"{'met' if ratio >= 0.9 else 'NOT MET'}", flush=True)  # fmt: skip


def cam(bench: Bench) -> None:
    import pytorch_grad_cam

    print(
        f"\nBeside pytorch-grad-cam {version('grad-cam')} in one call of eight copies of the picture, its quickest "
        f"way, at {spatial_tap(bench.model)}. It also scales and enlarges the maps"
    )
    visual = bench.network.visual
    layer = visual.transformer.resblocks[-1].ln_1
    visual.requires_grad_(True)  # as its README has it
    for name, theirs in CAMS.items():
        peer = getattr(pytorch_grad_cam, theirs)(model=visual, target_layers=[layer], reshape_transform=tokens_to_grid)
        count = 1 if name == "eigencam" else 8  # whose map is the same for every text
        targets = [Cosine(text) for text in bench.texts[:count]]
        pixels = bench.pixels.repeat(count, 1, 1, 1)
        bench.beside(
            f"{name}, {count} texts", bench.ours(name, count),
            lambda: peer(input_tensor=pixels, targets=targets),  # noqa: B023
        )  # fmt: skip
    visual.requires_grad_(False)


def captum(bench: Bench) -> None:
    from captum.attr import IntegratedGradients, Occlusion

    print(f"\nBeside captum {version('captum')}, 1 picture, 1 text")
    visual, text = bench.network.visual, bench.texts[0]

    def score(pixels: torch.Tensor) -> torch.Tensor:
        return F.normalize(visual(pixels), dim=-1) @ text

    blank = bench.pixels.mean(dim=(2, 3), keepdim=True).expand_as(bench.pixels)
    gradients = IntegratedGradients(score)
    bench.beside(
        "integrated_gradients, 16 steps", bench.ours("integrated_gradients", 1, steps=16),
        lambda: gradients.attribute(bench.pixels, baselines=blank, n_steps=16, internal_batch_size=8),
    )  # fmt: skip
    occlusion, cell = Occlusion(score), bench.model.image_size // bench.model.grid[0]

    def occluded() -> None:
        with torch.no_grad():
            occlusion.attribute(bench.pixels, (3, cell, cell), strides=(3, cell, cell), baselines=blank,
                                perturbations_per_eval=32)  # fmt: skip

    bench.beside("occlusion, 49 windows of a cell", bench.ours("occlusion", 1, window=1), occluded)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", nargs="+", choices=PARTS, default=list(PARTS))
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    warnings.simplefilter("ignore")
    bench = Bench(arguments.pairs)
    peers = ", ".join(f"{name} {version(name)}" for name in ("torch", "open_clip_torch", "grad-cam", "captum"))
    print(f"{bench.model.name}, {arguments.threads} threads, float32, {arguments.pairs} pairs; {peers}")
    bench.cost("a forward pass beside itself", bench.forward)
    parts: dict[str, Callable[[Bench], None]] = {
        "dense": dense, "legrad": legrad, "rise": rise, "cam": cam, "captum": captum,
    }  # fmt: skip
    for name in arguments.only:
        parts[name](bench)


if __name__ == "__main__":
    main()
