"""Rows through a network, in batches that fit the memory; and texts as token ids."""

from __future__ import annotations

import unicodedata
import warnings
from collections.abc import Callable, Iterable, Sequence
from functools import cache
from typing import Any

import torch
from torch import Tensor

from ..errors import ClipvizWarning, ModelError, PromptError

_NO_MEMORY = ("out of memory", "not enough memory", "can't allocate memory", "cannot allocate memory")


class Batches:
    """Runs rows through a network, ``size`` at a time.

    Where the memory does not suffice the size is halved, for what is left of the work too, and a ClipvizWarning
    says so. Raises ModelError where not even one row fits.
    """

    def __init__(self, size: int):
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise ModelError(f"batch_size={size!r} is not a positive whole number.")
        self.size = size

    def __call__(self, run: Callable[[Tensor], Tensor], rows: Tensor) -> Tensor:
        parts, at = [], 0
        while at < len(rows):
            batch = rows[at : at + self.size]
            try:
                parts.append(run(batch))
                at += len(batch)
            except (RuntimeError, MemoryError) as error:
                if not _no_memory(error):
                    raise
                self._halve(len(batch), error)
        return torch.cat(parts)

    def _halve(self, tried: int, error: BaseException) -> None:
        if tried == 1:
            raise ModelError(
                "There is not enough memory for a batch of one: take a smaller model, a smaller image_size or "
                'precision="bf16".'
            ) from error
        self.size = tried // 2
        if torch.cuda.is_available():
            torch.cuda.empty_cache()
        warnings.warn(
            f"There was not enough memory for a batch of {tried}: going on with {self.size} at a time.",
            ClipvizWarning,
            stacklevel=4,
        )


def _no_memory(error: BaseException) -> bool:
    if isinstance(error, (MemoryError, torch.OutOfMemoryError)):
        return True
    return any(words in str(error).lower() for words in _NO_MEMORY)


class Words:
    """A tokenizer for one context length: texts -> token ids, each with its own length where that is known."""

    def __init__(self, tokenizer: Any, context: int, name: str):
        self.tokenizer, self.context, self.name = tokenizer, context, name

    def ids(self, texts: Sequence[str], *, strict: bool) -> list[list[int]]:
        """Start, text, end of each of ``texts``. Too long a one is cut with a ClipvizWarning, refused if ``strict``."""
        start, end, room = self.tokenizer.sot_token_id, self.tokenizer.eot_token_id, self.context - 2
        rows = []
        for text in checked(texts):
            row = self.tokenizer.encode(text)
            over = len(row) - room
            if over > 0:
                shown = text if len(text) <= 60 else text[:57] + "..."
                said = f"{shown!r} has {len(row)} tokens and {self.name} reads {room}"
                if strict:
                    raise PromptError(f"{said}: shorten it by {over} tokens, or leave out strict=True to have it cut.")
                warnings.warn(f"{said}: the last {over} were cut.", ClipvizWarning, stacklevel=4)
            rows.append([start, *row[:room], end])
        return rows

    def words(self, text: str) -> list[tuple[str, set[int]]]:
        """The words of ``text`` with their token ids, without the punctuation around them."""
        words = [strip_punctuation(word) for word in text.split()]
        return [(word, set(self.tokenizer.encode(word))) for word in words if word]


def strip_punctuation(word: str) -> str:
    """``word`` without the punctuation around it, of any script."""
    kept = [i for i, letter in enumerate(word) if not unicodedata.category(letter).startswith("P")]
    return word[kept[0] : kept[-1] + 1] if kept else ""


def checked(texts: Iterable[str]) -> Iterable[str]:
    """``texts``, with a PromptError for what is no text."""
    for text in texts:
        if not isinstance(text, str) or not text.strip():
            raise PromptError(f"A text is one non-blank string; got {text!r}.")
        yield text


def padded(rows: Sequence[Sequence[int]], length: int | None = None) -> Tensor:
    """Token ids [N, length] (as long as the longest for None), zeros behind the end."""
    length = max((len(row) for row in rows), default=0) if length is None else length
    return torch.tensor([[*row, *[0] * (length - len(row))] for row in rows], dtype=torch.long).reshape(-1, length)


def run_by_length(rows: Sequence[Sequence[int]], run: Callable[[Tensor], Tensor], batches: Batches, bar: Any) -> Tensor:
    """Run ``rows`` sorted by length, each batch as long as its longest, and give the results in the order given.

    What follows the end of a text changes nothing in a causal tower that is read off at that end.
    """
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    done: list[Tensor] = []
    at = 0
    while at < len(order):
        chosen = order[at : at + batches.size]
        done.append(batches(run, padded([rows[i] for i in chosen])))
        at += len(chosen)
        bar.update(len(chosen))
    found = torch.cat(done)
    back = torch.empty(len(order), dtype=torch.long)
    back[torch.tensor(order)] = torch.arange(len(order))
    return found[back]


@cache
def _byte_pairs() -> Any:
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer()


def plain_tokenizer(name: str, vocabulary: int) -> Any:
    """The byte-pair encoding of the paper, as open_clip ships it. One for all: it takes a while to build.

    Raises ModelError where the model has another number of tokens: their ids would mean other words.
    """
    tokenizer = _byte_pairs()
    if vocabulary != tokenizer.vocab_size:
        raise ModelError(
            f"{name} has a vocabulary of {vocabulary} tokens, not the paper's {tokenizer.vocab_size}: give its own "
            "tokenizer to Model.wrap(module, preprocess, tokenizer); pictures can be encoded without."
        )
    return tokenizer


def bar_over(items: Any, unit: str, shown: bool) -> Any:
    """A bar of progress to be used as a context; a silent one unless ``shown``."""
    from tqdm.auto import tqdm

    return tqdm(total=len(items) if hasattr(items, "__len__") else None, unit=unit, disable=not shown)
