"""Shapley values of the picture's parts: each part's mean gain over all ways to uncover them one by one."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import combinations

import numpy as np
import torch
from torch import Tensor

from ...errors import InputError
from ...model import Look, Model
from ..registry import Found, register_explainer
from ..target import Target
from .inputs import blank_pixels
from .masking import grid_of, masked_scores, of_cells, plain, unmoved, whole

GROUPS = 10  # of sampled coalitions; leaving out each in turn gives the sampling error


def _shap_patches(
    model: Model,
    look: Look,
    target: Target,
    *,
    cells: int | Sequence[int] | None = None,
    samples: int = 1024,
    seed: int = 0,
    blank: str = "mean",
    batch_size: int = 32,
) -> Found:
    """Kernel SHAP (Lundberg & Lee 2017, arXiv 1705.07874) over patches, or super-patches of several.

    ``cells`` says into how many rows and columns the grid is cut (7 or the grid, if that is smaller; 4 is 4 x 4, (2, 5)
    is ten parts); a part's value is spread evenly over its cells, so that a map adds up to the score less that of the
    ``blank``, exactly. Where 2^parts is at most ``samples`` the values are exact, by enumeration. Else coalitions
    are drawn in pairs with their complements (Covert & Lee 2021, arXiv 2012.01536), the small and large ones all
    taken, and ``sampling_error`` is the standard error of a part (root of the mean square; by a grouped jackknife).
    """
    h, w = grid_of(model)
    parts = _parts(h, w, cells)  # [h, w], the number of each cell's part
    n = int(parts.max()) + 1
    whole("seed", seed, 0), whole("samples", samples, 2)
    exact = n < 63 and 2**n <= samples
    if not exact and samples < 2 * n + 2:
        raise InputError(
            f"samples={samples} is too few for {n} parts: take at least {2 * n + 2}, or fewer parts, such as cells=3."
        )
    plan = _all(n) if exact else _drawn(n, samples, np.random.default_rng(seed))
    bits = torch.from_numpy(plan.bits).to(look.pixels)  # [M, n], first the empty one, last the full one
    instead = blank_pixels(model, look.pixels, blank)
    area = torch.bincount(parts.flatten(), minlength=n).double()
    maps, base, errors, worst, missing = [], [], [], [], []
    for tile, empty, unit in zip(look.pixels, instead, look.unit, strict=True):
        masks = of_cells(bits[:, parts], tile.shape[-1])
        found = masked_scores(model, tile, empty, masks, len(bits), target, batch_size).cpu().double()  # [M, P]
        values, error = (_exact if exact else _fitted)(plan, found.numpy())  # [n, P] both
        spread = torch.from_numpy(values) / area[:, None]
        moved = ~unmoved(found, found[-1], target, unit[None])
        maps.append(spread[parts].permute(2, 0, 1) * moved[:, None, None])  # [P, h, w]
        base.append(found[0])
        missing.append(maps[-1].sum(dim=(1, 2)) - (found[-1] - found[0]))
        errors.append(torch.from_numpy(np.sqrt(np.square(error).mean(axis=0))))
        worst.append(torch.from_numpy(error.max(axis=0)))
    columns = [plain(torch.stack(rows)) for rows in (base, missing, errors, worst)]
    if not exact and plan.group.max() < 1:  # one group alone tells no error
        columns[2:] = [[None] * len(target)] * 2
    said = [
        {
            "baseline": blank, "baseline_score": b, "completeness_error": m, "sampling_error": e,
            "sampling_error_max": x, "parts": n, "exact": exact, "samples": len(bits), "seed": seed,
        }
        for b, m, e, x in zip(*columns, strict=True)
    ]  # fmt: skip
    return Found(torch.stack(maps), said)


def _parts(h: int, w: int, cells: int | Sequence[int] | None) -> Tensor:
    """[h, w]: which part each cell is in, row by row; parts are as equal as whole cells allow."""
    if cells is None:
        rows, columns = min(h, 7), min(w, 7)
    else:
        pair = (cells, cells) if isinstance(cells, int) else tuple(cells) if isinstance(cells, (list, tuple)) else ()
        if len(pair) != 2:
            raise InputError(f"cells={cells!r} is no number of parts: pass 4 for 4 x 4, or rows and columns as (2, 5).")
        rows, columns = whole("cells", pair[0], 1, h), whole("cells", pair[1], 1, w)
    down, across = torch.arange(h) * rows // h, torch.arange(w) * columns // w
    return down[:, None] * columns + across


class _Plan:
    """Coalitions ``bits`` [M, n] with their weights [M]; ``group`` [M] is -1 for those that were not drawn.

    The first is empty and the last is full; their weight is 0, for the values are bound to them.
    """

    def __init__(self, bits: np.ndarray, weights: np.ndarray, group: np.ndarray):
        n = bits.shape[1]
        self.bits = np.concatenate([np.zeros((1, n), bool), bits, np.ones((1, n), bool)])
        self.weights = np.concatenate([[0.0], weights, [0.0]])
        self.group = np.concatenate([[-1], group, [-1]])


def _all(n: int) -> _Plan:
    """Every coalition of ``n`` parts."""
    bits = (np.arange(1, 2**n - 1)[:, None] >> np.arange(n) & 1).astype(bool)
    return _Plan(bits, np.zeros(len(bits)), np.full(len(bits), -1))


def _exact(plan: _Plan, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The Shapley values [n, P] from the scores [2^n, P] of all coalitions, and an error of nothing."""
    n = plan.bits.shape[1]
    size = plan.bits.sum(axis=1)[:, None]  # [M, 1]
    # A part's gain over a coalition of s others counts s! (n - s - 1)! / n! = 1 / (n C(n - 1, s)).
    weight = np.array([1 / (n * math.comb(n - 1, s)) for s in range(n)])
    signed = np.where(plan.bits, weight[np.maximum(size - 1, 0)], -weight[np.minimum(size, n - 1)])  # [M, n]
    values = signed.T @ found
    return values, np.zeros_like(values)


