"""Which words of a text made its score: the text side of an explanation."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..errors import ClipvizWarning, InputError, ModelError, PromptError, nearest
from ..images import is_one_image
from ..model import Look, Model, load
from ..model.encoding import padded
from ..text import Prompt, as_prompt
from ..versions import versions
from .words import TokenAttribution

PAPERS = {
    "leave_one_out": "Li et al. 2016, Understanding neural networks through representation erasure (arXiv 1612.08220)",
    "integrated_gradients": "Sundararajan et al. 2017, Axiomatic attribution for deep networks (arXiv 1703.01365)",
}
_ROWS = 32  # texts at a time


@torch.inference_mode(False)  # within the caller's, nothing could be differentiated
def token_attribution(
    text: str | Prompt,
    image: Any,
    *,
    model: Model | None = None,
    method: str = "leave_one_out",
    steps: int = 128,
    view: str | None = None,
) -> TokenAttribution:
    """Which words of ``text`` made its score for ``image``? A signed number for each word, in units of the cosine.

    "leave_one_out" is the score less that of the text without the word; its baseline is the empty text, and the values
    need not add up. "integrated_gradients" follows the gradient from padding tokens, at the same places between start
    and end, to the words' embeddings, in ``steps`` points (Gauss and Legendre); a word's value is the sum of its
    tokens', and all add up to the score less the baseline's, up to ``completeness_error``. A `Prompt` may have one
    template, whose words count as well. Without ``model`` the bundled clipviz-tiny answers.
    Words never seen in training give a ClipvizWarning and a note.
    Raises PromptError for a blank text, one longer than the model reads, or several templates; InputError;
    ModelError where the model cannot be differentiated from its token embeddings.

        >>> token_attribution("a red circle", "photo.jpg").to_pandas()  # doctest: +SKIP
    """
    if method not in PAPERS:
        raise InputError(f"method={method!r} is not known here. {nearest(str(method), PAPERS)}")
    if isinstance(steps, bool) or not isinstance(steps, int) or steps < 1:
        raise InputError(f"steps={steps!r} is not a whole number of at least 1.")
    if not isinstance(image, Look) and not is_one_image(image):
        raise InputError(f"token_attribution takes one image and got {type(image).__name__}: call it once for each.")
    if model is not None and not isinstance(model, Model):
        raise InputError(f"model is a clipviz.Model; got {type(model).__name__}: use clipviz.load(...).")
    prompt = as_prompt(text)
    if len(prompt.templates) > 1:
        raise PromptError(
            f"{prompt.text!r} has {len(prompt.templates)} templates, and words are weighed in one text: pass one of "
            f"them, such as {prompt.texts()[0]!r}."
        )
    said = prompt.texts()[0]
    model = (image.model if isinstance(image, Look) else load()) if model is None else model
    look = model.look(image, view)
    unit = F.normalize(look.unit.mean(dim=0), dim=-1).detach()  # [E]
    if method == "leave_one_out":
        words, values, score, base = _leave_one_out(model, said, unit)
    else:
        words, values, score, base = _integrated_gradients(model, said, unit, steps)
    unseen = list(dict.fromkeys(model.unseen(said)))
    notes = [f"{model.name} never saw {', '.join(map(repr, unseen))} in training."] if unseen else []
    for note in notes:
        warnings.warn(note, ClipvizWarning, stacklevel=3)  # past the decorator
    return TokenAttribution(
        text=said,
        words=tuple(words),
        values=np.asarray(values, dtype=np.float64),
        score=score,
        baseline="the empty text" if method == "leave_one_out" else "padding in place of the words",
        baseline_score=base,
        method=method,
        notes=tuple(notes),
        provenance={
            "model": dict(model.provenance),
            "method": method,
            "paper": PAPERS[method],
            "options": {"steps": steps} if method == "integrated_gradients" else {},
            "templates": list(prompt.templates),
            "view": look.frame.view,
            "picture_sha256": hashlib.sha256(look.picture.tobytes()).hexdigest(),
            "versions": versions(),
        },
    )


_Found = tuple[Sequence[str], Sequence[float], float, float]  # words, values, score, the baseline's score


def _leave_one_out(model: Model, text: str, unit: Tensor) -> _Found:
    words: Sequence[str]
    if model._words is not None:
        words, ids = _tokens_of_words(model, text)
        kept = [ids, *([*ids[:i], *ids[i + 1 :]] for i in range(len(ids))), []]
        rows = padded([_framed(model, part) for part in kept])
    else:
        words = text.split()
        texts = [text, *(" ".join([*words[:i], *words[i + 1 :]]) for i in range(len(words))), ""]
        rows = model.tokenizer(texts)
        if len(words) > 1 and torch.equal(rows[0], rows[-2]):  # without its last word
            raise PromptError(f"{text!r} is longer than {model.name} reads, its end is cut off: shorten it.")
    with torch.no_grad():
        parts = [F.normalize(model.network.text(part.to(model.device)), dim=-1) for part in rows.split(_ROWS)]
        vectors = torch.cat(parts)
        scores = (vectors @ unit.to(vectors)).cpu().double()  # [1 + words + 1]
    return words, (scores[0] - scores[1:-1]).tolist(), float(scores[0]), float(scores[-1])


def _integrated_gradients(model: Model, text: str, unit: Tensor, steps: int) -> _Found:
    if model.kind == "other" or model._words is None:
        raise ModelError(
            f"{model.name} does not give its token embeddings (it is run by open_clip, or has a tokenizer of its own): "
            "take method='leave_one_out'."
        )
    words, ids = _tokens_of_words(model, text)
    count = sum(map(len, ids))
    both = padded([_framed(model, ids), _framed(model, [[0] * count])]).to(model.device)  # 0 pads
    tower = model.clip.text
    unit = unit.to(tower.token_embedding.weight)
    with torch.no_grad():
        given, blank = (tower.trace(row[None], ["embed"]) for row in both)
        ends = F.normalize(torch.cat([given["embedding"], blank["embedding"]]), dim=-1) @ unit
    x, x0 = given["embed"][0], blank["embed"][0]  # [T, D]
    nodes, weights = (torch.from_numpy(v).to(x) / 2 for v in np.polynomial.legendre.leggauss(steps))
    nodes = nodes + 0.5  # on 0..1, where the weights add up to 1
    total = torch.zeros_like(x)
    with torch.enable_grad():
        for at, share in zip(nodes.split(_ROWS), weights.split(_ROWS), strict=True):
            value = (x0 + at[:, None, None] * (x - x0)).requires_grad_()  # [k, T, D]
            scores = F.normalize(tower.tail("embed", value, given), dim=-1) @ unit  # [k]
            total += torch.autograd.grad(scores @ share, value)[0].sum(dim=0)
    of_tokens = ((x - x0) * total).sum(dim=-1)[1 : 1 + count].cpu().double()
    values = [float(part.sum()) for part in of_tokens.split([len(part) for part in ids])]
    return words, values, float(ends[0]), float(ends[1])


def _framed(model: Model, ids: Sequence[Sequence[int]]) -> list[int]:
    """The tokens of some words between start and end."""
    return [model.tokenizer.sot_token_id, *(token for word in ids for token in word), model.tokenizer.eot_token_id]


def _tokens_of_words(model: Model, text: str) -> tuple[list[str], list[list[int]]]:
    """The words of ``text`` with their token ids; all of them together are the text's.

    Where the tokenizer mends the text first (entities, broken encodings) they are the mended words, and where even
    those do not add up, each token is a word.
    """
    encode: Callable[[str], list[int]] = model.tokenizer.encode
    whole, room = encode(text), model.clip.config.text.context_length - 2
    if len(whole) > room:
        raise PromptError(
            f"{text!r} has {len(whole)} tokens and {model.name} reads {room}: shorten it by {len(whole) - room}."
        )
    cleaned = getattr(model.tokenizer, "clean_fn", str)(text)
    for words in (text.split(), cleaned.split()):
        ids = [encode(word) for word in words]
        if [token for word in ids for token in word] == whole:
            return words, ids
    return [model.tokenizer.decode([token]).strip() for token in whole], [[token] for token in whole]
