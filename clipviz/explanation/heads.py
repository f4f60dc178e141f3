"""Which heads of a ViT made the score of a text."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

import torch

from ..errors import ClipvizWarning, InputError
from ..images import is_one_image
from ..model import Look, Model, load
from ..text import Prompt, PromptSet
from .methods.decomposition import addends, chosen_layers
from .question import Question

if TYPE_CHECKING:
    import pandas as pd


@torch.inference_mode(False)
def head_ranking(
    image: Any,
    texts: str | Prompt | PromptSet | Sequence[str | Prompt],
    *,
    model: Model | None = None,
    against: str | Prompt | Sequence[str | Prompt] | None = None,
    layers: int | Iterable[int] | None = None,
    view: str | None = None,
    strict: bool = False,
) -> pd.DataFrame:
    """Every head of a ViT, ranked for each text by what it adds to the score of ``image``: a row a text and head.

    Columns: prompt, rank (1 adds most), layer, head, ``contribution`` (to the cosine, or with ``against`` to the margin
    over the mean of those texts), the ``patches`` and the ``class_token`` it came from, which add up to it,
    ``attention``, the share of the class token's attention that goes to patches (0 to 1), ``share``, the contribution
    over the score, and the score itself. ``layers`` names some blocks. Of several tiles it is the mean. Without
    ``model`` the bundled clipviz-tiny answers. Words never seen in training give a ClipvizWarning.
    Raises InputError, PromptError, ModelError for a model that is no ViT. Gandelsman et al. 2024 (arXiv 2310.05916).

        >>> head_ranking("photo.jpg", ["a dog", "a cat"], layers=-1).head()  # doctest: +SKIP
    """
    import pandas as pd

    if not isinstance(image, Look) and not is_one_image(image):
        raise InputError(f"head_ranking takes one image and got {type(image).__name__}: call it once for each.")
    model = (image.model if isinstance(image, Look) else load()) if model is None else model
    asked = Question(model, texts, "head_decomposition", against=against, strict=strict)
    blocks = chosen_layers(model, layers)
    for note in dict.fromkeys(note for of_prompt in asked.notes for note in of_prompt):
        warnings.warn(note, ClipvizWarning, stacklevel=3)  # past the decorator
    look = model.look(image, view)
    found = addends(model, look, asked.target)
    tokens = found.tokens[:, :, blocks].mean(dim=0)  # [P, L, H, T]
    to_patches = found.attention[:, blocks, :, 1:].sum(dim=-1).mean(dim=0)  # [L, H]
    scores = found.scores.mean(dim=0).tolist()
    tables = []
    for text, of_text, score in zip(asked.prompts.labels, tokens, scores, strict=True):
        depth, heads, _ = of_text.shape
        table = pd.DataFrame(
            {
                "prompt": text,
                "layer": [block for block in blocks for _ in range(heads)],
                "head": list(range(heads)) * depth,
                "contribution": of_text.sum(dim=-1).flatten().tolist(),
                "patches": of_text[..., 1:].sum(dim=-1).flatten().tolist(),
                "class_token": of_text[..., 0].flatten().tolist(),
                "attention": to_patches.flatten().tolist(),
            }
        )
        table["share"] = table["contribution"] / score if score else float("nan")
        table["score"] = score
        table = table.sort_values(["contribution", "layer", "head"], ascending=[False, True, True], ignore_index=True)
        table.insert(1, "rank", range(1, len(table) + 1))
        tables.append(table)
    return pd.concat(tables, ignore_index=True)
