"""Blurring: equal areas, in the right places, and what is known beforehand comes out."""

from __future__ import annotations

import numpy as np
import pytest

import clipviz
from clipviz.auditing.blurring import CELLS, REGIONS, WHOLE, blurred, cells_of, effects, regions
from clipviz.synth import avatar_pairs

TEXTS = ["a person with a stethoscope", "a person with a tie"]


@pytest.fixture(scope="module")
def model():
    return clipviz.load()


def test_blocks_of_a_box_are_those_whose_centre_it_holds(model):
    tall = model.look(clipviz.synth.avatars(1, seed=1)[0].picture.resize((100, 300)))  # of which the middle is seen
    found = cells_of((50, 100, 100, 150), tall.frame)
    assert found.shape == (CELLS, CELLS) and found[: CELLS // 2, CELLS // 2 :].all() and found.sum() == CELLS**2 // 4
    assert not cells_of((0, 0, 100, 90), tall.frame).any(), "the model did not see it"


@pytest.mark.parametrize("height", [3, 11])
def test_regions_have_equal_areas_where_they_belong(height):
    face = np.zeros((CELLS, CELLS), bool)
    face[:height] = True
    found = regions(face, np.random.default_rng(0), 5)
    size = min(height, CELLS - height) * CELLS
    assert set(found) == {*REGIONS, WHOLE} and (found[WHOLE] == ~face).all()
    for name in REGIONS:
        assert found[name].shape == (5, CELLS, CELLS) and (found[name].sum(axis=(1, 2)) == size).all()
    assert not (found["background"] & face).any() and not (found["face"] & ~face).any()
    anywhere = found["random"]
    assert (anywhere & face).any() and (anywhere & ~face).any() and (anywhere[0] != anywhere[1]).any()


def test_nothing_blurred_is_the_picture_and_what_is_not_blurred_stays(model):
    pair = avatar_pairs(1, seed=3)[0]
    looks = [model.look(avatar.picture) for avatar in (pair.one, pair.other)]
    none, whole = np.zeros((1, CELLS, CELLS), bool), np.ones((1, CELLS, CELLS), bool)
    assert np.allclose(blurred(looks[0], none), looks[0].unit.numpy(), atol=1e-6)
    assert not np.allclose(blurred(looks[0], whole), looks[0].unit.numpy(), atol=1e-2)
    # The two differ in the attribute alone: a change where nothing else is hidden is seen through the blur's edge.
    apart = [np.abs(np.subtract(*(blurred(look, mask) for look in looks))).max() for mask in (none, whole)]
    assert apart[1] < apart[0] / 3


def test_the_attribute_decides_and_not_the_face(model):
    """Avatars are told apart by what they wear: blurring the attribute takes the margin, blurring the face does not."""
    vectors = model.encode_texts(TEXTS)
    face, worn = [], []
    for avatar in clipviz.synth.avatars(12, seed=6):
        look, label = model.look(avatar.picture), ["stethoscope", "tie"].index(avatar.attribute)
        rng = np.random.default_rng(0)
        face.append(effects(look, avatar.box, vectors, label, rng, 2))
        worn.append(effects(look, avatar.attribute_box, vectors, label, rng, 2))
    of_face, of_worn = (np.mean([row["blur: face"] for row in rows]) for rows in (face, worn))
    assert of_worn > 0.2 > 0.05 > of_face
    assert np.mean([row["kept: face"] for row in face]) == 1 > np.mean([row["kept: face"] for row in worn])
    assert np.mean([row["blur: background"] for row in worn]) < of_worn / 2
    assert all(0 < row["blurred area"] <= 0.5 for row in face + worn)


def test_a_box_that_leaves_no_background_gives_nothing(model):
    look = model.look(clipviz.synth.avatars(1, seed=1)[0].picture)
    assert effects(look, (0, 0, 224, 224), model.encode_texts(TEXTS), 0, np.random.default_rng(0), 2) == {}
