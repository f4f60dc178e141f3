"""Checkpoints: written whole or not at all, the last few and the best kept, the newest whole one found again."""

from __future__ import annotations

import errno
import os
import re
import shutil
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from ..errors import ClipvizWarning, DataError, ModelError, SpecError
from ..files import replace
from .reading import read_recipe

NAME = re.compile(r"step-(\d{9})\.pt")
BEST, TORN = "best.pt", ".torn"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# What `files.replace` and `weights.save_folder` leave when the process is killed in the middle of them.
DRAFT = re.compile(r"\..+\.\d+\.[0-9a-f]{8}(\.[^.]+)?|\..+\.[0-9a-f]{8}\.(new|old)")
OLD = re.compile(r"\.(.+)\.[0-9a-f]{8}\.old")
# What a run may be resumed with another value of: how it is called, where its time and memory go, and what is
# written down when. Batch, seed, data, schedule and precision make another run.
FREE = re.compile(r"name|threads|data\.workers|keep\..+|memory\.(micro_batch|checkpoint_activations|distributed)")


class Checkpoints:
    """The checkpoints of one run, ``step-000001200.pt`` and so on and ``best.pt``, in ``folder``.

    A state is a mapping of tensors and plain values, as ``torch.load(weights_only=True)`` reads it. Whoever
    writes or looks for the newest one has the run's folder for itself (see `lock`).
    """

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

    @property
    def newest_path(self) -> Path | None:
        """Where the newest checkpoint is, unread."""
        steps = self.steps()
        return self.path(steps[-1]) if steps else None

    def save(self, step: int, state: dict[str, Any], best: float | None = None) -> Path:
        """Write a checkpoint, whole or not at all, then drop what is older than the last few.

        ``best``: the score on dev that makes this the best so far; it becomes ``best.pt`` as well.

        Raises DataError where it cannot be written (a full disk), and ModelError where a weight in it is not
        finite; the checkpoints before it then stay as they are.
        """
        path, before = self.path(step), self.newest_path
        if name := next(_spoilt(state, ""), None):
            raise ModelError(
                f"After step {step} {name!r} holds values that are not finite, so it is not kept. {_told(before)}"
            )
        state = {**state, "checkpoint": {"step": step, "best": best}}
        try:
            if not self.folder.exists():
                self.folder.mkdir(parents=True)
                _settle(self.folder.parent)
            replace(path, lambda draft: _write(state, draft))
            _settle(self.folder)
            if best is not None:
                self._link_best(path)
            self._drop_older(path)
        except OSError as error:
            raise DataError(
                f"The checkpoint of step {step} could not be written to {str(self.folder)!r} "
                f"({error.strerror or error}). {_told(before)} Make room, and go on with resume=True (--resume)."
            ) from error
        return path

    def newest(self, tidy: bool = True) -> dict[str, Any] | None:
        """The newest checkpoint that is whole, or None where there is none at all.

        Torn ones that are newer than it are named in a ClipvizWarning and kept aside, as ``step-....pt.torn``;
        not so with ``tidy=False``, for all processes of a run but the first.
        Raises DataError where there are checkpoints and none is whole; nothing is then moved.
        """
        torn: list[tuple[Path, str]] = []
        paths = [self.path(step) for step in reversed(self.steps())]
        for path in [*paths, self.folder / BEST]:
            try:
                state = read(path)
            except FileNotFoundError:
                continue
            except Torn as error:
                torn.append((path, str(error)))
                continue
            except OSError as error:
                raise DataError(f"The checkpoint {str(path)!r} cannot be read ({error.strerror or error}).") from error
            if tidy:  # and what a kill right after the writing of it has left undone
                self._set_aside(torn, path)
                if state.get("checkpoint", {}).get("best") is not None and path.name != BEST:
                    self._link_best(path)
                if path.name != BEST:
                    self._drop_older(path)
            return state
        if torn:
            listed = "; ".join(f"{path.name} ({why})" for path, why in torn)
            raise DataError(
                f"None of the checkpoints in {str(self.folder)!r} is whole: {listed}. Begin again in another out."
            )
        return None

    def _drop_older(self, newest: Path) -> None:
        others = [path for step in self.steps() if (path := self.path(step)) != newest]
        for old in others[: max(0, len(others) - self.last + 1)]:
            old.unlink(missing_ok=True)

    def _set_aside(self, torn: list[tuple[Path, str]], used: Path) -> None:
        if not torn:
            return
        for path, _ in torn:
            path.rename(path.with_name(path.name + TORN))
        listed = "; ".join(f"{path.name} ({why})" for path, why in torn)
        warnings.warn(
            f"Not whole, and kept aside in {str(self.folder)!r} with the ending {TORN}: {listed}. The run goes on "
            f"from {used.name}.",
            ClipvizWarning,
            stacklevel=2,
        )

    def _link_best(self, path: Path) -> None:
        """Make ``best.pt`` the same file, or a copy where the file system has no links."""
        best = self.folder / BEST
        if best.exists() and best.samefile(path):
            return

        def link(draft: str) -> None:
            try:
                os.link(path, draft)
            except OSError:
                shutil.copyfile(path, draft)

        replace(best, link)
        _settle(self.folder)


