"""The exact box search beside a vectorised integral image over all rectangles, on the same random maps.

    python benchmarks/box_search.py [--sides 7 14 32 64] [--pairs 21] [--batch 32]

Both run in one process on one thread, in turn; medians of pairs, and the median of the ratios of neighbours. The peer
comes twice: all rectangles at once, and in blocks that stay in the processor's cache, which is as quick as it gets.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import numpy as np

from clipviz.detection.search import best_boxes

BLOCK = 32  # strips of rows whose rectangles are summed at a time, for the quick peer


def all_rectangles(values: np.ndarray, block: int | None = None) -> tuple[int, int, int, int]:
    """Every rectangle's sum, [h pairs, w pairs], from the integral image: at once, or ``block`` strips at a time."""
    h, w = values.shape
    sums = np.zeros((h + 1, w + 1))
    sums[1:, 1:] = values.cumsum(0).cumsum(1)
    above, below = np.triu_indices(h + 1, 1)
    left, right = np.triu_indices(w + 1, 1)
    strips = sums[below] - sums[above]  # [h pairs, w + 1]
    best = []
    for first in range(0, len(strips), block or len(strips)):
        some = strips[first : first + (block or len(strips))]
        totals = some.take(right, axis=1)
        totals -= some.take(left, axis=1)
        at = int(totals.argmax())
        best.append((totals.flat[at], first + at // totals.shape[1], at % totals.shape[1]))
    _, row, column = max(best)
    return int(left[column]), int(above[row]), int(right[column]), int(below[row])


def median_pair(ours: Callable[[], object], theirs: Callable[[], object], pairs: int) -> tuple[float, float, float]:
    """Median seconds of each, and the median of the ratios of neighbours, run in turn, each for some 20 ms or once."""
    sides, counts = (ours, theirs), []
    for side in sides:
        side()
        start = time.perf_counter()
        side()
        counts.append(max(1, round(0.02 / (time.perf_counter() - start))))
    times = []
    for _ in range(pairs):
        row = []
        for side, count in zip(sides, counts, strict=True):
            start = time.perf_counter()
            for _ in range(count):
                side()
            row.append((time.perf_counter() - start) / count)
        times.append(row)
    a, b = zip(*times, strict=True)
    return statistics.median(a), statistics.median(b), statistics.median(y / x for x, y in times)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sides", type=int, nargs="+", default=[7, 14, 32, 64])
    parser.add_argument("--pairs", type=int, default=21)
    parser.add_argument("--batch", type=int, default=32)
    arguments = parser.parse_args()
    print(f"numpy {np.__version__}, float64 noise around 0, {arguments.pairs} pairs; milliseconds a map")
    print("| map | maps a call | clipviz | all rectangles | ratio | in blocks | ratio |")
    print("|---|---:|---:|---:|---:|---:|---:|")
    rng = np.random.default_rng(0)
    for side in arguments.sides:
        for count in (1, arguments.batch):
            maps = rng.normal(size=(count, side, side))
            cells, pairs = [f"{side} x {side}", str(count)], arguments.pairs if count == 1 else 5
            for block in (None, BLOCK):

                def theirs(maps: np.ndarray = maps, block: int | None = block) -> list[tuple[int, int, int, int]]:
                    return [all_rectangles(m, block) for m in maps]

                if list(map(tuple, best_boxes(maps)[0].tolist())) != theirs():
                    raise SystemExit(f"The two differ on {side} x {side}.")
                a, b, ratio = median_pair(lambda maps=maps: best_boxes(maps), theirs, pairs)
                cells += [f"{a / count * 1e3:.3f}"] * (block is None) + [f"{b / count * 1e3:.3f}", f"{ratio:.1f}x"]
            print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    main()
