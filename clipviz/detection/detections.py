"""`Detections`: boxes with a label and a score, in the pixels of the pictures that were given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ..errors import InputError, nearest
from ..explanation import Heatmap
from ..explanation.origin import Origin
from ..files import suffix_of, write
from .checking import checked_maps, checked_table
from .score_maps import ScoreMaps

if TYPE_CHECKING:
    import pandas as pd
    from PIL.Image import Image

    from ..plots import Canvas

SUFFIXES = (".json", ".csv", ".html", ".png")
SHOWN = 12  # pictures of a figure


class NoSuchBox(InputError, IndexError):
    """A place behind the last of a set of boxes."""


class Detection(NamedTuple):
    """One box: x0, y0, x1, y1 in pixels of the picture, x to the right, y down, the far edges excluded."""

    image: str
    label: str
    score: float
    x0: float
    y0: float
    x1: float
    y1: float
    evidence: str

    @property
    def box(self) -> tuple[float, float, float, float]:
        return self.x0, self.y0, self.x1, self.y1


@dataclass(frozen=True, eq=False)
class Detections:
    """What `detect` found: ``detections[i]`` is a `Detection`, ``len(detections)`` the number of boxes.

    ``table`` has a row a box, picture by picture and the highest score first: image, label, score, x0, y0, x1, y1 and
    ``evidence``, the map or step that the box came from. ``labels`` are all that were asked for, ``images`` the ids of
    all pictures, also of those without a box, ``sizes`` their (width, height), ``origins`` how they are opened again.
    ``threshold`` is the score below which no box was kept. ``maps`` are the dense scores of each picture, None where
    they were not kept. ``failed`` lists (id, reason) of pictures that could not be opened; they are no images here.
    The rows are checked and put in order; InputError says what does not fit.
    """

    table: pd.DataFrame
    labels: tuple[str, ...]
    images: tuple[str, ...]
    sizes: tuple[tuple[int, int], ...]
    origins: tuple[Origin, ...]
    threshold: float
    maps: tuple[ScoreMaps | None, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        object.__setattr__(self, "maps", checked_maps(self))
        object.__setattr__(self, "table", checked_table(self))

    # ---- reading

    def __len__(self) -> int:
        return len(self.table)

    def __getitem__(self, i: int) -> Detection:
        if not isinstance(i, int | np.integer) or not -len(self) <= i < len(self):
            raise NoSuchBox(f"There is no box {i!r}: there are {len(self)}, counted from 0.")
        return Detection._make(next(self.table.iloc[[i]].itertuples(index=False, name=None)))

    def __iter__(self) -> Iterator[Detection]:
        return map(Detection._make, self.table.itertuples(index=False, name=None))

    @property
    def boxes(self) -> NDArray[np.float64]:
        """[n, 4] as x0, y0, x1, y1 in the pixels of each picture."""
        return self.table[["x0", "y0", "x1", "y1"]].to_numpy(np.float64)

    @property
    def scores(self) -> NDArray[np.float64]:
        """[n], the highest first within a picture."""
        return self.table["score"].to_numpy(np.float64)

    @property
    def model(self) -> str:
        """The name of the model that was asked."""
        return str(self.provenance.get("model", {}).get("model", "?"))

    @property
    def method(self) -> str:
        """How the boxes were found."""
        return str(self.provenance.get("method", "?"))

    def of(self, image: str | int) -> Detections:
        """The boxes of one picture, by its id or its place. Raises InputError where there is none such."""
        at = self.place(image)
        return replace(
            self, table=self.table[self.table["image"] == self.images[at]], images=(self.images[at],),
            sizes=(self.sizes[at],), origins=(self.origins[at],), maps=(self.maps[at],), failed=(),
        )  # fmt: skip

    def at(self, threshold: float) -> Detections:
        """The boxes whose score is ``threshold`` or more.

        Raises InputError for a lower threshold than the boxes were found at: what lies below was not kept.
        """
        if not isinstance(threshold, int | float | np.number) or not threshold >= self.threshold:  # nor NaN
            raise InputError(
                f"These boxes were found at the threshold {self.threshold:.4g} and none below was kept, got "
                f"{threshold!r}: give a higher one, or detect again with threshold={threshold!r}."
            )
        return replace(self, table=self.table[self.scores >= threshold], threshold=float(threshold))

    def picture(self, image: str | int | None = None) -> Image:
        """The picture, opened again from where it came; InputError where it is gone or has changed since."""
        return self.origins[self.place(image)].open()

    def with_pictures(self, data: Any) -> Detections:
        """The same boxes with their pictures found anew: after a move, or where a saved file could not hold them.

        ``data`` is what `detect` was given: one picture, a list of them, or a `Source`. Raises InputError where it
        lacks a picture, or has another in its place.
        """
        from .store import found_anew

        return replace(self, origins=found_anew(self, data))

    # ---- what lies behind a box

    def explain(self, i: int) -> Heatmap:
        """The map that box ``i`` was found in, as a `Heatmap` on its picture: to plot, to save, to look up.

        Raises InputError where the maps were not kept.
        """
        from .evidence import behind

        return behind(self, i)

    def mask(self, i: int, *, threshold: float | None = None) -> NDArray[np.bool_]:
        """The pixels of box ``i`` that its label's map speaks for, bool [H, W] of the picture.

        Those where the dense score, brought to the picture's pixels, is ``threshold`` or more (in the map's own unit);
        by default half way from the map's median outside of the box to its peak within. Raises InputError where the
        maps were not kept.
        """
        from .evidence import mask_of

        return mask_of(self, i, threshold)

    def masks(self, image: str | int | None = None, *, threshold: float | None = None) -> NDArray[np.bool_]:
        """The masks of all boxes of one picture, bool [n, H, W], in the order of the table; see `mask`."""
        from .evidence import masks_of

        return masks_of(self, self.place(image), threshold)

    # ---- drawing

    def plot(
        self, image: str | int | None = None, *, evidence: str | None = None, alpha: float = 0.5, shown: int = SHOWN
    ) -> Canvas:
        """The boxes of one picture, or of the first ``shown``, each label in one colour, with a legend.

        ``evidence`` names a label, whose map is laid under its boxes, and theirs alone, in one picture; ``alpha``
        is its strength. Raises InputError where a picture cannot be opened again, or its maps were not kept.
        """
        from .drawing import figure_of

        return figure_of(self, image, evidence, alpha, shown)

    # ---- giving away

    def to_pandas(self) -> pd.DataFrame:
        """The table, with the picture's width and height, and what tells several results apart, beside each box."""
        sizes = dict(zip(self.images, self.sizes, strict=True))
        return self.table.assign(
            width=[sizes[image][0] for image in self.table["image"]],
            height=[sizes[image][1] for image in self.table["image"]],
            threshold=self.threshold, method=self.method, model=self.model,
        )  # fmt: skip

    def to_coco(
        self, *, image_ids: Mapping[str, int] | None = None, category_ids: Mapping[str, int] | None = None,
        masks: bool = False,
    ) -> list[dict[str, Any]]:  # fmt: skip
        """The boxes as COCO results: image_id, category_id, bbox [x, y, width, height] and score, a dict a box.

        ``image_ids`` and ``category_ids`` say which numbers a ground truth gave to ids and labels; without them
        both count from 1, as in `to_coco_dataset`. With ``masks`` each has its ``segmentation``, run-length encoded.
        Raises InputError where an id or a label has no number.

            >>> truth.loadRes(detections.to_coco(image_ids=numbers))  # doctest: +SKIP
        """
        from .coco import results

        return results(self, image_ids, category_ids, masks)

    def to_coco_dataset(
        self, *, image_ids: Mapping[str, int] | None = None, category_ids: Mapping[str, int] | None = None,
        masks: bool = False,
    ) -> dict[str, Any]:  # fmt: skip
        """A whole COCO data set of images, categories and annotations, as annotation tools open it; see `to_coco`."""
        from .coco import dataset

        return dataset(self, image_ids, category_ids, masks)

    def save(self, path: str | Path) -> Path:
        """Write everything (``.json``, see `load`), the boxes (``.csv``), a page or the figure, by suffix.

        A ``.json`` holds maps and pictures (the files that were given, byte for byte) as long as each are under 16 MB.
        An interrupted save leaves the old file whole. Raises InputError for another suffix.
        """
        suffix = suffix_of(path, SUFFIXES, "A set of detections")
        if suffix == ".png":
            from .. import plots

            return write(path, plots.png(self.plot()))
        if suffix == ".html":
            from .pages import detections_page

            return write(path, detections_page(self))
        from .store import as_csv, as_json

        return write(path, as_json(self) if suffix == ".json" else as_csv(self))

    @classmethod
    def load(cls, path: str | Path) -> Detections:
        """Read back what ``save("x.json")`` wrote. Raises DataError where the file is no such thing."""
        from .store import read_json

        return read_json(path)

    def place(self, image: str | int | None = None) -> int:
        """The place of a picture among ``images``, of its id or its place; without either, of the only one."""
        if image is None:
            if len(self.images) == 1:
                return 0
            raise InputError(f"There are {len(self.images)} pictures here: name one of them, see detections.images.")
        if isinstance(image, str):
            if image in self.images:
                return self.images.index(image)
            raise InputError(f"There is no picture {image!r} here. {nearest(image, self.images)}")
        if not isinstance(image, int | np.integer) or not 0 <= image < len(self.images):
            raise InputError(f"There is no picture {image!r}: there are {len(self.images)}, counted from 0.")
        return int(image)

    def __repr__(self) -> str:
        lost = f", {len(self.failed)} failed" if self.failed else ""
        found = self.table["label"].nunique()
        pictures = f"{len(self.images)} image{'' if len(self.images) == 1 else 's'}"
        return (
            f"Detections({counted(len(self))} of {found} of {len(self.labels)} labels in {pictures}{lost}, "
            f"{self.method}, {self.model})"
        )

    def _repr_html_(self) -> str:
        from .pages import detections_view

        return detections_view(self)


def counted(boxes: int) -> str:
    """How many boxes, in words."""
    return f"{boxes} box{'' if boxes == 1 else 'es'}"
