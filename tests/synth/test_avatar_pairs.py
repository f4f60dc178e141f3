"""Pairs differ in the one thing that they name; a saved table is read back as what was drawn."""

import numpy as np
import pytest

from clipviz.errors import InputError
from clipviz.sources import open_source
from clipviz.synth import avatar_pairs, avatars


def widened(mask):
    out = mask.copy()
    for dy in (-1, 0, 1):
        for dx in (-1, 0, 1):
            out |= np.roll(mask, (dy, dx), axis=(0, 1))
    return out


def test_one_of_the_two_is_the_avatar_itself():
    people = avatars(8, seed=3, rates={"moss": 0.9}, shares={"moss": 0.3})
    for differ in ("attribute", "group", "glasses"):
        pairs = avatar_pairs(8, differ=differ, seed=3, rates={"moss": 0.9}, shares={"moss": 0.3})
        assert len(pairs) == 8 and len(pairs[2:4]) == 2
        for avatar, pair in zip(people, pairs, strict=True):
            same = [np.array_equal(avatar.picture, two.picture) for two in (pair.one, pair.other)]
            assert sum(same) == 1
            told = {
                "attribute": avatar.attribute,
                "group": avatar.group,
                "glasses": "glasses" if avatar.look.glasses else "none",
            }
            assert pair.values[same.index(True)] == told[differ]


def test_a_pair_differs_where_the_thing_is_and_nowhere_else():
    for pair in avatar_pairs(12, seed=5):
        assert (pair.one.attribute, pair.other.attribute) == pair.values == ("stethoscope", "tie")
        assert pair.one.group == pair.other.group and pair.one.look == pair.other.look
        assert (
            pair.changed.any()
            and not (pair.changed & ~widened(pair.one.attribute_mask | pair.other.attribute_mask)).any()
        )
    for pair in avatar_pairs(12, seed=5, differ="glasses"):
        assert pair.one.group == pair.other.group and pair.one.attribute == pair.other.attribute
        x0, y0, x1, y1 = pair.one.box
        outside = pair.changed.copy()
        outside[y0 : y0 + 2 * (y1 - y0) // 3, x0 - 8 : x1 + 8] = False
        assert pair.changed.any() and not outside.any(), "glasses lie on the upper two thirds of the face"
    for pair in avatar_pairs(12, seed=5, differ="group"):
        assert pair.one.attribute == pair.other.attribute and pair.one.look == pair.other.look
        assert not (pair.changed & pair.one.attribute_mask)[~widened(~pair.one.attribute_mask)].any()


def test_what_pairs_cannot_differ_in_is_told():
    with pytest.raises(InputError, match="Did you mean 'glasses'"):
        avatar_pairs(2, differ="glases")


def test_saved_avatars_are_read_back(tmp_path):
    people = avatars(4, seed=2, size=64)
    source = open_source(people.save(tmp_path / "people"))
    assert len(source) == 4
    for item, avatar in zip(source, people, strict=True):
        assert np.array_equal(item.image, avatar.picture)
        assert (item.metadata["group"], item.metadata["attribute"]) == (avatar.group, avatar.attribute)
        assert item.metadata["box"] == str(list(avatar.box))
