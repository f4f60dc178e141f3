"""What a run's folder says about the run: the whole recipe, the versions, the data, the code."""

from __future__ import annotations

import json
import platform
import subprocess
import sys
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from ..files import write
from .pictures import Pictures
from .recipe import Recipe

PACKAGES = ("clipviz", "torch", "open_clip_torch", "numpy", "pillow")


def data_record(recipe: Recipe, pictures: Sequence[Pictures]) -> dict[str, Any]:
    """Size and fingerprint of each source, by its name."""
    return {
        s.label: {"pictures": len(p), "fingerprint": p.fingerprint}
        for s, p in zip(recipe.data.sources, pictures, strict=True)
    }


def write_record(out: Path, recipe: Recipe, pictures: Sequence[Pictures], processes: int) -> dict[str, Any]:
    """Write ``run.json``: the resolved recipe, versions, data hashes, seed, git-describe, command and start."""
    record = {
        "recipe": recipe.to_dict(),
        "seed": recipe.seed,
        "steps": recipe.steps,
        "processes": processes,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "data": data_record(recipe, pictures),
        "code": describe_code(),
        "command": sys.argv,
        "started": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "machine": platform.machine(),
    }
    write(out / "run.json", json.dumps(record, indent=1, default=str))
    return record


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
