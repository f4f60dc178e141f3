"""Does a store survive the death of a Ray worker, and of Ray's head? Kill them, finish, compare with the local engine.

    python benchmarks/embed_ray_kill.py [--kills 3] [--pictures 5000] [--data pictures.parquet]

First the local engine fills a store. Then, ``--kills`` times each, a local Ray cluster of two workers fills another,
and SIGKILL ends at a random part one of the processes that hold the model (the run goes on to its end), or the head of
the cluster (the run fails in one sentence, and the same is run again). Rows, records and the list of failures must
equal the local engine's byte for byte, vectors within 1e-6, every picture there once; and nothing of the cluster may
be left running.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import threading
import time
from pathlib import Path

import numpy as np

WORKER, HEAD = "ray::MapWorker", "gcs_server"


def parts(out: Path) -> int:
    return len(list(out.glob("record-*.parquet")))


def below(pid: int) -> dict[int, str]:
    """The processes that ``pid`` has started, and those that they have: id -> command line."""
    parents: dict[int, int] = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            parents[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except OSError:
            continue
    found: dict[int, str] = {}
    new = {pid}
    while new:
        new = {child for child, parent in parents.items() if parent in new}
        for child in new:
            try:
                found[child] = Path(f"/proc/{child}/cmdline").read_bytes().replace(b"\0", b" ").decode()
            except OSError:
                continue
    return found


class Killer(threading.Thread):
    """Ends one process whose command line holds ``what``, of those below this one, once ``out`` has ``after`` parts."""

    def __init__(self, out: Path, what: str, after: int):
        super().__init__(daemon=True)
        self.out, self.what, self.after, self.had, self.over = out, what, after, -1, False

    def run(self) -> None:
        while not self.over:
            if parts(self.out) >= self.after:
                those = [pid for pid, command in below(os.getpid()).items() if self.what in command]
                if those:
                    os.kill(those[0], signal.SIGKILL)
                    self.had = parts(self.out)
                    return
            time.sleep(0.005)

    def __enter__(self) -> Killer:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.over = True
        self.join()


def differences(local: Path, other: Path) -> list[str]:
    """What a store has otherwise than the local engine's: nothing, if all is well."""
    one, two = ({path.name for path in folder.iterdir()} for folder in (local, other))
    found = [f"{name} is in one of them" for name in sorted(one ^ two)]
    for name in sorted(one & two - {"manifest.json"}):
        if not name.endswith(".npy"):
            if (local / name).read_bytes() != (other / name).read_bytes():
                found.append(f"{name} differs")
            continue
        want, got = np.load(local / name), np.load(other / name)
        if want.dtype != got.dtype or want.shape != got.shape or np.abs(want - got).max(initial=0) > 1e-6:
            found.append(f"{name} differs")
    return found


def left_running(before: set[int]) -> list[str]:
    """What still runs of a cluster that has ended: nothing, if all is well."""
    return [command for pid, command in below(os.getpid()).items() if pid not in before and "ray" in command]


def main() -> None:
    import clipviz
    from clipviz.embedding import embed
    from clipviz.errors import DataError

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=3)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--part-size", type=int, default=128)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/tiny-imagenet/val-00.parquet"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("out/embed_ray_kill"))
    options = parser.parse_args()
    chance, model, source = random.Random(options.seed), clipviz.load(), clipviz.open_source(options.data)
    source = source.select(range(min(options.pictures, len(source))))
    shutil.rmtree(options.folder, ignore_errors=True)
    local, other = options.folder / "local", options.folder / "ray"

    def fill(out: Path, **more: object) -> float:
        began = time.perf_counter()
        embed(source, model=model, out=out, part_size=options.part_size, progress=False, **more)
        return time.perf_counter() - began

    took = fill(local)
    print(f"the local engine: {len(source)} pictures in {took:.1f} s, {parts(local)} parts", flush=True)
    wrong, before = 0, set(below(os.getpid()))
    for number in range(2 * options.kills):
        what = (WORKER, HEAD)[number % 2]
        shutil.rmtree(other, ignore_errors=True)
        said = ""
        with Killer(other, what, chance.randrange(1, parts(local) - 4)) as killer:
            try:
                took = fill(other, engine="ray", workers=2)
            except DataError as error:
                said = str(error)
        found = left_running(before)
        if what == HEAD:
            if not said:
                found.append("the run did not fail")
            took = fill(other, engine="ray", workers=2)
        found += differences(local, other)
        wrong += bool(found)
        print(f"{number + 1:2d} {what:14s} killed with {killer.had:3d} parts | {took:5.1f} s to the end | "
              f"{'; '.join(found) or 'equal'} | {said}", flush=True)  # fmt: skip
    print(f"{2 * options.kills - wrong} of {2 * options.kills} stores equal the local engine's")
    shutil.rmtree(options.folder, ignore_errors=True)
    raise SystemExit(1 if wrong else 0)


if __name__ == "__main__":
    main()
