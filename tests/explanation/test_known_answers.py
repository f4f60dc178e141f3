"""Where the thing is is known: the default points at it, more often than Grad-CAM, and follows the text."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

import clipviz
from clipviz.errors import ClipvizWarning
from clipviz.explanation.metrics import points_into
from clipviz.stats import paired_bootstrap
from clipviz.synth import scenes

# Neither the training's, nor those by which a method was chosen, nor the league's.
SEED = 424243


@pytest.mark.slow
def test_the_default_points_at_the_thing_and_more_often_than_grad_cam() -> None:
    """500 hard scenes, pairs of colour and shape that were seen in training."""
    model = clipviz.load()
    hits: dict[str | None, list[bool]] = {None: [], "gradcam": []}
    moved, centre = [], []
    drawn = [scene for scene in scenes(700, seed=SEED) if scene.seen][:500]
    assert len(drawn) == 500
    for i, scene in enumerate(drawn):
        other = next(thing for j, thing in enumerate(scene.objects) if j != scene.named)
        look = model.look(scene.picture)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ClipvizWarning)
            for method, found in hits.items():
                texts = [scene.caption, other.caption] if method is None and i < 100 else [scene.caption]
                maps = clipviz.explain([look], texts, model=model, method=method)
                found.append(points_into(maps[0, 0].values, scene.mask, frame=look.frame, seed=(SEED, i)))
                if len(texts) > 1:
                    moved.append(maps[0, 0].peak() != maps[0, 1].peak())
        centre.append(bool(scene.mask[scene.mask.shape[0] // 2, scene.mask.shape[1] // 2]))
    default, gradcam = (np.array(hits[name], dtype=float) for name in (None, "gradcam"))
    gap = paired_bootstrap(default, gradcam, seed=0)
    print(f"default {default.mean():.1%}, gradcam {gradcam.mean():.1%}, gap {gap}, centre {np.mean(centre):.1%}")
    assert default.mean() >= 0.65 > np.mean(centre)
    assert gap.low > 0
    assert np.mean(moved) > 0.7  # another text moves the peak
