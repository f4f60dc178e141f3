"""What a run's folder says about the run: the whole recipe, the versions, the data, the code."""

from __future__ import annotations

import csv
import io
import json
import platform
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..errors import DataError
from ..files import write
from .batches import Batches
from .dev import Dev

PACKAGES = ("clipviz", "torch", "open_clip_torch", "numpy", "pillow")


def data_record(batches: Batches, dev: Sequence[Dev] = ()) -> dict[str, Any]:
    """Size and fingerprints (of the pictures, of what is said of them) of each source, by its name."""
    sources = zip(batches.recipe.data.sources, batches.pictures, batches.captions, strict=True)
    record: dict[str, Any] = {
        s.label: {
            "pictures": len(p),
            "without a caption": int((~c.useful).sum()),
            "fingerprint": p.fingerprint,
            "captions": c.fingerprint,
        }
        for s, p, c in sources
    }
    return record | {f"dev: {d.label}": {"pictures": len(d.truth), "fingerprint": d.fingerprint} for d in dev}


def write_record(out: Path, batches: Batches, dev: Sequence[Dev], done: int, processes: int) -> dict[str, Any]:
    """Write ``run.json``: the resolved recipe, the seed, the data's hashes, and what each part of the run ran on.

    There are several parts where it was resumed: each tells its start, first step, processes, versions,
    git-describe and command. Raises DataError where a resumed run finds other data than it began with.
    """
    path = out / "run.json"
    before = json.loads(path.read_text(encoding="utf-8")) if done and path.exists() else None
    recipe, data = batches.recipe, data_record(batches, dev)
    if before is not None and before["data"] != data:
        other = next((name for name in data if before["data"].get(name) != data[name]), "?")
        raise DataError(
            f"The source {other!r} is not what the run in {str(out)!r} began with, in its pictures or in what is "
            "said of them. Restore the data, or begin again in another out."
        )
    part = {
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "step": done,
        "processes": processes,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "code": describe_code(),
        "command": sys.argv,
        "machine": platform.machine(),
    }
    record = {
        "recipe": recipe.to_dict(),
        "seed": recipe.seed,
        "steps": recipe.steps,
        "data": data,
        "parts": [*(before["parts"] if before else []), part],
    }
    write(path, json.dumps(record, indent=1))
    return record


def write_skipped(out: Path, skipped: Sequence[tuple[str, str, str]]) -> None:
    """Write ``skipped.csv``: source, id and reason of each damaged picture, and how often it was passed over."""
    if not skipped:
        return
    text = io.StringIO()
    table = csv.writer(text)
    table.writerow(("source", "id", "reason", "times"))
    table.writerows((*row, times) for row, times in Counter(skipped).items())
    write(out / "skipped.csv", text.getvalue())


def describe_code() -> str | None:
    """What `git describe` says of the checkout that this file is in; None in a wheel or without git."""
    here = Path(__file__).resolve().parent
    try:
        told = subprocess.run(
            ["git", "describe", "--always", "--dirty", "--tags"], cwd=here, capture_output=True, text=True, timeout=10
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    tracked = subprocess.run(["git", "ls-files", "--error-unmatch", __file__], cwd=here, capture_output=True)
    # a wheel installed inside somebody else's checkout is not described by it
    return told.stdout.strip() or None if told.returncode == 0 and tracked.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
