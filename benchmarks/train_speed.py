"""What a step of training costs beside open_clip's own trainer: pairs per second, and memory against the batch.

    python benchmarks/train_speed.py [--pairs 9] [--threads 2] [--batch 256] [--model tiny|small] [--quick]

Speed: our step (the loss, the gradients, their norm, AdamW, the scale held) and ``open_clip_train``'s
``train_one_epoch`` run in one process from the same weights on the same pictures and captions, all in memory before
the clock starts, in turn; a ratio is the median over pairs of neighbours, its time over ours. Each side has its
data as its own loader gives it: ours uint8 pictures, and texts cut after the batch's longest (``--whole-texts``
leaves them at the context's length); open_clip's normalised floats, and texts of the whole context.

Memory: the most that a process of its own held beyond its imports, in two steps, at three batches; a straight line
through the three by least squares. What grows with the batch counts, the pictures themselves too. In pieces, both
run as many pairs at a time, and forget each block's inside until the backward pass.
"""

from __future__ import annotations

import argparse
import logging
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator
from importlib.metadata import version
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor

TINY = {"image_size": 56, "patch_size": 8, "width": 256, "layers": 4, "embed_dim": 192, "text_layers": 2}
SMALL = {"image_size": 112, "patch_size": 16, "width": 384, "layers": 6, "embed_dim": 256, "context_length": 77}
MODELS = {  # a vision transformer of 3.3 M and of 11 M weights
    "tiny": {**TINY, "text_width": 128, "text_heads": 2, "context_length": 16},  # clipviz-tiny's network
    "small": {**SMALL, "text_width": 256, "text_heads": 4, "text_layers": 4},
}
PRECISIONS = {"float32": ("float32", "fp32"), "bf16": ("bfloat16", "amp_bf16")}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
SIDES = {  # what is measured: whose, and whether in pieces
    "open_clip": ("theirs", False),
    "open_clip, pieces": ("theirs", True),
    "ours": ("ours", False),
    "ours, pieces": ("ours", True),
}


def recipe_of(arguments: argparse.Namespace, precision: str, batch: int, pieces: bool) -> Any:
    from clipviz.training import read_recipe

    memory = {"precision": PRECISIONS[precision][0], "micro_batch": arguments.piece if pieces else 0}
    return read_recipe({
        "model": MODELS[arguments.model],
        "optim": {"batch": batch, "samples": 1_000_000, "learning_rate": 5e-4, "warm_up": 0.1},
        "memory": {**memory, "checkpoint_activations": pieces},
        "data": {"sources": [{"kind": "scenes", "n": 1, "caption": "caption"}]},  # never drawn: the data are below
    })  # fmt: skip


def our_batches(recipe: Any, steps: int, whole_texts: bool = False) -> Iterator[Any]:
    """Random pictures, and "a photo of a {class}." for classes of ImageNet, as our loader gives them."""
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

    from clipviz.training.batches import Batch
    from clipviz.training.tokens import tokenize

    size, n, rng = recipe.model.image_size, recipe.optim.batch, np.random.default_rng(0)
    for step in range(steps):
        pixels = torch.from_numpy(rng.integers(0, 256, (n, size, size, 3), dtype=np.uint8))
        names = [IMAGENET_CLASSNAMES[i] for i in rng.integers(0, len(IMAGENET_CLASSNAMES), n)]
        tokens = tokenize([f"a photo of a {name}." for name in names], recipe.model.context_length)
        own = torch.arange(n)
        yield Batch(step, pixels, own[:, None], whole(tokens, recipe) if whole_texts else tokens, own, None, [])


def their_batches(recipe: Any, steps: int, pieces: int) -> Iterator[tuple[Tensor, Tensor]]:
    """The same, normalised and padded as open_clip's loader gives it, ``pieces`` to a step of ours."""
    from clipviz.weights.network import OPENAI_MEAN, OPENAI_STD

    mean, std = (torch.tensor(x).view(3, 1, 1) for x in (OPENAI_MEAN, OPENAI_STD))
    for batch in our_batches(recipe, steps):
        tokens = whole(batch.tokens, recipe).chunk(pieces)
        for some, texts in zip(batch.pixels.chunk(pieces), tokens, strict=True):
            images = torch.empty(len(some), 3, *some.shape[1:3])
            for i, picture in enumerate(some):  # one at a time, as a loader's transform
                images[i] = (picture.permute(2, 0, 1).float() / 255 - mean) / std
            yield images, texts.clone()


