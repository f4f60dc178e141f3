"""`Comparison`: one picture and one text, seen by several methods, models or layers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError
from ..files import replace, suffix_of, write
from .heatmap import Heatmap

if TYPE_CHECKING:
    import pandas as pd

    from ..plots import Canvas

SUFFIXES = (".png", ".npz", ".html", ".csv")
KINDS = ("method", "model", "layer")
_RIVALS = {"like_centre": "the centre", "like_random": "random weights"}
_WIDE = 5  # pictures in a row of the figure
_SIDE = 560  # their longest side in pixels, inside the figure


@dataclass(frozen=True, eq=False)
class Comparison:
    """Heatmaps of one picture and one text, told apart ``by`` "method", "model" or "layer", and how far they agree.

    ``table`` has a row each: score, peak, agreement with the first and with all others, and what trivial rivals reach.
    ``agreement`` [names, names] is Spearman's rank correlation of the maps at the picture's pixels where both saw it,
    ``overlap`` the intersection over union of their highest fifths. Maps of different methods have different units:
    their order is compared, never their size. ``notes`` tell which map is no better than the centre of the picture, or
    than the same method under random weights. ``comparison["gradcam"]`` is a `Heatmap`.
    """

    heatmaps: tuple[Heatmap, ...]
    names: tuple[str, ...]
    by: str
    table: pd.DataFrame
    agreement: pd.DataFrame
    overlap: pd.DataFrame
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, key: int | str) -> Heatmap:
        """The heatmap at a place, or of a name. KeyError for another name."""
        if isinstance(key, str):
            if key not in self.names:
                raise KeyError(f"There is no {self.by} {key!r}; it is one of {', '.join(self.names)}.")
            return self.heatmaps[self.names.index(key)]
        return self.heatmaps[key]

    def __len__(self) -> int:
        return len(self.heatmaps)

    @property
    def title(self) -> str:
        """The text and all that the maps have in common."""
        first = self.heatmaps[0]
        common = [first.title if self.by != "model" else f"{first.prompt!r}{first.contrast}"]
        for said in ({h.method for h in self.heatmaps}, {h.model for h in self.heatmaps}):
            common += said if len(said) == 1 else []
        return ", ".join(common)

    def plot(self, *, alpha: float = 0.6, peak: bool = True) -> Canvas:
        """The picture, and beside it each map on a scale of its own, with its agreement with the first."""
        from .. import plots

        picture = self.heatmaps[0].small_picture(_SIDE)
        cells: list[dict[str, Any] | None] = [{"picture": picture, "title": "the picture"}]
        for name, heatmap, row in zip(self.names, self.heatmaps, self._rows(), strict=True):
            values = heatmap.on_image(longest=_SIDE) - np.float32(heatmap.offset)
            cells.append({"picture": picture, "values": values, "title": self._under(name, heatmap, row)})
            if peak and not heatmap.constant:
                shrink = picture.width / heatmap.frame.picture[0]
                cells[-1]["mark"] = tuple(shrink * side for side in heatmap.peak())  # type: ignore[index]
        # The fewest gaps, and of equals the fewest rows.
        wide = len(cells) if len(cells) <= _WIDE else min(range(_WIDE, 2, -1), key=lambda n: -len(cells) % n)
        said = f"Ring: the peak. Rank correlation is that with {self._label(self.names[0])}."
        cells += [None] * (-len(cells) % wide)
        return plots.grid(
            [cells[i : i + wide] for i in range(0, len(cells), wide)],
            title=self.title, caption=" ".join((said, *self.notes)), scale="own", alpha=alpha,
        )  # fmt: skip

    def _rows(self) -> list[dict[str, Any]]:
        return [{str(key): value for key, value in row.items()} for row in self.table.to_dict("records")]

    def _under(self, name: str, heatmap: Heatmap, row: Mapping[str, Any]) -> str:
        """The lines under one picture."""
        lines = [self._label(name)]
        if self.by == "model":
            lines.append(f"score {row['score']:+.3f}")
        if name != self.names[0] and row["rank_correlation"] == row["rank_correlation"]:
            lines.append(f"rank correlation {row['rank_correlation']:+.2f}")
        lines += [f"no better than {rival}" for key, rival in _RIVALS.items() if row[key]]
        lines += [] if heatmap.provenance.get("uses_text", True) else ["does not read the text"]
        if heatmap.offset:
            lines.append(f"drawn about its mean, {heatmap.offset:+.3g}")
        return "\n".join(lines).replace("-", "\u2212")

    def _label(self, name: str) -> str:
        return f"layer {name}" if self.by == "layer" else name

    def save(self, path: str | Path) -> Path:
        """Write the figure (``.png``), a page (``.html``), the table (``.csv``) or everything (``.npz``, see `load`).

        The suffix says which; an interrupted save leaves the old file whole.
        """
        suffix = suffix_of(path, SUFFIXES, "A comparison")
        if suffix == ".csv":
            return write(path, self.to_pandas().to_csv(index=False))
        if suffix == ".html":
            from .pages import comparison_page

            return write(path, comparison_page(self))
        if suffix == ".npz":
            from .store import write_rows

            about = {
                "names": self.names, "by": self.by, "table": _plain(self.table), "agreement": _plain(self.agreement),
                "overlap": _plain(self.overlap), "notes": self.notes, "provenance": dict(self.provenance),
            }  # fmt: skip
            return replace(path, lambda draft: write_rows(draft, [(h,) for h in self.heatmaps], about, "comparison"))
        from .. import plots

        return write(path, plots.png(self.plot()))

    @classmethod
    def load(cls, path: str | Path) -> Comparison:
        """Read back what ``save("x.npz")`` wrote. Raises DataError where the file is no such thing."""
        import pandas as pd

        from .store import read_rows

        rows, about = read_rows(path, "comparison")
        try:
            names = tuple(map(str, about["names"]))
            tables = {key: pd.DataFrame(about[key]) for key in ("table", "agreement", "overlap")}
            # What is nowhere there came as None, and is a number all the same.
            tables["table"] = tables["table"].apply(lambda c: c.astype(float) if c.isna().all() else c)
            for key in ("agreement", "overlap"):
                tables[key] = tables[key].set_axis(list(names), axis=0).astype(float)
            if about["by"] not in KINDS or any(len(table) != len(rows) for table in tables.values()):
                raise ValueError("its tables do not fit its maps")
            return cls(
                tuple(row[0] for row in rows), names, about["by"], **tables, notes=tuple(about["notes"]),
                provenance=about["provenance"],
            )  # fmt: skip
        except (TypeError, KeyError, ValueError, IndexError, AttributeError) as error:
            raise DataError(
                f"{str(path)!r} holds no comparison ({type(error).__name__}: {error}): load what "
                "comparison.save('x.npz') wrote."
            ) from error

    def to_pandas(self) -> pd.DataFrame:
        """The table, with what was asked beside it; the maps' own numbers are in ``comparison[0].to_pandas()``."""
        first = self.heatmaps[0]
        models, methods = [h.model for h in self.heatmaps], [h.method for h in self.heatmaps]
        said = {"prompt": first.prompt, "against": " | ".join(first.against), "model": models, "method": methods}
        templates = " | ".join(first.provenance.get("templates", ()))
        new = {key: value for key, value in {**said, "templates": templates}.items() if key != self.by}
        return self.table.assign(**new)

    def __repr__(self) -> str:
        doubts = int((self.table["like_centre"] | self.table["like_random"]).sum())
        flag = f", {doubts} no better than a trivial rival" if doubts else ""
        return f"Comparison({self.heatmaps[0].prompt!r}, by {self.by}: {', '.join(self.names)}{flag})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        from .. import plots

        return {"text/plain": repr(self), "image/png": plots.png(self.plot())}


def _plain(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Column -> values that JSON can hold: NaN is None."""
    return {
        str(name): [None if value != value else value for value in column]
        for name, column in table.to_dict("list").items()
    }
