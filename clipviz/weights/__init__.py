"""Every layout of weights that people have, and its way into and out of the reference network."""

from .configs import OtherArchitecture, config_from_open_clip, config_to_open_clip, square
from .file import SUFFIXES, read_file
from .folder import is_model_folder, read_config, read_folder
from .memory import from_module
from .network import OPENAI_MEAN, OPENAI_STD, Weights, build, fingerprint
from .other import OtherNetwork
from .saving import save_folder
from .states import from_open_clip, read_state, to_open_clip
from .tags import architecture, cached_file, random_weights, read_tag

__all__ = [
    "OPENAI_MEAN",
    "OPENAI_STD",
    "SUFFIXES",
    "OtherArchitecture",
    "OtherNetwork",
    "Weights",
    "architecture",
    "build",
    "cached_file",
    "config_from_open_clip",
    "config_to_open_clip",
    "fingerprint",
    "from_module",
    "from_open_clip",
    "is_model_folder",
    "random_weights",
    "read_config",
    "read_file",
    "read_folder",
    "read_state",
    "read_tag",
    "save_folder",
    "square",
    "to_open_clip",
]
