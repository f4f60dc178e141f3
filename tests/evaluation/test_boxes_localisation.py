"""Localisation, false alarms, maps, rivals and calibration: against slow loops, scikit-learn and known answers."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
from scipy.special import expit

from clipviz.errors import DataError, InputError
from clipviz.evaluation.boxes import (
    Calibration,
    alarms,
    best_levels,
    calibration_error,
    central_boxes,
    fit_calibration,
    fit_centre,
    hits_at,
    localisation_metrics,
    localise,
    map_hits,
    reliability_table,
)
from clipviz.frame import layout

FOUND = ["image", "label", "score", "x0", "y0", "x1", "y1"]
TRUTH = ["image", "label", "x0", "y0", "x1", "y1"]


def iou(a: tuple[float, ...], b: tuple[float, ...]) -> float:
    w = min(a[2], b[2]) - max(a[0], b[0])
    h = min(a[3], b[3]) - max(a[1], b[1])
    both = max(w, 0) * max(h, 0)
    return both / ((a[2] - a[0]) * (a[3] - a[1]) + (b[2] - b[0]) * (b[3] - b[1]) - both)


def draw(seed: int) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame]:
    rng = np.random.default_rng(seed)

    def boxes(n: int) -> np.ndarray:
        corner = rng.uniform(0, 60, (n, 2))
        return np.concatenate([corner, corner + rng.uniform(10, 60, (n, 2))], axis=1)

    there = [(f"p{rng.integers(25)}", f"l{rng.integers(3)}", *box) for box in boxes(60)]
    found = [(f"p{rng.integers(25)}", f"l{rng.integers(3)}", rng.integers(40) / 40, *box) for box in boxes(200)]
    found += [(*row[:2], rng.integers(20, 41) / 40, *(np.array(row[2:]) + rng.normal(0, 4, 4))) for row in there[:30]]
    more = [(f"p{rng.integers(25)}", f"l{rng.integers(3)}", 0.0, *box) for box in boxes(500)]
    return pd.DataFrame(found, columns=FOUND), pd.DataFrame(there, columns=TRUTH), pd.DataFrame(more, columns=FOUND)


def test_localisation_is_that_of_a_loop() -> None:
    found, truth, candidates = draw(0)
    items = localise(found, truth, candidates=candidates)
    sums: dict[str, list[float]] = {name: [] for name in ("known", "top", "v2", "best", "oracle")}
    pairs = list(dict.fromkeys(zip(truth["image"], truth["label"], strict=True)))
    for image, label in pairs:
        there = [tuple(r[2:]) for r in truth.itertuples(index=False) if r.image == image and r.label == label]
        mine = [r for r in found.itertuples(index=False) if r.image == image and r.label == label]
        everyone = sorted((r.score for r in found.itertuples() if r.image == image), reverse=True)
        top = max(mine, key=lambda r: r.score, default=None)
        reached = max((iou(tuple(top[3:]), t) for t in there), default=0) if top else 0.0
        lead = top is not None and top.score == everyone[0] and (len(everyone) < 2 or everyone[1] < top.score)
        sums["known"].append(reached >= 0.5)
        sums["top"].append(reached >= 0.5 and lead)
        sums["v2"].append(np.mean([reached >= delta for delta in (0.3, 0.5, 0.7)]))
        sums["best"] += [max((iou(tuple(r[3:]), t) for r in mine), default=0.0) for t in there]
        others = [r for r in candidates.itertuples(index=False) if r.image == image and r.label == label]
        sums["oracle"].append(max((iou(tuple(r[3:]), t) for r in others for t in there), default=0.0) >= 0.5)
    assert list(zip(items["image"], items["label"], strict=True)) == pairs
    got = localisation_metrics(items)
    for name, metric in {"known": "GT-known", "top": "top-1 localisation", "v2": "MaxBoxAccV2",
                         "best": "mean best IoU", "oracle": "oracle"}.items():  # fmt: skip
        assert got[metric] == pytest.approx(np.mean(sums[name])), metric
    assert 0 < got["top-1 localisation"] < got["GT-known"]
    assert np.isnan(localisation_metrics(localise(found, truth.iloc[:0]))["GT-known"])


def test_false_alarms_are_of_pictures_where_nothing_asked_is_there() -> None:
    found, truth, _ = draw(1)
    pictures = [f"p{i}" for i in range(30)]
    empty = alarms(found, truth, images=pictures, threshold=0.7)
    assert set(empty["image"]) == set(pictures) - set(truth["image"]) and len(empty) >= 5
    for row in empty.itertuples():
        assert row.boxes == ((found["image"] == row.image) & (found["score"] >= 0.7)).sum()
        assert row.alarm == (row.boxes > 0)
    asked = pd.DataFrame({"image": ["p0", "p1"], "label": ["l0", "other"]})
    assert alarms(found, truth, asked=asked)["alarm"].iloc[-1] == False  # noqa: E712  (numpy's own)
    with pytest.raises(InputError, match="pass images= or asked="):
        alarms(found, truth)


def test_boxes_of_maps_at_levels() -> None:
    """A bright box in a dim one: a high level cuts out the one, a low level the other."""
    values = np.zeros((20, 30))
    values[4:16, 6:26] = 0.5
    values[8:12, 10:16] = 1.0
    outer, inner = [6, 4, 26, 16], [10, 8, 16, 12]
    hits = map_hits([(values, None, [outer]), (values, None, [inner]), (7 * values - 3, None, [outer])])
    assert hits.shape == (3, 100, 3)
    assert hits[0, 1:51].all() and not hits[0, 51:].any()
    assert hits[1, 51:].all() and not hits[1, :51].any()
    assert (hits[2] == hits[0]).all()  # the scale of a map is its own
    level = best_levels(hits[:1])
    assert level == (0.0, 0.01, 0.01)  # the whole picture overlaps by 0.4
    assert hits_at(hits, level).tolist() == [1, 0, 1] and hits_at(hits, (0.9, 0.9, 0.2)).tolist()[0] == 1 / 3
    frame = layout((60, 40), 20, "squash")
    on_picture = map_hits([(values[:20, :20], frame, [[18, 8, 60, 32]]), (np.ones((4, 4)), None, [[0, 0, 4, 4]])])
    assert on_picture[0, 40].all() and on_picture[1, 0].all()


def test_the_rivals() -> None:
    sizes = {"a": (100, 50), "b": (40, 80)}
    table = central_boxes(["a", "b"], ["x", "y"], [0.2, 0.1], sizes, (0.5, 1.0))
    assert table.iloc[:, 3:].to_numpy().tolist() == [[25, 0, 75, 50], [10, 0, 30, 80]]
    truth = pd.DataFrame([("a", "x", 30, 15, 70, 35), ("b", "x", 12, 24, 28, 56), ("b", "y", 0, 0, 3, 3)],
                         columns=TRUTH)  # fmt: skip
    share = fit_centre(truth, sizes)
    assert share == (0.4, 0.4)
    found = central_boxes(truth["image"], truth["label"], np.zeros(3), sizes, share)
    assert localisation_metrics(localise(found, truth))["GT-known"] == pytest.approx(2 / 3)
    with pytest.raises(DataError, match="central box"):
        fit_centre(truth.iloc[:0], sizes)


@pytest.mark.parametrize("method", ["isotonic", "platt"])
def test_calibration_finds_the_probabilities_that_made_the_data(method: str) -> None:
    rng = np.random.default_rng(3)
    scores = rng.normal(0.2, 0.05, 6000)  # cosines
    right = rng.random(6000) < expit(40 * (scores - 0.22))
    line = fit_calibration(scores, right, method=method)
    at = np.linspace(0.12, 0.30, 30)
    assert np.abs(line(at) - expit(40 * (at - 0.22))).max() < (0.12 if method == "isotonic" else 0.03)
    assert (np.diff(line(at)) >= 0).all() and line.n == 6000
    again = Calibration.from_dict(line.to_dict())
    assert (again(at) == line(at)).all()
    fresh = rng.normal(0.2, 0.05, 6000)
    was = rng.random(6000) < expit(40 * (fresh - 0.22))
    assert calibration_error(line(fresh), was) < 0.03 < calibration_error(np.clip(fresh, 0, 1), was)


def test_isotonic_is_scikit_learns() -> None:
    from sklearn.isotonic import IsotonicRegression

    rng = np.random.default_rng(4)
    scores, right = rng.random(200), rng.random(200) < 0.5
    theirs = IsotonicRegression(out_of_bounds="clip").fit(scores, right)
    beyond = np.linspace(-1, 2, 50)
    np.testing.assert_allclose(fit_calibration(scores, right)(beyond), theirs.predict(beyond), atol=1e-12)


def test_platt_stays_finite_where_scores_tell_all_apart_and_where_all_are_wrong() -> None:
    apart = fit_calibration([0.1, 0.2, 0.8, 0.9], [False, False, True, True], method="platt")
    assert 0.05 < apart([0.1])[0] < 0.35 and 0.65 < apart([0.9])[0] < 0.95
    none = fit_calibration([0.1, 0.2, 0.3], [0, 0, 0], method="platt")
    assert none([0.2])[0] == pytest.approx(0.2, abs=1e-3)  # Platt's 1 / (3 + 2)


def test_reliability_bins_and_error_are_those_of_a_loop() -> None:
    rng = np.random.default_rng(5)
    p = np.concatenate([rng.random(300), [0.0, 1.0, 0.5]])
    right = rng.random(303) < p**2
    table = reliability_table(p, right, bins=7)
    error = 0.0
    for i, row in enumerate(table.itertuples()):
        inside = (p >= i / 7) & ((p < (i + 1) / 7) | (i == 6))
        assert row.n == inside.sum() and row.predicted == pytest.approx(p[inside].mean())
        assert row.right == pytest.approx(right[inside].mean()) and row.low <= row.right <= row.high
        error += inside.mean() * abs(p[inside].mean() - right[inside].mean())
    assert calibration_error(p, right, bins=7) == pytest.approx(error)
    assert np.isnan(reliability_table([0.9], [1])["right"].iloc[0])
    assert np.isnan(calibration_error([], []))


def test_what_cannot_be_calibrated() -> None:
    with pytest.raises(InputError, match="cannot be calibrated on"):
        fit_calibration([0.5], [True])
    with pytest.raises(InputError, match="Did you mean 'platt'"):
        fit_calibration([0.5, 0.6], [True, False], method="plat")
    with pytest.raises(InputError, match="calibrate scores first"):
        reliability_table([1.5], [True])
    with pytest.raises(InputError, match="one a box"):
        reliability_table([0.5], [True, False])