def whole(tokens: Tensor, recipe: Any) -> Tensor:
    out = torch.zeros(len(tokens), recipe.model.context_length, dtype=torch.long)
    out[:, : tokens.shape[1]] = tokens
    return out


def ours(recipe: Any) -> Callable[[Any], None]:
    """What our loop does with a batch."""
    import math

    from clipviz.training.network import build
    from clipviz.training.optim import make_optimizer, rate
    from clipviz.training.step import Step
    from clipviz.training.towers import Towers
    from clipviz.weights.network import OPENAI_MEAN, OPENAI_STD

    clip, memory = build(recipe, None).train(), recipe.memory
    optimizer = make_optimizer(clip, recipe)
    recompute = memory.checkpoint_activations
    towers = Towers(clip, OPENAI_MEAN, OPENAI_STD, precision=memory.precision, recompute=recompute)
    step = Step(towers, memory.micro_batch)

    def one(batch: Any) -> None:
        for group in optimizer.param_groups:
            group["lr"] = rate(recipe, batch.step)
        optimizer.zero_grad(set_to_none=True)
        loss = step(batch)
        norm = torch.nn.utils.clip_grad_norm_(clip.parameters(), math.inf)
        optimizer.step()
        with torch.no_grad():
            clip.logit_scale.clamp_(max=math.log(100))
        loss.item(), norm.item()

    return one


