"""Is embedding's memory flat? The peak of all its processes, for few pictures and for many.

    python benchmarks/embed_memory.py [--few 1000] [--many 20000] [--workers 2]

Pictures are JPEGs of random crops, in Parquet with row groups of 500, embedded by clipviz-tiny in a process of its own
with decoding workers. The peak is the highest sum of the proportional set sizes (each shared page counted once) of the
process and its workers, looked at every tenth of a second. Linux only.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from io import BytesIO
from pathlib import Path


def write(path: Path, n: int) -> None:
    """``n`` JPEGs of 200 x 150 of noise and colour, about 10 kB each."""
    import numpy as np
    import pyarrow as pa
    import pyarrow.parquet as pq
    from PIL import Image

    chance = np.random.default_rng(0)
    pictures = []
    for _ in range(100):
        file = BytesIO()
        coarse = Image.fromarray(chance.integers(0, 256, (30, 40, 3), np.uint8)).resize((200, 150))
        coarse.save(file, "JPEG", quality=90)
        pictures.append(file.getvalue())
    schema = pa.schema([("file", pa.string()), ("image", pa.binary()), ("group", pa.string())])
    with pq.ParquetWriter(path, schema) as writer:
        for start in range(0, n, 500):
            names = range(start, min(start + 500, n))
            # the comment behind the end of a JPEG makes each its own, so that nothing is stored once for many
            data = [pictures[i % 100] + i.to_bytes(8, "little") + bytes(chance.bytes(2000)) for i in names]
            rows = {"file": [f"{i:06d}.jpg" for i in names], "image": data, "group": [str(i % 7) for i in names]}
            writer.write_table(pa.table(rows, schema=schema))


def tree(pid: int) -> list[int]:
    """A process and all below it."""
    parents: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents.setdefault(int(stat.read_text().rpartition(")")[2].split()[1]), []).append(int(stat.parent.name))
        except OSError:
            pass
    found, at = [pid], 0
    while at < len(found):
        found += parents.get(found[at], [])
        at += 1
    return found


def held(pid: int) -> int:
    """Proportional set size in kB."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1])
    except OSError:
        pass
    return 0


def run(data: Path, out: Path, workers: int) -> None:
    import clipviz
    from clipviz.embedding import embed

    embed(data, model=clipviz.load(), out=out, part_size=1000, workers=workers, progress=False)


def peak(n: int, workers: int, folder: Path) -> tuple[float, float]:
    """(MB at the peak, seconds)."""
    data = folder / f"{n}.parquet"
    write(data, n)
    began = time.perf_counter()
    command = [sys.executable, __file__, "--measure", str(data), str(folder / f"store-{n}"), "--workers", str(workers)]
    most = 0
    with subprocess.Popen(command) as process:
        while process.poll() is None:
            most = max(most, sum(held(pid) for pid in tree(process.pid)))
            time.sleep(0.1)
    if process.returncode:
        raise SystemExit(f"embedding left with {process.returncode}")
    return most / 1024, time.perf_counter() - began


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--few", type=int, default=1000)
    parser.add_argument("--many", type=int, default=20_000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--measure", nargs=2, type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        run(*options.measure, options.workers)
        return
    if not Path("/proc/self/smaps_rollup").exists():
        raise SystemExit("/proc/self/smaps_rollup is not there: memory is measured on Linux only")
    with tempfile.TemporaryDirectory() as folder:
        peaks = []
        for n in (options.few, options.many):
            most, seconds = peak(n, options.workers, Path(folder))
            peaks.append(most)
            print(f"{n:7d} pictures: peak {most:7.0f} MB of all processes, {seconds:.0f} s", flush=True)
        print(f"many over few: {peaks[1] / peaks[0]:.3f}x (at most 1.10)")


if __name__ == "__main__":
    main()
