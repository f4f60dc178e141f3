"""Checkpoints: written whole or not at all, the last few kept, the newest whole one found again."""

from __future__ import annotations

import pickle
import re
from pathlib import Path
from typing import Any

import torch

from ..errors import DataError, SpecError
from ..files import replace

NAME = re.compile(r"step-(\d{9})\.pt")


class Checkpoints:
    """The checkpoints of one run, ``step-000001200.pt`` and so on in ``folder``."""

    def __init__(self, folder: Path, last: int):
        self.folder, self.last = folder, last

    def steps(self) -> list[int]:
        """Of all checkpoints that are there, in rising order."""
        if not self.folder.exists():
            return []
        found = (NAME.fullmatch(path.name) for path in self.folder.iterdir())
        return sorted(int(match.group(1)) for match in found if match)

    def path(self, step: int) -> Path:
        return self.folder / f"step-{step:09d}.pt"

    def save(self, step: int, state: dict[str, Any]) -> Path:
        """Write a checkpoint under a temporary name, rename it, then drop what is older than the last few."""
        self.folder.mkdir(parents=True, exist_ok=True)
        replace(self.path(step), lambda temporary: torch.save(state, temporary))
        for old in self.steps()[: -self.last]:
            self.path(old).unlink(missing_ok=True)
        return self.path(step)

    def newest(self) -> dict[str, Any] | None:
        """The newest checkpoint that can be read, or None where there is none at all."""
        broken: list[str] = []
        for step in reversed(self.steps()):
            try:
                state: dict[str, Any] = torch.load(self.path(step), weights_only=True, map_location="cpu")
                return state
            except (RuntimeError, EOFError, OSError, pickle.UnpicklingError, ValueError, KeyError) as error:
                broken.append(f"{self.path(step).name} ({str(error).splitlines()[0] if str(error) else error!r})")
        if broken:
            raise DataError(f"None of the checkpoints in {str(self.folder)!r} can be read: {'; '.join(broken)}.")
        return None


def check_recipe(state: dict[str, Any], recipe: dict[str, Any], where: Path) -> None:
    """SpecError naming the first key in which a checkpoint's recipe differs from this one."""
    for key, mine, theirs in _differences(recipe, state["recipe"]):
        raise SpecError(
            f"The run in {str(where)!r} was made with {key}={theirs!r}, and the recipe says {mine!r}: resume with the "
            "recipe it was begun with, or choose another out."
        )


def _differences(mine: Any, theirs: Any, where: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(mine, dict) and isinstance(theirs, dict):
        keys = [*mine, *(k for k in theirs if k not in mine)]
        return [d for k in keys for d in _differences(mine.get(k), theirs.get(k), f"{where}.{k}".lstrip("."))]
    if isinstance(mine, list | tuple) and isinstance(theirs, list | tuple) and len(mine) == len(theirs):
        pairs = enumerate(zip(mine, theirs, strict=True))
        return [d for i, (a, b) in pairs for d in _differences(a, b, f"{where}.{i}")]
    return [] if mine == theirs else [(where, mine, theirs)]
