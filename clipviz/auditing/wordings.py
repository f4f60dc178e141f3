"""The same question in other words: the variants that an audit runs by default, and its controls."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .labels import Label

if TYPE_CHECKING:
    from ..model import Model
    from .spec import AuditSpec

WRITTEN = "as written"
KINDS = (
    "written", "templates", "article", "case", "synonym", "added", "left out", "logit scale", "placebo", "neutral",
    "resolution",
)  # fmt: skip
# Where the spec names none. Texts that bring their article ("a nurse") are put in without one.
TEMPLATES = ("{}", "a photo of {}.", "a picture of {}", "a close-up photo of {}.")
TEMPLATES_FOR_BARE = ("{}", "a photo of a {}.", "a picture of a {}", "a close-up photo of a {}.")
SYNONYMS: tuple[Mapping[str, str], ...] = (
    {"people": "humans"}, {"people": "persons"}, {"person": "human"}, {"human": "person"},
    {"man": "male person", "woman": "female person"},
)  # fmt: skip
ADDED = ("a child",)  # what changed the paper's figures most (table 7)
_ARTICLE = re.compile(r"^(an?|the)\s+(?=\S)", re.I)
_OF_SCALE = ("mean_probability", "above_threshold")


@dataclass(frozen=True)
class Wording:
    """Labels and templates that an audit is run with. ``kind`` is one of KINDS, the first ``written``.

    ``logit_scale`` is a factor of the model's own (None is 1). A ``control`` is no other wording of the question: its
    figures show what chance or any person label does, and take no part in whether a verdict is fragile.

    """

    name: str
    kind: str
    labels: tuple[Label, ...]
    templates: tuple[str, ...]
    logit_scale: float | None = None
    control: bool = False

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(label.name for label in self.labels)

    def bears_on(self, metric: str) -> bool:
        """Whether ``metric`` could change by it: a logit scale moves probabilities, never which label is nearest."""
        return self.kind != "logit scale" or metric.startswith(_OF_SCALE)

    def prompts(self) -> list[list[str]]:
        """Every label's filled templates."""
        return [[template.replace("{}", label.text) for template in self.templates] for label in self.labels]


def wordings(spec: AuditSpec) -> tuple[Wording, ...]:
    """The wordings of a spec (of one part): the first is "as written", the controls come last.

    Names and texts keep the labels' names, so that a figure of one label can be followed over the wordings; a wording
    that says word for word what an earlier one says is left out, as is one that would make two labels the same.

    >>> [w.name for w in wordings(AuditSpec.load("nurse_doctor"))][:2]  # doctest: +SKIP
    ['as written', "template '{}'"]
    """
    written = Wording(WRITTEN, "written", spec.labels, spec.templates)
    found, said = [written], {_said(written)}
    for one in _all(spec):
        apart = len({" ".join(label.text.split()) for label in one.labels}) == len(one.labels)
        if _said(one) not in said and len(one.labels) > 1 and apart:
            said.add(_said(one))
            found.append(one)
    return tuple(found)


def without_twins(found: tuple[Wording, ...], model: Model) -> tuple[tuple[Wording, ...], tuple[str, ...]]:
    """The wordings that say something of their own to ``model``, and a sentence on each that does not.

    Most tokenizers read no capitals: to them the variant of case is the question as written, and would count twice
    where wordings are counted. And a wording with a word that was never in training, where the model's card tells,
    says nothing that could bear a finding out or not. The question as written and the controls always stay.
    """
    kept: list[Wording] = []
    notes: list[str] = []
    seen: dict[object, str] = {}
    strange = _unseen(found[0], model) if found else set()
    for one in found:
        key = (_tokens(one, model), one.logit_scale, tuple(label.role for label in one.labels))
        if one.kind != "written" and not one.control:
            if key in seen:
                told = f"is to this model's tokenizer the same as {seen[key]!r}"
                notes.append(f"The wording {one.name!r} {told}: left out.")
                continue
            if new := _unseen(one, model) - strange:
                words = ", ".join(map(repr, sorted(new)))
                notes.append(
                    f"The wording {one.name!r} has words that the model never saw in training ({words}): left out."
                )
                continue
        seen.setdefault(key, one.name)
        kept.append(one)
    return tuple(kept), tuple(notes)


def _unseen(wording: Wording, model: Model) -> set[str]:
    texts = {*(template.replace("{}", " ") for template in wording.templates), *(one.text for one in wording.labels)}
    return {word for text in texts for word in model.unseen(text)}


def _tokens(wording: Wording, model: Model) -> bytes:
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # what is cut is told where the labels are checked
        rows = model.tokenize([text for texts in wording.prompts() for text in texts])
    return bytes(rows.numpy().tobytes()) + str(tuple(rows.shape)).encode()


def _said(wording: Wording) -> object:
    texts = tuple((label.name, label.text, label.role) for label in wording.labels)
    return texts, frozenset(wording.templates), wording.logit_scale


