"""The JSON Schema that every exported audit keeps."""

from __future__ import annotations

import json
from importlib.resources import files
from typing import Any

FORMAT = "clipviz audit report 1"  # a new number where a reader of the old one would be misled


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of ``audit.save("x.json")``, as it stands in ``audit.schema.json``.

    >>> schema()["properties"]["format"]["const"]
    'clipviz audit report 1'
    """
    found: dict[str, Any] = json.loads(files(__package__).joinpath("audit.schema.json").read_text(encoding="utf-8"))
    return found
