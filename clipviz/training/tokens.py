"""Captions as token ids."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor


def tokenize(texts: Iterable[str], context: int) -> Tensor:
    """CLIP's byte-pair tokens [N, L] with the ids of the released vocabulary, cut after the longest text.

    A text longer than ``context`` tokens loses its end, as in the released code; the end-of-text token stays.
    """
    rows = [_tokens(text, context) for text in texts]
    longest = max((len(row) for row in rows), default=1)
    out = torch.zeros(len(rows), longest, dtype=torch.long)
    for i, row in enumerate(rows):
        out[i, : len(row)] = torch.tensor(row)
    return out


def token_count(text: str) -> int:
    """How many tokens a text has, the start and the end among them, before anything is cut.

    >>> token_count("a dog")
    4
    """
    return len(_tokenizer().encode(text)) + 2


def tokens_text(row: Tensor) -> str:
    """What a row of token ids [L] says: in lower case, and without what was cut."""
    inner = row[1 : int(row.argmax())].tolist()
    return str(_tokenizer().decode(inner)).strip()


@lru_cache(maxsize=200_000)
def _tokens(text: str, context: int) -> tuple[int, ...]:
    row = _tokenizer()([text], context_length=context)[0]
    return tuple(row[: int(row.argmax()) + 1].tolist())


@lru_cache(maxsize=1)
def _tokenizer() -> Any:
    import open_clip

    return open_clip.get_tokenizer("ViT-B-32")
