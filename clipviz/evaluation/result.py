"""`Evaluation`: how well a model did, metric by metric and picture by picture."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ..errors import DataError, InputError, nearest
from ..files import suffix_of, write
from .labels import Value

if TYPE_CHECKING:
    import pandas as pd

    from ..plots import Canvas

SUFFIXES = (".json", ".csv", ".html", ".png")
METRICS = {"top1": "top-1 accuracy", "top5": "top-5 accuracy", "balanced": "balanced accuracy"}
_FORMAT = "clipviz evaluation 1"
_TABLE = ("metric", "value", "n", "chance", "majority")
_ITEMS = ("id", "truth", "predicted", "margin", "rank", "half")
_ENDS = 12  # of more than twice as many labels, this many of the worst and of the best are drawn


@dataclass(frozen=True, eq=False)
class Evaluation:
    """What `evaluate` measured.

    ``table`` has a row a metric: value, n, ``chance`` (a coin's) and ``majority`` (the best constant answer's).
    ``items`` has a row a picture: id, truth and predicted (values of the data's own column), ``margin`` (cosine of the
    truth minus the highest other; positive where right), ``rank`` of the truth from 1, and the half its id is in.
    ``labels`` are (value, names); ``seen`` says whether the classes were seen in training, as far as the model's card
    tells; ``failed`` lists (id, reason) of pictures that were not scored; ``notes`` what to keep in mind.
    """

    task: str
    table: pd.DataFrame
    items: pd.DataFrame
    labels: tuple[tuple[Value, tuple[str, ...]], ...]
    seen: str
    notes: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)

    def __getitem__(self, metric: str) -> float:
        """The value of a metric, such as ``evaluation["top-1 accuracy"]``."""
        values = dict(zip(self.table["metric"], self.table["value"], strict=True))
        if metric not in values:
            raise InputError(f"There is no metric {metric!r} here. {nearest(str(metric), values)}")
        return float(values[metric])

    def per_label(self) -> pd.DataFrame:
        """A row a label with pictures: label, name, n, accuracy, and the name it is most often ``mistaken_for``."""
        import pandas as pd

        names: dict[Any, str] = {value: of_label[0] for value, of_label in self.labels}
        rows = []
        for value, part in self.items.groupby("truth", sort=False):
            wrong = Counter(names[p] for p in part["predicted"] if p != value)
            other, times = min(wrong.items(), key=lambda pair: (-pair[1], pair[0]), default=(None, 0))
            rows.append((value, names[value], len(part), float((part["rank"] == 1).mean()), other, times / len(part)))
        columns = ["label", "name", "n", "accuracy", "mistaken_for", "mistaken"]
        found = pd.DataFrame(rows, columns=columns)
        return found.sort_values(["accuracy", "name"], ignore_index=True)

    def plot(self) -> Canvas:
        """Bars of the accuracy of each label, the worst on top; of many, the twelve worst and the twelve best."""
        from .. import plots

        rows = self.per_label()
        cut = len(rows) > 2 * _ENDS
        shown = rows.iloc[[*range(_ENDS), *range(len(rows) - _ENDS, len(rows))]] if cut else rows
        notes = [
            f"n = {n}" + (f", {share:.0%} as {other}" if share else "")
            for n, other, share in zip(shown["n"], shown["mistaken_for"], shown["mistaken"], strict=True)
        ]
        left_out = f" The {_ENDS} worst and the {_ENDS} best of {len(rows)} labels." if cut else ""
        return plots.bars(
            shown["name"].tolist(), shown["accuracy"].to_numpy(), notes=notes,
            lines={"chance": float(self.table["chance"].iloc[0]), "all pictures": self[METRICS["top1"]]},
            title=f"{self.model}: {self.seen}", caption=f"{self.headline}.{left_out}", unit="top-1 accuracy",
        )  # fmt: skip

    @property
    def model(self) -> str:
        """The name of the model that was judged."""
        return str(self.provenance.get("model", {}).get("model", "?"))

    @property
    def headline(self) -> str:
        """Each metric with its chance, in one line."""
        said = [
            f"{metric} {100 * value:.1f} % (chance {100 * chance:.1f} %)"
            for metric, value, chance in zip(
                self.table["metric"], self.table["value"], self.table["chance"], strict=True
            )
        ]
        half = self.provenance.get("half", "all")
        part = "" if half == "all" else f" of the half {half!r}"
        return f"{', '.join(said)}; {len(self.items)} pictures{part}"

    def to_pandas(self) -> pd.DataFrame:
        """Long form, a row a metric, with what tells several evaluations apart beside it."""
        data, texts = self.provenance.get("data", {}), self.provenance.get("templates", ())
        return self.table.assign(
            task=self.task, model=self.model, half=self.provenance.get("half", "all"), labels=len(self.labels),
            seen=self.seen, failed=len(self.failed), templates=" | ".join(texts),
            data=data.get("fingerprint", ""), label_set=self.provenance.get("labels_sha256", ""),
        )  # fmt: skip

    def save(self, path: str | Path) -> Path:
        """Write everything (``.json``, see `load`), the metrics (``.csv``), a page or the figure, by suffix.

        An interrupted save leaves the old file whole. Raises InputError for another suffix.
        """
        suffix = suffix_of(path, SUFFIXES, "An evaluation")
        if suffix == ".json":
            return write(path, json.dumps(self._plain(), allow_nan=False, indent=1) + "\n")
        if suffix == ".csv":
            return write(path, self.to_pandas().to_csv(index=False))
        if suffix == ".html":
            return write(path, self._page())
        from .. import plots

        return write(path, plots.png(self.plot()))

    def _page(self) -> str:
        from .pages import evaluation_page

        return evaluation_page(self)

    def _plain(self) -> dict[str, Any]:
        return {
            "format": _FORMAT, "task": self.task, "seen": self.seen, "notes": list(self.notes),
            "table": _columns(self.table), "provenance": dict(self.provenance),
            "failed": [list(pair) for pair in self.failed],
            "labels": [[value, list(names)] for value, names in self.labels], "items": _columns(self.items),
        }  # fmt: skip

    @classmethod
    def load(cls, path: str | Path) -> Evaluation:
        """Read back what ``save("x.json")`` wrote. Raises DataError where the file is no such thing."""
        import pandas as pd

        try:
            about = json.loads(Path(path).read_text(encoding="utf-8"))
            if not isinstance(about, dict) or (got := about.pop("format", None)) != _FORMAT:
                raise ValueError(f"it does not say {_FORMAT!r}" + (f", but {got!r}" if isinstance(about, dict) else ""))
            labels = tuple((value, tuple(map(str, names))) for value, names in about.pop("labels"))
            table, items = pd.DataFrame(about.pop("table")), pd.DataFrame(about.pop("items"))
            kind = _kind_of(about["task"])
            for name, frame, wanted in zip(("table", "items"), (table, items), kind.columns(), strict=True):
                if tuple(frame.columns) != wanted or not len(frame):
                    raise ValueError(f"its {name} has the columns {list(frame.columns)} and {len(frame)} rows")
            failed = tuple((str(name), str(reason)) for name, reason in about.pop("failed"))
            notes = tuple(map(str, about.pop("notes")))
            found = kind(
                table=_numbers(table), items=_numbers(items), labels=labels, failed=failed, notes=notes, **about
            )
            found.check()
            return found
        except FileNotFoundError:
            raise DataError(f"There is no file {str(path)!r}.") from None
        except (OSError, ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise DataError(
                f"{str(path)!r} is no saved evaluation ({type(error).__name__}: {error}): load what "
                "evaluation.save('x.json') wrote."
            ) from error

    @classmethod
    def columns(cls) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The columns of ``table`` and of ``items``."""
        return _TABLE, _ITEMS

    def check(self) -> None:
        """ValueError where the tables of a file do not belong together."""
        known = {value for value, _ in self.labels}
        items = self.items
        if not {*items["truth"], *items["predicted"]} <= known or (self.table["n"] != len(items)).any():
            raise ValueError("its items fit neither its labels nor its table")
        items["margin"] = items["margin"].astype(np.float32)

    def __repr__(self) -> str:
        lost = f", {len(self.failed)} not scored" if self.failed else ""
        return f"Evaluation({self.task}, {self.model}: {self.headline}{lost}; {self.seen})"

    def _repr_html_(self) -> str:
        from .pages import evaluation_view

        return evaluation_view(self)


def _kind_of(task: str) -> type[Evaluation]:
    """The class that holds the results of a task."""
    if task == "explainers":
        from .league.result import League

        return League
    if task == "detection":
        from .boxes.result import BoxEvaluation

        return BoxEvaluation
    return Evaluation


def _columns(table: pd.DataFrame) -> dict[str, list[Any]]:
    """Column -> values that JSON can hold: NaN is None."""
    return {
        str(name): [None if value != value else value for value in column]
        for name, column in table.to_dict("list").items()
    }


def _numbers(table: pd.DataFrame) -> pd.DataFrame:
    """None is NaN again in columns of numbers; one that is empty throughout is one of numbers."""
    for name in table.columns:
        column = table[name]
        if column.dtype == object and all(value is None or isinstance(value, float | int) for value in column):
            table[name] = column.astype(float)
    return table
