"""What encoding costs beside open_clip: pictures in float32 and bf16, captions, and the memory they need.

    python benchmarks/encode_speed.py [--pairs 15] [--threads 2] [--images 16] [--texts 64] [--clock wall|cpu]

Both sides run in one process on the same random weights, in turn; a ratio is the median over pairs of neighbours,
open_clip's time over ours. Memory is what a process of its own takes beyond its imports, at its highest.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

NAMES = ("ViT-B-32", "RN50")
PRECISIONS = {"float32": ("fp32", torch.float32), "bf16": ("bf16", torch.bfloat16)}
CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}


def captions(n: int) -> Tensor:
    """Token ids [n, 77] of "a photo of a {class}", classes evenly from ImageNet's."""
    import open_clip
    from open_clip.zero_shot_metadata import IMAGENET_CLASSNAMES

    step = max(1, len(IMAGENET_CLASSNAMES) // n)
    return open_clip.tokenize([f"a photo of a {name}" for name in IMAGENET_CLASSNAMES[::step][:n]])


def theirs(name: str, precision: str) -> Any:
    import open_clip

    return open_clip.create_model(name, precision=PRECISIONS[precision][0]).eval()


def ours(name: str, precision: str, state: dict[str, Tensor] | None = None) -> Any:
    """The reference network, with open_clip's activation for ``name`` and, where given, its weights."""
    from dataclasses import replace

    from clipviz.clip import ARCHITECTURES, CLIP

    clip = CLIP(replace(ARCHITECTURES[name], quick_gelu=False)).eval()
    if state is not None:
        clip.load_state_dict({k if k.startswith(("visual.", "logit")) else f"text.{k}": v for k, v in state.items()})
    return clip.to(PRECISIONS[precision][1])


def read(clip: Any, tokens: Tensor) -> Tensor:
    """Our texts: nothing after the longest of the batch is computed."""
    return clip.text(tokens[:, : int(tokens.argmax(dim=-1).max()) + 1])


def in_turn(a: Callable[[], object], b: Callable[[], object], pairs: int, clock: str) -> tuple[float, float, float]:
    """Median seconds of each, and the median of b over a; which of them is first alternates."""
    now, times = CLOCKS[clock], []
    a(), b()
    for i in range(pairs):
        row = {}
        for side in (a, b) if i % 2 else (b, a):
            start = now()
            side()
            row[side] = now() - start
        times.append((row[a], row[b]))
    return (*(statistics.median(side) for side in zip(*times, strict=True)), statistics.median(y / x for x, y in times))


def say(what: str, mine: float, other: float, ratio: float, wanted: str) -> None:
    print(f"  {what:<22}{1e3 * mine:9.1f} ms   open_clip {1e3 * other:9.1f} ms   {ratio:5.2f}x  ({wanted})", flush=True)


def cosine(a: Tensor, b: Tensor) -> float:
    return float(F.cosine_similarity(a.float(), b.float()).min())


def compare(name: str, arguments: argparse.Namespace) -> None:
    torch.manual_seed(0)
    state = theirs(name, "float32").state_dict()
    pixels, tokens = torch.randn(arguments.images, 3, 224, 224), captions(arguments.texts)
    print(f"\n{name}: {arguments.images} pictures; {arguments.texts} captions")
    exact = ours(name, "float32", state).visual(pixels)
    for precision in PRECISIONS:
        compare_pictures(name, precision, state, pixels, exact, arguments)
    compare_captions(name, state, tokens, arguments)


def compare_pictures(
    name: str, precision: str, state: dict[str, Tensor], pixels: Tensor, exact: Tensor, arguments: argparse.Namespace
) -> None:
    clip, peer, x = ours(name, precision, state), theirs(name, precision), pixels.to(PRECISIONS[precision][1])
    peer.load_state_dict(state)
    mine, other = clip.visual(x), peer.encode_image(x)
    row = in_turn(lambda: clip.visual(x), lambda: peer.encode_image(x), arguments.pairs, arguments.clock)
    say(f"pictures, {precision}", *row, "at least 0.97")
    print(f"{'':24}least cosine to open_clip {cosine(mine, other):.6f}; to float32 {cosine(mine, exact):.6f}, "
          f"open_clip's {cosine(other, exact):.6f}")  # fmt: skip


def compare_captions(name: str, state: dict[str, Tensor], tokens: Tensor, arguments: argparse.Namespace) -> None:
    clip, peer = ours(name, "float32", state), theirs(name, "float32")
    peer.load_state_dict(state)
    row = in_turn(lambda: read(clip, tokens), lambda: peer.encode_text(tokens), arguments.pairs, arguments.clock)
    say("captions, float32", *row, "at least 3")
    print(f"{'':24}least cosine to open_clip {cosine(read(clip, tokens), peer.encode_text(tokens)):.6f}")


def peak() -> int:
    """The most memory this program has held, in kB. Not getrusage's, which begins with that of who started it."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1])
    raise SystemExit("/proc/self/status has no VmHWM: memory is measured on Linux only")


def measure(side: str, name: str, precision: str, arguments: argparse.Namespace) -> None:
    """In a process of its own: build one side, encode pictures and captions twice, print the peak in MB."""
    if side == "theirs":
        import open_clip  # noqa: F401 - before the count begins
    else:
        import clipviz.clip  # noqa: F401
    tokens = captions(arguments.texts)  # imports what both need
    before = peak()
    network = (ours if side == "ours" else theirs)(name, precision)
    pixels = torch.randn(arguments.images, 3, 224, 224).to(PRECISIONS[precision][1])
    for _ in range(2):
        if side == "ours":
            network.visual(pixels), read(network, tokens)
        else:
            network.encode_image(pixels), network.encode_text(tokens)
    print((peak() - before) / 1024)


def memory(name: str, precision: str, arguments: argparse.Namespace) -> None:
    peaks = []
    for side in ("ours", "theirs"):
        command = [sys.executable, __file__, "--measure", side, name, precision, "--threads", str(arguments.threads)]
        command += ["--images", str(arguments.images), "--texts", str(arguments.texts)]
        peaks.append(float(subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()[-1]))
    mine, other = peaks
    what = f"peak memory, {precision}"
    print(f"  {what:<22}{mine:9.0f} MB   open_clip {other:9.0f} MB   {mine / other:5.2f}x  (at most 1)", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pairs", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--images", type=int, default=16)
    parser.add_argument("--texts", type=int, default=64)
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: where the machine has other work")
    parser.add_argument("--only", choices=NAMES)
    parser.add_argument("--measure", nargs=3, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    logging.getLogger().setLevel(logging.ERROR)  # open_clip warns that its weights are random
    warnings.simplefilter("ignore")
    with torch.inference_mode():
        if arguments.measure:
            measure(*arguments.measure, arguments)
            return
        import open_clip

        print(f"torch {torch.__version__}, {arguments.threads} threads, open_clip {open_clip.__version__}, "
              f"{arguments.pairs} pairs, {arguments.clock} time")  # fmt: skip
        for name in [arguments.only] if arguments.only else NAMES:
            compare(name, arguments)
            for precision in PRECISIONS:
                if Path("/proc/self/status").exists():
                    memory(name, precision, arguments)


if __name__ == "__main__":
    main()
