"""`Audit`: whom a model fails, by how much, and how sure that is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..errors import DataError
from .judged import Judged
from .tally import WRITTEN

if TYPE_CHECKING:
    import pandas as pd

    from ..model import Model
    from ..plots import Canvas
    from ..sources import Item
    from .comparing import AuditComparison
    from .explaining import DecisionMaps
    from .spec import AuditSpec
    from .verdicts import Verdict


@dataclass(frozen=True, eq=False)
class Audit:
    """What `audit` found.

    ``table`` has a row a figure: metric, level (label, category, overall), by (the grouping), name, group, reference,
    variant (the wording), value, ci_low, ci_high, n, k, p, p_adjusted, q, method, headline. ``verdicts`` say in words
    which headline comparisons were found. ``competence`` tells which labels the model knows; ``composition`` crude
    beside adjusted gaps; ``spread`` each figure under every wording; ``power`` the smallest gap that would be found;
    ``calibration`` the self-test, where one ran. ``notes`` are what to keep in mind, ``failed`` (id, reason) of
    pictures that were not judged, ``provenance`` model, data, prompts, seed and versions; only its ``made`` is a date.
    """

    spec: AuditSpec
    table: pd.DataFrame
    verdicts: tuple[Verdict, ...] = ()
    competence: pd.DataFrame | None = None
    composition: pd.DataFrame | None = None
    spread: pd.DataFrame | None = None
    power: pd.DataFrame | None = None
    calibration: Mapping[str, Any] | None = None
    notes: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    provenance: Mapping[str, Any] = field(default_factory=dict)
    judged: Judged | None = field(default=None, repr=False)  # what ``items`` is made of

    @property
    def model(self) -> str:
        """The name of the model that was audited."""
        return str(self.provenance.get("model", {}).get("model", "?"))

    @property
    def headline(self) -> str:
        """The model, the pictures, and how many of the comparisons show a difference, in a sentence."""
        from .pages import headline

        return headline(self)

    @cached_property
    def items(self) -> pd.DataFrame:
        """A row a wording and picture: variant, id, the groups, ``decision``, and ``cosine: NAME`` for each label.

        Made when it is first asked for. Raises DataError where the audit has no items.
        """
        return self._judged().frame()

    def to_pandas(self) -> pd.DataFrame:
        """The table, with what tells several audits apart beside it."""
        data = self.provenance.get("data", {})
        fingerprint = data.get("fingerprint", "") if isinstance(data, Mapping) else ""
        return self.table.assign(
            spec=self.spec.name, spec_sha256=self.spec.sha256, model=self.model, data=fingerprint,
            weights=self.provenance.get("model", {}).get("weights_sha256", ""), seed=self.spec.seed,
        )  # fmt: skip

    # ---- keeping and comparing

    def save(self, path: str | Path, *, people: bool = False) -> Path:
        """Write everything into a folder (a name without a suffix, see `load`), or one report by the name's suffix.

        ``.html`` a page (with pictures of people only where ``people`` asks for them), ``.json`` by a published schema,
        ``.csv`` the table, ``.md`` a section for a model card, ``.xml`` the gate as JUnit. What is interrupted leaves
        the old one whole. Raises InputError for another suffix, and for a folder that holds other files.

        >>> audit.save("runs/faces"); audit.save("faces.html")  # doctest: +SKIP
        """
        if Path(path).suffix:
            from .exports import export

            return export(self, path, people=people)
        from .saving import save

        return save(self, path)

    @classmethod
    def load(cls, path: str | Path) -> Audit:
        """Read back what ``save("run/")`` wrote. Raises DataError where the folder holds none, or is not whole."""
        from .saving import load

        return load(path)

    def compare(self, other: Audit) -> AuditComparison:
        """This audit's figures minus the other's: of two models, two dates or two wordings.

        Paired over the pictures where both audits have the same; refused where the items are not there, or the ids
        differ. Raises DataError or SpecError.
        """
        from .comparing import compared

        return compared(self, other)

    # ---- from figures to pictures

    def examples(
        self, *, group: str | None = None, label: str | None = None, by: str | None = None, k: int = 8,
        wording: str = WRITTEN, order: str = "chance", data: Any = None,
    ) -> tuple[Item, ...]:  # fmt: skip
        """At most ``k`` of the pictures of a group that were given a label (or a category): the pictures of a figure.

        ``by`` says of which column the group is, where several have one of its name. ``order`` : "chance" (by the
        spec's seed: as they are), or "clearest" (the widest margin first, which shows the extremes). The pictures are
        opened again through the store's source, or ``data`` where they have moved; nothing is copied. Raises DataError
        where nothing fits, with what is known, or where the pictures are no longer there.
        """
        from .examples import examples

        return examples(self, group=group, label=label, by=by, k=k, wording=wording, order=order, data=data)

    def explain(
        self, *, group: str | None = None, label: str | None = None, by: str | None = None, k: int = 8,
        wording: str = WRITTEN, order: str = "chance", data: Any = None, model: Model | None = None, **options: Any,
    ) -> DecisionMaps:  # fmt: skip
        """Heatmaps of those decisions, how much of the heat is on the face, and what blurring face or background does.

        The pictures are those of `examples`; ``options`` are of `auditing.explaining.explain_decisions`: method, blur,
        draws, progress. The face's box is the spec's ``box`` column, else a fixed central one, which is said.
        """
        from .examples import explained

        return explained(
            self, group=group, label=label, by=by, k=k, wording=wording, order=order, data=data, model=model, **options
        )

    def plot(self) -> Canvas:
        """The headline figures of each group with their intervals; nothing is shown by itself."""
        from .drawing import drawn

        return drawn(self)

    def _judged(self) -> Judged:
        if self.judged is None:
            raise DataError(
                "This audit has no items, so there is no picture to go back to: load a folder that "
                "audit.save('run') wrote."
            )
        return self.judged

    def __repr__(self) -> str:
        found = sum(one.state == "found" for one in self.verdicts)
        fragile = sum(one.fragile for one in self.verdicts)
        silent = sum(one.state == "none" for one in self.verdicts)
        said = f"{found} of {len(self.verdicts)} headline comparisons found"
        said += f", {fragile} of them fragile" if fragile else ""
        said += f", {silent} without a verdict" if silent else ""
        lost = f"; {len(self.failed)} pictures not judged" if self.failed else ""
        demo = " (demonstration model)" if self.provenance.get("demonstration") else ""
        pictures = self.provenance.get("pictures", 0)
        return f"Audit({self.spec.name!r}, {self.model}{demo}, {pictures:,} pictures: {said}{lost})"

    def _repr_html_(self) -> str:
        from .pages import audit_view

        return audit_view(self)
