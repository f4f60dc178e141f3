"""The reference CLIP: the paper in PyTorch, and the one network that every tool of clipviz looks into."""

from .config import Config, ResNetConfig, TextConfig, ViTConfig
from .model import CLIP
from .taps import Attend, Taps
from .tower import Tower

__all__ = ["CLIP", "Attend", "Config", "ResNetConfig", "Taps", "TextConfig", "Tower", "ViTConfig"]
