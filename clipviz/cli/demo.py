"""The demonstration: Grad-CAM on known-answer scenes and on real photographs, as one page."""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from .. import __version__, plots, reporting, synth
from ..errors import ClipvizWarning
from ..explanation import Heatmap, explain, gradcam
from ..files import write
from ..model import Model, load
from ..reporting import Notice, Picture, Provenance, Section, Table, Text
from ..sources import open_source

SCENES, SEED = 5, 2026
# Photographs that come with scikit-learn (china.jpg and flower.jpg, CC BY), and what to ask of them.
PHOTOGRAPHS = {"china.jpg": ("the forest", "a traditional building"), "flower.jpg": ("a flower", "green leaves")}
# Classes shown from the folder of further photographs: the first picture of each in the report half, whatever it is.
CLASSES = ("school bus", "brown bear", "pizza", "umbrella", "goldfish", "lighthouse")


def run_demo(out: Path, shared: Path | None = None) -> Path:
    """Write ``out/index.html`` and return its path; ``shared`` is a folder with more photographs and a model."""
    with warnings.catch_warnings():
        # What a warning would say stands on the page, beside the picture that it is about.
        warnings.simplefilter("ignore", ClipvizWarning)
        tiny = load()
        sections = [_scenes(tiny), _photographs(tiny, "the bundled model, which knows drawings only")]
        models = [tiny]
        folder = shared / "models" / "oc-tiny" if shared else None
        if shared and folder and folder.is_dir():
            larger = load(folder)
            models.append(larger)
            sections.append(_photographs(larger, "a small CLIP that was trained on photographs"))
            sections += _labelled(larger, shared / "data" / "tiny-imagenet")
        else:
            sections.append(Section("More photographs", Text(
                "With a folder that holds models/oc-tiny and data/tiny-imagenet (--shared, or CLIPVIZ_TEST_DATA), "
                "this page also shows photographs with labelled boxes."
            )))  # fmt: skip
    sections.append(Section("Provenance", *(Provenance(model.provenance, model.name) for model in models)))
    lead = (
        "Each map shows where the cosine between a picture and a text comes from: warm colours raise it, cool ones "
        "lower it, and what has no colour plays no part. Method: Grad-CAM, signed, unscaled."
    )
    page = reporting.page("Where does CLIP look?", sections, lead=lead, footer=f"clipviz {__version__}, seed {SEED}")
    return write(out / "index.html", page)


def _scenes(model: Model) -> Section:
    """Drawn scenes: each object's place is known, so that each map is right or wrong."""
    rows, cells = [], []
    for scene in synth.scenes(SCENES, seed=SEED):
        other = next(o for o in scene.objects if o.pair != scene.pair)
        texts, pairs = [scene.caption, other.caption], [scene.pair, other.pair]
        maps = explain([scene.picture], texts, model=model, method="gradcam")[0]
        masks = (scene.mask, other.mask)
        cells.append([{"picture": scene.picture, "title": "the scene"}, *(_cell(m) for m in maps)])
        for heatmap, mask, pair in zip(maps, masks, pairs, strict=True):
            x, y = heatmap.peak()
            rows.append({
                "text": heatmap.prompt, "cosine": heatmap.score, "peak on the named object": bool(mask[y, x]),
                "pair seen in training": not synth.held_out(*pair),
            })  # fmt: skip
    return Section(
        f"Known answers: {SCENES} drawn scenes, {model.name}",
        Text(
            "The same scene is asked for two of its objects; the ring marks the map's peak. "
            "Scenes are drawn by seed, not chosen."
        ),
        Picture(
            plots.grid(cells, columns=["scene", "one text", "another text"], scale="row"),
            "Three pictures a row: scene, one text, another.",
            wide=True,
        ),
        Table(rows, "Does the peak fall on the object that the text names?", formats={"cosine": "+.3f"}),
        *_card(model),
    )


def _photographs(model: Model, what: str) -> Section:
    from sklearn.datasets import load_sample_image

    notes: list[str] = []
    cells = []
    for name, texts in PHOTOGRAPHS.items():
        picture = load_sample_image(name)
        maps = explain([picture], list(texts), model=model, method="gradcam")[0]
        notes += [note for heatmap in maps for note in heatmap.notes]
        cells.append([{"picture": picture, "title": name}, *(_cell(m, m.prompt) for m in maps)])
    return Section(
        f"Real photographs, {model.name}",
        Text(f"Two photographs that come with scikit-learn, seen by {what}."),
        *_card(model),
        *([Notice(" ".join(dict.fromkeys(notes)), "warning")] if notes else []),
        Picture(plots.grid(cells, scale="row", width=2.6), "Two photographs, each asked for two texts.", wide=True),
    )


def _labelled(model: Model, folder: Path) -> list[Section]:
    """Photographs with a labelled box: the first of each class in the half that no choice was made on."""
    classes_file = folder / "classes.json"
    if not classes_file.is_file():
        return []
    names = {c["class_id"]: c["names"][0] for c in json.loads(classes_file.read_text(encoding="utf-8"))}
    source = open_source(folder / "val-00.parquet").half("report")
    wanted = {i: name for i, name in names.items() if name in CLASSES}
    table = source.table()
    first = {i: int((table["class_id"] == i).to_numpy().argmax()) for i in wanted if (table["class_id"] == i).any()}
    cells: list[dict[str, Any]] = []
    rows = []
    for i, place in first.items():
        item = source[place]
        heatmap = gradcam(item.image, f"a photo of a {wanted[i]}", model=model)
        box = item.metadata["box"]
        x, y = heatmap.peak()
        cells.append({**_cell(heatmap, f"{wanted[i]}: {heatmap.score:+.3f}"), "box": list(box)})
        rows.append({
            "picture": item.id, "text": heatmap.prompt, "cosine": heatmap.score,
            "peak in the box": bool(box[0] <= x < box[2] and box[1] <= y < box[3]),
        })  # fmt: skip
    return [
        Section(
            f"Photographs with a labelled box, {model.name}",
            Text(
                "The first picture of each class in the report half of val-00, right or wrong. "
                "All classes were seen in training."
            ),
            Picture(
                plots.grid(_fold(cells, 3), scale="own"),
                "Six photographs of 64 x 64 pixels with their boxes.",
                wide=True,
            ),
            Table(rows, "Does the peak fall into the box?", formats={"cosine": "+.3f"}),
        )
    ]


def _cell(heatmap: Heatmap, title: str | None = None) -> dict[str, Any]:
    heading = f"{heatmap.prompt}: {heatmap.score:+.3f}" if title is None or title == heatmap.prompt else title
    mark = None if heatmap.constant else heatmap.peak()
    return {"picture": heatmap.picture, "values": heatmap.on_image(), "title": heading, "mark": mark}


def _fold(cells: Sequence[dict[str, Any]], width: int) -> list[list[dict[str, Any] | None]]:
    """A long row as rows of ``width``, the last filled up with nothing."""
    filled = [*cells, *[None] * (-len(cells) % width)]
    return [list(filled[i : i + width]) for i in range(0, len(filled), width)]


def _card(model: Model) -> list[Notice]:
    domain = model.card.get("domain")
    return (
        [Notice(f"{model.name} was trained on {domain}. Anything else is outside of what it knows.")] if domain else []
    )
