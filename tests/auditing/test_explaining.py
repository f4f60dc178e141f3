"""From decisions to heatmaps: shares against what knows nothing, and boxes in every form."""

from __future__ import annotations

import numpy as np
import pytest

import clipviz
from clipviz.auditing.explaining import CENTRAL, FIXED, box_of, explain_decisions, heat_on
from clipviz.errors import ClipvizWarning, InputError
from clipviz.explanation.metrics import centre_map
from clipviz.text import Prompt

WORN = ["stethoscope", "tie"]
PROMPTS = [Prompt(f"a person with a {name}") for name in WORN]


@pytest.fixture(scope="module")
def model():
    return clipviz.load()


@pytest.fixture(scope="module")
def people(tmp_path_factory):
    """Sixteen avatars on disk, as a source with the columns group, attribute and box."""
    return clipviz.open_source(clipviz.synth.avatars(16, seed=4).save(tmp_path_factory.mktemp("people")))


@pytest.fixture(scope="module")
def decisions(people):
    return [(name, WORN.index(worn)) for name, worn in zip(people.ids, people.table()["attribute"], strict=True)]


def value(found, measure):
    return found.summary.set_index("measure").loc[measure]


def test_heat_of_an_avatar_is_not_on_its_face(model, people, decisions, tmp_path):
    found = explain_decisions(people, model, decisions, PROMPTS, names=WORN, method="gradcam", box="box", draws=1)
    assert list(found.table["id"]) == list(people.ids) and list(found.table["decision"]) == [
        WORN[label] for _, label in decisions
    ]
    assert value(found, "heat on the face minus the centre prior")["ci_high"] < 0
    assert value(found, "blur of all of the background")["ci_low"] > 0.1 > value(found, "blur of the face")["value"]
    difference = found.table["blur: background"] - found.table["blur: face"]
    assert value(found, "background minus face")["value"] == pytest.approx(difference.mean())
    assert FIXED not in found.notes and "16 pictures" in repr(found)
    # the heatmaps are those that `explain` gives
    name, label = decisions[3]
    own = clipviz.explain([people[name].image], [PROMPTS[label]], against=[PROMPTS[1 - label]], method="gradcam")
    assert np.array_equal(found.heatmaps[3, 0].values, own[0, 0].values)
    assert found.save(tmp_path / "rows.csv").read_text().count("\n") == 17
    again = explain_decisions(people, model, decisions[:3], PROMPTS, names=WORN, method="gradcam", box="box", draws=1)
    assert again.table.equals(found.table[:3]), "a picture's random blocks do not hang on the others"
    assert found.save(tmp_path / "maps.png").stat().st_size > 10_000


def test_trivial_maps_have_no_share_of_their_own(model, people):
    look = model.look(people[0].image)
    (row,) = clipviz.explain([look], [PROMPTS[0]], method="gradcam")
    box = box_of(people[0].metadata, "box", people[0].image.size)

    def of(values):
        object.__setattr__(row[0], "values", values)
        return heat_on(row[0], box)

    centre, flat = of(centre_map((7, 7)).astype(np.float32)), of(np.ones((7, 7), np.float32))
    assert centre["on_box"] == pytest.approx(centre["centre"], abs=1e-6) and centre["centre"] > centre["area"]
    assert np.isnan(flat["on_box"]) and np.isnan(of(-np.ones((7, 7), np.float32))["on_box"])
    uneven = np.ones((7, 7), np.float32)
    uneven[0, 0] = 1.0001
    assert of(uneven)["on_box"] == pytest.approx(flat["area"], abs=1e-3)


def test_without_a_box_the_central_one_is_stated(model, people, decisions):
    found = explain_decisions(people, model, decisions[:4], PROMPTS, method="gradcam", blur=False)
    assert FIXED in found.notes and found.table["area"].tolist() == pytest.approx([4 / 9] * 4, abs=0.01)
    assert "blur: face" not in found.table and list(found.summary["n"]) == [4] * 5


@pytest.mark.parametrize("given", ["[10, 20, 30, 40]", [10, 20, 30, 40], np.array([10.0, 20, 30, 40])])
def test_a_box_in_any_form(given):
    assert box_of({"face": given}, "face", (100, 100)) == (10, 20, 30, 40)
    assert box_of({}, None, (120, 60)) == pytest.approx((20, 10, 100, 50)) and CENTRAL[0] == 1 / 6


@pytest.mark.parametrize("given", ["here", None, [1, 2, 3], [30, 20, 10, 40], [0, 0, float("nan"), 1]])
def test_what_is_no_box_is_told_and_its_picture_listed(model, people, decisions, given):
    with pytest.raises(InputError, match=r"no box \[x0, y0, x1, y1\]"):
        box_of({"face": given}, "face", (100, 100))


def test_what_cannot_be_explained_is_told(model, people, decisions):
    with pytest.raises(InputError, match="No picture fits"):
        explain_decisions(people, model, [], PROMPTS)
    with pytest.raises(InputError, match="two labels or more"):
        explain_decisions(people, model, decisions, PROMPTS[:1])
    with pytest.raises(InputError, match="Did you mean 'box'"):
        box_of(people[0].metadata, "boxes", (1, 1))
    mixed = [("gone.png", 0), *decisions[:2]]
    with pytest.warns(ClipvizWarning, match="1 pictures were not explained"):
        found = explain_decisions(people, model, mixed, PROMPTS, method="gradcam", blur=False)
    assert found.failed[0][0] == "gone.png" and len(found.heatmaps) == 2
