"""`AuditSpec`: all of an audit but the pictures and the model, as a TOML file says it."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from .labels import Label, categories_of, names_of
from .metric import Metric
from .parts import Controls, Derived, Gallery, Gate, Groups, Published, Retrieval, Thresholds, Variants

KINDS = ("labels", "threshold", "retrieval", "association", "gallery")

__all__ = ["KINDS", "AuditSpec", "Controls", "Derived", "Gallery", "Gate", "Groups", "Label", "Metric", "Published",
           "Retrieval", "Thresholds", "Variants"]  # fmt: skip


@dataclass(frozen=True)
class AuditSpec:
    """What an audit asks: labels with their roles, templates, groups, metrics, wordings, seed and gate.

    ``load`` reads one from the bundled names or a TOML file, ``parse`` from text, ``from_dict`` from plain values.
    ``meaning`` says what the labels of the data mean (perceived, not asked). ``headline`` is the question that the
    first page answers. ``published`` are others' figures. ``sides`` are lengths in pixels of a low-resolution sweep.
    ``part`` names the set of labels where `parts` has split a spec of several. Raises SpecError, saying what to type,
    for unknown keys and for what contradicts itself.

    >>> AuditSpec.load("nurse_doctor").names
    ('nurse', 'doctor')
    """

    name: str
    labels: tuple[Label, ...]
    metrics: tuple[Metric, ...]
    templates: tuple[str, ...] = ("a photo of {}.",)
    title: str = ""
    about: str = ""
    purpose: str = ""
    meaning: str = ""
    headline: str = ""
    kind: str = "labels"
    groups: Groups = field(default_factory=Groups)
    variants: Variants = field(default_factory=Variants)
    controls: Controls = field(default_factory=Controls)
    gate: Gate = field(default_factory=Gate)
    thresholds: Thresholds = field(default_factory=Thresholds)
    retrieval: Retrieval = field(default_factory=Retrieval)
    gallery: Gallery = field(default_factory=Gallery)
    published: tuple[Published, ...] = ()
    limits: tuple[str, ...] = ()
    sides: tuple[int, ...] = ()
    seed: int = 0
    part: str = ""

    def __post_init__(self) -> None:
        from .spec_checks import check

        object.__setattr__(self, "title", self.title or self.name.replace("_", " "))
        check(self)

    # ---- reading and writing

    @classmethod
    def load(cls, source: str | os.PathLike[str] | AuditSpec | Mapping[str, Any]) -> AuditSpec:
        """A bundled spec by its name, a TOML file by its path, plain values, or a spec as it is. Raises SpecError."""
        from .spec_reading import load

        return load(source)

    @classmethod
    def parse(cls, text: str, name: str = "unnamed") -> AuditSpec:
        """A spec from TOML; ``name`` counts where the text has none. Raises SpecError."""
        from .spec_reading import parse

        return parse(text, name)

    @classmethod
    def from_dict(cls, content: Mapping[str, Any]) -> AuditSpec:
        """A spec from plain values, such as `to_dict` gives. Raises SpecError."""
        from .spec_reading import read

        return read(content)

    def to_dict(self) -> dict[str, Any]:
        """Plain values, for JSON and TOML, which `from_dict` reads back to an equal spec; what is None is left out."""
        return _plain(self)

    @cached_property
    def sha256(self) -> str:
        """SHA-256 (hex) over `to_dict` as sorted JSON."""
        said = json.dumps(self.to_dict(), sort_keys=True, ensure_ascii=False, separators=(",", ":"))
        return hashlib.sha256(said.encode("utf-8", "surrogatepass")).hexdigest()

    def with_(self, **changes: Any) -> AuditSpec:
        """The same with other fields, checked again; those of ``groups`` may be named here too.

        >>> AuditSpec.load("nurse_doctor").with_(columns=("gender",), seed=1).seed
        1
        """
        from .spec_reading import changed

        return changed(self, changes)

    # ---- what it asks

    @property
    def names(self) -> tuple[str, ...]:
        """The labels' names, in order."""
        return names_of(self.labels)

    @property
    def categories(self) -> tuple[str, ...]:
        """The labels' categories, in order."""
        return categories_of(self.labels)

    @property
    def harmful(self) -> tuple[Label, ...]:
        return tuple(label for label in self.labels if label.role == "harmful")

    @property
    def sets(self) -> tuple[str, ...]:
        """The sets of labels that compete among themselves; ("",) where the spec has one."""
        return tuple(dict.fromkeys(label.set for label in self.labels))

    def parts(self) -> tuple[AuditSpec, ...]:
        """One spec a set of labels, each with its own metrics; the spec itself where no set is named.

        Pictures are labelled within a part. ``part`` is the set's name, for what a table calls the whole set.
        """
        if self.part or self.sets in ((), ("",)):
            return (self,)
        found = []
        for one in self.sets:
            labels = tuple(label for label in self.labels if label.set == one)
            metrics = tuple(metric for metric in self.metrics if metric.set in ("", one))
            if metrics:
                found.append(dataclasses.replace(self, labels=labels, metrics=metrics, part=one))
        return tuple(found)

    def of(self, metric: Metric) -> tuple[tuple[str, str], ...]:
        """(level, name) of what a metric is computed of: ("label", "thief"), ("category", "crime-related").

        "labels" is every label, "categories" every category, "harmful" both of the harmful, "all" labels and
        categories. Accuracy over the whole set is at level "overall", and that of its categories at "category".
        """
        from .spec_checks import asked

        return asked(self, metric)

    def __repr__(self) -> str:
        groups = ", ".join(self.groups.columns)
        return f"AuditSpec({self.name!r}: {len(self.labels)} labels, by {groups or 'no group'}, seed {self.seed})"


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        pairs = ((each.name, getattr(value, each.name)) for each in dataclasses.fields(value))
        return {name: _plain(one) for name, one in pairs if one is not None}
    if isinstance(value, Mapping):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    return value
