"""What a run writes down while it goes: JSON Lines, TensorBoard events, and the curves read back from the lines."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from ..files import write

if TYPE_CHECKING:
    from ..plots import Canvas

METRICS, TENSORBOARD = "metrics.jsonl", "tensorboard"
QUANTITIES = {  # column -> what its panel is called
    "loss": "loss",
    "logit_scale": "logit scale",
    "learning_rate": "learning rate",
    "samples_per_second": "pairs per second",
}

logger = logging.getLogger(__name__)


class Log:
    """``metrics.jsonl`` and TensorBoard events under ``out``, from step ``done`` on.

    Lines of later steps are dropped, for they will be made again, and so is one that a killed process left
    unfinished; TensorBoard is told to forget the same steps. Without the package `tensorboard` there are no events.
    """

    def __init__(self, out: Path, done: int = 0):
        out.mkdir(parents=True, exist_ok=True)
        path = out / METRICS
        kept = [line for line in _lines(path) if line["step"] <= done]
        write(path, "".join(json.dumps(line) + "\n" for line in kept))
        self._file = path.open("a", encoding="utf-8")
        self._events = _events(out / TENSORBOARD, done)

    def write(self, line: Mapping[str, Any]) -> None:
        """Append a line: ``step``, and values by name, "dev.{source}.{metric}" for accuracy on dev.

        A number that is not finite becomes null, which any reader of JSON takes; TensorBoard is given it as it is,
        as "train/{name}" and "dev/{source}/{metric}".
        """
        plain = {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in line.items()}
        # flushed at once: a process that is killed after its checkpoint has lost nothing of what came before
        self._file.write(json.dumps(plain, allow_nan=False) + "\n")
        self._file.flush()
        if self._events is not None:
            for name, value in line.items():
                if name != "step" and isinstance(value, int | float):
                    self._events.add_scalar("/".join(_dev(name) or ("train", name)), value, line["step"])
            self._events.flush()

    def close(self) -> None:
        self._file.close()
        if self._events is not None:
            self._events.close()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def read_metrics(out: str | Path) -> list[dict[str, Any]]:
    """The lines of a run's metrics.jsonl, in order; also of a run that is still going.

    Raises DataError where the folder has none.
    """
    path = Path(out) / METRICS
    if not path.is_file():
        raise DataError(f"{str(out)!r} holds no {METRICS}: give the folder that a run was written to.")
    return _lines(path)


def curves(out: str | Path) -> Canvas:
    """Draw a run's loss, logit scale, learning rate, speed and accuracy on dev against the pairs seen.

    ``out`` is the folder of a run, also of one that is still going. What it has not written yet has no panel.
    Raises DataError where there are no metrics in it.

    >>> curves("runs/tiny").savefig("curves.png")  # doctest: +SKIP
    """
    from .. import plots

    lines = read_metrics(out)
    if not lines:
        raise DataError(f"The run in {str(out)!r} has written no metrics yet; look again in a moment.")
    panels: list[dict[str, Any]] = []
    for key, name in QUANTITIES.items():
        points = _points(lines, key)
        if points[0]:
            panels.append({"name": name, "lines": {name: points}})
    sources = dict.fromkeys(found[1] for line in lines for key in line if (found := _dev(key)))
    if sources:
        chance = {source: _points(lines, f"dev.{source}.chance")[1] for source in sources}
        panels.append(
            {
                "name": "accuracy on dev",
                "lines": {source: _points(lines, f"dev.{source}.top1") for source in sources},
                "levels": {source: values[-1] for source, values in chance.items() if values},
                "level": "chance",
                "scale": "share",
            }
        )
    return plots.lines(panels, x="pairs seen", title=f"Run {Path(out).resolve().name}")


def _points(lines: list[dict[str, Any]], key: str) -> tuple[list[float], list[float]]:
    """(pairs seen, values) of the lines that have this key; a null is a gap."""
    there = [line for line in lines if key in line]
    values = [math.nan if line[key] is None else float(line[key]) for line in there]
    return [float(line.get("samples", line["step"])) for line in there], values


def _dev(name: str) -> tuple[str, str, str] | None:
    """("dev", source, metric) of "dev.{source}.{metric}"; a source's name may hold dots itself."""
    kind, _, rest = name.partition(".")
    source, _, metric = rest.rpartition(".")
    return (kind, source, metric) if kind == "dev" and source else None


def _lines(path: Path) -> list[dict[str, Any]]:
    """All whole lines of a file of JSON objects with a step; none where there is no file."""
    found = []
    for text in path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else ():
        try:
            line = json.loads(text)
        except ValueError:
            continue  # torn by a kill
        if isinstance(line, dict) and isinstance(line.get("step"), int):
            found.append(line)
    return found


def _events(folder: Path, done: int) -> Any:
    """A writer of TensorBoard events, or None where the package is not installed."""
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError:
        logger.warning('No TensorBoard events are written: pip install "clipviz[train]" for them.')
        return None
    begun = folder.is_dir() and any(folder.iterdir())
    return SummaryWriter(str(folder), purge_step=done + 1 if begun else None)
