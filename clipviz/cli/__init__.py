"""The command line: ``clipviz COMMAND``, also ``python -m clipviz``."""

from . import audit as audit  # adds its command
from . import detect as detect  # adds its command
from . import embed as embed  # adds its command, and the group of the cache
from . import evaluate as evaluate  # adds its group of commands
from . import explain as explain  # adds its two commands
from . import report as report  # adds its command
from . import train as train  # adds its command
from .commands import main

__all__ = ["main"]
