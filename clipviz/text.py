"""Prompts: what is asked of a picture, in words. Strings only; a Model turns them into vectors."""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from clipviz.errors import PromptError

PLAIN = ("{}",)


@dataclass(frozen=True)
class Prompt:
    """A text and the templates that it is put into; the model averages over them (unit vectors, renormalised).

    Parameters
    ----------
    text : what is looked for, in any language.
    templates : sentences with ``{}`` where the text goes. One string counts as one template.

    >>> Prompt("dog", ("a photo of a {}", "a drawing of a {}")).texts()
    ['a photo of a dog', 'a drawing of a dog']
    """

    text: str
    templates: tuple[str, ...] = PLAIN

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", _checked(self.text))
        object.__setattr__(self, "templates", _checked_templates(self.templates))

    def texts(self) -> list[str]:
        """The text in each template. Other braces stay as they are."""
        return [template.replace("{}", self.text) for template in self.templates]

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True)
class PromptSet:
    """Prompts in a fixed order, at least one.

    >>> PromptSet.of(["dog", "cat"], templates="a photo of a {}").labels
    ('dog', 'cat')
    """

    prompts: tuple[Prompt, ...]

    def __post_init__(self) -> None:
        prompts = tuple(self.prompts)
        if not prompts:
            raise PromptError("At least one text is wanted, got none; pass for instance ['a dog', 'a cat'].")
        for prompt in prompts:
            if not isinstance(prompt, Prompt):
                raise PromptError(f"A PromptSet holds Prompts, got {type(prompt).__name__}; use PromptSet.of(texts).")
        object.__setattr__(self, "prompts", prompts)

    @classmethod
    def of(cls, texts: str | Prompt | Iterable[str | Prompt], templates: str | Iterable[str] = PLAIN) -> PromptSet:
        """Texts, each in all ``templates``; a Prompt among them keeps its own."""
        if isinstance(texts, str | Prompt):
            texts = (texts,)
        if isinstance(texts, Mapping | bytes) or not isinstance(texts, Iterable):
            got = type(texts).__name__
            raise PromptError(f"Texts must be a list of strings, got {got}; pass for instance ['a dog', 'a cat'].")
        shared = _checked_templates(templates)
        return cls(tuple(text if isinstance(text, Prompt) else Prompt(text, shared) for text in texts))

    @property
    def labels(self) -> tuple[str, ...]:
        """The texts without their templates."""
        return tuple(prompt.text for prompt in self.prompts)

    def texts(self) -> list[list[str]]:
        """Each prompt's filled templates."""
        return [prompt.texts() for prompt in self.prompts]

    def __len__(self) -> int:
        return len(self.prompts)

    def __iter__(self) -> Iterator[Prompt]:
        return iter(self.prompts)

    def __getitem__(self, index: int) -> Prompt:
        return self.prompts[index]


def as_prompt(text: str | Prompt) -> Prompt:
    """One text or Prompt -> Prompt; a list raises a PromptError that names ``clipviz.explain``."""
    return text if isinstance(text, Prompt) else Prompt(text)


def as_prompts(texts: str | Prompt | PromptSet | Iterable[str | Prompt]) -> PromptSet:
    """A text, a Prompt, a list of them or a PromptSet -> PromptSet."""
    return texts if isinstance(texts, PromptSet) else PromptSet.of(texts)


def _checked(text: Any) -> str:
    if isinstance(text, Prompt):
        raise PromptError(f"One text is wanted, got a Prompt ({text.text!r}); use it as it is, or its .text.")
    if not isinstance(text, str):
        if isinstance(text, Iterable) and not isinstance(text, bytes):
            raise PromptError(
                f"One text is wanted, got {type(text).__name__}; pass one string, "
                "or several texts with clipviz.explain(images, texts)."
            )
        raise PromptError(f"A text must be a string, got {type(text).__name__}; pass for instance 'a red circle'.")
    if all(c.isspace() or unicodedata.category(c) in ("Cc", "Cf") for c in text):  # also zero-width characters
        raise PromptError(f"The text {text!r} is {'blank' if text else 'empty'}; pass words, such as 'a red circle'.")
    if any("\ud800" <= c <= "\udfff" for c in text):
        raise PromptError(f"The text {text!r} holds a lone surrogate; pass text that was decoded as UTF-8.")
    return str(text)


def _checked_templates(templates: Any) -> tuple[str, ...]:
    if isinstance(templates, str):
        templates = (templates,)
    if isinstance(templates, Mapping | bytes) or not isinstance(templates, Iterable):
        got = type(templates).__name__
        raise PromptError(f"Templates must be a list of strings, got {got}; pass for instance ['a photo of a {{}}'].")
    kept = tuple(templates)
    if not kept:
        raise PromptError("At least one template is wanted, got none; pass for instance ['{}'].")
    for template in kept:
        if not isinstance(template, str) or "{}" not in template:
            raise PromptError(f"The template {template!r} has no {{}} for the text; write it like 'a photo of a {{}}'.")
    return tuple(str(template) for template in kept)
