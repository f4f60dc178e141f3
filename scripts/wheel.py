"""The build hook: a wheel carries the benches as data; an editable install finds them where they lie.

A static ``force-include`` would copy them into site-packages for an editable install too, where they would go stale.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

BENCHES = ("audits", "notebooks", "train")


class Benches(BuildHookInterface):
    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        if version == "editable":
            return
        root = Path(self.root)
        for bench in BENCHES:
            for path in sorted((root / bench).rglob("*")):
                below = path.relative_to(root)
                if path.is_file() and not any(part.startswith((".", "__")) for part in below.parts):
                    build_data["force_include"][str(path)] = f"clipviz/assets/{below.as_posix()}"
