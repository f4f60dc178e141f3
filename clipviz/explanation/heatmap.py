"""`Heatmap`: one picture, one text, and where the model's score for it comes from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from dataclasses import replace as replace_fields
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, InputError
from ..files import replace, suffix_of, write
from ..frame import Frame
from ..images import open_image
from .origin import Origin

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

    from ..plots import Canvas

SUFFIXES = (".png", ".npz", ".html")


@dataclass(frozen=True, eq=False)
class Heatmap:
    """A raw, signed map [h, w] at the model's grid, with all that is needed to read it.

    ``values`` are the method's own numbers (nothing is scaled or cut off); ``frame`` maps the grid to the
    picture that was given; ``score`` is the cosine of picture and text, or where ``against`` names texts a difference
    of cosines, or a probability (``provenance["contrast"]`` says which). ``notes`` say what to keep in mind (words
    never seen in training, for one). The picture itself is not kept but opened again from its ``origin``.
    """

    values: np.ndarray
    frame: Frame
    prompt: str
    score: float
    method: str
    origin: Origin
    against: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    @property
    def picture(self) -> Image:
        """The picture, opened again from where it came; InputError where it is gone or has changed since."""
        return self.origin.open()

    @property
    def constant(self) -> bool:
        """Whether the map says nothing: every cell the same (its values are then zeros)."""
        return not self.values.any()

    @property
    def details(self) -> Mapping[str, Any]:
        """What the method tells beside the map: a baseline and its score, a remainder, a sampling error, a layer."""
        return dict(self.provenance.get("details", {}))

    def on_image(self, *, longest: int | None = None) -> np.ndarray:
        """The map in the original picture's pixels [H, W], bilinear; NaN where the model saw nothing.

        With ``longest`` in those of a smaller picture, whose longest side is at most that: see `small_picture`.
        """
        frame = self.frame
        if longest is not None and longest < max(frame.picture):
            (width, height), (across, down) = self._small(longest), frame.scale
            scale = (across * frame.picture[0] / width, down * frame.picture[1] / height)
            frame = replace_fields(frame, picture=(width, height), scale=scale)
        return frame.on_image(self.values)

    def small_picture(self, longest: int) -> Image:
        """The picture as large as ``on_image(longest=longest)``."""
        from PIL.Image import Resampling

        picture, size = self.picture, self._small(longest)
        return picture if picture.size == size else picture.resize(size, Resampling.LANCZOS, reducing_gap=2.0)

    def _small(self, longest: int) -> tuple[int, int]:
        shrink = max(1.0, max(self.frame.picture) / longest)
        width, height = (max(1, round(side / shrink)) for side in self.frame.picture)
        return width, height

    @cached_property
    def _peak(self) -> tuple[int, int]:
        on_image = self.on_image()
        top = np.argwhere(on_image == np.nanmax(on_image))  # [n, 2]; many where a border cell is highest: it is flat
        row, column = top[np.square(top - top.mean(axis=0)).sum(axis=1).argmin()]
        return int(column), int(row)

    def peak(self) -> tuple[int, int]:
        """The pixel (x, y) of the original picture where the map is highest; of equals, the most central.

        Raises InputError for a constant map, which has no peak.
        """
        if self.constant:
            raise InputError(
                f"The map for {self.prompt!r} is the same everywhere and has no peak; see heatmap.constant."
            )
        return self._peak

    def plot(self, *, alpha: float = 0.6, peak: bool = False) -> Canvas:
        """The picture with the map over it. ``alpha`` is the overlay's strength; ``peak`` marks the peak."""
        from .. import plots

        drawn = f" Drawn about its mean, {self.offset:+.3g}." if self.offset else ""
        return plots.overlay(
            self.picture, self.on_image() - np.float32(self.offset), title=self.title, alpha=alpha, unit=self.unit,
            caption=" ".join((f"{self.method}, {self.model}.{drawn}", *self.notes)),
            mark=self.peak() if peak and not self.constant else None,
        )  # fmt: skip

    @property
    def offset(self) -> float:
        """What figures take off so that a map can be seen: its mean, where that is large beside its differences.

        Cosines of patches, for one, may all lie between 0.3 and 0.4. The figure then says so; ``values`` stay as they
        are. Else 0, and zero in the figure is zero.
        """
        near, far = sorted((abs(float(self.values.min())), abs(float(self.values.max()))))
        one_sign = self.values.min() > 0 or self.values.max() < 0
        return float(self.values.mean()) if one_sign and 0.5 * far < near < far else 0.0

    @property
    def model(self) -> str:
        """The name of the model that was looked into."""
        return str(self.provenance.get("model", {}).get("model", "?"))

    @property
    def title(self) -> str:
        """The text, what it is against, and the score, as figures and pages head it."""
        probable = "probability " if self.provenance.get("contrast") == "softmax" else ""
        score = f"{self.score:.3f}" if probable else f"{self.score:+.3f}"
        return f"{self.prompt!r}{self.contrast}: {probable}{score}"

    @property
    def contrast(self) -> str:
        """What the text is against, in words that follow it; empty where it stands alone."""
        if self.provenance.get("baseline"):
            return f" {'against' if self.provenance.get('contrast') == 'softmax' else 'minus'} neutral texts"
        return f" against {', '.join(repr(a) for a in self.against)}" if self.against else ""

    @property
    def unit(self) -> str:
        """What a value is a part of, where the values add up to it; else they are in the method's own unit."""
        if not self.provenance.get("additive"):
            return f"{self.method}, its own unit"
        softmax, margin = self.provenance.get("contrast") == "softmax", self.provenance.get("contrast") is not None
        whole = "the tile's " if len(self.frame.tiles) > 1 else ""
        return f"contribution to {whole}{'probability' if softmax else 'margin' if margin else 'cosine'}"

    def save(self, path: str | Path) -> Path:
        """Write the figure (``.png``), the numbers (``.npz``, see `load`) or a page (``.html``), by suffix.

        An interrupted save leaves the old file whole. Raises InputError for another suffix.
        """
        suffix = suffix_of(path, SUFFIXES, "A heatmap")
        if suffix == ".html":
            from .pages import heatmap_page

            return write(path, heatmap_page(self))
        if suffix == ".png":
            from .. import plots

            return write(path, plots.png(self.plot()))
        return replace(path, self._write_npz)

    def _write_npz(self, name: str) -> None:
        about = {
            "prompt": self.prompt, "score": self.score, "method": self.method, "against": self.against,
            "notes": self.notes, "frame": self.frame.to_dict(), "provenance": self.provenance,
        }  # fmt: skip
        with open(name, "wb") as file:  # a file object, lest numpy add a second suffix
            np.savez_compressed(
                file, values=self.values, picture=np.frombuffer(self.origin.encoded(), np.uint8),
                about=np.frombuffer(json.dumps(about).encode(), np.uint8),
            )  # fmt: skip

    @classmethod
    def load(cls, path: str | Path) -> Heatmap:
        """Read back what ``save("x.npz")`` wrote. Raises DataError where the file is no such thing."""
        try:
            with np.load(path, allow_pickle=False) as stored:
                values, picture, about = stored["values"], stored["picture"], json.loads(stored["about"].tobytes())
            if values.ndim != 2 or values.dtype != np.float32 or not np.isfinite(values).all():
                raise ValueError(f"its values are {values.dtype} of shape {values.shape}, not finite float32 [h, w]")
            frame, against, notes = about.pop("frame"), about.pop("against"), about.pop("notes")
            stored = picture.tobytes()
            opened = open_image(stored)
            heatmap = cls(
                values=values,
                frame=Frame.from_dict(frame),
                origin=Origin.of(stored, opened),
                against=tuple(against),
                notes=tuple(notes),
                **about,
            )
            if opened.size != heatmap.frame.picture:
                raise ValueError(f"its picture is {opened.size}, and its frame {heatmap.frame.picture}")
        except FileNotFoundError:
            raise DataError(f"There is no file {str(path)!r}.") from None
        except Exception as error:  # zipfile, numpy, json, PIL and a wrong set of keys each raise their own
            said = f"{type(error).__name__}: {error}"
            raise DataError(
                f"{str(path)!r} is no saved heatmap ({said}): load what heatmap.save('x.npz') wrote."
            ) from error
        return heatmap

    def to_pandas(self) -> pd.DataFrame:
        """One row a cell: row, column, its box x0, y0, x1, y1 in original pixels, and the value."""
        import pandas as pd

        h, w = self.values.shape
        rows, columns = np.indices((h, w)).reshape(2, -1)
        x0, y0, x1, y1 = self.frame.window
        across, down = (x1 - x0) / w, (y1 - y0) / h
        corners = np.stack([x0 + columns * across, y0 + rows * down], axis=-1)
        boxes = self.frame.to_original(np.concatenate([corners, corners + np.array([across, down])], axis=-1))
        table = pd.DataFrame(boxes, columns=["x0", "y0", "x1", "y1"])
        table.insert(0, "row", rows)
        table.insert(1, "column", columns)
        said = {"prompt": self.prompt, "against": " | ".join(self.against), "method": self.method}
        templates = " | ".join(self.provenance.get("templates", ()))
        return table.assign(value=self.values.reshape(-1), **said, templates=templates)

    def __repr__(self) -> str:
        h, w = self.values.shape
        flag = ", constant" if self.constant else ""
        return f"Heatmap({self.title}, {self.method}, {h} x {w}{flag}, {self.model})"

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        from .. import plots

        return {"text/plain": repr(self), "image/png": plots.png(self.plot())}