class Torn(Exception):
    """A file is not what was written."""


def read(path: Path) -> dict[str, Any]:
    """A checkpoint's state, on the CPU; `Torn` where a byte of it is missing or wrong.

    torch reads past damage inside a tensor, so the checksums of the archive are looked at first.
    """
    with path.open("rb") as file:  # what may not be read is not torn
        try:
            with zipfile.ZipFile(file) as archive:
                wrong = archive.testzip()
            file.seek(0)
            state = None if wrong else torch.load(file, weights_only=True, map_location="cpu")
        except MemoryError:
            raise
        except Exception as error:  # damage to a header leads anywhere
            raise Torn((str(error).splitlines() or [type(error).__name__])[0]) from error
    if wrong:
        raise Torn(f"the checksum of {wrong} is wrong")
    if not isinstance(state, dict) or "recipe" not in state:
        raise Torn("it is no checkpoint of a run")
    return state


def sweep(folder: Path) -> list[Path]:
    """Remove the temporary files that a killed run left in its folder, and give their paths.

    A model's folder that was moved away for a new one that never came is put back. Only for who holds the folder's
    lock: the files of a run that is alive look the same.
    """
    found = [path for path in sorted(folder.rglob(".*")) if DRAFT.fullmatch(path.name)]
    for path in found:
        if (old := OLD.fullmatch(path.name)) and not (final := path.with_name(old.group(1))).exists():
            path.rename(final)
        elif path.is_dir() and not path.is_symlink():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)
    return found


@contextmanager
def room(out: Path, checkpoints: Checkpoints) -> Iterator[None]:
    """Within it a full disk, whoever meets it, is a DataError that names the run's last good checkpoint."""
    try:
        yield
    except Exception as error:
        # the writer of the weights tells the number in words
        number = error.errno if isinstance(error, OSError) else _number(str(error))
        if number not in FULL:
            raise
        raise DataError(
            f"{str(out)!r} takes no more ({os.strerror(number)}). {_told(checkpoints.newest_path)} Make room, and "
            "go on with resume=True (--resume)."
        ) from error


def _number(sentence: str) -> int:
    found = re.search(r"\(os error (\d+)\)", sentence)
    return int(found.group(1)) if found else 0


def check_recipe(state: dict[str, Any], recipe: dict[str, Any], where: Path) -> None:
    """SpecError naming the first key in which a checkpoint's recipe differs from this one; see `FREE` for what may."""
    for key, mine, theirs in _differences(recipe, read_recipe(state["recipe"]).to_dict()):
        if not FREE.fullmatch(key):
            raise SpecError(
                f"The run in {str(where)!r} was made with {key}={theirs!r}, and the recipe says {mine!r}: resume with "
                "the recipe it was begun with, or choose another out."
            )


def _differences(mine: Any, theirs: Any, where: str = "") -> list[tuple[str, Any, Any]]:
    if isinstance(mine, dict) and isinstance(theirs, dict):
        keys = [*mine, *(k for k in theirs if k not in mine)]
        return [d for k in keys for d in _differences(mine.get(k), theirs.get(k), f"{where}.{k}".lstrip("."))]
    if isinstance(mine, list | tuple) and isinstance(theirs, list | tuple) and len(mine) == len(theirs):
        pairs = enumerate(zip(mine, theirs, strict=True))
        return [d for i, (a, b) in pairs for d in _differences(a, b, f"{where}.{i}")]
    return [] if mine == theirs else [(where, mine, theirs)]


def _write(state: dict[str, Any], draft: str) -> None:
    checks = torch.serialization.get_crc32_options()
    torch.serialization.set_crc32_options(True)
    try:
        with open(draft, "wb") as file:  # torch's own file would not say why the disk refused
            torch.save(state, file)
    except RuntimeError as error:
        cause: BaseException | None = error
        while cause is not None and not isinstance(cause, OSError):
            cause = cause.__context__
        raise cause or error from None
    finally:
        torch.serialization.set_crc32_options(checks)


def _settle(folder: Path) -> None:
    """Have the disk know the names in a folder, which a power cut could otherwise take back."""
    place = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(place)
    finally:
        os.close(place)


def _spoilt(value: Any, name: str) -> Iterator[str]:
    """The names of tensors with values that are not finite."""
    if isinstance(value, Tensor):
        if value.is_floating_point() and not bool(torch.isfinite(value).all()):
            yield name
    elif isinstance(value, dict | list | tuple):
        for key, inner in value.items() if isinstance(value, dict) else enumerate(value):
            yield from _spoilt(inner, f"{name}.{key}".lstrip("."))


def _told(before: Path | None) -> str:
    return f"The last good checkpoint is {str(before)!r}." if before else "There is no checkpoint before it."