def _drawn(n: int, samples: int, rng: np.random.Generator) -> _Plan:
    """The smallest and largest coalitions in full, while they are fewer than would be drawn; the rest at random.

    A size s has the weight 1 / (s (n - s)), shared by its coalitions. Drawn sizes are evenly spread (one random start)
    and every coalition comes with its complement, which cancels what is odd in the score.
    """
    sizes = list(range(1, n // 2 + 1))  # each with n - s
    mass = {s: (1 if 2 * s == n else 2) / (s * (n - s)) for s in sizes}
    left = samples - 2
    bits: list[np.ndarray] = []
    weights: list[np.ndarray] = []
    for s in list(sizes):
        number = math.comb(n, s) * (1 if 2 * s == n else 2)
        if s > 1 and left * mass[s] / sum(mass[t] for t in sizes) < number:
            break
        chosen = np.zeros((math.comb(n, s), n), bool)
        for row, members in zip(chosen, combinations(range(n), s), strict=True):
            row[list(members)] = True
        bits += [chosen] if 2 * s == n else [chosen, ~chosen]
        weights.append(np.full(number, mass[s] / number))
        left -= number
        sizes.remove(s)
    whole_ones, pairs = sum(map(len, bits)), left // 2
    if sizes and pairs:
        shares = np.cumsum([mass[s] for s in sizes])
        at = (np.arange(pairs) + rng.random()) / pairs * shares[-1]
        size = np.array(sizes)[np.minimum(np.searchsorted(shares, at), len(sizes) - 1)]
        rank = rng.random((pairs, n)).argsort(axis=1).argsort(axis=1)
        drawn = rank < size[:, None]
        bits += [drawn, ~drawn]
        weights.append(np.full(2 * pairs, shares[-1] / (2 * pairs)))
    # Neighbours have the same size, so that each group has its part of every size.
    groups = [np.arange(pairs) % GROUPS] * 2 if sizes else []
    group = np.concatenate([np.full(whole_ones, -1), *groups])
    return _Plan(np.concatenate(bits), np.concatenate(weights), group)


def _fitted(plan: _Plan, found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Weighted least squares, bound to add up to the last score minus the first; and its standard error, [n, P]."""
    gain, total = found - found[0], found[-1] - found[0]  # [M, P], [P]

    def sums(chosen: np.ndarray) -> tuple[np.ndarray, np.ndarray, float]:
        z, weight = plan.bits[chosen].astype(float), plan.weights[chosen, None]
        return z.T @ (weight * z), z.T @ (weight * gain[chosen]), float(weight.sum())

    fixed = sums(plan.group == -1)
    groups = [sums(plan.group == g) for g in range(plan.group.max() + 1)]
    drawn = sum(weight for _, _, weight in groups)

    def solved(used: list[tuple[np.ndarray, np.ndarray, float]]) -> np.ndarray:
        # What is left of the drawn ones stands for all of them.
        factor = drawn / sum(weight for _, _, weight in used) if used else 0.0
        a = fixed[0] + factor * sum((part[0] for part in used), np.zeros_like(fixed[0]))
        b = fixed[1] + factor * sum((part[1] for part in used), np.zeros_like(fixed[1]))
        free = np.linalg.solve(a, np.column_stack([b, np.ones(len(a))]))  # [n, P + 1]
        values, one = free[:, :-1], free[:, -1:]
        return values + one * ((total - values.sum(axis=0)) / one.sum())

    if len(groups) < 2:
        return solved(groups), np.full((plan.bits.shape[1], found.shape[1]), np.nan)
    left_out = np.stack([solved(groups[:g] + groups[g + 1 :]) for g in range(len(groups))])  # [G, n, P]
    spread = np.square(left_out - left_out.mean(axis=0)).sum(axis=0)
    return solved(groups), np.sqrt((len(groups) - 1) / len(groups) * spread)


register_explainer(
    "shap_patches",
    _shap_patches,
    family="perturbation",
    paper="Lundberg & Lee 2017, A unified approach to interpreting model predictions (arXiv 1705.07874)",
    needs="vectors",
    additive=True,
    passes="1 forward a coalition (1,024), all texts together",
)
