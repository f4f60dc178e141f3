"""A line of a run's metrics: what is made of it elsewhere."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np


def score_of(line: Mapping[str, Any]) -> float | None:
    """The mean top-1 over the dev sources, where the line has any: what `best` is best by."""
    scores = [value for key, value in line.items() if key.startswith("dev.") and key.endswith(".top1")]
    return float(np.mean(scores)) if scores else None


def short(line: Mapping[str, Any]) -> dict[str, str]:
    """What the progress bar shows beside the rate and the time left."""
    shown = {"loss": "loss", "logit_scale": "scale", "samples_per_second": "pairs/s"}
    return {name: f"{line[key]:.4g}" for key, name in shown.items() if key in line} | {
        key.removeprefix("dev."): f"{value:.1%}" for key, value in line.items() if key.endswith(".top1")
    }
