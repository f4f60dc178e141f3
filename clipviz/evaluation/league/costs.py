"""What a map costs, in forward passes of the image tower: measured side by side, in turn."""

from __future__ import annotations

import statistics
import time

import torch

from ...model import Model
from .entrants import Entrant
from .worlds import World, vectors_of

_PAIRS, _SECONDS = 7, 1.5


def cost_of(entrant: Entrant, model: Model, world: World, *, pairs: int = _PAIRS, seconds: float = _SECONDS) -> float:
    """Median of (time of a map of one picture and one text, the text a vector already) / (time of a forward pass).

    The two are timed in turn, up to ``pairs`` times or ``seconds``; the first of each is not counted. NaN where the
    method fails on the picture; 0 for the rivals that look at nothing.
    """
    if not entrant.method:
        return 0.0
    shown = next((s for s in world.load(range(min(8, len(world.cases)))) if not isinstance(s, tuple)), None)
    if shown is None:
        return float("nan")
    prompt = world.prompts[world.cases[shown.place].text]
    pixels = model.prepare(shown.picture)[0][:1]
    vectors = vectors_of(model, [prompt])
    ratios: list[float] = []
    spent = 0.0
    try:
        for i in range(pairs + 1):
            passed = _seconds_of_a_pass(model, pixels)
            start = time.perf_counter()
            entrant.maps(model, pixels, vectors, (prompt.text,), [0])
            taken = time.perf_counter() - start
            if i or taken > seconds:  # the first warms up, where there will be a second
                ratios.append(taken / passed)
            spent += taken
            if spent > seconds and ratios:
                break
    except Exception:  # what fails here fails on the pictures too, where it is listed
        return float("nan")
    return statistics.median(ratios)


def _seconds_of_a_pass(model: Model, pixels: torch.Tensor) -> float:
    """The median of three."""
    found = []
    with torch.inference_mode():
        for _ in range(3):
            start = time.perf_counter()
            model.network.visual(pixels)
            found.append(time.perf_counter() - start)
    return statistics.median(found)
