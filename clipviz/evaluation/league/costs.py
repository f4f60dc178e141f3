"""What a map costs, in forward passes of the image tower: measured side by side, in turn."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

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
    # The work of this process, not the wait for others; on a device the clock on the wall.
    clock = time.process_time if model.device.type == "cpu" else time.perf_counter
    ratios: list[float] = []
    spent = 0.0
    try:
        for i in range(pairs + 1):
            passed = _seconds_of_a_pass(model, pixels, clock)
            start = clock()
            entrant.maps(model, pixels, vectors, (prompt.text,), [0])
            taken = clock() - start
            if i or taken > seconds:  # the first warms up, where there will be a second
                ratios.append(taken / passed)
            spent += taken
            if spent > seconds and ratios:
                break
    except Exception:  # what fails here fails on the pictures too, where it is listed
        return float("nan")
    return statistics.median(ratios)


def _seconds_of_a_pass(model: Model, pixels: torch.Tensor, clock: Callable[[], float]) -> float:
    """The median of three."""
    found = []
    with torch.inference_mode():
        for _ in range(3):
            start = clock()
            model.network.visual(pixels)
            found.append(clock() - start)
    return statistics.median(found)
