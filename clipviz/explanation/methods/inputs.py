"""The family of gradients, at the pixels: integrated gradients, SmoothGrad, input x gradient."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ...errors import InputError, nearest
from ...model import Look, Model
from ..registry import Found, register_explainer
from ..target import Target
from .masking import cell_of_pixel, plain, scores, whole

BLANKS = ("mean", "black", "blur")
RULES = ("gauss", "midpoint")
FORMS = ("absolute", "signed", "input")


def _input_x_gradient(model: Model, look: Look, target: Target, *, pixels: bool = False) -> Tensor:
    """Input x gradient (Shrikumar et al. 2016, arXiv 1605.01713): x d score / d x, summed over a cell's pixels.

    x is what the network is given: pixels less their mean colour, in units of their standard deviation.
    """
    maps = []
    for x in look.pixels:  # [3, S, S]
        gradient = path_gradient(model, partial(_between, x, x, [1.0]), [1.0], target, 1)  # [P, 3, S, S]
        maps.append((x * gradient).sum(dim=1))
    return _on_grid(torch.stack(maps), model, pixels)


def _integrated_gradients(
    model: Model,
    look: Look,
    target: Target,
    *,
    blank: str = "mean",
    steps: int = 64,
    rule: str = "gauss",
    pixels: bool = False,
    batch_size: int = 8,
) -> Found:
    """Integrated gradients (Sundararajan et al. 2017, arXiv 1703.01365): the gradient on the way from a blank.

    (x - x0) times the mean gradient between them adds up to score(x) - score(x0), less the ``completeness_error`` of
    ``steps`` points, placed by Gauss and Legendre or at midpoints. ``blank`` x0 is the mean colour, "black", or the
    picture's own "blur". With ``pixels`` the map is [S, S], else a cell is the sum over its pixels.
    """
    nodes, weights = _quadrature(rule, steps)
    blanks = blank_pixels(model, look.pixels, blank)  # [N, 3, S, S]
    maps = []
    for x, x0 in zip(look.pixels, blanks, strict=True):
        gradient = path_gradient(model, partial(_between, x0, x, nodes), weights, target, batch_size)  # [P, 3, S, S]
        maps.append(((x - x0) * gradient).sum(dim=1))
    raw = torch.stack(maps)  # [N, P, S, S]
    start = scores(model, blanks, target)  # [N, P]
    error = raw.sum(dim=(-2, -1)) - (target(look.unit) - start)  # [N, P]
    told = [
        {"baseline": blank, "baseline_score": b, "completeness_error": e, "steps": steps, "rule": rule}
        for b, e in zip(plain(start), plain(error.abs()), strict=True)
    ]
    return Found(_on_grid(raw, model, pixels), told)


def _smooth_grad(
    model: Model,
    look: Look,
    target: Target,
    *,
    samples: int = 32,
    noise: float = 0.15,
    form: str = "absolute",
    seed: int = 0,
    pixels: bool = False,
    batch_size: int = 8,
) -> Found:
    """SmoothGrad (Smilkov et al. 2017, arXiv 1706.03825): the mean gradient over ``samples`` noisy copies.

    ``noise`` is the standard deviation as a share of the picture's range. ``form`` says what becomes of the mean
    gradient M of a pixel: "absolute" is the paper's |M|, how much the score depends on the pixel, in either direction;
    "signed" is M itself and "input" x M, both with signs. Each is summed over the channels and a cell's pixels.
    """
    if form not in FORMS:
        raise InputError(f"form={form!r} is not known; it is one of {', '.join(FORMS)}. {nearest(str(form), FORMS)}")
    whole("samples", samples, 1)
    whole("seed", seed, 0)
    if isinstance(noise, bool) or not isinstance(noise, int | float) or not 0 <= noise < float("inf"):
        raise InputError(f"noise={noise!r} is a share of the picture's range: pass a number from 0 on, such as 0.15.")
    maps = []
    for x in look.pixels:
        generator = torch.Generator().manual_seed(seed)  # on the host: the same noise on every device
        noisy = partial(_noisy, x, noise * (x.max() - x.min()), generator)
        gradient = path_gradient(model, noisy, [1 / samples] * samples, target, batch_size)  # [P, 3, S, S]
        maps.append((gradient.abs() if form == "absolute" else gradient if form == "signed" else x * gradient).sum(1))
    told = [{"form": form, "samples": samples, "seed": seed}] * len(target)
    return Found(_on_grid(torch.stack(maps), model, pixels), told)


def _between(start: Tensor, end: Tensor, places: list[float], rows: slice) -> Tensor:
    """Pictures [k, 3, S, S] on the straight way between two [3, S, S]."""
    way = torch.as_tensor(places[rows], dtype=end.dtype, device=end.device)[:, None, None, None]
    return start + way * (end - start)


def _noisy(x: Tensor, spread: Tensor, generator: torch.Generator, rows: slice) -> Tensor:
    drawn = torch.randn(rows.stop - rows.start, *x.shape, generator=generator)  # in float32, whatever x is
    return x + spread * drawn.to(x)


def path_gradient(
    model: Model,
    points: Callable[[slice], Tensor],
    weights: list[float],
    target: Target,
    batch_size: int,
) -> Tensor:
    """sum over k of ``weights[k]`` d score / d pixels at point k: [P, 3, S, S], never more than a batch at a time.

    ``points(rows)`` makes the pixels [k, 3, S, S] of these rows; it is asked once for each, in order.
    """
    total: list[Tensor] = []
    for rows in _slices(len(weights), whole("batch_size", batch_size, 1)):
        with torch.inference_mode(False), torch.enable_grad():
            x = points(rows).detach().requires_grad_()
            found = target(F.normalize(model.clip.visual(x), dim=-1))  # [k, P]
            # Points do not mix on the way: the weighted sum has each one's own gradient.
            sums = torch.as_tensor(weights[rows], dtype=found.dtype, device=found.device) @ found  # [P]
            for j, score in enumerate(sums):
                gradient = torch.autograd.grad(score, x, retain_graph=j + 1 < len(sums))[0].sum(dim=0)
                if rows.start == 0:
                    total.append(gradient)
                else:
                    total[j] += gradient
    return torch.stack(total)


def blank_pixels(model: Model, pixels: Tensor, blank: str) -> Tensor:
    """Pictures that show nothing, as the network is given them: like ``pixels`` [N, 3, S, S].

    "mean" is the colour that the model's preprocessing takes off, so zeros; "black"; and "blur" is each picture under a
    Gaussian of a tenth of its side, which keeps the colours of its regions. Raises InputError for another word.
    """
    if blank == "mean":
        return torch.zeros_like(pixels)
    if blank == "black":
        mean, std = (pixels.new_tensor(v)[None, :, None, None] for v in (model.mean, model.std))
        return (-mean / std).expand_as(pixels)
    if blank == "blur":
        size = pixels.shape[-1]
        places = torch.arange(size, dtype=pixels.dtype, device=pixels.device)
        kernel = torch.exp(-((places[:, None] - places) ** 2) / (2 * (0.1 * size) ** 2))
        kernel = kernel / kernel.sum(dim=1, keepdim=True)  # at the border only what is there counts
        return torch.einsum("ij,ncjk,lk->ncil", kernel, pixels, kernel)
    raise InputError(f"blank={blank!r} is not known; it is one of {', '.join(BLANKS)}. {nearest(str(blank), BLANKS)}")


def _on_grid(maps: Tensor, model: Model, pixels: bool) -> Tensor:
    """[N, P, S, S] -> [N, P, h, w], the sum over each cell's pixels; as it is with ``pixels``."""
    if pixels:
        return maps
    size, cells = maps.shape[-1], model.grid[0]
    gather = F.one_hot(cell_of_pixel(size, cells, maps.device), cells).to(maps.dtype)  # [S, h]
    return torch.einsum("npyx,yh,xw->nphw", maps, gather, gather)


