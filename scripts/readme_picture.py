"""Make docs/gradcam.png, the picture in the README: python scripts/readme_picture.py

Two `hard` scenes of seed 2026 (the first two, not chosen), the bundled clipviz-tiny; every run gives the same picture.
"""

from __future__ import annotations

from pathlib import Path

import clipviz
from clipviz import plots
from clipviz.files import write

TARGET = Path(__file__).resolve().parent.parent / "docs" / "gradcam.png"


def main() -> None:
    cells = []
    for scene in clipviz.synth.scenes(2, seed=2026):
        texts = [thing.caption for thing in scene.objects[:3]]
        maps = clipviz.explain([scene.picture], texts, method="gradcam")[0]
        row = [
            {"picture": m.picture, "values": m.on_image(), "title": f"{m.prompt}: {m.score:+.2f}", "mark": m.peak()}
            for m in maps
        ]
        cells.append([{"picture": scene.picture, "title": "the scene"}, *row])
    print(write(TARGET, plots.png(plots.grid(cells, scale="row"), dpi=110)))


if __name__ == "__main__":
    main()
