"""`BoxPrior`: where things tend to be and how large, learnt from boxes, and used only where it is named."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import ArrayLike, NDArray

from ..errors import DataError, InputError
from ..files import write
from .suppression import overlaps

SIDE = 8  # cells: 1,296 rectangles
RIGHT = 0.5
WEIGHT = 3.0  # of the evidence beside the prior: chosen on dev photographs, where 2 is as good and 1 a little less
SHARP = 8  # power of the IoU with which a box counts for the rectangles about it
PSEUDO = 20  # boxes of all labels that stand beside those of one
_FORMAT = "clipviz box prior 1"


@dataclass(frozen=True, eq=False)
class BoxPrior:
    """How often each rectangle of 8 x 8 cells of a picture was the box of a thing: ``shares`` [1296], summing to 1.

    ``n`` boxes were counted; ``about`` says which, in words. ``of_label`` has the shares of labels that were named, as
    they are asked; another label has those of all. Figures with a prior stand apart from those without: most of what it
    gains it would gain without looking at the picture.
    """

    shares: NDArray[np.float64] = field(repr=False)
    n: int
    about: str = ""
    of_label: Mapping[str, NDArray[np.float64]] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "shares", self._whole(self.shares))
        object.__setattr__(self, "of_label", {str(name): self._whole(one) for name, one in self.of_label.items()})

    @staticmethod
    def _whole(given: ArrayLike) -> NDArray[np.float64]:
        """Shares that sum to 1; InputError for what cannot."""
        shares = np.asarray(given, dtype=np.float64)
        if shares.shape != (len(rectangles()),) or not np.isfinite(shares).all() or (shares < 0).any():
            raise InputError(f"A prior has a share of {len(rectangles())} rectangles, none below 0: use BoxPrior.fit.")
        total = shares.sum()
        if not total > 0:
            raise InputError("A prior's shares sum to 0: use BoxPrior.fit.")
        # What sums to 1 but for rounding stays as it is: a prior that was saved is the same to the bit.
        whole: NDArray[np.float64] = shares if abs(total - 1) < 1e-9 else shares / total
        return whole

    @classmethod
    def fit(
        cls, boxes: ArrayLike, sizes: ArrayLike, about: str = "", *, labels: Sequence[str] | None = None
    ) -> BoxPrior:
        """From boxes [n, 4] in pixels of pictures of ``sizes`` [n, 2] (or one size for all), widths first.

        Every box counts for the rectangles it overlaps best, by the eighth power of the IoU: a hundred boxes then say
        something of their neighbours too. With ``labels`` [n], the texts that will be asked, each label has its own
        shares, with 20 boxes' worth of all others beside its own. Raises InputError where there is no box, one is
        turned inside out, or there are not as many labels.

        >>> BoxPrior.fit([[0, 0, 32, 32]], (64, 64)).n
        1
        """
        places = np.asarray(boxes, dtype=np.float64).reshape(-1, 4)
        sides = np.broadcast_to(np.asarray(sizes, dtype=np.float64), (len(places), 2))
        if not len(places):
            raise InputError("A prior is learnt from boxes, and there is none: pass at least some hundred.")
        if not np.isfinite(places).all() or not (places[:, 2:] > places[:, :2]).all() or not (sides > 0).all():
            raise InputError("Boxes are (x0, y0, x1, y1) with x1 above x0 and y1 above y0, of pictures with a size.")
        if labels is not None and len(labels) != len(places):
            raise InputError(f"{len(places)} boxes have {len(labels)} labels: pass one for each box, or none at all.")
        cells = places / np.tile(sides, 2) * SIDE
        names = list(dict.fromkeys(labels or ()))
        number = {name: i for i, name in enumerate(names)}
        own = np.zeros((max(1, len(names)), len(rectangles())))
        kinds = np.zeros(len(places), np.int64) if labels is None else np.array([number[name] for name in labels])
        for first in range(0, len(cells), 4096):
            near = overlaps(cells[first : first + 4096], rectangles()) ** SHARP
            np.add.at(own, kinds[first : first + 4096], near / np.maximum(near.sum(axis=1, keepdims=True), 1e-12))
        shares = own.sum(axis=0) / len(places)
        shares = shares + 1e-6 * shares.mean()  # no rectangle is impossible
        return cls(shares, len(places), about, {name: own[i] + PSEUDO * shares for name, i in number.items()})

    def choose(
        self, evidence: NDArray[Any], k: int = 1, label: str | None = None
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """The ``k`` boxes [k, 4], as shares of width and height, most probably right, and how probable each is [k].

        ``evidence`` [h, w] is in standard deviations. A rectangle's share is multiplied by how much better two levels,
        one inside and one outside, describe the evidence than one does; the box is then the one with the most of that
        in rectangles with an IoU of 0.5 or more with it, which is what "right" means.
        """
        shares = self.shares if label is None else self.of_label.get(label, self.shares)
        posterior = shares * np.exp(WEIGHT * _gain(evidence))
        posterior = posterior / posterior.sum()
        found, worth = [], []
        for _ in range(k):
            hits = _near() @ posterior
            best = int(hits.argmax())
            if not hits[best] > 0:
                break
            found.append(rectangles()[best] / SIDE)
            worth.append(hits[best])
            posterior = np.where(_near()[best], 0.0, posterior)
        return np.array(found, dtype=np.float64).reshape(-1, 4), np.array(worth, dtype=np.float64)

    @property
    def provenance(self) -> dict[str, Any]:
        """What tells this prior from others: how many boxes, which, and the SHA-256 of its shares."""
        total = hashlib.sha256(np.ascontiguousarray(self.shares, dtype="<f8").tobytes())
        for name, shares in sorted(self.of_label.items()):
            total.update(name.encode("utf-8", "backslashreplace") + np.ascontiguousarray(shares, dtype="<f8").tobytes())
        return {"n": self.n, "about": self.about, "labels": len(self.of_label), "sha256": total.hexdigest()}

    def save(self, path: str | Path) -> Path:
        """Write it as JSON."""
        plain = {
            "format": _FORMAT, "n": self.n, "about": self.about, "shares": self.shares.tolist(),
            "of_label": {name: shares.tolist() for name, shares in self.of_label.items()},
        }  # fmt: skip
        return write(path, json.dumps(plain))

    @classmethod
    def load(cls, path: str | Path) -> BoxPrior:
        """Read what `save` wrote. Raises DataError where the file is no such thing."""
        try:
            plain = json.loads(Path(path).read_text(encoding="utf-8"))
            if plain.get("format") != _FORMAT:
                raise ValueError(f"it does not say {_FORMAT!r}")
            of_label = {str(name): np.array(one, dtype=np.float64) for name, one in plain["of_label"].items()}
            return cls(np.array(plain["shares"], dtype=np.float64), int(plain["n"]), str(plain["about"]), of_label)
        except (OSError, ValueError, KeyError, TypeError, AttributeError, InputError) as error:
            raise DataError(f"{str(path)!r} is no saved prior ({error}): load what BoxPrior.save wrote.") from error


@lru_cache(maxsize=1)
def rectangles() -> NDArray[np.float64]:
    """All rectangles of whole cells, [1296, 4]."""
    spans = [(a, b) for a in range(SIDE) for b in range(a + 1, SIDE + 1)]
    return np.array([(x0, y0, x1, y1) for y0, y1 in spans for x0, x1 in spans], dtype=np.float64)


@lru_cache(maxsize=1)
def _near() -> NDArray[np.bool_]:
    return overlaps(rectangles(), rectangles()) >= RIGHT


def _gain(evidence: NDArray[Any]) -> NDArray[np.float64]:
    """What a rectangle explains of a map's variance, 0 to 1 times the cells; negative where it is the darker part."""
    given = torch.from_numpy(np.ascontiguousarray(evidence, dtype=np.float64))
    cells = F.interpolate(given[None, None], size=(SIDE, SIDE), mode="bilinear", align_corners=False)[0, 0].numpy()
    cells = cells - cells.mean()
    variance = cells.var()
    if not variance > 0:
        return np.zeros(len(rectangles()))
    table = np.zeros((SIDE + 1, SIDE + 1))
    table[1:, 1:] = cells.cumsum(0).cumsum(1)
    x0, y0, x1, y1 = rectangles().astype(np.int64).T
    sums = (table[y1, x1] - table[y0, x1] - table[y1, x0] + table[y0, x0]) / SIDE**2
    share = (x1 - x0) * (y1 - y0) / SIDE**2
    explained = sums**2 / np.maximum(share * (1 - share), 1 / SIDE**2) / variance
    return np.sign(sums) * explained * (share < 1)
