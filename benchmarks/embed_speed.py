"""Embedding pictures end to end, beside what the cores can do at best and beside a plain DataLoader with open_clip.

    python benchmarks/embed_speed.py [--pictures 1024] [--rounds 3] [--threads 2] [--model ViT-B-32] [--precision bf16]

The pictures are JPEG crops of 500 x 375, quality 90, of scikit-learn's two photographs; the weights are random and the
same for both. In every round, in turn:

- the network alone, on squares that are decoded already, in lanes of one thread and in one of all: the better counts;
- decoding alone, in as many processes as there are threads;
- the bound: cores that do both can do no more than 1 / (1 / network + 1 / decoding) pictures a second;
- `clipviz.embed`, with the start of its processes, hashing, writing and syncing the store;
- a plain PyTorch DataLoader with open_clip's own preprocessing and model, with 0, 1 and 2 workers: the best counts.

A ratio is the median over the rounds. By ``--clock wall`` a rate is pictures a second; what else the machine does makes
the rounds differ, and its load is told. By ``--clock cpu`` it is pictures for a second of any core, processes included:
what a machine of one's own would come to, but for cores that wait.
"""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import statistics
import tempfile
import time
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

BATCH = 32
DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def crops(folder: Path, n: int) -> None:
    """``n`` different crops of the two photographs."""
    images = Path(str(find_spec("sklearn").origin)).parent / "datasets" / "images"  # type: ignore[union-attr]
    whole = [Image.open(images / name).convert("RGB") for name in ("china.jpg", "flower.jpg")]
    chance = np.random.default_rng(0)
    for number in range(n):
        image = whole[number % 2]
        left, top = (int(chance.integers(0, room + 1)) for room in (image.width - 500, image.height - 375))
        image.crop((left, top, left + 500, top + 375)).save(folder / f"{number:06d}.jpg", quality=90)


class Plain(torch.utils.data.Dataset[torch.Tensor]):
    """What anybody would write."""

    def __init__(self, folder: Path, preprocess: Any):
        self.files, self.preprocess = sorted(folder.glob("*.jpg")), preprocess

    def __len__(self) -> int:
        return len(self.files)

    def __getitem__(self, i: int) -> torch.Tensor:
        return self.preprocess(Image.open(self.files[i]))


def plain(clip: Any, preprocess: Any, folder: Path, workers: int, dtype: torch.dtype) -> None:
    loader = torch.utils.data.DataLoader(Plain(folder, preprocess), batch_size=BATCH, num_workers=workers)
    with torch.inference_mode():
        found = [clip.encode_image(batch.to(dtype), normalize=True).float() for batch in loader]
    torch.cat(found).numpy()


def ours(model: Any, folder: Path) -> None:
    from clipviz.embedding import embed

    with tempfile.TemporaryDirectory() as out:
        embed(folder, model=model, out=Path(out) / "store", progress=False)


def network(model: Any, ready: list[list[Any]], lanes: int, threads: int) -> None:
    from clipviz.model.pixels import encode_squares

    before = torch.get_num_threads()
    with ThreadPoolExecutor(lanes, initializer=torch.set_num_threads, initargs=(threads,)) as pool:
        list(pool.map(lambda squares: encode_squares(model, squares), ready))
    torch.set_num_threads(before)


def wall() -> float:
    return time.perf_counter()


def cpu() -> float:
    """Seconds of this process and of its children that have ended."""
    return sum(os.times()[:4])


def rate(n: int, run: Callable[[], object], now: Callable[[], float]) -> float:
    start = now()
    run()
    return n / (now() - start)


def decode_all(decoder: Any, n: int, workers: int) -> None:
    """Decoding alone, the start of the processes included, as it is in `embed`."""
    from clipviz.embedding.decoding import decode, decoding

    starts = range(0, n, BATCH)
    with decoding(decoder, workers) as pool:
        list(map(len, (d.facts for d in pool.map(decode, starts, [min(start + BATCH, n) for start in starts]))))


CLOCKS = {"wall": wall, "cpu": cpu}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--pictures", type=int, default=1024)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--precision", choices=DTYPES, default="bf16")
    parser.add_argument("--clock", choices=CLOCKS, default="wall", help="cpu: where the machine has other work")
    options = parser.parse_args()
    logging.getLogger().setLevel(logging.ERROR)  # open_clip warns that its weights are random
    warnings.simplefilter("ignore")
    import open_clip

    import clipviz
    from clipviz.embedding.decoding import Decoder
    from clipviz.model.pixels import preparation

    torch.set_num_threads(options.threads)
    torch.manual_seed(0)
    clip, _, preprocess = open_clip.create_model_and_transforms(options.model)
    model = clipviz.Model.wrap(clip.eval(), preprocess, name=options.model, precision=options.precision)
    dtype, n, now = DTYPES[options.precision], options.pictures, CLOCKS[options.clock]
    clip = clip.to(dtype)
    folder = Path(tempfile.mkdtemp())
    try:
        crops(folder, n)
        source = clipviz.open_source(folder)
        decoder = Decoder(source, preparation(model))
        few = min(n, 8 * BATCH)  # decoded pictures that are held
        ready = [decoder(start, start + BATCH).squares for start in range(0, few, BATCH)]
        network(model, ready[:2], options.threads, 1)
        print(f"{options.model}, {options.precision}: {n} JPEGs of 500 x 375; torch {torch.__version__}, "
              f"{options.threads} threads, {os.cpu_count()} cores, open_clip {open_clip.__version__}")  # fmt: skip
        ratios: dict[str, list[float]] = {"bound": [], "plain": []}
        for number in range(options.rounds):
            lanes = [(options.threads, 1), (1, options.threads)]
            alone = max(rate(few, partial(network, model, ready, *how), now) for how in lanes)
            decoded = rate(n, partial(decode_all, decoder, n, options.threads), now)
            bound = 1 / (1 / alone + 1 / decoded)
            mine = rate(n, partial(ours, model, folder), now)
            theirs = {w: rate(n, partial(plain, clip, preprocess, folder, w, dtype), now) for w in (0, 1, 2)}
            ratios["bound"].append(mine / bound)
            ratios["plain"].append(mine / max(theirs.values()))
            said = ", ".join(f"{workers}: {found:.1f}" for workers, found in theirs.items())
            print(f"round {number + 1}: network alone {alone:6.1f}/s, decoding alone {decoded:6.1f}/s, "
                  f"bound {bound:6.1f}/s; embed {mine:6.1f}/s; DataLoader with workers {said}; "
                  f"load {os.getloadavg()[0]:.1f}", flush=True)  # fmt: skip
        for what, wanted in (("bound", "at least 0.90"), ("plain", "at least 1.0")):
            found = sorted(ratios[what])
            print(f"embed over {'the bound' if what == 'bound' else 'the best DataLoader'}: "
                  f"{statistics.median(found):.2f}x ({wanted}; {found[0]:.2f} to {found[-1]:.2f})")  # fmt: skip
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    main()
