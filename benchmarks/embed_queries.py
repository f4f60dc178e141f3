"""What a question to a store costs beside the product that it cannot do without.

    python benchmarks/embed_queries.py [--rows 1000000] [--texts 50] [--pairs 5] [--threads 2] [--folder DIR]

A store of random unit vectors, float16, is written once (1 GB for a million rows of 512) and read from the page cache
by both sides in turn. The peer maps the same files and multiplies block by block, converting a block to float32 at a
time, with numpy and with torch; it tells neither ids nor which rows are the highest. A ratio is the median over pairs
of neighbours, ours over the peer's; at most 2 is wanted of the peer that is written as the question says, with numpy.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import torch
from threadpoolctl import threadpool_limits

from clipviz.embedding import layout
from clipviz.embedding.embeddings import Embeddings
from clipviz.embedding.manifest import Manifest

WIDTH, K = 512, 20


def unit(count: int, random: np.random.Generator) -> np.ndarray:
    vectors = random.standard_normal((count, WIDTH), dtype=np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def write_store(folder: Path, rows: int) -> Path:
    """A store as `embed` would write it, of nothing."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(0)
    parts = layout.plan(rows)
    for part in parts:
        np.save(layout.vectors_file(folder, part.number), unit(len(part), random).astype(np.float16))
        ids = pa.table({"id": [f"{i:08d}.jpg" for i in range(part.start, part.stop)],
                        "group": [f"group {i % 7}" for i in range(part.start, part.stop)]})  # fmt: skip
        pq.write_table(ids, layout.rows_file(folder, part.number))
        pq.write_table(ids.select(["id"]), layout.record_file(folder, part.number))
    Manifest(
        "images", {"model": "random", "weights_sha256": "0" * 64, "embed_dim": WIDTH},
        {"part_size": layout.PART_SIZE, "dtype": "float16"}, {"where": "nothing"}, {"group": "string"},
        {"pictures": rows, "done": rows}, True,
    ).write(folder)  # fmt: skip
    return folder


def with_numpy(parts: list[np.ndarray], wanted: np.ndarray, size: int) -> np.ndarray:
    found = np.empty((sum(map(len, parts)), len(wanted)), np.float32)
    at = 0
    for part in parts:
        for first in range(0, len(part), size):
            block = part[first : first + size].astype(np.float32)
            found[at : at + len(block)] = block @ wanted.T
            at += len(block)
    return found


def with_torch(parts: list[np.ndarray], wanted: np.ndarray, size: int) -> np.ndarray:
    across, found = torch.from_numpy(wanted).T, torch.empty((sum(map(len, parts)), len(wanted)))
    at = 0
    for part in parts:
        for first in range(0, len(part), size):
            block = torch.from_numpy(part[first : first + size]).float()
            torch.mm(block, across, out=found[at : at + len(block)])
            at += len(block)
    return found.numpy()


def seconds(run: Callable[[], object]) -> float:
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def in_turn(ours: Callable[[], object], peer: Callable[[], object], pairs: int) -> tuple[float, float, float]:
    """Median seconds of each, and the median of ours over the peer's; which of them is first alternates."""
    times = []
    for i in range(pairs):
        row = {side: seconds(side) for side in ((ours, peer) if i % 2 else (peer, ours))}
        times.append((row[ours], row[peer]))
    return (*(statistics.median(side) for side in zip(*times, strict=True)), statistics.median(a / b for a, b in times))


def peak() -> int:
    """Anonymous memory of this process in MB: mapped files are not counted."""
    for line in Path("/proc/self/status").read_text(encoding="utf-8").splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1]) // 1024
    return 0


def measure(folder: Path, arguments: argparse.Namespace) -> dict[str, float]:
    store = Embeddings.load(folder)
    wanted = unit(arguments.texts, np.random.default_rng(1))
    parts = [np.load(layout.vectors_file(folder, number), mmap_mode="c") for number in layout.whole_parts(folder)]
    # the peer's best block of those that one would write
    size = min((1024, 4096), key=lambda size: min(seconds(lambda: with_numpy(parts, wanted, size)) for _ in range(2)))
    peers = {"numpy": lambda: with_numpy(parts, wanted, size), "torch": lambda: with_torch(parts, wanted, 1024)}
    few = wanted[:1]
    questions: dict[str, tuple[Callable[[], object], dict[str, Callable[[], object]]]] = {
        "similarity": (lambda: store.similarity(wanted), peers),
        "top": (lambda: store.top(wanted, K), peers),
        "top of one text": (lambda: store.top(few, K), {"numpy": lambda: with_numpy(parts, few, size)}),
    }
    assert np.abs(store.similarity(wanted) - with_numpy(parts, wanted, size)).max() < 1e-5
    ratios = {}
    for question, (ours, those) in questions.items():
        for name, peer in those.items():
            mine, other, ratio = in_turn(ours, peer, arguments.pairs)
            ratios[f"{question}, {name}"] = ratio
            wish = "(at most 2)" if name == "numpy" else ""
            print(
                f"  {question:<16} {mine:6.2f} s   product with {name} {other:6.2f} s   {ratio:5.2f}x  {wish}",
                flush=True,
            )
    before = peak()
    store.top(wanted, K)
    print(f"  memory beside mapped files after top: {peak() - before:+d} MB", flush=True)
    return ratios


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--texts", type=int, default=50)
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--folder", type=Path, help="keeps the store there; without it, it is written and removed")
    parser.add_argument("--out", type=Path, help="also write the ratios as JSON")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    print(f"{arguments.rows:,} x {WIDTH} float16, {arguments.texts} texts, top {K}; {arguments.threads} threads, numpy "
          f"{np.__version__}, torch {torch.__version__}, {arguments.pairs} pairs")  # fmt: skip
    with tempfile.TemporaryDirectory() as scratch, threadpool_limits(arguments.threads):
        folder = arguments.folder or Path(scratch) / "store"
        if not (folder / layout.MANIFEST).exists():
            write_store(folder, arguments.rows)
        ratios = measure(folder, arguments)
    if arguments.out:
        arguments.out.write_text(json.dumps(ratios, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
