"""Make docs/detection.png, the boxes in the README: python scripts/readme_detection.py

Three `hard` scenes of seed 2026 (the first three, not chosen), the bundled clipviz-tiny, a threshold of 0.3.
"""

from __future__ import annotations

from pathlib import Path

import clipviz
from clipviz import plots
from clipviz.files import write

TARGET = Path(__file__).resolve().parent.parent / "docs" / "detection.png"


def main() -> None:
    scenes = list(clipviz.synth.scenes(3, seed=2026, copies=(1, 3)))
    labels = list(dict.fromkeys([*(scene.caption for scene in scenes), "a pizza"]))
    found = clipviz.detect([scene.picture for scene in scenes], labels, threshold=0.3)
    print(found)
    print(write(TARGET, plots.png(found.plot(), dpi=110)))


if __name__ == "__main__":
    main()