def theirs(recipe: Any, precision: str, pieces: int = 1) -> Callable[[Any, int], None]:
    """Its trainer, with the arguments of its own parser, and an optimizer made as its main makes it."""
    import open_clip
    from open_clip_train.params import parse_args
    from open_clip_train.scheduler import cosine_lr
    from open_clip_train.train import train_one_epoch

    from clipviz.training.network import build
    from clipviz.weights import config_to_open_clip, to_open_clip

    start = build(recipe, None)
    clip = open_clip.CLIP(**config_to_open_clip(start.config), output_dict=True)
    clip.load_state_dict(to_open_clip(start.state_dict()))
    del start
    args = parse_args(["--model", "ViT-tiny", "--device", "cpu", "--precision", PRECISIONS[precision][1],
                       "--batch-size", str(recipe.optim.batch // pieces), "--accum-freq", str(pieces)])  # fmt: skip
    args.distill, args.rank, args.world_size, args.wandb = False, 0, 1, False  # what its main sets
    if pieces > 1:
        clip.set_grad_checkpointing()

    def free(n: str, p: Tensor) -> bool:
        return p.ndim < 2 or "bn" in n or "ln" in n or "bias" in n or "logit_scale" in n

    groups = [
        {"params": [p for n, p in clip.named_parameters() if free(n, p)], "weight_decay": 0.0},
        {"params": [p for n, p in clip.named_parameters() if not free(n, p)], "weight_decay": args.wd},
    ]
    optimizer = torch.optim.AdamW(groups, lr=args.lr, betas=(args.beta1, args.beta2), eps=args.eps)
    scheduler = cosine_lr(optimizer, args.lr, recipe.warm_steps, recipe.steps)
    loss = open_clip.create_loss(args)

    class Loader:
        def __init__(self, batches: Any, steps: int):
            self.batches, self.num_batches, self.num_samples = batches, steps * pieces, steps * recipe.optim.batch

        def __iter__(self) -> Iterator[Any]:
            return iter(self.batches)

    def epoch(batches: Any, steps: int) -> None:
        data = {"train": SimpleNamespace(dataloader=Loader(batches, steps), set_epoch=lambda _: None)}
        train_one_epoch(clip, data, loss, 0, optimizer, None, scheduler, None, args)

    return epoch


def speed(precision: str, arguments: argparse.Namespace) -> None:
    """Both in turn, a few steps at a time; which of them is first alternates."""
    recipe, steps = recipe_of(arguments, precision, arguments.batch, False), arguments.steps
    mine, other = list(our_batches(recipe, steps, arguments.whole_texts)), list(their_batches(recipe, steps, 1))
    one, epoch = ours(recipe), theirs(recipe, precision)
    sides: dict[str, Callable[[], object]] = {
        "ours": lambda: [one(batch) for batch in mine],
        "theirs": lambda: epoch(other, steps),
    }
    now, times = CLOCKS[arguments.clock], []
    for i in range(-1, arguments.pairs):  # the first pair is for warming up
        row = {}
        for side in list(sides) if i % 2 else reversed(sides):
            start = now()
            sides[side]()
            row[side] = now() - start
        if i >= 0:
            times.append((row["ours"], row["theirs"]))
    rates = [steps * arguments.batch / statistics.median(side) for side in zip(*times, strict=True)]
    ratios = sorted(b / a for a, b in times)
    print(f"  {precision:<8} ours {rates[0]:8.1f} pairs/s   open_clip {rates[1]:8.1f} pairs/s   "
          f"{statistics.median(ratios):5.2f}x  (at least 1.0; {ratios[0]:.2f} to {ratios[-1]:.2f})   "
          f"texts of {mine[0].tokens.shape[1]} tokens beside {other[0][1].shape[1]}", flush=True)  # fmt: skip


def peak() -> int:
    """The most memory this program has held, in kB. Not getrusage's, which begins with that of who started it."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise SystemExit("/proc/self/status has no VmHWM: memory is measured on Linux only")


def measure(side: str, batch: int, arguments: argparse.Namespace) -> None:
    """In a process of its own: build one side, train two steps, print the peak in MB."""
    import open_clip  # noqa: F401 - what both need, before the count begins
    import open_clip_train.train  # noqa: F401

    import clipviz.training.loop

    clipviz.training.tokens.tokenize(["a photo"], 16)
    before = peak()
    whose, pieces = SIDES[side]
    recipe = recipe_of(arguments, "float32", batch, pieces)
    if whose == "ours":
        one = ours(recipe)
        for our_batch in our_batches(recipe, 2):
            one(our_batch)
    else:
        number = max(1, batch // arguments.piece) if pieces else 1
        theirs(recipe, "float32", number)(their_batches(recipe, 2, number), 2)
    print((peak() - before) / 1024)


def memory(batches: list[int], arguments: argparse.Namespace) -> None:
    print(f"\n{arguments.model}, float32: peak memory at batches of {batches}; pieces of {arguments.piece} pairs")
    # freed blocks go back at once, so that the peak is what was in use
    environment = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    slopes = {}
    for side in SIDES:
        peaks = []
        for batch in batches:
            command = [sys.executable, __file__, "--measure", side, str(batch), "--model", arguments.model]
            command += ["--piece", str(arguments.piece), "--threads", str(arguments.threads)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True, env=environment)
            peaks.append(float(done.stdout.split()[-1]))
        slope, fixed = np.polyfit(batches, peaks, 1)
        slopes[side] = slope
        off = max(abs(fixed + slope * b - p) for b, p in zip(batches, peaks, strict=True))
        print(f"  {side:<18}{' '.join(f'{p:8.0f}' for p in peaks)} MB   = {fixed:6.0f} MB + {1024 * slope:7.1f} kB "
              f"a pair (within {off:.1f} MB)", flush=True)  # fmt: skip
    mine = slopes["ours, pieces"]
    print(f"  our pieces' slope beside open_clip's plain one:  {mine / slopes['open_clip']:6.3f}x  (at most 0.25)")
    print(f"  our pieces' slope beside open_clip's in pieces:  {mine / slopes['open_clip, pieces']:6.3f}x  (at most 1)")
    print(f"  plain beside plain:                              {slopes['ours'] / slopes['open_clip']:6.3f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=9)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--steps", type=int, default=2, help="of each side at a time")
    parser.add_argument("--piece", type=int, default=32, help="pairs at a time where a batch is cut")
    parser.add_argument("--model", choices=MODELS, default="tiny")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: where the machine has other work")
    parser.add_argument("--whole-texts", action="store_true")
    parser.add_argument("--only", choices=("speed", "memory"))
    parser.add_argument("--quick", action="store_true", help="three pairs of one step of 64, and small batches")
    parser.add_argument("--measure", nargs=2, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.getLogger().setLevel(logging.ERROR)
    warnings.simplefilter("ignore")
    if arguments.measure:
        measure(arguments.measure[0], int(arguments.measure[1]), arguments)
        return
    batches = [256, 512, 1024]
    if arguments.quick:
        arguments.pairs, arguments.steps, arguments.batch, batches = 3, 1, 64, [64, 128, 256]
    print(f"torch {torch.__version__}, {arguments.threads} threads; peer: open_clip_train of open_clip_torch "
          f"{version('open_clip_torch')}")  # fmt: skip
    if arguments.only != "memory":
        print(f"\n{arguments.model}: batches of {arguments.batch}, {arguments.pairs} pairs of {arguments.steps} steps, "
              f"{arguments.clock} time")  # fmt: skip
        for precision in PRECISIONS:
            speed(precision, arguments)
    if arguments.only != "speed" and Path("/proc/self/status").exists():
        memory(batches, arguments)


if __name__ == "__main__":
    main()
