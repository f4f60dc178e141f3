"""Where the explainers are measured: drawn scenes with masks, photographs with boxes, mosaics of photographs."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image

from ...errors import DataError, InputError
from ...explanation.metrics import as_region, draw_mosaics, randomised
from ...model import Model, at_size
from ...sources import Source
from ...synth import scenes
from ...text import Prompt
from ..labels import Labels, value_of
from ..vectors import encoded_pictures

SCENES, PHOTOGRAPHS, MOSAICS = "scenes", "photographs", "mosaics"
SMALL = 0.25  # of the picture: below it a box is small


@dataclass(frozen=True)
class Case:
    """One picture and one text: their places in the world, a text that is not meant, and the tile of a mosaic."""

    id: str
    text: int
    other: int
    group: str = ""
    asked: int = -1


@dataclass(frozen=True)
class Shown:
    """A picture that could be opened, and where the named thing is in it: a mask [H, W]; None for a mosaic."""

    place: int
    picture: Image.Image
    region: NDArray[np.bool_] | None


@dataclass(frozen=True, eq=False)
class World:
    """Cases in a seeded order, of which expensive methods take the first; ``load(places)`` opens their pictures.

    ``model`` is the one that is looked into: for mosaics at a multiple of its input size. ``dev`` is a world of the
    same kind on other pictures, for thresholds. ``left_out`` are (id, reason) of pictures that cannot be cases.
    """

    name: str
    model: Model
    half: str
    seed: int
    prompts: tuple[Prompt, ...]
    cases: tuple[Case, ...]
    load: Callable[[Sequence[int]], Iterator[Shown | tuple[int, str]]]
    tiles: tuple[int, int] | None = None
    dev: World | None = None
    left_out: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    # What is made once, for this world and every part of it.
    _made: dict[str, Any] = field(default_factory=dict, repr=False)

    @property
    def vectors(self) -> torch.Tensor:
        """Of the texts [T, E], by the model."""
        if "vectors" not in self._made:
            self._made["vectors"] = vectors_of(self.model, self.prompts)
        found: torch.Tensor = self._made["vectors"]
        return found

    @property
    def untrained(self) -> Model:
        """The model with weights that were never trained."""
        if "untrained" not in self._made:
            self._made["untrained"] = randomised(self.model, self.seed)
        found: Model = self._made["untrained"]
        return found

    def first(self, count: int | None) -> World:
        """The world of the first ``count`` cases."""
        return self if count is None else replace(self, cases=self.cases[:count])


def vectors_of(model: Model, prompts: Sequence[Prompt]) -> torch.Tensor:
    """[T, E] on the model's device, safe to differentiate through."""
    with torch.inference_mode(False):
        return torch.from_numpy(model.encode_prompts(list(prompts))).to(model.device)


def scene_world(model: Model, n: int, seed: int) -> World | None:
    """``n`` fresh hard scenes whose words the model knows, or None where there are none; ``dev`` has another seed.

    The other text names another object of the same scene.
    """
    found = _scene_world(model, n, seed, "drawn")
    return None if found is None else replace(found, dev=_scene_world(model, n, seed + 1, "drawn for thresholds"))


def _scene_world(model: Model, n: int, seed: int, half: str) -> World | None:
    texts: dict[str, int] = {}
    cases, places = [], []
    for i in range(n):
        said, other, seen, _, _ = _drawn(seed, i)
        if model.unseen(said) or model.unseen(other):
            continue
        a, b = (texts.setdefault(text, len(texts)) for text in (said, other))
        cases.append(Case(f"scene {seed}/{i}", a, b, "seen pairs" if seen else "unseen pairs"))
        places.append(i)
    if not cases:
        return None

    def load(chosen: Sequence[int]) -> Iterator[Shown]:
        for place in chosen:
            _, _, _, pixels, mask = _drawn(seed, places[place])
            shape = pixels.shape[:2]
            region = np.unpackbits(mask, count=shape[0] * shape[1]).astype(bool).reshape(shape)
            yield Shown(place, Image.fromarray(pixels), region)

    prompts = tuple(Prompt(text) for text in texts)
    notes = (f"{n - len(cases)} of {n} scenes have words that {model.name} never saw.",) if len(cases) < n else ()
    return World(SCENES, model, half, seed, prompts, tuple(cases), load, notes=notes)


@lru_cache(maxsize=1000)
def _drawn(seed: int, i: int) -> tuple[str, str, bool, NDArray[np.uint8], NDArray[np.uint8]]:
    """Caption, another object's caption, whether the pair was in training, pixels, and the packed mask: 0.15 MB."""
    scene = scenes(i + 1, seed=seed)[i]
    another = next(thing for k, thing in enumerate(scene.objects) if k != scene.named)
    return scene.caption, another.caption, scene.seen, np.asarray(scene.picture), np.packbits(scene.mask)


