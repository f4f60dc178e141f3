"""`Heatmaps`: pictures x texts, as `explain` gives them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, overload

import numpy as np

from ..errors import DataError, InputError
from ..files import replace, suffix_of, write
from .heatmap import Heatmap

if TYPE_CHECKING:
    import pandas as pd

    from ..plots import Canvas

SUFFIXES = (".png", ".npz", ".html", ".csv")
SHOWN = 24  # rows of a figure; more would be one that nobody reads, and as many open pictures
_SIDE = 700  # the longest side of a picture inside it, in pixels


class NoSuchMap(InputError, IndexError):
    """A place behind the last of a set of heatmaps."""


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
    def scores(self) -> np.ndarray:
        """[images, prompts] float32."""
        return np.array([[h.score for h in row] for row in self.rows], np.float32).reshape(-1, len(self.prompts))

    @overload
    def __getitem__(self, index: tuple[int, int]) -> Heatmap: ...
    @overload
    def __getitem__(self, index: int) -> tuple[Heatmap, ...]: ...
    def __getitem__(self, index: int | tuple[int, int]) -> Heatmap | tuple[Heatmap, ...]:
        try:
            if isinstance(index, tuple):
                i, j = index
                return self.rows[i][j]
            return self.rows[index]
        except IndexError:
            lost = f"; {len(self.failed)} pictures could not be opened, see .failed" if self.failed else ""
            raise NoSuchMap(
                f"There is no heatmap at {index!r}: there are {len(self.rows)} images and {len(self.prompts)} "
                f"prompts{lost}."
            ) from None

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

    def plot(self, *, alpha: float = 0.6, titles: Sequence[str] | None = None, shown: int = SHOWN) -> Canvas:
        """A grid, pictures down and prompts across; each picture on one scale of its own, with the scores.

        Of more than ``shown`` pictures the first are drawn, and the figure says so. ``titles`` name the rows.
        """
        from .. import plots

        if not self.rows:
            raise InputError("There is no heatmap to draw: no picture could be opened, see heatmaps.failed.")
        cells = []
        for row in self.rows[:shown]:
            picture = row[0].small_picture(_SIDE)
            # A row is drawn on one scale: about their means where each map needs it, else none is.
            offsets = [h.offset for h in row] if all(h.offset for h in row) else [0.0] * len(row)
            maps = [h.on_image(longest=_SIDE) - np.float32(o) for h, o in zip(row, offsets, strict=True)]
            said = [_under(h, offset) for h, offset in zip(row, offsets, strict=True)]
            cells.append([{"picture": picture, "values": m, "title": t} for m, t in zip(maps, said, strict=True)])
        more = f"The first {len(cells)} of {len(self)} pictures. " if len(cells) < len(self) else ""
        first = self.rows[0]
        notes = dict.fromkeys(note for row in self.rows[:shown] for h in row for note in h.notes if not h.constant)
        return plots.grid(
            cells,
            columns=[f"{prompt}{h.contrast}" for prompt, h in zip(self.prompts, first, strict=True)],
            rows=list(titles)[: len(cells)] if titles else None,
            caption=more + " ".join((f"{first[0].method}, {first[0].model}.", *notes)),
            scale="row",
            alpha=alpha,
            unit=first[0].unit,
        )

    def save(self, path: str | Path) -> Path:
        """Write the grid (``.png``), everything (``.npz``, see `load`), a page (``.html``) or the numbers (``.csv``).

        The suffix says which; an interrupted save leaves the old file whole. The pictures in an ``.npz`` are the files
        that were given, byte for byte, with what a camera wrote into them.
        """
        suffix = suffix_of(path, SUFFIXES, "A set of heatmaps")
        if suffix == ".csv":
            return write(path, self.to_pandas().to_csv(index=False))
        if suffix == ".html":
            from .pages import heatmaps_page

            return write(path, heatmaps_page(self))
        if suffix == ".npz":
            from .store import write_rows

            about = {"prompts": self.prompts, "ids": self.ids, "failed": self.failed, "against": self.against}
            return replace(path, lambda draft: write_rows(draft, self.rows, about, "heatmaps"))
        from .. import plots

        return write(path, plots.png(self.plot()))

    @classmethod
    def load(cls, path: str | Path) -> Heatmaps:
        """Read back what ``save("x.npz")`` wrote; its pictures are opened from there when they are asked for.

        Raises DataError where the file is no such thing.
        """
        from .store import read_rows

        rows, about = read_rows(path, "heatmaps")
        try:
            failed = tuple((name, str(reason)) for name, reason in about["failed"])
            found = cls(rows, tuple(about["prompts"]), tuple(about["ids"]), failed, tuple(about["against"]))
            if len(found.ids) != len(rows) or any(len(row) != len(found.prompts) for row in rows):
                raise ValueError("its names do not fit its maps")
        except (TypeError, KeyError, ValueError) as error:
            raise DataError(
                f"{str(path)!r} holds no heatmaps ({type(error).__name__}: {error}): load what "
                "heatmaps.save('x.npz') wrote."
            ) from error
        return found

    def __repr__(self) -> str:
        lost = f", {len(self.failed)} failed" if self.failed else ""
        return f"Heatmaps({len(self.rows)} images x {len(self.prompts)} prompts{lost})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        from .. import plots

        bundle: dict[str, Any] = {"text/plain": repr(self)}
        if self.rows:
            bundle["image/png"] = plots.png(self.plot())
        return bundle


def _under(heatmap: Heatmap, offset: float) -> str:
    """The lines under one picture."""
    said = f"{heatmap.score:+.3f}" + (f"\ndrawn about its mean, {offset:+.3g}" if offset else "")
    return said.replace("-", "\u2212")
