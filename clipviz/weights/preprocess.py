"""What must be known of the preparation of pictures, settled between what a file says and what a caller says."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..errors import ModelError, nearest
from .network import OPENAI_MEAN, OPENAI_STD

KEYS = ("size", "mode", "mean", "std", "interpolation", "resize_mode", "fill_color")
_VALUES = {
    "mode": ("RGB",),
    "interpolation": ("bicubic", "bilinear", "random"),
    "resize_mode": ("shortest", "longest", "squash"),
}
OPENAI_SAID = f"mean={OPENAI_MEAN}, std={OPENAI_STD}"


def settle(told: Mapping[str, Any] | None, asked: Mapping[str, Sequence[float] | None], source: str) -> dict[str, Any]:
    """open_clip's ``preprocess_cfg`` out of what ``source`` told and the ``mean`` and ``std`` that were asked for.

    Raises ModelError where neither tells, where they contradict each other, and for unknown keys and values:
    a wrong mean or std gives plausible, wrong numbers.
    """
    if not isinstance(told or {}, Mapping):
        raise ModelError(f"preprocess_cfg of {source} is {told!r}: it is a mapping of {', '.join(KEYS)}.")
    found = dict(told or {})
    fill = found.get("fill_color", 0)
    colour = fill if isinstance(fill, (list, tuple)) and len(fill) == 3 else [fill]
    if not all(type(x) is int and 0 <= x <= 255 for x in colour):
        raise ModelError(f"preprocess_cfg of {source} has fill_color = {fill!r}; it is 0 to 255, or three of them.")
    for key, value in found.items():
        if key not in KEYS:
            raise ModelError(f"preprocess_cfg of {source} has the unknown key {key!r}. {nearest(key, KEYS)}")
        if value not in _VALUES.get(key, (value,)):
            raise ModelError(f"preprocess_cfg of {source} has {key} = {value!r}; it is {' or '.join(_VALUES[key])}.")
    for key, values in asked.items():
        if values is None:
            continue
        three = _three(key, values)
        if key in found and _three(key, found[key]) != three:
            raise ModelError(f"{source} says {key} = {found[key]}: leave `{key}` out.")
        found[key] = list(three)
    if lacking := [key for key in ("mean", "std") if key not in found]:
        raise ModelError(
            f"{source} does not say how pictures are prepared ({' and '.join(lacking)}), and wrong ones give "
            f"plausible, wrong numbers: add them by name (OpenAI's and most of open_clip's: {OPENAI_SAID}) or, for a "
            'folder, as "preprocess_cfg" in open_clip_config.json.'
        )
    for key in ("mean", "std"):
        found[key] = list(_three(key, found[key]))
    if min(found["std"]) <= 0:
        raise ModelError(f"{source} has std = {found['std']}; three positive numbers are needed.")
    return found


def _three(key: str, values: Any) -> tuple[float, ...]:
    try:
        three = tuple(float(x) for x in values)
    except (TypeError, ValueError):
        three = ()
    if len(three) != 3:
        raise ModelError(f"{key}={values!r} is not three numbers, one a colour channel.")
    return three
