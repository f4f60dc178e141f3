"""`Model`: a frozen CLIP with its tokenizer, its preprocessing and its provenance, behind one handle."""

from __future__ import annotations

import warnings
from collections.abc import Collection, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from . import assets
from .clip import CLIP
from .errors import ClipvizWarning, InputError, ModelError, PromptError, nearest
from .frame import VIEWS, Frame
from .images import open_image, prepare
from .text import Prompt, PromptSet, as_prompts
from .weights import (
    OPENAI_MEAN,
    OPENAI_STD,
    Weights,
    fingerprint,
    from_open_clip_module,
    random_weights,
    read_folder,
    read_tag,
)

if TYPE_CHECKING:
    from PIL.Image import Image

_VIEW_OF_RESIZE_MODE = {"shortest": "crop", "longest": "pad", "squash": "squash"}
_ACTIVATIONS = {"quick_gelu": True, "gelu": False}
_UNSAID = "unsaid"


class Look:
    """Pictures as a model saw them, with what was traced of them: `Model.look`.

    Accepted wherever an image is. What an explainer needs is computed once and kept, so that another text
    for the same picture costs no image pass. ``pixels`` [N, 3, S, S]: the tiles of one picture.
    """

    def __init__(self, model: Model, pixels: Tensor, picture: Image, frame: Frame):
        self.model, self.pixels, self.picture, self.frame = model, pixels, picture, frame
        self._seen: dict[str, Tensor] = {}

    def trace(self, want: Collection[str] = ()) -> dict[str, Tensor]:
        """The tensors named in ``want``, what `tail` needs beside them, and ``embedding`` [N, E]."""
        if "embedding" not in self._seen or not set(want) <= set(self._seen):
            # Outside of any inference mode of the caller's, whose tensors could not be differentiated through.
            with torch.inference_mode(False), torch.no_grad():
                self._seen = {**self._seen, **self.model.clip.visual.trace(self.pixels, want)}
        return self._seen

    def __repr__(self) -> str:
        return (
            f"Look({self.pixels.shape[0]} x {self.model.image_size} px, {self.model.name}, kept: {sorted(self._seen)})"
        )


