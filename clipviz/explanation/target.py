"""`Target`: the score that is explained, as a differentiable function of an image's unit vector."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from ..errors import InputError

CONTRASTS = ("margin", "softmax")


@dataclass(frozen=True)
class Target:
    """Scores of P texts: cosines, margins to other texts, or probabilities against them.

    ``texts`` [P, E] and ``others`` [K, E] are unit vectors (K may be 0), ``names`` and ``other_names`` what they say.
    With ``contrast`` "margin" a score is cos(u, text) minus the mean of cos(u, others); with "softmax" it is the
    probability of the text among itself and the others, at the model's logit ``scale``.
    ``target(unit)`` takes unit vectors [..., E] to scores [..., P] and is differentiable in them.

    >>> Target(torch.eye(2, 3), torch.zeros(0, 3), ("x", "y"))(torch.tensor([1.0, 0.0, 0.0])).tolist()
    [1.0, 0.0]
    """

    texts: Tensor
    others: Tensor
    names: tuple[str, ...]
    other_names: tuple[str, ...] = ()
    contrast: str = "margin"
    scale: float = 1.0

    def __post_init__(self) -> None:
        if self.contrast not in CONTRASTS:
            raise InputError(f"contrast={self.contrast!r} is not known; it is one of {', '.join(CONTRASTS)}.")
        if self.contrast == "softmax" and not len(self.others):
            raise InputError("contrast='softmax' needs the other texts of the softmax: name them with against=[...].")

    def __len__(self) -> int:
        return len(self.texts)

    @property
    def linear(self) -> bool:
        """Whether a score is u . direction, the same direction for every picture."""
        return self.contrast == "margin"

    @property
    def directions(self) -> Tensor:
        """[P, E]: what unit vectors are multiplied with. InputError for a softmax, which has none: see `gradient`."""
        if not self.linear:
            raise InputError(
                "A softmax has no direction of its own: take target.gradient(unit), or explain with contrast='margin'."
            )
        return self.texts - self.others.mean(dim=0) if len(self.others) else self.texts

    def __call__(self, unit: Tensor) -> Tensor:
        if self.linear:
            return unit @ self.directions.T.to(unit.dtype)  # [..., P]
        own = self.scale * unit @ self.texts.T.to(unit.dtype)  # [..., P]
        rest = torch.logsumexp(self.scale * unit @ self.others.T.to(unit.dtype), dim=-1, keepdim=True)  # [..., 1]
        return torch.sigmoid(own - rest)

    def reach(self, unit: Tensor) -> Tensor:
        """How long the gradient at unit vectors [N, E] could be, were text and others opposed: [N, P].

        What rounds to zero is measured against it, and not against what is left of two texts that are nearly the same.
        """
        if self.linear:
            return unit.new_full((len(unit), len(self)), 2.0 if len(self.others) else 1.0)
        p = self(unit)
        return 2 * self.scale * p * (1 - p)

    def gradient(self, unit: Tensor) -> Tensor:
        """d score / d u at unit vectors [N, E]: [N, P, E]; the directions themselves where the score is linear."""
        if self.linear:
            return self.directions.to(unit.dtype).expand(len(unit), -1, -1)
        p = self(unit)  # [N, P]
        odds = torch.softmax(self.scale * unit @ self.others.T.to(unit.dtype), dim=-1)  # [N, K]
        pull = odds @ self.others.to(unit.dtype)  # [N, E]
        return self.scale * (p * (1 - p))[..., None] * (self.texts.to(unit.dtype) - pull[:, None])
