from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from clipviz.explanation.target import Target
from clipviz.frame import layout
from clipviz.model import Look


class LinearNetwork(torch.nn.Module):
    """A network whose every answer is known: the cosine with the text is a weighted sum of the grey pixels."""

    def __init__(self, weights: Tensor):
        super().__init__()
        self.weights = weights  # [S, S]
        self.passes = 0
        self.largest = 0

    def visual(self, pixels: Tensor) -> Tensor:
        self.passes, self.largest = self.passes + len(pixels), max(self.largest, len(pixels))
        score = (pixels[:, 0] * self.weights).sum(dim=(1, 2))
        return torch.stack([score, (1 - score**2).sqrt()], dim=1)  # of unit length, so that the cosine is the score


class Linear:
    """What a `Model` must have to be scored: its kind, its network, and its preprocessing."""

    kind, name, std = "other", "linear", (0.5, 0.5, 0.5)

    def __init__(self, network: LinearNetwork):
        self.network = network


@pytest.fixture
def linear() -> Callable[[Tensor, Tensor], Look]:
    """``linear(weights [S, S], grey pixels [S, S])`` -> a `Look` whose score is the sum of their products."""
    from PIL import Image

    def look(weights: Tensor, pixels: Tensor) -> Look:
        side = len(weights)
        frame = layout((side, side), side, "crop")
        model = Linear(LinearNetwork(weights))
        return Look(model, pixels.expand(1, 3, side, side), Image.new("RGB", (side, side)), frame)  # type: ignore[arg-type]

    return look


@pytest.fixture
def text() -> Target:
    """The text whose cosine the linear network gives."""
    return Target(torch.tensor([[1.0, 0.0]]).double(), torch.zeros(0, 2).double(), ("x",))
