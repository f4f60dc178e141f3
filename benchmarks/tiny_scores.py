"""What clipviz-tiny scores, each figure beside chance and, where it can be, beside the CLIP of ../shared/models.

    python benchmarks/tiny_scores.py [--model FOLDER] [--shared ../shared] [--scenes 1500] [--avatars 1000] [--card]

Classes and gender are measured on the `report` half of the validation shards, on which no choice was made, avatars and
scenes on seeds that nothing else uses. All classes were seen in training: this is accuracy through prompts, not
zero-shot transfer. ``--card`` writes the figures into the card of the model's folder.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tiny_pointing import COLUMNS, pointing

import clipviz
from clipviz import assets
from clipviz.errors import ClipvizWarning
from clipviz.model import Model
from clipviz.synth import ATTRIBUTES, avatars

DEFAULT = Path(os.environ.get("CLIPVIZ_TEST_DATA", "../shared"))
SCENES_SEED, AVATARS_SEED = 61127, 61128
ENSEMBLE = ("a photo of a {}", "a photo of the {}", "a {}", "a close-up photo of a {}", "a picture of a {}")


def photographs(model: Model, shared: Path, **how: Any) -> dict[str, float]:
    """Prompt accuracy over the 202 classes of Tiny ImageNet, report half."""
    data = shared / "data" / "tiny-imagenet"
    found = clipviz.evaluate(
        data / "val-00.parquet", data / "classes.json", model=model, truth="class_id", half="report", **how
    )
    return _row(found)


def gender(model: Model, shared: Path) -> dict[str, float]:
    """ "a photo of a man" or "a photo of a woman", on the report half of FairFace's validation faces."""
    found = clipviz.evaluate(
        shared / "data" / "fairface" / "val-00.parquet",
        {"Male": "man", "Female": "woman"},
        model=model,
        truth="gender",
        templates=["a photo of a {}"],
        half="report",
    )
    return _row(found)


def attribute(model: Model, n: int) -> dict[str, float]:
    """ "a person with a stethoscope" or "a person with a tie", on fresh avatars."""
    people = avatars(n, seed=AVATARS_SEED)
    truth = np.array([ATTRIBUTES.index(person.attribute) for person in people])
    texts = model.encode_texts([f"a person with a {name}" for name in ATTRIBUTES])
    said = (model.encode_images([person.picture for person in people]) @ texts.T).argmax(axis=1)
    return {
        "top-1": float((said == truth).mean()),
        "n": n,
        "chance": 0.5,
        "majority": float(max(truth.mean(), 1 - truth.mean())),
    }


def _row(found: Any) -> dict[str, float]:
    table = found.table.set_index("metric")
    row = {"top-1": table.value["top-1 accuracy"], "n": table.n["top-1 accuracy"]}
    if "top-5 accuracy" in table.index:
        row["top-5"] = table.value["top-5 accuracy"]
    row |= {"chance": table.chance["top-1 accuracy"], "majority": table.majority["top-1 accuracy"]}
    return {key: float(value) for key, value in row.items()}


def measure(model: Model, shared: Path | None, scenes: int, people: int) -> dict[str, Any]:
    """All figures of a card."""
    scores: dict[str, Any] = {}
    if shared:
        single = {"templates": ["a photo of a {}."], "synonyms": "first"}
        for name, one in (("clipviz-tiny", model), ("oc-tiny", clipviz.load(shared / "models" / "oc-tiny"))):
            scores[name] = {
                "classes, one prompt": photographs(one, shared, **single),
                "classes, ensemble": photographs(one, shared, templates=list(ENSEMBLE)),
                "gender": gender(one, shared),
            }
    scores.setdefault("clipviz-tiny", {})["attribute"] = attribute(model, people)
    scores |= {"avatars_seed": AVATARS_SEED, "seed": SCENES_SEED, "scenes": scenes}
    scores["pointing"] = pointing(model, scenes, SCENES_SEED)
    return scores


def write_card(folder: Path, scores: dict[str, object]) -> None:
    """Put the scores, and which weights they are of, into the card of a model folder."""
    path = folder / "card.json"
    card = json.loads(path.read_text(encoding="utf-8"))
    card["scores"] = scores
    card["weights_file_sha256"] = hashlib.sha256((folder / "open_clip_model.safetensors").read_bytes()).hexdigest()
    path.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", type=Path, default=assets.folder("clipviz-tiny"))
    parser.add_argument("--shared", type=Path, default=DEFAULT if DEFAULT.is_dir() else None)
    parser.add_argument("--scenes", type=int, default=1500)
    parser.add_argument("--avatars", type=int, default=1000)
    parser.add_argument("--card", action="store_true", help="write the figures into the model's card")
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", ClipvizWarning)
    torch.set_num_threads(1)  # a network this small gains nothing from more
    scores = measure(clipviz.load(arguments.model), arguments.shared, arguments.scenes, arguments.avatars)
    for name in ("clipviz-tiny", "oc-tiny"):
        for what, row in scores.get(name, {}).items():
            told = "  ".join(f"{k} {v:.0f}" if k == "n" else f"{k} {100 * v:.1f} %" for k, v in row.items())
            print(f"{name:13s} {what:20s} {told}")
    print(f"peaks on the named object, {arguments.scenes} hard scenes of seed {SCENES_SEED}")
    for name, row in scores["pointing"].items():
        print(f"{name:8s}{row['scenes']:6.0f} scenes  " + "  ".join(f"{c} {100 * row[c]:.1f} %" for c in COLUMNS))
    if arguments.card:
        write_card(arguments.model, scores)


if __name__ == "__main__":
    main()
