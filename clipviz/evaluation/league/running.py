"""One method in one world: a row a picture, every measure that fits."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Any

import numpy as np
import torch
from PIL import Image

from ...explanation.metrics import best_threshold
from ...explanation.target import Target
from ...frame import Frame
from ...model import Look, Model
from .entrants import OTHER_TEXT, RANDOM_WEIGHTS, Entrant, Maps
from .measures import MEASURES, about_text, faithfulness, in_region, in_tile, likeness_of, overlap
from .worlds import Case, Shown, World, vectors_of

_ROOM = 64_000_000  # bytes of pixels that are held at a time
_NOTHING: Mapping[str, float] = MappingProxyType({})
_SAME = 1e-4  # of the largest value: maps nearer than this are the same


@dataclass(frozen=True)
class Plan:
    """How much is measured. A method of more than ``costly`` passes takes the first ``few`` pictures, and one of
    more than ten times that the first ``rare``, with a fifth of the checks.

    ``checks`` pictures have insertion, deletion and what happens under random weights and another text; ``few`` have
    precision and overlap; ``dev`` other pictures choose the overlap's threshold. ``shuffled`` is a model trained on
    shuffled captions.
    """

    few: int = 200
    rare: int = 50
    checks: int = 100
    dev: int = 100
    costly: float = 20.0
    batch_size: int = 32
    seed: int = 0
    shuffled: Model | None = None

    def of_cost(self, cost: float) -> tuple[Plan, int | None]:
        """The plan for a method of ``cost`` passes, and how many pictures it takes: None for all."""
        if cost > 10 * self.costly:
            return replace(self, checks=self.checks // 5, dev=self.dev // 5), self.rare
        return self, self.few if cost > self.costly else None


@dataclass(frozen=True)
class Seen:
    """A case with its picture as the model sees it; the picture itself only where another model must see it too."""

    place: int
    case: Case
    pixels: torch.Tensor  # [3, S, S]
    frame: Frame
    region: Any
    picture: Image.Image | None


def run(
    entrant: Entrant, world: World, plan: Plan, cost: float = math.nan, *, bar: Any = None
) -> tuple[list[dict[str, Any]], float]:
    """A row a picture, and the threshold that the overlap was taken at (NaN where there is none to choose it on).

    A picture on which the method fails, or that cannot be opened, has a row with the reason and NaN for the rest.
    ``bar`` is a tqdm bar to move.
    """
    plan, count = plan.of_cost(cost)
    world = world.first(count)
    # A costly method fills batches of its own, and may draw for each picture.
    alone = cost > plan.costly or mixes(entrant, world, plan)
    threshold = math.nan if world.tiles else _threshold(entrant, world, plan, alone)
    rows: list[dict[str, Any]] = []
    for part in _parts(world, plan, rows, entrant):
        for batch in _batches(part, plan, alone, entrant):
            rows += _measured(entrant, world, plan, batch, threshold)
            if bar is not None:
                bar.update(len(batch))
    order = {case.id: place for place, case in enumerate(world.cases)}
    return sorted(rows, key=lambda row: order[row["id"]]), threshold


def _parts(world: World, plan: Plan, rows: list[dict[str, Any]], entrant: Entrant) -> Iterator[list[Seen]]:
    """Pictures in parts that fit into memory; those that cannot be seen become rows."""
    side = world.model.image_size
    size = max(1, _ROOM // (12 * side * side))
    for start in range(0, len(world.cases), size):
        part = []
        for shown in world.load(range(start, min(start + size, len(world.cases)))):
            place = shown[0] if isinstance(shown, tuple) else shown.place
            try:
                if isinstance(shown, tuple):
                    raise ValueError(shown[1])
                part.append(_seen(world, shown, plan))
            except Exception as error:  # listed with its reason
                rows.append(_row(entrant, world, world.cases[place], reason=str(error)))
        yield part


def _seen(world: World, shown: Shown, plan: Plan) -> Seen:
    pixels, frame = world.model.prepare(shown.picture)
    if len(pixels) != 1:
        raise ValueError(f"it was seen in {len(pixels)} tiles")
    again = plan.shuffled is not None and shown.place < plan.checks
    return Seen(shown.place, world.cases[shown.place], pixels[0], frame, shown.region, shown.picture if again else None)


def mixes(entrant: Entrant, world: World, plan: Plan) -> bool:
    """Whether pictures that go through a method together get other maps than alone: it takes them for tiles of one.

    Tried on two pictures. True too where there are not two, or where the method fails on them.
    """
    if not entrant.method:
        return False
    tried = [s for s in world.load(range(min(4, len(world.cases)))) if not isinstance(s, tuple)][:2]
    try:
        seen = [_seen(world, shown, plan) for shown in tried]
        text = [seen[0].case.text]
        together = _maps(entrant, world, world.model, seen, text)
        alone = np.concatenate([_maps(entrant, world, world.model, [one], text) for one in seen])
        return len(seen) < 2 or bool(np.abs(together - alone).max() > _SAME * np.abs(alone).max())
    except Exception:  # then each picture has its own reason
        return True


def _batches(part: Sequence[Seen], plan: Plan, alone: bool, entrant: Entrant) -> Iterator[list[Seen]]:
    """Pictures that are asked the same texts, together: one text, or also another where the two are compared."""
    if alone:
        yield from ([seen] for seen in part)
        return
    same: dict[tuple[int, int], list[Seen]] = defaultdict(list)
    for seen in part:
        same[seen.case.text, seen.case.other if _checked(seen, plan) or entrant.name == OTHER_TEXT else -1].append(seen)
    for group in same.values():
        for start in range(0, len(group), plan.batch_size):
            yield group[start : start + plan.batch_size]


def _checked(seen: Seen, plan: Plan) -> bool:
    return seen.region is not None and seen.place < plan.checks


def _measured(
    entrant: Entrant, world: World, plan: Plan, batch: Sequence[Seen], threshold: float
) -> list[dict[str, Any]]:
    try:
        return _rows(entrant, world, plan, batch, threshold)
    except Exception as error:
        if len(batch) > 1:  # the others are measured all the same
            return [row for seen in batch for row in _measured(entrant, world, plan, [seen], threshold)]
        return [_row(entrant, world, batch[0].case, reason=f"{type(error).__name__}: {error}")]


def _rows(entrant: Entrant, world: World, plan: Plan, batch: Sequence[Seen], threshold: float) -> list[dict[str, Any]]:
    first = batch[0].case
    checked = _checked(batch[0], plan)
    swapped = entrant.name == OTHER_TEXT
    texts = [first.other] if swapped else [first.text, first.other] if checked else [first.text]
    model = world.untrained if entrant.name == RANDOM_WEIGHTS else world.model
    maps = _maps(entrant, world, model, batch, texts)
    found = []
    for i, seen in enumerate(batch):
        lot = [plan.seed, seen.place]
        if world.tiles:
            found.append(in_tile(maps[i, 0], seen.case.asked, world.tiles, lot))
            continue
        values = in_region(maps[i, 0], seen.region, seen.frame, lot, precise=seen.place < plan.few)
        if seen.place < plan.few and not math.isnan(threshold):
            values |= overlap(maps[i, 0], seen.region, seen.frame, threshold)
        if checked:
            look = Look(world.model, seen.pixels[None], seen.picture, seen.frame)  # type: ignore[arg-type]
            target = Target(world.vectors[first.text, None], world.vectors[:0], (world.prompts[first.text].text,))
            values |= faithfulness(look, target, maps[i, 0], lot, plan.batch_size)
            if not swapped:
                values |= about_text(maps[i, 0], maps[i, 1], seen.frame, lot)
        found.append(values)
    if checked and not entrant.rival and world.model.kind != "other":
        others = [_maps(entrant, world, world.untrained, batch, texts[:1])]
        if plan.shuffled is not None:
            others.append(_maps(entrant, world, plan.shuffled, batch, texts[:1], again=True))
        for name, of_other in zip(("weights", "labels"), others, strict=False):
            for i, values in enumerate(found):
                values[name] = likeness_of(maps[i, 0], of_other[i, 0])
    return [_row(entrant, world, seen.case, values=values) for seen, values in zip(batch, found, strict=True)]


def _maps(
    entrant: Entrant, world: World, model: Model, batch: Sequence[Seen], texts: Sequence[int], *, again: bool = False
) -> Maps:
    """[N, P, h, w] by ``model``, which looks at the pictures ``again`` where its preprocessing is another."""
    prompts = [world.prompts[text] for text in texts]
    vectors = world.vectors[list(texts)] if model is world.model else vectors_of(model, prompts)
    seen_by = [model.prepare(seen.picture)[0][0] if again else seen.pixels for seen in batch]
    return entrant.maps(
        model, torch.stack(seen_by), vectors, tuple(p.text for p in prompts), [world.seed, batch[0].place]
    )


def _threshold(entrant: Entrant, world: World, plan: Plan, alone: bool) -> float:
    """The one with the best mean overlap on pictures of ``dev``; NaN where there are none or no map can be made."""
    if world.dev is None or not plan.dev:
        return math.nan
    maps: list[Any] = []
    seen_of: list[Seen] = []
    for part in _parts(world.dev.first(plan.dev), plan, [], entrant):
        for batch in _batches(part, replace(plan, checks=0), alone, entrant):
            texts = [batch[0].case.other if entrant.name == OTHER_TEXT else batch[0].case.text]
            model = world.untrained if entrant.name == RANDOM_WEIGHTS else world.model
            try:
                maps += list(_maps(entrant, world.dev, model, batch, texts)[:, 0])
            except Exception:  # it will fail on the other pictures too, which are listed
                continue
            seen_of += batch
    if not maps:
        return math.nan
    return best_threshold(maps, [s.region for s in seen_of], frames=[s.frame for s in seen_of]).threshold


def _row(
    entrant: Entrant, world: World, case: Case, *, reason: str = "", values: Mapping[str, float] = _NOTHING
) -> dict[str, Any]:
    about = {"world": world.name, "id": case.id, "half": world.half, "group": case.group,
             "text": world.prompts[case.text].text, "method": entrant.name, "reason": reason}  # fmt: skip
    return {**about, **{name: float(values.get(name, math.nan)) for name in ("area", *MEASURES)}}