class Model:
    """A frozen CLIP. Made by `load` or `Model.wrap`; every vector it gives is of unit length and on the host.

    ``clip`` is the reference network, ``provenance`` says what it is, ``card`` what its maker told of it.
    """

    def __init__(self, name: str, weights: Weights, tag: str | None = None, tokenizer: Any = None, device: str = "cpu"):
        self.name, self.tag, self.card = name, tag, dict(weights.card)
        with torch.inference_mode(False):
            self.clip: CLIP = weights.clip.to(device)
        self.device = torch.device(device)
        self.image_size = self.clip.config.vision.image_size
        self.grid = (self.clip.config.vision.grid, self.clip.config.vision.grid)
        self.tokenizer = tokenizer or _tokenizer(self.clip.config.text.context_length)
        self.seen_token_ids = weights.seen_token_ids
        preprocess = weights.preprocess
        self.mean = tuple(float(x) for x in preprocess.get("mean", OPENAI_MEAN))
        self.std = tuple(float(x) for x in preprocess.get("std", OPENAI_STD))
        self.interpolation = preprocess.get("interpolation", "bicubic")
        self.view = _VIEW_OF_RESIZE_MODE[preprocess.get("resize_mode", "shortest")]

    @classmethod
    def wrap(
        cls, module: Any, preprocess: Any, tokenizer: Any = None, *, name: str = "wrapped", device: str = "cpu"
    ) -> Model:
        """A `Model` of an open_clip model that is already in memory; its weights are copied.

        ``preprocess`` is the transform that open_clip returned with it (or a dict with ``mean`` and ``std``),
        ``tokenizer`` open_clip's. Raises ModelError where the towers are not the paper's.
        """
        return cls(name, from_open_clip_module(module, preprocess), None, tokenizer, device)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What this model is, to the bit: architecture, tag, SHA-256 of the weights, activation, preprocessing."""
        return {
            "model": self.name,
            "tag": self.tag,
            "weights_sha256": fingerprint(self.clip),
            "activation": "quick_gelu" if self.clip.config.quick_gelu else "gelu",
            "image_size": self.image_size,
            "grid": list(self.grid),
            "embed_dim": self.clip.config.embed_dim,
            "mean": list(self.mean),
            "std": list(self.std),
            "interpolation": self.interpolation,
        }

    @property
    def logit_scale(self) -> float:
        """The learned inverse temperature that multiplies cosines before a softmax."""
        return float(self.clip.logit_scale.exp())

    def prepare(self, image: Any, view: str | None = None) -> tuple[Tensor, Frame]:
        """The pixels [tiles, 3, S, S] that the network sees of ``image``, and the `Frame` that maps them back."""
        view = self.view if view is None else view
        if view not in VIEWS:
            raise InputError(f"view={view!r} is not known; it is one of {', '.join(VIEWS)}. {nearest(view, VIEWS)}")
        pixels, frame = prepare(
            image, self.image_size, view, mean=self.mean, std=self.std, interpolation=self.interpolation,
            cell=self.image_size // self.grid[0],
        )  # fmt: skip
        return torch.from_numpy(pixels).to(self.device), frame

    def look(self, image: Any, view: str | None = None) -> Look:
        """See ``image`` once; give the `Look` to any number of explanations."""
        if isinstance(image, Look):
            if image.model is not self:
                raise ModelError(f"This Look was made by {image.model!r}, not by {self!r}: look again with this model.")
            if view is not None and image.frame.view != view:
                raise InputError(f"This Look was made with view={image.frame.view!r}; look again for view={view!r}.")
            return image
        picture = open_image(image)
        pixels, frame = self.prepare(picture, view)
        return Look(self, pixels, picture, frame)

    def encode_images(
        self, images: Iterable[Any], *, view: str | None = None, batch_size: int = 32, progress: bool = False
    ) -> np.ndarray:
        """Unit vectors [N, E], float32, of images of any size and kind; of tiles, the renormalised mean.

        >>> clipviz.load().encode_images([picture]).shape  # doctest: +SKIP
        (1, 128)
        """
        if isinstance(images, (str, bytes, Path)) or not isinstance(images, Iterable):
            images = [images]
        vectors, waiting = [], []  # one picture's tiles at a time, so that no more is open than a batch
        with torch.inference_mode():
            for image in _bar(images, "images", progress):
                waiting.append(self.prepare(image, view)[0])
                if sum(len(tiles) for tiles in waiting) >= batch_size:
                    vectors += self._mean_of_tiles(waiting)
                    waiting = []
            vectors += self._mean_of_tiles(waiting)
        return np.stack(vectors) if vectors else np.zeros((0, self.clip.config.embed_dim), np.float32)

    def _mean_of_tiles(self, pictures: Sequence[Tensor]) -> list[np.ndarray]:
        if not pictures:
            return []
        unit = F.normalize(self.clip.visual(torch.cat(list(pictures))), dim=-1)
        means = [tiles.mean(dim=0) for tiles in unit.split([len(p) for p in pictures])]
        return [F.normalize(mean, dim=-1).cpu().float().numpy() for mean in means]

    def encode_texts(self, texts: Sequence[str], *, batch_size: int = 256, strict: bool = False) -> np.ndarray:
        """Unit vectors [N, E], float32, of texts as they stand. See `tokenize` for texts that are too long."""
        if isinstance(texts, str):
            texts = [texts]
        tokens = self.tokenize(texts, strict=strict)
        with torch.inference_mode():
            parts = [
                F.normalize(self.clip.text(_cut(batch).to(self.device)), dim=-1).cpu().float()
                for batch in tokens.split(batch_size)
            ]
        return torch.cat(parts).numpy() if parts else np.zeros((0, self.clip.config.embed_dim), np.float32)

    def encode_prompts(
        self, prompts: str | Prompt | PromptSet | Sequence[str | Prompt], *, strict: bool = False
    ) -> np.ndarray:
        """Unit vectors [P, E], float32, one a prompt: the renormalised mean over its templates."""
        prompts = as_prompts(prompts)
        filled = [prompt.texts() for prompt in prompts]
        vectors = self.encode_texts([text for texts in filled for text in texts], strict=strict)
        ends = np.cumsum([len(texts) for texts in filled])[:-1]
        means = np.stack([part.mean(axis=0) for part in np.split(vectors, ends)])
        return (means / np.linalg.norm(means, axis=1, keepdims=True)).astype(np.float32)

    def tokenize(self, texts: Sequence[str], *, strict: bool = False) -> Tensor:
        """Token ids [N, context length]. Too long a text is cut with a ClipvizWarning, or refused if ``strict``."""
        room = self.clip.config.text.context_length - 2  # between the start and the end of text
        for text in texts:
            if not isinstance(text, str) or not text.strip():
                raise PromptError(f"A text is one non-blank string; got {text!r}.")
            over = len(self.tokenizer.encode(text)) - room
            if over > 0:
                shown = text if len(text) <= 60 else text[:57] + "..."
                said = f"{shown!r} has {room + over} tokens and {self.name} reads {room}"
                if strict:
                    raise PromptError(f"{said}: shorten it by {over} tokens, or leave out strict=True to have it cut.")
                warnings.warn(f"{said}: the last {over} were cut.", ClipvizWarning, stacklevel=3)
        return self.tokenizer(list(texts), context_length=room + 2)

    def unseen(self, text: str) -> list[str]:
        """The words of ``text`` that never occurred in training, where the model's card tells; else nothing.

        To such a word the model gives no meaning: its vector is what chance left in the token table.
        """
        if self.seen_token_ids is None:
            return []
        words = [word.strip(".,;:!?\"'()[]") for word in text.split()]
        return [word for word in words if word and not set(self.tokenizer.encode(word)) <= self.seen_token_ids]

    def __repr__(self) -> str:
        made = "ResNet" if hasattr(self.clip.visual, "attnpool") else "ViT"
        tag = f" {self.tag!r}" if self.tag else ""
        return f"Model({self.name}{tag}: {made}, {self.image_size} px, {self.grid[0]} x {self.grid[1]} grid)"


def load(
    name: str | Path | None = None,
    tag: str | None = _UNSAID,
    *,
    activation: str | None = None,
    device: str = "cpu",
    cache_dir: str | Path | None = None,
) -> Model:
    """Load a CLIP to look into.

    - ``load()``: the bundled clipviz-tiny, offline.
    - ``load("ViT-B-32", "openai")``: open_clip finds weights, tokenizer and preprocessing.
    - ``load("path/to/folder")``: open_clip's local layout (``open_clip_config.json`` and its weights).
    - ``load("ViT-B-32", None)``: random weights, with a warning.

    ``activation`` ("quick_gelu" or "gelu") is only needed where nothing else tells; naming the contrary of
    what a tag or a configuration says is refused, because it gives plausible, wrong numbers.
    Raises ModelError with the nearest names, or with the file that open_clip wanted and could not fetch.

        >>> clipviz.load().name  # doctest: +SKIP
        'clipviz-tiny'
    """
    if activation is not None and activation not in _ACTIVATIONS:
        raise ModelError(f"activation={activation!r} is not known; it is 'quick_gelu' or 'gelu'.")
    quick = None if activation is None else _ACTIVATIONS[activation]
    if name is None:
        weights = read_folder(assets.folder("clipviz-tiny"))
        return _checked(Model("clipviz-tiny", weights, device=device), quick)
    if Path(name).is_dir():
        return _checked(Model(Path(name).resolve().name, read_folder(name), device=device), quick)
    name = str(name)
    if tag == _UNSAID:
        if Path(name).suffix or "/" in name or "\\" in name:
            raise ModelError(f"There is no folder {name!r}: load() takes a folder, or an architecture and a tag.")
        import open_clip

        from .weights.tags import architecture

        architecture(name)  # an unknown name is told before a missing tag
        tags = open_clip.list_pretrained_tags_by_model(name)[:6]
        choice = f"load({name!r}, {tags[0]!r}) (it has {', '.join(tags)})" if tags else f"load({name!r}, None)"
        raise ModelError(f"{name!r} alone does not say which weights: type {choice}, or None for random weights.")
    if tag is None:
        model = Model(name, random_weights(name, quick), "random", device=device)
        warnings.warn(f"{name} has random weights: what it shows means nothing.", ClipvizWarning, stacklevel=2)
        return model
    return Model(name, read_tag(name, tag, quick, cache_dir), tag, device=device)


def _checked(model: Model, quick: bool | None) -> Model:
    trained_with = model.clip.config.quick_gelu
    if quick is not None and quick != trained_with:
        says = "quick_gelu" if trained_with else "gelu"
        raise ModelError(f"The configuration of {model.name} says {says}: leave `activation` out.")
    return model


def _tokenizer(context_length: int) -> Any:
    from open_clip.tokenizer import SimpleTokenizer

    return SimpleTokenizer(context_length=context_length)


def _cut(tokens: Tensor) -> Tensor:
    """Without the columns behind the longest text's end: attention is causal, they change nothing."""
    return tokens[:, : int(tokens.argmax(dim=-1).max()) + 1]


def _bar(items: Iterable[Any], unit: str, shown: bool) -> Iterable[Any]:
    if not shown:
        return items
    from tqdm.auto import tqdm

    return tqdm(items, unit=unit)


__all__ = ["Look", "Model", "load"]