def _all(spec: AuditSpec) -> Iterator[Wording]:
    variants, labels = spec.variants, spec.labels
    if spec.kind != "gallery":
        for template in _templates(spec):
            yield Wording(f"template {template!r}", "templates", labels, (template,))
        if variants.article:
            yield from _articles(spec)
        if variants.case:
            for name, change in (("capitals", str.upper), ("as a title", str.title)):
                changed = tuple(replace(label, text=change(label.text)) for label in labels)
                yield Wording(f"case: {name}", "case", changed, spec.templates)
        yield from _synonyms(spec)
        added = variants.added if variants.added is not None else (ADDED if spec.harmful else ())
        for text in added:
            label = Label(text, "identity", name=_bare(text), set=spec.part)
            if label.name not in spec.names and text not in {one.text for one in labels}:
                yield Wording(f"with {label.name!r} added", "added", (*labels, label), spec.templates)
        if variants.leave_out and len(spec.harmful) > 1:
            for label in spec.harmful:
                rest = tuple(one for one in labels if one is not label)
                yield Wording(f"without {label.name!r}", "left out", rest, spec.templates)
    for factor in variants.logit_scale:
        yield Wording(f"logit scale x {factor:g}", "logit scale", labels, spec.templates, logit_scale=factor)
    yield from _controls(spec)


def _templates(spec: AuditSpec) -> tuple[str, ...]:
    alone = spec.templates if len(spec.templates) > 1 else ()
    if spec.variants.templates is not None:
        return (*alone, *spec.variants.templates)
    if not all(label.text.isascii() for label in spec.labels) or not all(one.isascii() for one in spec.templates):
        return alone  # English around another language would be no wording of the same question
    with_article = any(_ARTICLE.match(label.text) for label in spec.labels)
    bare = any(re.search(r"\ban? \{\}", one) for one in spec.templates)
    return (*alone, *(TEMPLATES_FOR_BARE if bare and not with_article else TEMPLATES))


def _articles(spec: AuditSpec) -> Iterator[Wording]:
    """The article of the texts or, where they have none, of the templates: "the" and none in place of "a"."""
    for name, article in (("the", "the "), ("none", "")):
        if any(_ARTICLE.match(label.text) for label in spec.labels):
            changed = tuple(replace(label, text=_ARTICLE.sub(article, label.text)) for label in spec.labels)
            yield Wording(f"article: {name}", "article", changed, spec.templates)
        elif any(re.search(r"\b(an?|the) \{\}", one, re.I) for one in spec.templates):
            templates = tuple(re.sub(r"\b(an?|the) (?=\{\})", article, one, flags=re.I) for one in spec.templates)
            yield Wording(f"article: {name}", "article", spec.labels, templates)


def _synonyms(spec: AuditSpec) -> Iterator[Wording]:
    """One table of words after the other; those of one table at once: what is said of men is said of women alike."""
    for words in SYNONYMS if spec.variants.synonyms is None else spec.variants.synonyms:
        longest_first = sorted(words, key=len, reverse=True)
        whole = re.compile(rf"(?<!\w)({'|'.join(map(re.escape, longest_first))})(?!\w)")
        used = dict.fromkeys(found for label in spec.labels for found in whole.findall(label.text))
        changed = tuple(_in_place(label, whole, words) for label in spec.labels)
        if used:
            name = ", ".join(f"{words[word]!r} for {word!r}" for word in used)
            yield Wording(name, "synonym", changed, spec.templates)


def _in_place(label: Label, whole: re.Pattern[str], words: Mapping[str, str]) -> Label:
    text = whole.sub(lambda found: words[found[1]], label.text)
    return label if text == label.text else replace(label, text=_agreeing(text))


def _agreeing(text: str) -> str:
    """ "a" before a consonant and "an" before a vowel, where the text begins with either."""
    found = re.match(r"^(an?) (\w)", text)
    if not found:
        return text
    article = "an " if found[2].lower() in "aeio" else "a "  # a user, an hour: told in the spec
    return article + text[len(found[1]) + 1 :]


def _bare(text: str) -> str:
    return _ARTICLE.sub("", text)


def _controls(spec: AuditSpec) -> Iterator[Wording]:
    if not spec.harmful:
        return
    rest = tuple(label for label in spec.labels if label.role != "harmful")
    nonsense = tuple(
        Label(text, "placebo", "placebo", name=_bare(text), set=spec.part) for text in spec.controls.placebo
    )
    yield Wording("placebo", "placebo", (*rest, *nonsense), spec.templates, control=True)
    taken = {label.text for label in spec.labels} | set(spec.names)
    neutral = tuple(
        Label(text, "neutral", "neutral person", name=_bare(text), set=spec.part)
        for text in spec.controls.neutral
        if text not in taken and _bare(text) not in taken
    )
    if neutral:
        yield Wording("neutral", "neutral", (*spec.labels, *neutral), spec.templates, control=True)
