"""The tables of an audit spec, one dataclass each; `spec.py` puts them together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

EMPTY_CELLS = ("refuse", "leave out", "a group")
REST, BEST = "rest", "best"


@dataclass(frozen=True)
class Derived:
    """A column of groups made of another: ``values`` maps a group of ``column`` to the coarser group."""

    column: str
    values: Mapping[str, str] = field(default_factory=dict, hash=False)


@dataclass(frozen=True)
class Groups:
    """Whom the audit compares.

    ``columns`` of the data's metadata, each a way to group; ``crossings`` of them ("race" x "gender"); ``reference`` a
    column -> its group that the others are compared to, "rest" or "best"; ``adjust`` columns that composition is
    adjusted for; ``person`` the column that says who is seen, where several pictures show one person; ``box`` the
    column of the face's box; ``mapping`` column -> value in the data -> name of the group ("" leaves it out);
    ``derived`` coarser columns; ``names`` the spec's column -> the data's; ``empty`` cells are refused, left out or a
    group of their own; ``known`` names the table that the values are codes of ("utkface", "celeba", "fairface").
    """

    columns: tuple[str, ...] = ()
    crossings: tuple[tuple[str, ...], ...] = ()
    reference: Mapping[str, str] = field(default_factory=dict, hash=False)
    adjust: tuple[str, ...] = ()
    person: str = ""
    box: str = ""
    mapping: Mapping[str, Mapping[str, str]] = field(default_factory=dict, hash=False)
    derived: Mapping[str, Derived] = field(default_factory=dict, hash=False)
    names: Mapping[str, str] = field(default_factory=dict, hash=False)
    empty: str = "refuse"
    known: str = ""


@dataclass(frozen=True)
class Variants:
    """Other wordings of the same question, run by default; an empty list or false leaves one kind out.

    ``templates`` : each alone, beside those of the spec. ``article`` : a, the, none. ``case`` : as titles and in
    capitals. ``synonyms`` : tables of a word -> the word in its place, a wording each. ``added`` : texts that join the
    labels, one at a time. ``leave_out`` : each harmful label in turn. ``logit_scale`` : factors of the model's own.
    """

    templates: tuple[str, ...] | None = None
    article: bool = True
    case: bool = True
    synonyms: tuple[Mapping[str, str], ...] | None = field(default=None, hash=False)
    added: tuple[str, ...] | None = None
    leave_out: bool = True
    logit_scale: tuple[float, ...] = (0.5, 2.0)


@dataclass(frozen=True)
class Controls:
    """What runs beside every audit with harmful labels: two words that mean nothing, and neutral words for a person."""

    placebo: tuple[str, ...] = ("a blicket", "a tupa")
    neutral: tuple[str, ...] = ("a person", "a face")


@dataclass(frozen=True)
class Gate:
    """Bounds such as "crime-related.race.gap.ci_low > 0.05", under which ``clipviz audit --gate`` exits with 1."""

    fail_if: tuple[str, ...] = ()


@dataclass(frozen=True)
class Retrieval:
    """How rankings are judged: who should stand in the top k, and the logarithm's base.

    ``desired`` : "gallery" (the shares of the gallery) or "equal" for every column, or a column -> group -> share.
    ``log_base`` : of skew and NDKL; 2.718281828459045 is the natural one. ``rankings`` : random ones of the same
    gallery, for their mean, their 95 % quantile and the permutation p.
    """

    desired: str | Mapping[str, Mapping[str, float]] = field(default="gallery", hash=False)
    log_base: float = 2.718281828459045
    rankings: int = 10_000


@dataclass(frozen=True)
class Thresholds:
    """Labels counted where their probability is above a level, as in the paper's study of members of Congress.

    ``levels`` : probabilities. ``most`` : how many of the most gendered labels are shown for each group.
    """

    levels: tuple[float, ...] = ()
    most: int = 20


@dataclass(frozen=True)
class Gallery:
    """People who agreed to be named: the column that says who is seen, their names, and how they agreed."""

    column: str = "person"
    people: tuple[str, ...] = ()
    consent: str = ""


@dataclass(frozen=True)
class Published:
    """A figure that somebody published, shown beside ours and never judged by.

    ``metric``, ``level``, ``name`` and ``variant`` as in the audit's table; ``by`` and ``group`` whom it is about (""
    is everybody). ``value`` a share from 0 to 1. ``model`` it was measured with. ``caution`` : why the two need not
    agree.
    """

    source: str
    name: str
    value: float
    metric: str = "share"
    level: str = "category"
    variant: str = "as written"
    by: str = ""
    group: str = ""
    model: str = ""
    caution: str = ""
