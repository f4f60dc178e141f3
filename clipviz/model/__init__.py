"""`Model`: a frozen CLIP with its tokenizer, its preprocessing and its provenance, behind one handle."""

from .catalogue import list_models
from .handle import Model
from .loading import load
from .look import Look
from .sizing import at_size

__all__ = ["Look", "Model", "at_size", "list_models", "load"]
