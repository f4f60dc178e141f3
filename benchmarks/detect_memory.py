"""Peak memory of twenty labels on a large picture by squares, beyond the model, in a process of its own.

    python benchmarks/detect_memory.py --method patches --size 2000 1500

Prints the model's memory, the peak beyond it and the number of squares. Linux only: it asks the kernel for the peak.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import warnings
from pathlib import Path


def peak(reset: bool = False) -> float:
    """The peak of this process's memory in MB; ``reset`` begins to count anew, after giving back what is free."""
    if reset:
        import ctypes
        import gc

        gc.collect()
        ctypes.CDLL("libc.so.6").malloc_trim(0)
        Path("/proc/self/clear_refs").write_text("5")
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM")) / 1024


def measured(name: str, method: str, size: tuple[int, int], labels: int, smallest: float) -> dict[str, float | str]:
    """In this process: the memory of a model of random weights that has seen a small picture, and the peak beyond."""
    import numpy as np
    from PIL import Image

    import clipviz
    from clipviz.detection.pyramid import pyramid

    warnings.simplefilter("ignore")
    model = clipviz.load() if name == "clipviz-tiny" else clipviz.load(name, None)
    noise = np.random.default_rng(0).integers(0, 255, (30, 40, 3), dtype=np.uint8)
    picture = Image.fromarray(noise).resize(size, Image.Resampling.BICUBIC)
    model.encode_images([picture.resize((64, 64))])
    model.encode_texts(["a dog"])
    before = peak(reset=True)
    found = clipviz.detect(picture, [f"thing number {i}" for i in range(labels)], model=model, method=method,
                           threshold=-2, smallest=smallest)  # fmt: skip
    plan = pyramid(size, model.image_size, model.image_size // model.grid[0], smallest=smallest)
    return {"model": name, "method": method, "squares": plan.tiles, "finest": round(plan.frames[-1].scale[0], 3),
            "boxes": len(found), "model_mb": round(before), "beyond_mb": round(peak() - before)}  # fmt: skip


def apart(*arguments: object) -> dict[str, float | str]:
    """`measured` in a process of its own."""
    ran = subprocess.run([sys.executable, __file__, "--here", *map(str, arguments)], capture_output=True, text=True,
                         check=True)  # fmt: skip
    found: dict[str, float | str] = json.loads(ran.stdout.splitlines()[-1])
    return found


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default="ViT-B-32")
    parser.add_argument("--method", default="patches", choices=["patches", "windows"])
    parser.add_argument("--size", type=int, nargs=2, default=(2000, 1500))
    parser.add_argument("--labels", type=int, default=20)
    parser.add_argument("--smallest", type=float, default=32)
    parser.add_argument("--here", action="store_true", help="In this process, as JSON.")
    asked = parser.parse_args()
    if asked.here:
        print(json.dumps(measured(asked.model, asked.method, tuple(asked.size), asked.labels, asked.smallest)))
    else:
        found = apart("--model", asked.model, "--method", asked.method, "--size", *asked.size, "--labels",
                      asked.labels, "--smallest", asked.smallest)  # fmt: skip
        print(found)
