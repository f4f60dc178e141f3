"""Windows that share one pass: the class token asks the cells of a window alone, in the last block."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from PIL.Image import Image
from torch import Tensor

from ..clip.transformer import Attention, Block
from ..clip.vit import VisionTransformer
from ..errors import InputError
from ..model import Look, Model
from .asking import Asked
from .candidates import Candidates, gathered, of_crops
from .grid import over_cells
from .pyramid import MOST_TILES, cut, pyramid
from .score_maps import ScoreMaps

if TYPE_CHECKING:
    from tqdm import tqdm

SHARES = (2 / 7, 3 / 7, 4 / 7, 5 / 7)  # of a square's side
SHAPES = ((1.0, 1.0), (1.4, 0.7), (0.7, 1.4))  # width and height, times the side
PER_SQUARE = 4  # of a square's windows and of each label, that are worth keeping


def window_cells(
    h: int, w: int, shares: Sequence[float] = SHARES, shapes: Sequence[tuple[float, float]] = SHAPES
) -> NDArray[np.int64]:
    """Windows of several sizes and shapes on a grid of h x w cells, half a window apart: [n, 4] in cells.

    Raises InputError for shares outside 0 to 1.
    """
    sides = list(shares) if isinstance(shares, Sequence) else [shares]
    if not sides or not all(isinstance(share, int | float) and 0 < share <= 1 for share in sides):
        raise InputError(f"shares={shares!r} of a side lie between 0 and 1: pass some such as 0.5.")
    found = {(0, 0, w, h)}
    for share in sides:
        for across, down in shapes:
            wide, high = (min(n, max(1, round(share * by * n))) for n, by in ((w, across), (h, down)))
            for y in _starts(h, high):
                for x in _starts(w, wide):
                    found.add((x, y, x + wide, y + high))
    return np.array(sorted(found), dtype=np.int64)


def _starts(length: int, side: int) -> list[int]:
    steps = -(-(length - side) // max(1, side // 2))
    return [round(i * (length - side) / steps) for i in range(steps + 1)] if steps else [0]


def window_units(model: Model, look: Look, cells: NDArray[np.int64]) -> Tensor:
    """The unit vectors [N, n, E] of windows [n, 4] (in cells) of a Look's N squares, from its one pass.

    In the last block the class token attends to itself and to the cells of the window: of the whole square this is the
    network itself, of a part nearly, for what the earlier blocks mixed in from outside stays. The sums of the
    softmax's numerator and denominator over every rectangle come from integral images, so that a thousand windows cost
    little more than one. ViT only. After Zhou et al. 2022, arXiv 2112.01071, where every cell stands alone.
    """
    visual = cast(VisionTransformer, model.clip.visual)
    blocks = cast("list[Block]", list(visual.transformer.resblocks))
    before = f"block.{len(blocks) - 2}" if len(blocks) > 1 else "embed"
    block, (h, w) = blocks[-1], model.grid
    with torch.inference_mode(False), torch.no_grad():
        x = look.trace([before])[before]  # [N, 1 + h*w, D]
        weight, value = _asked(block.attn, block.ln_1(x))  # [N, H, 1 + h*w], [N, H, 1 + h*w, d]
        parts = torch.cat([weight[..., None] * value, weight[..., None]], dim=-1)  # [N, H, 1 + h*w, d + 1]
        table = parts[:, :, 1:].double().unflatten(2, (h, w)).cumsum(2).cumsum(3)
        table = F.pad(table, (0, 0, 1, 0, 1, 0))  # [N, H, h + 1, w + 1, d + 1]
        x0, y0, x1, y1 = torch.from_numpy(cells).to(x.device).T
        sums = table[:, :, y1, x1] - table[:, :, y0, x1] - table[:, :, y1, x0] + table[:, :, y0, x0]
        sums = sums + parts[:, :, :1]  # the class token itself
        heads = (sums[..., :-1] / sums[..., -1:]).to(x.dtype)  # [N, H, n, d]
        y = x[:, :1] + block.attn.out_proj(heads.transpose(1, 2).flatten(2))  # [N, n, D]
        y = y + block.mlp(block.ln_2(y))
        return F.normalize(visual.ln_post(y) @ visual.proj, dim=-1)


def _asked(attention: Attention, x: Tensor) -> tuple[Tensor, Tensor]:
    """How much the class token asks of each token, before any division, and the tokens' values."""
    d = x.shape[-1]
    weight, bias = attention.in_proj_weight, attention.in_proj_bias
    q = F.linear(x[:, :1], weight[:d], bias[:d])
    k, v = F.linear(x, weight[d:], bias[d:]).chunk(2, dim=-1)
    q, k, v = (t.unflatten(-1, (attention.heads, -1)).transpose(1, 2) for t in (q, k, v))
    logits = (q @ k.mT)[:, :, 0] * q.shape[-1] ** -0.5  # [N, H, 1 + h*w]
    return (logits - logits.amax(dim=-1, keepdim=True)).exp(), v


def by_windows(
    asked: Asked, picture: Image, *, shares: Sequence[float] = SHARES, smallest: float | None = None,
    most: int = MOST_TILES, bar: tqdm[Any] | None = None,
) -> tuple[Candidates, ScoreMaps, tuple[str, ...]]:  # fmt: skip
    """The best windows of every square of a picture's sizes, the finest size's mean margin over each cell, and notes.

    Of a network that is no ViT the windows are crops.
    """
    model = asked.model
    grid = model.grid if model.kind != "other" else (7, 7)
    cell = model.image_size // model.grid[0] if model.kind != "other" else model.image_size
    side = max(1.0, min(picture.size) / 8) if smallest is None else smallest
    plan = pyramid(picture.size, model.image_size, cell, smallest=side, most=most)
    cells = window_cells(*grid, shares)
    rows, dense = [], []
    if bar is not None:
        bar.reset(total=plan.tiles)
    for number, frame in enumerate(plan.frames):
        step = frame.size / grid[0]
        for places, pixels in cut(picture, frame, model, at_once=16, bar=bar):
            tiles = frame.tiles[places]
            boxes = [frame.to_original(cells * step + np.array([*at, *at]), clip=True) for at in tiles]
            if model.kind == "vit":
                with torch.inference_mode(False):
                    look = Look(model, torch.from_numpy(pixels).to(model.device), picture, frame)
                margins = [asked.margins(units) for units in window_units(model, look, cells)]
            else:
                margins = [of_crops(asked, picture, some) for some in boxes]
            if frame is plan.frames[-1]:
                dense += [over_cells(cells, margin, grid) for margin in margins]
            for some, margin in zip(boxes, margins, strict=True):
                for j in range(margin.shape[1]):
                    best = np.argsort(-margin[:, j], kind="stable")[:PER_SQUARE]
                    rows += [(some[i], j, float(margin[i, j]), f"window of level {number}") for i in best]
    finest = plan.frames[-1]
    stitched = [finest.stitch(maps) for maps in np.stack(dense, axis=1)]
    return gathered(rows), ScoreMaps(np.stack(stitched), finest), plan.notes
