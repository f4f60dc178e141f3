import hashlib
from collections import Counter

import numpy as np
import pytest

from clipviz.errors import InputError
from clipviz.synth import COLOURS, SHAPES, held_out, pairs, scenes
from clipviz.synth.shapes import OUTLINES


@pytest.fixture(scope="module")
def hard():
    return list(scenes(200, seed=31))


@pytest.fixture(scope="module")
def training():
    return list(scenes(150, seed=31, split="train"))


def test_hard_scenes_keep_their_rules(hard, training):
    for scene in [*hard, *training]:
        assert scene.picture.mode == "RGB" and scene.picture.size == (224, 224)
        words = [thing.pair for thing in scene.objects]
        assert len(words) in (3, 4) and len(set(words)) == len(words)
        others = [pair for pair in words if pair != scene.pair]
        sharing_colour = [pair for pair in others if pair[0] == scene.pair[0]]
        sharing_shape = [pair for pair in others if pair[1] == scene.pair[1]]
        assert sharing_colour and sharing_shape, words
        assert sum(thing.mask.astype(int) for thing in scene.objects).max() == 1, "masks overlap"
        for thing in scene.objects:
            assert 0.03 <= thing.mask.mean() <= 0.10
            rows, columns = np.flatnonzero(thing.mask.any(1)), np.flatnonzero(thing.mask.any(0))
            assert thing.box == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert scene.caption == f"a {scene.pair[0]} {scene.pair[1]}"
        assert scene.mask is scene.objects[scene.named].mask


def test_both_counts_and_all_words_occur(hard):
    assert {len(scene.objects) for scene in hard} == {3, 4}
    assert {scene.pair[0] for scene in hard} == set(COLOURS) and {scene.pair[1] for scene in hard} == set(SHAPES)
    assert {scene.named for scene in hard} >= {0, 1, 2}, "the named object must not be told by its place in the list"


def test_places_are_uniform(hard):
    """Mean and spread of the objects' centres are those of a uniform law within the picture, object inside."""
    centres = np.array([((t.box[0] + t.box[2]) / 2, (t.box[1] + t.box[3]) / 2) for s in hard for t in s.objects])
    assert np.allclose(centres.mean(axis=0), 112, atol=7)
    assert (centres.std(axis=0) > 38).all()
    middle = (np.abs(centres - 112) < 37).all(axis=1).mean()  # a third by a third of the picture
    assert 0.06 < middle < 0.32


def test_a_mask_is_where_the_colour_is(hard):
    """Inside a mask the picture has the object's colour; a moved mask has not."""
    inside, moved = [], []
    for scene in hard:
        for thing in scene.objects:
            if thing.colour != "red":
                continue
            pixels = np.asarray(scene.picture, dtype=float)
            redness = (pixels[..., 0] > 150) & (pixels[..., 1] < 90) & (pixels[..., 2] < 90)
            inside.append(redness[thing.mask].mean())
            moved.append(redness[np.roll(thing.mask, 80, axis=1)].mean())
    assert np.mean(inside) > 0.97 and np.mean(moved) < 0.3, (np.mean(inside), np.mean(moved))


def test_held_out_pairs_follow_the_documented_hash():
    for colour, shape in pairs():
        number = int(hashlib.sha256(f"{colour} {shape}".encode()).hexdigest(), 16)
        assert held_out(colour, shape) == (number % 5 == 0)
    unseen = pairs("unseen")
    assert len(pairs()) == 64 and 9 <= len(unseen) <= 17
    assert set(unseen) | set(pairs("train")) == set(pairs()) and not set(unseen) & set(pairs("train"))
    # each word of a held-out pair is trained in several others
    for position, words in enumerate((COLOURS, SHAPES)):
        counts = Counter(pair[position] for pair in pairs("train"))
        assert all(counts[word] >= 4 for word in words), counts


def test_training_scenes_hold_no_held_out_pair_anywhere(hard, training):
    assert not any(held_out(*thing.pair) for scene in training for thing in scene.objects)
    assert all(scene.seen for scene in training)
    share = np.mean([not scene.seen for scene in hard])
    assert 0.08 < share < 0.32, "fresh scenes name held-out pairs in their natural share"


def test_unseen_scenes_name_held_out_pairs():
    assert not any(scene.seen for scene in scenes(20, seed=2, split="unseen"))


def test_a_scene_depends_on_seed_and_index_alone():
    few, many = scenes(3, seed=8), scenes(50, seed=8)
    again = list(many)[2]
    for scene in (few[2], many[2], many[2 - 50], many[1:4][1], again):
        assert np.array_equal(np.asarray(scene.picture), np.asarray(few[2].picture))
        assert [t.pair for t in scene.objects] == [t.pair for t in few[2].objects]
    assert not np.array_equal(np.asarray(few[2].picture), np.asarray(scenes(3, seed=9)[2].picture))
    assert not np.array_equal(np.asarray(few[2].picture), np.asarray(scenes(3, seed=8, split="train")[2].picture))
    assert len(few) == 3 and len(list(few)) == 3
    with pytest.raises(IndexError):
        few[3]


def test_easy_scenes_show_one_object_on_a_plain_ground():
    for scene in scenes(20, seed=4, level="easy"):
        assert len(scene.objects) == 1
        ground = np.asarray(scene.picture)[:6, :6].reshape(-1, 3)
        if not scene.mask[:8, :8].any():
            assert np.ptp(ground, axis=0).max() == 0


@pytest.mark.parametrize("size", [56, 128, 300])
def test_other_sizes_keep_the_area_rule(size):
    for scene in scenes(10, seed=5, size=size):
        assert scene.picture.size == (size, size)
        assert all(0.03 <= thing.mask.mean() <= 0.10 for thing in scene.objects)


@pytest.mark.parametrize("name", SHAPES)
def test_a_drawn_shape_has_the_area_that_was_asked(name):
    rng = np.random.default_rng(0)
    drawn = [(OUTLINES[name].draw(3000, rng, 4) < 0).sum() for _ in range(5)]
    assert np.allclose(drawn, 3000, rtol=0.01)


def test_bad_arguments_say_what_to_type():
    with pytest.raises(InputError, match="hard"):
        scenes(3, level="hrad")
    with pytest.raises(InputError, match="train"):
        scenes(3, split="trian")
    with pytest.raises(InputError, match="0 or more"):
        scenes(-1)
    with pytest.raises(InputError, match="56"):
        scenes(1, size=20)
