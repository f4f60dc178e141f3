"""From a figure to its pictures to their heatmaps: why were these given that label, and was it the face?"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ClipvizWarning, DataError, InputError, nearest
from ..files import suffix_of, write

if TYPE_CHECKING:
    import pandas as pd
    from numpy.typing import NDArray

    from ..explanation import Heatmap, Heatmaps
    from ..model import Model
    from ..plots import Canvas
    from ..sources import Source
    from ..text import Prompt

SUFFIXES = (".csv", ".html", ".png", ".npz")
CENTRAL = (1 / 6, 1 / 6, 5 / 6, 5 / 6)  # FairFace's crops have a margin of a quarter of the face on each side
DRAWS = 4
FIXED = (
    "No column of the face's box was named (box=), so that a fixed one was taken: the central two thirds of each side, "
    "where FairFace's crops have the face that was detected."
)
READING = (
    "Heat is the positive part of the map. A map that knows nothing has the box's area on the box, and one that only "
    "favours the middle has the centre prior's share: what is above both is the model's."
)
BLUR = (
    "A blur takes so much off the margin of the label over the others. Face, background and random blocks are blurred "
    "over the same area: as much as the smaller of face and background has."
)


@dataclass(frozen=True, eq=False)
class DecisionMaps:
    """Heatmaps of decisions, how much of the heat is on the face, and what blurring face or background changes.

    ``heatmaps`` has a row a picture and one column, the label that the picture was given against the others of its
    wording. ``table`` has a row a picture: id, decision, on_box (share of the positive heat), area (of the box), centre
    (the share that a bell over the middle has on it), and what each blur did. ``summary`` has a row a question:
    measure, value, ci_low, ci_high, n; paired over the pictures. ``notes`` say what the box is and how to read it.
    """

    heatmaps: Heatmaps
    table: pd.DataFrame
    summary: pd.DataFrame
    notes: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = field(default=())

    def to_pandas(self) -> pd.DataFrame:
        return self.table

    def plot(self, **options: Any) -> Canvas:
        """The pictures with their heatmaps, as `Heatmaps.plot` draws them; nothing is shown by itself."""
        titles = [f"{given} ({name})" for name, given in zip(self.table["id"], self.table["decision"], strict=True)]
        return self.heatmaps.plot(titles=titles, **options)

    def save(self, path: str | Path) -> Path:
        """Write the rows (``.csv``), or the pictures with their maps (``.png``, ``.html``, ``.npz``), by the suffix."""
        if suffix_of(path, SUFFIXES, "A set of decisions") == ".csv":
            return write(path, self.table.to_csv(index=False))
        return self.heatmaps.save(path)

    def __repr__(self) -> str:
        found = self.summary.set_index("measure")["value"]
        return (
            f"DecisionMaps({len(self.table)} pictures, {found['heat on the face']:.0%} of the heat on the face, whose "
            f"box has {found['area of the box']:.0%} of the picture)"
        )

    def _repr_html_(self) -> str:
        """The summary alone: pictures are drawn when they are asked for, by `plot`."""
        from html import escape

        notes = "".join(f"<p>{escape(note)}</p>" for note in self.notes)
        return f"{self.summary.to_html(index=False, float_format='{:.3f}'.format)}{notes}"


def explain_decisions(
    source: Source,
    model: Model,
    decisions: Sequence[tuple[str, int]],
    prompts: Sequence[Prompt],
    *,
    names: Sequence[str] | None = None,
    method: str | None = None,
    box: str | None = None,
    blur: bool = True,
    draws: int = DRAWS,
    seed: int = 0,
    progress: bool = False,
) -> DecisionMaps:
    """Why was each picture given its label? ``decisions`` are (id, place of the label in ``prompts``).

    Each picture's heatmap is of its label's margin over the mean of the others, by ``method`` (None: the one that was
    measured best). ``box`` names the column of the face's box, [x0, y0, x1, y1] in pixels of the picture, as a list or
    as text; without one the central two thirds of each side are taken. With ``blur`` face, background and random
    blocks are blurred over equal areas, ``draws`` times by ``seed``. Raises InputError and DataError.
    """
    import pandas as pd
    from tqdm.auto import tqdm

    from ..explanation import Heatmaps
    from ..explanation.origin import Origin
    from ..explanation.question import Question
    from .blurring import effects

    if not decisions:
        raise InputError("No picture fits what was asked for: leave group= or label= out, or name another.")
    if len(prompts) < 2:
        raise InputError("One label alone is against nothing: explain decisions among two labels or more.")
    names = list(names or [prompt.text for prompt in prompts])
    vectors = model.encode_prompts(list(prompts))
    questions = {
        label: Question(model, [prompts[label]], method, against=[p for i, p in enumerate(prompts) if i != label])
        for label in sorted({label for _, label in decisions})
    }
    rows: list[dict[str, Any]] = []
    maps: list[tuple[Heatmap, ...]] = []
    failed: list[tuple[str, str]] = []
    for key, label in tqdm(decisions, unit="picture", disable=not progress):
        try:
            item = source[key]
            look = model.look(item.image, "crop" if model.view == "tiles" else None)
            place = box_of(item.metadata, box, item.image.size)
        except (DataError, InputError) as error:
            failed.append((key, str(error)))
            continue
        (heatmap,) = questions[label].row(look, Origin.of(key, look.picture, source))
        rng = np.random.default_rng([seed, *key.encode()])
        changed = effects(look, place, vectors, label, rng, draws) if blur else {}
        maps.append((heatmap,))
        rows.append({"id": key, "decision": names[label], **heat_on(heatmap, place), **changed})
    if not rows:
        raise DataError(
            f"None of the {len(failed)} pictures could be explained, the first {failed[0][0]!r}: {failed[0][1]}"
        )
    table = pd.DataFrame(rows)
    said = [] if box else [FIXED]
    said += [READING, *([BLUR] if blur else [])]
    said += dict.fromkeys(note for asked in questions.values() for of_prompt in asked.notes for note in of_prompt)
    if failed:
        warnings.warn(f"{len(failed)} pictures were not explained; see .failed.", ClipvizWarning, stacklevel=2)
    heatmaps = Heatmaps(tuple(maps), ("the label given",), tuple(table["id"]), tuple(failed))
    return DecisionMaps(heatmaps, table, summary_of(table, seed), tuple(said), tuple(failed))


def box_of(metadata: dict[str, Any], column: str | None, size: tuple[int, int]) -> tuple[float, ...]:
    """The face's box in pixels: of the column, or the fixed central one where none is named.

    Raises InputError where the column is not there or holds no box that is in the picture.
    """
    if column is None:
        return tuple(share * side for share, side in zip(CENTRAL, (*size, *size), strict=True))
    if column not in metadata:
        raise InputError(f"There is no column {column!r} with the face's box. {nearest(column, metadata)}")
    given = metadata[column]
    try:
        box = np.asarray(json.loads(given) if isinstance(given, str) else given, np.float64)
        good = box.shape == (4,) and np.isfinite(box).all() and (box[:2] < box[2:]).all()
    except (TypeError, ValueError):
        good = False
    if not good:
        raise InputError(
            f"The {column!r} is {str(given)[:60]!r}, and no box [x0, y0, x1, y1] in pixels, x1 > x0, y1 > y0."
        )
    return tuple(box.tolist())


def heat_on(heatmap: Heatmap, box: Sequence[float]) -> dict[str, float]:
    """Of one map: the share of its positive part on a box, the box's area, and the share of a bell over the middle.

    A map without anything positive, and one that is the same everywhere, has no share: NaN.
    """
    from ..explanation.metrics import centre_map, mass_inside

    rows, columns = heatmap.values.shape
    centre = mass_inside(centre_map((rows, columns)), box, frame=heatmap.frame)
    own = mass_inside(heatmap.values, box, frame=heatmap.frame)
    return {"on_box": np.nan if own.constant else own.inside, "area": own.area, "centre": centre.inside}


def summary_of(table: pd.DataFrame, seed: int = 0) -> pd.DataFrame:
    """What the pictures show together, each a mean, or a mean difference within pictures, with a 95 % interval."""
    import pandas as pd

    asked: list[tuple[str, str, str]] = [
        ("heat on the face", "on_box", ""),
        ("area of the box", "area", ""),
        ("centre prior on the face", "centre", ""),
        ("heat on the face minus the area", "on_box", "area"),
        ("heat on the face minus the centre prior", "on_box", "centre"),
        ("blur of the background", "blur: background", ""),
        ("blur of the face", "blur: face", ""),
        ("blur of random blocks", "blur: random", ""),
        ("blur of all of the background", "blur: all of the background", ""),
        ("background minus face", "blur: background", "blur: face"),
        ("background minus random blocks", "blur: background", "blur: random"),
        ("decisions kept, background blurred", "kept: background", ""),
        ("decisions kept, face blurred", "kept: face", ""),
        ("decisions kept, random blocks blurred", "kept: random", ""),
        ("decisions kept, all of the background blurred", "kept: all of the background", ""),
    ]
    rows = []
    for measure, one, other in asked:
        if one in table and (not other or other in table):
            values = table[one] - table[other] if other else table[one]
            rows.append({"measure": measure, **_mean(values.to_numpy(np.float64), seed)})
    return pd.DataFrame(rows, columns=["measure", "value", "ci_low", "ci_high", "n"])


def _mean(values: NDArray[np.float64], seed: int) -> dict[str, float]:
    """The mean of what is known, with limits from resampled pictures; of fewer than two pictures there are none."""
    from ..stats import paired_bootstrap

    known = values[np.isfinite(values)]
    if len(known) < 2:
        return {
            "value": float(known.mean()) if len(known) else np.nan,
            "ci_low": np.nan,
            "ci_high": np.nan,
            "n": len(known),
        }
    found = paired_bootstrap(known, resamples=2000, seed=seed)
    return {"value": float(found.estimate), "ci_low": float(found.low), "ci_high": float(found.high), "n": found.n}
