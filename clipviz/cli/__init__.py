"""The command line: ``clipviz COMMAND``, also ``python -m clipviz``."""

from .commands import main

__all__ = ["main"]
