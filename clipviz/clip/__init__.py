"""The reference CLIP: the paper in PyTorch, and the one network that every tool of clipviz looks into.

Read `config` for the nine architectures, `model` for the two towers side by side, `figure3` for the paper's
pseudocode beside it; then `vit` and `transformer`, or `resnet`; `text`; and `tower` and `taps` for looking inside.
"""

from .config import ARCHITECTURES, CBOWConfig, Config, ResNetConfig, TextConfig, ViTConfig
from .flops import Flops
from .model import CLIP
from .positions import resize_positions
from .taps import Attend, Taps
from .text import CBOW
from .tower import Tower

__all__ = [
    "ARCHITECTURES",
    "CBOW",
    "CLIP",
    "Attend",
    "CBOWConfig",
    "Config",
    "Flops",
    "ResNetConfig",
    "Taps",
    "TextConfig",
    "Tower",
    "ViTConfig",
    "resize_positions",
]
