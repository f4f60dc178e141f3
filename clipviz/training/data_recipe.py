"""The part of a recipe that says which pictures are shown and what is said about them."""

from __future__ import annotations

from dataclasses import dataclass, field

from ..errors import SpecError, nearest
from ..synth import LEVELS

KINDS = ("pictures", "scenes", "avatars")


@dataclass(frozen=True)
class CaptionRecipe:
    """One thing to say: templates with column names in braces, as in "a photo of a {class_id}.".

    Pictures with the same words in those columns share one concept, and a concept is known by its first wording:
    the first template with the first name of each value. A wording is drawn by chance: any template; the first
    name of a value half of the time, and one of its other names otherwise. ``unless`` leaves the caption out for
    pictures with one of these values, as in {age = ["0-2"]}; ``only`` is its contrary.
    """

    templates: tuple[str, ...] = ()
    weight: float = 1.0
    only: dict[str, list[str]] = field(default_factory=dict)
    unless: dict[str, list[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class SourceRecipe:
    """One source: where its pictures are, what is said about them, and how they are shown.

    ``kind="pictures"`` takes at ``path`` what ``clipviz.sources.open_source`` takes; "scenes" and "avatars" draw
    ``n`` pictures of `clipviz.synth` with ``level``, ``split``, ``rates`` and ``draw_seed``. Captions come from
    ``captions``, or from the column ``caption`` as it stands. ``names`` gives the names of a column's values,
    {gender = {Male = ["man"]}}; ``classes`` reads them from a JSON list of {column: value, "names": [...]}.

    ``weight`` is the share of the batch (relative to the other sources), fading to none over the first
    ``fade`` of the run where that is not 0. A picture is cropped to a random square of ``crop`` (least and
    most share of the largest square's area; [1, 1] is the paper's), mirrored at random with ``flip``. ``cache``
    decodes all pictures once, their central squares at ``cache_side`` pixels (0: a seventh more than the model's).
    """

    kind: str = "pictures"
    path: str = ""
    name: str = ""
    image: str = ""
    id: str = ""
    caption: str = ""
    captions: tuple[CaptionRecipe, ...] = ()
    names: dict[str, dict[str, list[str]]] = field(default_factory=dict)
    classes: str = ""
    weight: float = 1.0
    fade: float = 0.0
    crop: tuple[float, float] = (1.0, 1.0)
    flip: bool = False
    jitter: float = 0.0
    cache: bool = False
    cache_side: int = 0
    n: int = 0
    level: str = "hard"
    split: str = "train"
    draw_seed: int = 0
    rates: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in KINDS:
            raise SpecError(f"The kind of a source is {self.kind!r}, which is none. {nearest(self.kind, KINDS)}")
        if self.level not in LEVELS:
            raise SpecError(f"level={self.level!r} is no level of scenes. {nearest(self.level, LEVELS)}")
        if self.kind == "pictures" and not self.path:
            raise SpecError('A source of kind "pictures" needs a path: a folder, a Parquet, tar, CSV or JSONL file.')
        if self.kind != "pictures" and self.n < 1:
            raise SpecError(f"A source of kind {self.kind!r} draws n={self.n} pictures; give n = 1000, for example.")
        if bool(self.caption) == bool(self.captions):
            raise SpecError(
                f'The source {self.label!r} needs either caption = "column" or [[data.sources.captions]] with '
                "templates, and not both."
            )
        for caption in self.captions:
            if not caption.templates or caption.weight < 0:
                raise SpecError(f"A caption of the source {self.label!r} needs templates, and a weight of 0 or more.")
        if not (0 < self.crop[0] <= self.crop[1] <= 1):
            raise SpecError(f"crop={list(self.crop)} must be two shares of the area, rising, above 0 and at most 1.")
        if self.draw_seed < 0 or self.cache_side < 0:
            raise SpecError(f"draw_seed={self.draw_seed} and cache_side={self.cache_side} must be 0 or more.")
        if self.weight < 0 or not 0 <= self.fade <= 1 or not 0 <= self.jitter < 1:
            raise SpecError("weight must be 0 or more, fade within 0 and 1, and jitter within 0 and below 1.")

    @property
    def drawing(self) -> tuple[str, str, str, int] | None:
        """What decides which pictures are drawn, or None for pictures that are there."""
        return None if self.kind == "pictures" else (self.kind, self.level, self.split, self.draw_seed)

    @property
    def label(self) -> str:
        """What messages and metrics call this source."""
        return self.name or self.path or self.kind


@dataclass(frozen=True)
class DataRecipe:
    """The sources, mixed by weight, and how they are read ahead (``workers`` processes; 0: none).

    The `dev` half of each source in ``dev`` is named through the first wording of its first caption every
    ``keep.dev_steps`` steps: prompt accuracy, on which choices may be made.
    """

    sources: tuple[SourceRecipe, ...] = ()
    workers: int = 0
    dev: tuple[SourceRecipe, ...] = ()

    def __post_init__(self) -> None:
        for kind, sources in (("data.sources", self.sources), ("data.dev", self.dev)):
            labels = [source.label for source in sources]
            if twice := sorted({label for label in labels if labels.count(label) > 1}):
                raise SpecError(f"Two of {kind} are called {twice[0]!r}; give each a name of its own (name = ...).")
        for source in self.dev:
            for other in self.sources:
                if source.drawing is not None and source.drawing == other.drawing:
                    raise SpecError(
                        f"The dev source {source.label!r} draws the pictures of {other.label!r}, which are trained on; "
                        "give it another draw_seed."
                    )
