"""`Heatmaps`: pictures x texts, as `explain` gives them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..errors import InputError
from ..files import suffix_of, write
from .heatmap import Heatmap

if TYPE_CHECKING:
    import pandas as pd

    from ..plots import Canvas

SUFFIXES = (".png", ".html", ".csv")


@dataclass(frozen=True, eq=False)
class Heatmaps:
    """Heatmaps of images (rows) and prompts (columns): ``heatmaps[i, j]`` is a `Heatmap`, ``heatmaps[i]`` a row.

    ``ids`` names the rows: the place in the list that was given, or the id in a `Source`. ``failed`` lists
    (id, reason) of images that could not be opened; they have no row. ``against`` are the texts that the
    scores and maps are a difference to.
    """

    rows: tuple[tuple[Heatmap, ...], ...]
    prompts: tuple[str, ...]
    ids: tuple[int | str, ...]
    failed: tuple[tuple[int | str, str], ...] = field(default=())
    against: tuple[str, ...] = ()

    @property
    def values(self) -> np.ndarray:
        """[images, prompts, h, w] float32. Raises InputError where pictures seen in tiles differ in shape."""
        shapes = {heatmap.values.shape for row in self.rows for heatmap in row}
        if len(shapes) > 1:
            raise InputError(
                f"The maps differ in shape ({sorted(shapes)}), as tiles do: take heatmaps[i, j].values one by one."
            )
        if not self.rows:
            return np.zeros((0, len(self.prompts), 0, 0), np.float32)
        return np.stack([np.stack([heatmap.values for heatmap in row]) for row in self.rows])

    @property
    def _contrast(self) -> str:
        return f" against {', '.join(self.against)}" if self.against else ""

    @property
    def scores(self) -> np.ndarray:
        """[images, prompts] float32."""
        return np.array([[h.score for h in row] for row in self.rows], np.float32).reshape(-1, len(self.prompts))

    @overload
    def __getitem__(self, index: tuple[int, int]) -> Heatmap: ...
    @overload
    def __getitem__(self, index: int) -> tuple[Heatmap, ...]: ...
    def __getitem__(self, index: int | tuple[int, int]) -> Heatmap | tuple[Heatmap, ...]:
        if isinstance(index, tuple):
            i, j = index
            return self.rows[i][j]
        return self.rows[index]

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[tuple[Heatmap, ...]]:
        return iter(self.rows)

    def to_pandas(self) -> pd.DataFrame:
        """Long form: image, prompt, method, score, row, column, box in original pixels, value."""
        import pandas as pd

        tables = [
            heatmap.to_pandas().assign(image=i, score=heatmap.score)
            for i, row in zip(self.ids, self.rows, strict=True)
            for heatmap in row
        ]
        columns = [
            "image",
            "prompt",
            "against",
            "templates",
            "method",
            "score",
            "row",
            "column",
            "x0",
            "y0",
            "x1",
            "y1",
            "value",
        ]
        return pd.concat(tables, ignore_index=True)[columns] if tables else pd.DataFrame(columns=columns)

    def plot(self, *, alpha: float = 0.6, titles: Sequence[str] | None = None) -> Canvas:
        """A grid, pictures down and prompts across; each picture on one scale of its own, with the scores."""
        from .. import plots

        cells = [
            [{"picture": h.picture, "values": h.on_image(), "title": f"{h.score:+.3f}"} for h in row]
            for row in self.rows
        ]
        return plots.grid(
            cells,
            columns=[f"{p}{self._contrast}" for p in self.prompts],
            rows=list(titles) if titles else None,
            scale="row",
            alpha=alpha,
        )

    def save(self, path: str | Path) -> Path:
        """Write the grid (``.png``), a page (``.html``) or the numbers (``.csv``), by suffix, whole or not at all."""
        suffix = suffix_of(path, SUFFIXES, "A set of heatmaps")
        if suffix == ".csv":
            return write(path, self.to_pandas().to_csv(index=False))
        if suffix == ".html":
            from .pages import heatmaps_page

            return write(path, heatmaps_page(self))
        from .. import plots

        return write(path, plots.png(self.plot()))

    def __repr__(self) -> str:
        lost = f", {len(self.failed)} failed" if self.failed else ""
        return f"Heatmaps({len(self.rows)} images x {len(self.prompts)} prompts{lost})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        from .. import plots

        bundle: dict[str, Any] = {"text/plain": repr(self)}
        if self.rows:
            bundle["image/png"] = plots.png(self.plot())
        return bundle
