"""The verb: `detect`."""

from __future__ import annotations

import math
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import ClipvizWarning, InputError
from ..explanation.origin import Holder, Origin
from ..explanation.verbs import peeked
from ..images import is_one_image, open_image
from ..model import Look, Model, load
from ..sources import Item, Source
from .asking import BACKGROUND, Asked
from .candidates import kept_apart
from .checking import table_of
from .detections import Detections
from .prior import BoxPrior
from .pyramid import TooManySquares
from .ways import told, way_of

if TYPE_CHECKING:
    from tqdm import tqdm

THRESHOLD = 0.0  # a margin: as much like the label as like a background; a model's card may name a measured one
CARD_KEY = "detection_threshold"
EVERY_BOX = -2.0  # as a threshold: no margin is lower


def detect(
    data: Any,
    labels: Any,
    *,
    model: Model | None = None,
    method: str | None = None,
    threshold: float | None = None,
    prior: BoxPrior | None = None,
    background: Any = BACKGROUND,
    per_label: int = 5,
    keep_maps: bool = True,
    strict: bool = False,
    fail: bool = False,
    progress: bool = False,
    **options: Any,
) -> Detections:
    """Boxes around what the ``labels`` name, in pixels of each picture, from a model never trained on boxes.

    ``data`` is a picture, a list of them or a `Source`; without ``model`` the bundled clipviz-tiny answers. ``method``:
    "patches" (default), dense scores by any explainer (``explainer``, ``offsets``, ``rescore``, ``smallest``, the side
    in pixels of the smallest thing of interest); "windows" that share one pass; "grid", crops of a 7 x 7 grid
    (``cells``, ``sizes``). A score is the cosine with the label less the mean cosine with the ``background`` texts, so
    "nothing here" is an answer; boxes under ``threshold`` (that of the model's card, else 0) are not kept. ``prior`` is
    a `BoxPrior` of where things tend to be; without one there is none. At most ``per_label`` boxes a label.

    A picture that cannot be opened, or takes too many squares, is listed in ``.failed``. Raises InputError, PromptError
    or ModelError.

        >>> clipviz.detect("photo.jpg", ["a dog", "a bicycle"]).save("boxes.png")  # doctest: +SKIP
    """
    _check(threshold, prior, per_label)
    way = way_of(method, options)
    alone = isinstance(data, Look) or is_one_image(data)
    if model is None:
        data, first = peeked(data)
        model = first.model if isinstance(first, Look) else load()
    asked = Asked(model, labels, background, strict)
    for note in asked.notes:
        warnings.warn(note, ClipvizWarning, stacklevel=2)
    least = default_threshold(model) if threshold is None else float(threshold)
    rows: list[Any] = []
    names, sizes, origins, maps, failed, notes = [], [], [], [], [], list(asked.notes)
    for name, given, holder in _each([data] if alone else data, progress and not alone):
        try:
            picture = model.look(given).picture if isinstance(given, Look) else open_image(given)
        except InputError as error:
            if fail or alone:
                raise
            failed.append((str(name), str(error)))
            continue
        try:
            with _squares(progress, alone) as bar:
                found, scored, said = way(asked, picture, per_label, prior, bar, **options)
        except TooManySquares as error:  # other errors are of what was asked, and would come with every picture
            if fail or alone:
                raise
            failed.append((str(name), str(error)))
            continue
        kept = kept_apart(found, per_label, least)
        for box, j, score, step in zip(kept.boxes, kept.labels, kept.scores, kept.evidence, strict=True):
            rows.append((str(name), asked.labels[j], float(score), *box.tolist(), step))
        names.append(str(name))
        sizes.append(picture.size)
        origins.append(Origin.of(given if holder is None else name, picture, holder))
        maps.append(scored if keep_maps else None)
        notes += said
    if not names and not failed and not getattr(data, "failed", ()):
        raise InputError("There is no picture to look at: pass an image, a list of them, or a Source that holds some.")
    failed += [(str(name), why) for name, why in getattr(data, "failed", ())]
    if failed:
        name, why = failed[0]
        warnings.warn(
            f"{len(failed)} of {len(failed) + len(names)} pictures could not be seen, the first {name!r}: {why} All "
            "are in .failed.", ClipvizWarning, stacklevel=2,
        )  # fmt: skip
    return Detections(
        table=table_of(rows),
        labels=asked.labels,
        images=tuple(names),
        sizes=tuple(sizes),
        origins=tuple(origins),
        threshold=least,
        maps=tuple(maps),
        failed=tuple(failed),
        notes=tuple(dict.fromkeys(notes)),
        provenance={
            **asked.about, "method": "patches" if method is None else method, "per_label": per_label,
            "options": told(way, model, options),
            "prior": None if prior is None else prior.provenance,
        },
    )  # fmt: skip


def default_threshold(model: Model) -> float:
    """The score under which `detect` keeps no box where none is named: of the model's card, where one was measured.

    That of clipviz-tiny leaves under a tenth of the drawn scenes that lack the named thing with a box; how high scores
    go without the thing differs from model to model, and for those without such a figure it is 0.
    """
    named = model.card.get(CARD_KEY)
    known = isinstance(named, int | float) and not isinstance(named, bool) and EVERY_BOX <= named <= -EVERY_BOX
    return float(named) if known else THRESHOLD  # type: ignore[arg-type]


def _check(threshold: Any, prior: Any, per_label: Any) -> None:
    if threshold is not None and (
        isinstance(threshold, bool)
        or not isinstance(threshold, int | float | np.number)
        or not (math.isfinite(threshold) and -2 <= threshold <= 2)
    ):
        raise InputError(
            f"threshold={threshold!r} is no score: a cosine less another lies from -2 to 2, most under 0.5. "
            "Pass such a number, or -2 to keep every box."
        )
    if prior is not None and not isinstance(prior, BoxPrior):
        raise InputError(f"prior is a BoxPrior, got {type(prior).__name__}: take BoxPrior.fit(boxes, sizes).")
    if isinstance(per_label, bool) or not isinstance(per_label, int) or per_label < 1:
        raise InputError(f"per_label={per_label!r} is no number of boxes: pass a whole number of 1 or more.")


@contextmanager
def _squares(progress: bool, alone: bool) -> Iterator[tqdm[Any] | None]:
    """A bar of the squares of one picture: for one alone, or where a picture of many takes over a second."""
    if not progress:
        yield None
        return
    from tqdm.auto import tqdm

    with tqdm(unit="squares", leave=alone, delay=0 if alone else 1) as bar:
        yield bar


def _each(data: Any, progress: bool) -> Iterator[tuple[int | str, Any, Holder | None]]:
    """(place or id, image, what gives it again by that id)."""
    if not isinstance(data, Iterable):
        raise InputError(f"Pictures are an image, a list of images or a Source; got {type(data).__name__}.")
    holder = data if isinstance(data, Source) else None
    if progress:
        from tqdm.auto import tqdm

        data = tqdm(data, unit="images")
    for i, image in enumerate(data):
        yield (image.id, image.image, holder) if isinstance(image, Item) else (i, image, None)