def _quadrature(rule: str, steps: int) -> tuple[list[float], list[float]]:
    """Places in 0..1 and weights that add up to 1."""
    whole("steps", steps, 1)
    if rule == "gauss":
        nodes, weights = np.polynomial.legendre.leggauss(steps)
        return ((nodes + 1) / 2).tolist(), (weights / 2).tolist()
    if rule == "midpoint":
        return [(k + 0.5) / steps for k in range(steps)], [1 / steps] * steps
    raise InputError(f"rule={rule!r} is not known; it is one of {', '.join(RULES)}. {nearest(str(rule), RULES)}")


def _slices(count: int, size: int) -> Iterator[slice]:
    for start in range(0, count, size):
        yield slice(start, min(start + size, count))


register_explainer(
    "input_x_gradient",
    _input_x_gradient,
    family="gradients",
    paper="Shrikumar et al. 2016, Not just a black box (arXiv 1605.01713)",
    passes="1 forward, 1 backward a text",
)
register_explainer(
    "integrated_gradients",
    _integrated_gradients,
    family="gradients",
    paper="Sundararajan et al. 2017, Axiomatic attribution for deep networks (arXiv 1703.01365)",
    additive=True,
    passes="64 forward (steps), each with 1 backward a text",
)
register_explainer(
    "smoothgrad",
    _smooth_grad,
    family="gradients",
    paper="Smilkov et al. 2017, SmoothGrad (arXiv 1706.03825)",
    signed=False,
    passes="32 forward (samples), each with 1 backward a text",
)
