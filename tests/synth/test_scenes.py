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
        assert scene.mask is scene.objects[scene.named].mask and scene.targets == (scene.target,)


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


# Drawn before `copies` was there: a hash of words and places, and the mean of each picture. Pictures are told by their
# mean and not by a hash because the last bit of a sine differs between processors, and with it a few pixels by one.
AS_BEFORE = [
    ({}, "95f900fb52189012", [72.727, 91.371, 138.649, 107.805, 108.366]),
    ({"level": "easy"}, "76e9d9b170d4efa7", [87.591, 114.012, 99.527, 92.844, 138.723]),
    ({"split": "train"}, "0601de96187dbd6c", [121.224, 129.805, 126.074, 144.73, 156.306]),
    ({"split": "unseen", "size": 96}, "3d83f11b1d8cb6b0", [128.943, 111.877, 123.551, 145.708, 125.188]),
]


@pytest.mark.parametrize("options,digest,means", AS_BEFORE, ids=lambda v: str(v) if isinstance(v, dict) else "")
def test_scenes_without_copies_are_the_ones_that_models_were_trained_on(options, digest, means):
    drawn = list(scenes(5, seed=7, **options))
    told = repr([(s.named, [(thing.pair, thing.box) for thing in s.objects]) for s in drawn])
    assert hashlib.sha256(told.encode()).hexdigest()[:16] == digest
    np.testing.assert_allclose([np.asarray(s.picture).mean() for s in drawn], means, atol=2e-3)


@pytest.mark.parametrize("size", [224, 64])
def test_copies_are_objects_of_their_own_beside_their_distractors(size):
    drawn = list(scenes(60, seed=3, size=size, copies=(1, 3)))
    counts = Counter(len(scene.targets) for scene in drawn)
    assert set(counts) == {1, 2, 3} and min(counts.values()) >= 10
    for scene in drawn:
        others = [thing.pair for thing in scene.objects if thing.pair != scene.pair]
        assert len(others) in (2, 3) and len(set(others)) == len(others)
        assert any(p[0] == scene.pair[0] for p in others) and any(p[1] == scene.pair[1] for p in others)
        assert sum(thing.mask.astype(int) for thing in scene.objects).max() == 1, "masks overlap"
        largest = 0.10 * min(1, 4 / len(scene.objects))
        for thing in scene.objects:
            assert 0.03 <= thing.mask.mean() <= largest
            rows, columns = np.flatnonzero(thing.mask.any(1)), np.flatnonzero(thing.mask.any(0))
            assert thing.box == (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)
        assert all(thing.caption == scene.caption for thing in scene.targets) and scene.target is scene.targets[0]
        assert np.array_equal(scene.mask, sum(thing.mask.astype(int) for thing in scene.targets) == 1)
    assert any(scene.objects[0].pair != scene.pair for scene in drawn), "not told by the place in the list"


def test_no_copies_leave_the_near_ones_and_no_target():
    drawn = list(scenes(40, seed=3, copies=0))
    assert {len(scene.objects) for scene in drawn} == {3, 4}, "as many things as where the named one is there"
    for scene in drawn:
        words = [thing.pair for thing in scene.objects]
        assert scene.targets == () and scene.pair not in words and scene.caption == f"a {scene.pair[0]} {scene.pair[1]}"
        assert any(p[0] == scene.pair[0] for p in words) and any(p[1] == scene.pair[1] for p in words)
        assert scene.mask.shape == (224, 224) and not scene.mask.any()
    with pytest.raises(InputError, match=r"copies=0.*scene\.targets"):
        _ = drawn[0].target


def test_copies_on_a_plain_ground_stand_alone_and_splits_hold():
    for scene in scenes(10, seed=4, level="easy", copies=3):
        assert scene.objects == scene.targets and len(scene.targets) == 3
    for scene in scenes(10, seed=4, level="easy", copies=0):
        assert len(scene.objects) == 1 and not scene.targets
    assert all(not s.seen and not s.targets for s in scenes(10, seed=4, split="unseen", copies=0))
    training = scenes(10, seed=4, split="train", copies=(0, 2))
    assert not any(held_out(*thing.pair) for scene in training for thing in scene.objects)
    assert {len(scene.targets) for scene in training} == {0, 1, 2}


def test_scenes_with_copies_repeat_no_other_scene():
    first = {k: np.asarray(scenes(9, seed=8, copies=k)[1].picture).tobytes() for k in (None, 0, 1, 2, (1, 2), (0, 1))}
    assert len(set(first.values())) == len(first)
    assert np.asarray(scenes(2, seed=8, copies=(2, 2))[1].picture).tobytes() == first[2]
    assert "copies=(1, 3)" in repr(scenes(3, copies=(1, 3))) and "copies" not in repr(scenes(3))


@pytest.mark.parametrize("copies", [-1, 5, True, 1.0, "2", (3, 1), (1,), (1, 2, 3), (0, 9), (None, 2)])
def test_other_copies_are_refused(copies):
    with pytest.raises(InputError, match=r"from 0 to 4.*copies=\(1, 3\)"):
        scenes(3, copies=copies)
