"""Random weights, other texts, other labels, and sums that add up."""

from __future__ import annotations

import random

import numpy as np
import pytest
import torch
from PIL import Image

import clipviz
from clipviz.errors import InputError
from clipviz.explanation.metrics import (
    completeness_error,
    likeness,
    random_map,
    randomised,
    text_sensitivity,
)
from clipviz.explanation.metrics.sanity import layer_prefixes
from clipviz.frame import layout
from clipviz.model import Model


def test_full_randomisation_draws_everything_and_leaves_the_model_alone(model: Model, picture: Image.Image) -> None:
    state = {name: value.clone() for name, value in model.clip.state_dict().items()}
    torch.manual_seed(3), np.random.seed(3), random.seed(3)
    marks = torch.get_rng_state().clone(), str(np.random.get_state()), random.getstate()
    other = randomised(model, 5)
    assert torch.equal(torch.get_rng_state(), marks[0])
    assert (str(np.random.get_state()), random.getstate()) == marks[1:]
    assert all(torch.equal(value, state[name]) for name, value in model.clip.state_dict().items())
    drawn = other.clip.state_dict()
    # of those that are not the same constant in any network before training
    same = [name for name in drawn if torch.equal(drawn[name], state[name]) and drawn[name].max() > drawn[name].min()]
    assert same == []
    assert drawn.keys() == state.keys()
    assert not any(p.requires_grad for p in other.clip.parameters()) and not other.clip.training
    assert (other.mean, other.std, other.view, other.image_size) == (
        model.mean, model.std, model.view, model.image_size,
    )  # fmt: skip
    a, b, c = (m.provenance["weights_sha256"] for m in (other, randomised(model, 5), randomised(model, 6)))
    assert a == b != c
    assert "random weights" in other.name
    assert clipviz.gradcam(picture, "a dog", model=other).values.shape == model.grid
    assert torch.equal(other.look(picture).pixels, model.look(picture).pixels)


def test_cascading_goes_from_the_output_to_the_input(model: Model) -> None:
    state, depth = model.clip.state_dict(), layer_prefixes(model)
    moved_before: set[str] = set()
    for layers in range(1, len(depth) + 1):
        drawn = randomised(model, 1, layers=layers).clip.state_dict()
        moved = {name for name in state if not torch.equal(state[name], drawn[name])}
        assert all(name.startswith(tuple(p for part in depth[:layers] for p in part)) for name in moved)
        assert moved > moved_before or layers == 1
        moved_before = moved
    # in the end all that is drawn at random in the image tower has been, and nothing of the text tower
    varied = {name for name, value in state.items() if name.startswith("visual.") and value.max() > value.min()}
    assert varied <= moved_before
    assert not any(name.startswith("text.") for name in moved_before)
    for wrong in (0, len(depth) + 1, True, "1"):
        with pytest.raises(InputError, match="pass 1"):
            randomised(model, layers=wrong)  # type: ignore[arg-type]


def test_a_model_in_double_stays_in_double(vit: Model) -> None:
    try:
        vit.clip.double()
        assert {p.dtype for p in randomised(vit).clip.parameters()} == {torch.float64}
    finally:
        vit.clip.float()


def test_likeness_by_hand() -> None:
    maps = [[[1, 2, 3]], [[1, 2, 3]], [[1, 1, 1]]]
    others = [[[1, 3, 2]], [[3, 2, 1]], [[1, 2, 3]]]
    found = likeness(maps, others)
    np.testing.assert_allclose(found.correlations, [0.5, -1, np.nan])
    assert (found.mean_absolute, found.flat) == (pytest.approx(0.75), 1)
    nothing = likeness(maps[2:], others[2:])
    assert np.isnan(nothing.mean_absolute) and nothing.flat == 1
    assert likeness(maps[:1], maps[:1]).mean_absolute == 1
    chance = likeness(
        [random_map((7, 7), (0, i)) for i in range(100)], [random_map((7, 7), (1, i)) for i in range(100)]
    )
    assert chance.mean_absolute < 0.2
    for a, b in (([], []), (maps, others[:2])):
        with pytest.raises(InputError, match="stand beside"):
            likeness(a, b)


def test_a_method_that_does_not_look_at_the_network_is_found_out(vit: Model, picture: Image.Image) -> None:
    """The brightness of the picture is the same map whatever the weights: the check must say 1."""
    looks = [m.look(picture) for m in (vit, randomised(vit))]
    brightness = [look.pixels[0].mean(dim=0) for look in looks]
    assert likeness(brightness[:1], brightness[1:]).mean_absolute == 1


def test_text_sensitivity_by_hand() -> None:
    one, other = np.zeros((4, 4)), np.zeros((4, 4))
    one[0, 0] = other[3, 3] = 1
    found = text_sensitivity(one, other)
    assert found.moved and found.peak_moved == pytest.approx(18**0.5)
    assert found.rank_correlation == pytest.approx(-1 / 15)
    # a 4 x 4 map on a picture of 16 x 16; corners are flat from the centre of their cell to the border
    frame = layout((16, 16), 4, "crop")
    assert 16 <= text_sensitivity(one, other, frame=frame).peak_moved <= 15 * 2**0.5
    tied = np.array([[1.0, 0.0], [0.0, 1.0]])
    for seed in range(10):
        still = text_sensitivity(tied, 2 * tied, seed=seed)
        assert (still.rank_correlation, still.peak_moved, still.moved) == (1, 0, False)
    flat = text_sensitivity(one, np.zeros((4, 4)))
    assert np.isnan(flat.rank_correlation) and np.isnan(flat.peak_moved) and not flat.moved


def test_completeness_by_hand() -> None:
    cells = [[0.25, -0.5], [0.5, 0.0]]
    assert completeness_error(cells, 0.75, 0.5) == 0
    assert completeness_error(cells, 0.75, 0.0) == 0.5
    assert completeness_error(cells, 0.75, 0.0, remainder=0.5) == 0
    assert completeness_error(cells, 0.75, 0.0, relative=True) == pytest.approx(2 / 3)
    assert np.isnan(completeness_error(cells, 0.5, 0.5, relative=True))
    assert completeness_error(np.zeros((2, 2)), 0.5, 0.25, relative=True) == 1
    with pytest.raises(InputError, match="finite"):
        completeness_error(cells, np.nan, 0.0)