def photograph_world(
    model: Model,
    source: Source,
    labels: Labels,
    truth: str,
    *,
    box: str,
    inclusive: bool,
    templates: Sequence[str],
    n: int | None,
    seed: int,
) -> World:
    """``n`` photographs of ``source`` (all where None) that have a class and a box, in a seeded order.

    ``inclusive``: a box names its last pixel (Tiny ImageNet's do), not the one behind it. The other text is another
    class, the same for all pictures of a class.
    """
    table = source.table()
    boxes = table[box].tolist()
    classes, left_out = _places_of_labels(source, labels, truth)
    for row, given in enumerate(boxes):
        if row in classes and (given is None or (isinstance(given, float) and given != given)):
            left_out.append((source.ids[row], f"it has no {box!r}"))
            del classes[row]
    if not classes:
        raise DataError(f"No picture of {source.where_from} has both a {truth!r} among the labels and a {box!r}.")
    rng = np.random.default_rng([seed, 1])
    rows = rng.permutation(sorted(classes))[:n].tolist()
    others = _derangement(len(labels), rng)
    cases = tuple(Case(source.ids[row], classes[row], others[classes[row]]) for row in rows)

    def load(chosen: Sequence[int]) -> Iterator[Shown | tuple[int, str]]:
        for place, picture in _opened(source, rows, chosen):
            if isinstance(picture, str):
                yield place, picture
                continue
            try:
                corners = _corners(boxes[rows[place]]) + np.array([0, 0, 1, 1]) * inclusive
                region = as_region(corners, (picture.height, picture.width))
            except (InputError, ValueError) as error:
                yield place, str(error)
                continue
            yield Shown(place, picture, region)

    return World(PHOTOGRAPHS, model, source.part, seed, _prompts(labels, templates), cases, load,
                 left_out=tuple(left_out))  # fmt: skip


def mosaic_world(
    model: Model,
    source: Source,
    labels: Labels,
    truth: str,
    *,
    templates: Sequence[str],
    n: int,
    seed: int,
    side: int = 2,
    tile: int | None = None,
    batch_size: int = 64,
    progress: bool = False,
) -> World:
    """``n`` mosaics of ``side`` x ``side`` pictures of different classes that the model tells apart on their own.

    ``tile`` is the side of a picture in pixels, by default that of the first. The other text is that of another tile.
    """
    larger = at_size(model, side * model.image_size)
    classes, left_out = _places_of_labels(source, labels, truth)
    part = source.select(sorted(classes))
    ids, pictures, failed = encoded_pictures(model, part, batch_size, progress)
    prompts = _prompts(labels, templates)
    number = {name: row for row, name in enumerate(source.ids)}
    rows = [number[name] for name in ids]
    own = np.array([classes[row] for row in rows], np.int64)
    scores = pictures @ vectors_of(model, prompts).cpu().numpy().T
    mosaics = draw_mosaics(scores, own, n, rows=side, columns=side, seed=seed)
    rng = np.random.default_rng([seed, 2])
    cases = []
    for mosaic in mosaics:
        elsewhere = [c for place, c in enumerate(mosaic.classes) if place != mosaic.asked]
        name = f"{mosaic.draw}: {' + '.join(ids[member] for member in mosaic.members)}"  # the same four may come twice
        cases.append(Case(name, mosaic.asked_class, int(rng.choice(elsewhere)), asked=mosaic.asked))
    edge = min(source[rows[0]].image.size) if tile is None else tile

    def load(chosen: Sequence[int]) -> Iterator[Shown | tuple[int, str]]:
        members = sorted({member for place in chosen for member in mosaics[place].members})
        opened = dict(_opened(source, rows, members))
        for place in chosen:
            lost = [opened[member] for member in mosaics[place].members if isinstance(opened[member], str)]
            if lost:
                yield place, str(lost[0])
            else:
                yield Shown(place, mosaics[place].picture(opened.__getitem__, edge), None)

    drawn = f"{n} mosaics of {side} x {side} held of {mosaics[-1].draw + 1} drawn, seed {seed}."
    return World(f"{MOSAICS} {side} x {side}", larger, source.part, seed, prompts, tuple(cases), load, (side, side),
                 left_out=(*left_out, *failed), notes=(drawn,))  # fmt: skip


def _opened(source: Source, rows: Sequence[int], chosen: Sequence[int]) -> Iterator[tuple[int, Image.Image | str]]:
    """(place, picture, or the reason why there is none) of the ``rows`` at the places ``chosen``."""
    place_of = {source.ids[rows[place]]: place for place in chosen}
    part = source.select([rows[place] for place in chosen])
    for item in part:
        yield place_of.pop(item.id), item.image
    reasons = dict(part.failed)
    for name, place in place_of.items():
        yield place, reasons.get(name, "it could not be opened")


def _places_of_labels(source: Source, labels: Labels, truth: str) -> tuple[dict[int, int], list[tuple[str, str]]]:
    """Row -> place of its label, and (id, reason) of the rows without one."""
    known, found, lost = labels.places(), {}, []
    for row, (name, cell) in enumerate(zip(source.ids, source.table()[truth].tolist(), strict=True)):
        value = value_of(cell)
        if value is not None and str(value) in known:
            found[row] = known[str(value)]
        else:
            lost.append((name, f"its {truth!r} is {value!r}, which is not among the labels"))
    return found, lost


def _corners(given: Any) -> NDArray[np.float64]:
    """A box from a cell: four numbers, or a text with four numbers, as a CSV has them."""
    parts = given.replace(",", " ").strip("[]() ").split() if isinstance(given, str) else given
    return np.asarray(parts, dtype=np.float64)


def _prompts(labels: Labels, templates: Sequence[str]) -> tuple[Prompt, ...]:
    return tuple(Prompt(names[0], tuple(templates)) for names in labels.names)


def _derangement(n: int, rng: np.random.Generator) -> list[int]:
    """For each of n another one: the next in a random circle."""
    circle = rng.permutation(n)
    return [int(x) for x in circle[(np.argsort(circle) + 1) % n]]
