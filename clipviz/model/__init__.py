"""`Model`: a frozen CLIP with its tokenizer, its preprocessing and its provenance, behind one handle."""

from .catalogue import list_models
from .handle import Model
from .loading import load
from .look import Look

__all__ = ["Look", "Model", "list_models", "load"]
