"""Take a trained run as clipviz-tiny: copy its model into the package, measure it, and write its page.

    python scripts/tiny_card.py RUN [--time "1 h 50 min on one core of an AMD EPYC"]
    python scripts/tiny_card.py --page          # the page alone, again from the card

RUN is the folder of ``clipviz train tiny --out RUN``. The figures come from benchmarks/tiny_scores.py.
"""

from __future__ import annotations

import argparse
import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import jinja2

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "clipviz" / "assets" / "clipviz-tiny"
TEMPLATE = Path(__file__).with_suffix(".md.j2")
FACTS = {
    # Of the methods the one that points best at the things of drawn scenes, dev half: docs/explainers.md.
    "explainer": "maskclip",
    "name": "clipviz-tiny",
    "command": "clipviz train tiny --out runs/tiny",
    "domain": "small photographs of Tiny ImageNet's 202 classes, tightly cropped faces, flat coloured shapes and "
    "cartoon people, all as 56 x 56 pixels",
    "terms": "Tiny ImageNet: non-commercial research use (ImageNet's terms). FairFace: CC BY 4.0. Scenes and avatars "
    "are drawn by clipviz. A model trained on the first is for research.",
    "limits": [
        "it names about one photograph in four right among 202 classes: its maps and audits demonstrate the tools",
        "all classes were seen in training: no figure of it is zero-shot transfer",
        "words that were in no caption mean nothing to it, and clipviz warns of them; so do negation, number and place",
        "a peak is no finer than a cell of a seventh of the picture's side (a 7 x 7 grid)",
        "labels of faces are as perceived by annotators, and two words of gender are all that it was taught",
        "it points at shapes less well than a model of the same size that learns scenes alone: with 160,000 scenes and "
        "nothing else one reached 88.5 % where this one has what the table above says",
        "pairs of colour and shape that never occurred in training are pointed at far less well than those that did",
    ],
}


def take(run: Path, time: str) -> None:
    """The model of a run becomes the one that ships."""
    for name in ("open_clip_config.json", "open_clip_model.safetensors", "seen_tokens.json", "card.json"):
        shutil.copyfile(run / "model" / name, FOLDER / name)
    path = FOLDER / "card.json"
    card = json.loads(path.read_text(encoding="utf-8")) | FACTS | {"training_time": time}
    path.write_text(json.dumps(card, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    subprocess.run([sys.executable, ROOT / "benchmarks" / "tiny_scores.py", "--card"], check=True, cwd=ROOT)


def page(card: dict[str, Any]) -> str:
    """The page of a card (Markdown): all that it says comes from the card."""
    template = jinja2.Environment(undefined=jinja2.StrictUndefined, autoescape=False, keep_trailing_newline=True)
    text = template.from_string(TEMPLATE.read_text(encoding="utf-8")).render(**card)
    return text.replace("|\n\n|", "|\n|").rstrip() + "\n"  # a table has no empty lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("run", type=Path, nargs="?")
    parser.add_argument("--time", default="", help="how long it took, and on what")
    parser.add_argument("--page", action="store_true", help="write the page alone")
    arguments = parser.parse_args()
    if arguments.run:
        take(arguments.run, arguments.time)
    card = json.loads((FOLDER / "card.json").read_text(encoding="utf-8"))
    (FOLDER / "README.md").write_text(page(card), encoding="utf-8")
    print(f"Wrote {(FOLDER / 'README.md').relative_to(ROOT)}")


if __name__ == "__main__":
    main()
