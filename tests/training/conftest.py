import copy

import pytest

TOY = {
    "name": "toy",
    "threads": 1,
    "model": {"width": 32, "head_width": 16, "layers": 2, "embed_dim": 16, "text_width": 32, "vocabulary": "seen"},
    "loss": {"multi_positive": True},
    "data": {
        "sources": [
            {
                "kind": "scenes",
                "name": "scenes",
                "n": 48,
                "captions": [{"templates": ["a {colour} {shape}", "the {colour} {shape}"]}],
            }
        ]
    },
    "optim": {"samples": 320, "batch": 16, "learning_rate": 3e-3, "clip_norm": 1.0},
    "keep": {"seconds": 0, "steps": 5, "last": 3, "log_steps": 2},
}


@pytest.fixture(scope="session")
def toy_recipe():
    """A recipe of twenty quick steps on scenes, as a mapping; not to be changed."""
    return copy.deepcopy(TOY)


@pytest.fixture
def toy(toy_recipe):
    """The same, for a test to change."""
    return copy.deepcopy(toy_recipe)
