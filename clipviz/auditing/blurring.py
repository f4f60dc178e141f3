"""What a decision hangs on: parts of the picture blurred, and the same question asked again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

from ..explanation.metrics.hiding import blank_of

if TYPE_CHECKING:
    from ..frame import Frame
    from ..model import Look

CELLS = 14  # blocks on a side: fine enough for a face's box, coarse enough that a block hides what is in it
REGIONS = ("background", "face", "random")
WHOLE = "all of the background"
Mask = NDArray[np.bool_]


def cells_of(box: Any, frame: Frame, cells: int = CELLS) -> Mask:
    """Which of cells x cells blocks of what the model saw lie in a box (x0, y0, x1, y1) of the picture: [cells, cells].

    A block lies where its centre lies.
    """
    left, top, right, bottom = frame.window
    x0, y0, x1, y1 = frame.to_canvas(np.asarray(box, np.float64)).tolist()
    across = left + (np.arange(cells) + 0.5) * (right - left) / cells
    down = top + (np.arange(cells) + 0.5) * (bottom - top) / cells
    return np.asarray(((down >= y0) & (down < y1))[:, None] & ((across >= x0) & (across < x1))[None, :])


def regions(face: Mask, rng: np.random.Generator, draws: int) -> dict[str, Mask]:
    """Blocks to blur, name -> [draws, cells, cells]: as many of the background as of the face as of anywhere.

    As many as the smaller of face and background has: it is then blurred whole, and of the other, and of the picture,
    so many blocks are drawn by chance, ``draws`` times. ``WHOLE`` [1, ...] is the background to its last block.
    """
    inside = face.ravel()
    size = int(min(inside.sum(), (~inside).sum()))
    found = {}
    for name, may in zip(REGIONS, (~inside, inside, np.ones_like(inside)), strict=True):
        places = np.flatnonzero(may)
        chosen = np.zeros((draws, inside.size), bool)
        for row in chosen:
            row[rng.choice(places, size, replace=False)] = True
        found[name] = chosen.reshape(draws, *face.shape)
    return {**found, WHOLE: ~face[None]}


def blurred(look: Look, masks: Mask) -> NDArray[np.float32]:
    """Unit vectors [K, E] of the picture of ``look`` (one square) with the blocks of each of K masks blurred.

    The blur is a Gaussian of a tenth of the side, which leaves colours and no shape.
    """
    pixels = look.pixels[:1]
    side, (rows, columns) = pixels.shape[-1], masks.shape[1:]
    down, across = (torch.arange(side, device=pixels.device) * n // side for n in (rows, columns))
    chosen = torch.from_numpy(masks).to(pixels.device)[:, down][:, :, across][:, None]  # [K, 1, S, S]
    model = look.model
    with torch.inference_mode(False), torch.no_grad():
        seen = torch.where(chosen, blank_of(pixels, "blur"), pixels)
        encode = model.network.visual if model.kind == "other" else model.clip.visual
        return F.normalize(encode(seen), dim=-1).float().cpu().numpy()


def effects(
    look: Look, box: Any, vectors: NDArray[np.float32], label: int, rng: np.random.Generator, draws: int
) -> dict[str, float]:
    """What blurring does to one decision: for each region the loss of margin, and how often the decision stays.

    ``vectors`` [L, E] are the labels' unit vectors and ``label`` the one that was given. The margin is its cosine less
    the mean of the others', which is what the decision's heatmap explains. Keys: "blur: REGION" (margin before minus
    after; positive: the region spoke for the label), "kept: REGION", and the "blurred area", a share of what the
    model saw. Empty where the box leaves no background or no face.
    """
    face = cells_of(box, look.frame)
    if face.all() or not face.any():
        return {}
    chosen = regions(face, rng, draws)
    names = [name for name, masks in chosen.items() for _ in masks]
    masks = np.concatenate([np.zeros((1, *face.shape), bool), *chosen.values()])
    cosines = blurred(look, masks) @ vectors.T  # [1 + K, L], the first as it is
    margin = cosines[:, label] - np.delete(cosines, label, axis=1).mean(axis=1)
    kept = cosines.argmax(axis=1) == label
    found: dict[str, float] = {}
    for name in chosen:
        rows = 1 + np.flatnonzero([one == name for one in names])
        found[f"blur: {name}"] = float(margin[0] - margin[rows].mean())
        found[f"kept: {name}"] = float(kept[rows].mean())
    found["blurred area"] = float(chosen["face"][0].mean())
    return found
