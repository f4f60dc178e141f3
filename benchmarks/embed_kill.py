"""Does a store survive SIGKILL at any moment? Kill runs of embed, run them again, compare with one that was left alone.

    python benchmarks/embed_kill.py [--kills 20] [--pictures 5000] [--data ../shared/data/tiny-imagenet/val-00.parquet]

Each run is a process of its own with its own decoding workers, killed once: while a part is written (a draft was seen),
or at a random moment of the time that a whole run takes. Then embed runs again, to its end. Every file must equal, byte
for byte, that of the run that was left alone, but for the key "times" of manifest.json; no file may be left over; no
picture may be there twice or be missing; and nothing that was whole when the run was killed may be computed again.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import random
import runpy
import shutil
import signal
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

KINDS = ("moment", "write")
HERE, CHILD = str(Path(__file__).resolve()), "embed_kill_child"
# Processes are forked from one that has imported everything, which takes far longer than a part.
PROCESSES = multiprocessing.get_context("forkserver")
PROCESSES.set_forkserver_preload(["clipviz.embedding.verb", "clipviz.model", "pandas", "pyarrow.parquet", "open_clip"])


def run(out: str, data: str, pictures: int, options: dict[str, Any]) -> None:
    """What a process does."""
    import clipviz
    from clipviz.embedding import embed

    source = clipviz.open_source(data)
    embed(source.select(range(min(pictures, len(source)))), model=clipviz.load(), out=out, progress=False, **options)


def start(out: Path, data: Path, pictures: int, **options: Any) -> BaseProcess:
    """A run as a process of its own."""
    arguments = {"arguments": (str(out), str(data), pictures, options)}
    process = PROCESSES.Process(target=runpy.run_path, args=(HERE, arguments, CHILD))
    process.start()
    return process


def wait(process: BaseProcess, arrived: Callable[[], bool], seconds: float = 1e9) -> bool:
    """Look every millisecond until something has arrived; False where the process or the time ended before."""
    end = time.perf_counter() + seconds
    while not arrived():
        if not process.is_alive() or time.perf_counter() > end:
            return False
        time.sleep(0.001)
    return True


def finish(process: BaseProcess) -> None:
    process.join()
    if process.exitcode:
        raise SystemExit(f"A run that nobody killed left with {process.exitcode}.")


def drafts(out: Path) -> list[str]:
    return [name for name in os.listdir(out) if name.startswith((".record", ".rows", ".vectors", ".manifest"))]


def records(out: Path) -> dict[str, int]:
    """The parts that are whole, and when each was written [ns]."""
    return {path.name: path.stat().st_mtime_ns for path in out.glob("record-*.parquet")} if out.is_dir() else {}


def kill(out: Path, begin: Callable[[], BaseProcess], kind: str, chance: random.Random, took: float) -> str | None:
    """Begin a run and kill it; what it left, in words, or None where it was over before."""
    process = begin()
    wait(process, out.is_dir)
    time.sleep(chance.random() * took)
    if kind == "write":
        wait(process, lambda: any(".manifest" not in name for name in drafts(out)))
    process.kill()
    process.join()
    if process.exitcode != -signal.SIGKILL:
        return None
    return f"{len(records(out)):3d} parts, {len(drafts(out))} drafts"


def contents(out: Path) -> dict[str, Any]:
    """Every file of a store, without what tells the time of a run."""
    found: dict[str, Any] = {path.name: path.read_bytes() for path in out.iterdir() if path.name != "manifest.json"}
    told = json.loads((out / "manifest.json").read_text(encoding="utf-8"))
    return {**found, "manifest.json": {key: value for key, value in told.items() if key != "times"}}


def differences(whole: Path, resumed: Path, ids: list[str]) -> list[str]:
    """What a store has otherwise than the one of the run that was left alone; nothing, if all is well."""
    from clipviz.embedding.layout import read_record, read_rows, whole_parts

    one, other = contents(whole), contents(resumed)
    found = [f"{name} is there and should not be" for name in other.keys() - one.keys()]
    found += [f"{name} is missing" for name in one.keys() - other.keys()]
    found += [f"{name} differs" for name in sorted(one.keys() & other.keys()) if one[name] != other[name]]
    rows = [id for part in whole_parts(resumed) for id in read_rows(resumed, part, ["id"])["id"].to_pylist()]
    lost = [
        row["id"]
        for part in whole_parts(resumed)
        for row in read_record(resumed, part, ["id", "reason"]).to_pylist()
        if row["reason"] is not None
    ]
    if len(set(rows)) != len(rows) or {*rows, *lost} != set(ids) or len(rows) + len(lost) != len(ids):
        found.append(f"{len(rows)} rows and {len(lost)} failed of {len(ids)} pictures, {len(set(rows))} of them once")
    return found


def one(
    whole: Path, out: Path, begin: Callable[[Path], BaseProcess], ids: list[str], kind: str, chance: random.Random,
    took: float,
) -> tuple[str, list[str]]:  # fmt: skip
    """A kill and a run to the end: what the kill left, and what then differs."""
    while True:
        shutil.rmtree(out, ignore_errors=True)
        left = kill(out, lambda: begin(out), kind, chance, took)
        if left is not None:
            break
    before = records(out)
    finish(begin(out))
    after = records(out)
    again = [name for name, when in before.items() if after.get(name) != when]
    return left, differences(whole, out, ids) + ([f"computed again: {again}"] if again else [])


def main() -> None:
    import clipviz

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--pictures", type=int, default=5000)
    parser.add_argument("--part-size", type=int, default=256)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--data", type=Path, default=Path("../shared/data/tiny-imagenet/val-00.parquet"))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--folder", type=Path, default=Path("out/embed_kill"))
    options = parser.parse_args()
    chance, whole = random.Random(options.seed), options.folder / "whole"
    ids = list(clipviz.open_source(options.data).ids[: options.pictures])
    shutil.rmtree(options.folder, ignore_errors=True)

    def begin(out: Path) -> BaseProcess:
        sizes = {"part_size": options.part_size, "workers": options.workers}
        return start(out, options.data, options.pictures, **sizes)

    process = begin(whole)
    wait(process, whole.is_dir)
    began = time.perf_counter()
    finish(process)
    took = time.perf_counter() - began
    print(f"left alone: {len(ids)} pictures in {took:.1f} s, {len(records(whole))} parts", flush=True)
    unequal = 0
    for number in range(options.kills):
        kind = KINDS[number % len(KINDS)]
        left, found = one(whole, options.folder / "killed", begin, ids, kind, chance, took)
        unequal += bool(found)
        print(f"{number + 1:2d} {kind:6s} | {left} | {'; '.join(found) or 'equal'}", flush=True)
    print(f"{options.kills - unequal} of {options.kills} stores of killed runs equal the one left alone")
    shutil.rmtree(options.folder, ignore_errors=True)
    raise SystemExit(1 if unequal else 0)


if __name__ == "__main__":
    main()
elif __name__ == CHILD:
    run(*globals()["arguments"])
