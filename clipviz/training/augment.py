"""A picture as the network is shown it: a random square, mirrored or tinted where the recipe says so."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageEnhance

from .data_recipe import SourceRecipe


def shown(image: Image.Image, size: int, source: SourceRecipe, rng: np.random.Generator) -> NDArray[np.uint8]:
    """A random square of a picture at the model's size, uint8 [S, S, 3].

    With ``crop=[1, 1]`` the paper's augmentation and its only one: a random square crop of the picture resized
    to the model's size on its short side (section 2.4 of Radford et al. 2021); the rest is opted into.
    """
    side = min(image.size) * math.sqrt(rng.uniform(*source.crop))
    x, y = rng.uniform(0, image.width - side), rng.uniform(0, image.height - side)
    # the crop and the resize in one: what Pillow samples beyond the box is the picture, as if resized before
    small = image.resize((size, size), Image.Resampling.BICUBIC, box=(x, y, x + side, y + side))
    if source.flip and rng.random() < 0.5:
        small = small.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    if source.jitter:
        for kind in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            small = kind(small).enhance(1 + rng.uniform(-source.jitter, source.jitter))
    return np.asarray(small)
