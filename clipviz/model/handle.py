"""`Model`: a frozen CLIP with its tokenizer, its preprocessing and its provenance."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterable, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from ..clip import CLIP, Flops
from ..errors import InputError, ModelError, PromptError
from ..frame import Frame
from ..images import is_one_image, normalised, open_image, squares
from ..text import Prompt, PromptSet, as_prompts
from ..weights import OPENAI_MEAN, OPENAI_STD, OtherNetwork, Weights, fingerprint, from_module, save_folder
from .encoding import Batches, Words, bar_over, checked, padded, plain_tokenizer, run_by_length
from .look import Look

_VIEW_OF_RESIZE_MODE = {"shortest": "crop", "longest": "pad", "squash": "squash"}
_PRECISIONS = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Model:
    """A frozen CLIP. Made by `load` or `Model.wrap`; every vector it gives is of unit length and on the host.

    ``network`` encodes; where it is the reference network it is also ``clip``, to look into, and ``kind`` is "vit" or
    "resnet". ``kind`` "other" is run by open_clip. ``card`` is what the model's maker told of it.
    """

    def __init__(
        self,
        name: str,
        weights: Weights,
        tag: str | None = None,
        tokenizer: Any = None,
        device: str = "cpu",
        *,
        precision: str = "fp32",
        compile: bool = False,
    ):
        if precision not in _PRECISIONS:
            raise ModelError(f"precision={precision!r} is not known; it is 'fp32' or 'bf16'.")
        self.name, self.tag, self.card, self.precision = name, tag, dict(weights.card), precision
        try:
            self.device = torch.device(device)
            with torch.inference_mode(False):
                self.network: CLIP | OtherNetwork = weights.clip.to(self.device)
        except (RuntimeError, AssertionError) as error:
            reason = str(error).splitlines()[0]
            raise ModelError(f"device={device!r} cannot be used here ({reason}): 'cpu' always can.") from error
        self.seen_token_ids = weights.seen_token_ids
        if isinstance(self.network, OtherNetwork):
            self.kind = "other"
            self.image_size, self.embed_dim = self.network.image_size, self.network.embed_dim
        else:
            config = self.network.config
            self.kind = "resnet" if hasattr(self.network.visual, "attnpool") else "vit"
            self.image_size, self.embed_dim = config.vision.image_size, config.embed_dim
        self._tokenizer = tokenizer
        preprocess = weights.preprocess
        self.mean = tuple(float(x) for x in preprocess.get("mean", OPENAI_MEAN))
        self.std = tuple(float(x) for x in preprocess.get("std", OPENAI_STD))
        self.interpolation = preprocess.get("interpolation", "bicubic")
        self.view = _VIEW_OF_RESIZE_MODE[preprocess.get("resize_mode", "shortest")]
        fill = preprocess.get("fill_color", 0)  # of the padding, where the model was trained with one
        self.fill: int | tuple[int, ...] = tuple(fill) if isinstance(fill, Sequence) else fill
        self._see, self._read = self._encoders(compile)

    def _encoders(self, compile: bool) -> tuple[Callable[[Tensor], Tensor], Callable[[Tensor], Tensor]]:
        """What encodes pixels and tokens. A lower precision has weights of its own: looking stays in float32."""
        network = self.network
        if self.precision != "fp32":
            with torch.inference_mode(False):
                network = copy.deepcopy(network).to(_PRECISIONS[self.precision])
        dtype = _PRECISIONS[self.precision]
        see, read = network.visual, network.text
        if compile:
            see, read = torch.compile(see), torch.compile(read, dynamic=True)  # texts come in every length
        return lambda pixels: see(pixels.to(self.device, dtype)), lambda tokens: read(tokens.to(self.device))

    @classmethod
    def wrap(
        cls,
        module: Any,
        preprocess: Any,
        tokenizer: Any = None,
        *,
        name: str = "wrapped",
        device: str = "cpu",
        precision: str = "fp32",
        compile: bool = False,
    ) -> Model:
        """A `Model` of a model of open_clip or transformers that is already in memory; its weights are copied.

        ``preprocess`` is the transform that open_clip returned with it, transformers' image processor, or a dict with
        ``mean`` and ``std``; ``tokenizer`` open_clip's. Raises ModelError where it is no such model.
        """
        weights = from_module(module, preprocess)
        return cls(name, weights, None, tokenizer, device, precision=precision, compile=compile)

    @property
    def clip(self) -> CLIP:
        """The reference network; ModelError for a model that open_clip runs."""
        if isinstance(self.network, OtherNetwork):
            raise ModelError(f"{self.name} is run by open_clip: it gives vectors, and cannot be looked into.")
        return self.network

    @property
    def grid(self) -> tuple[int, int]:
        """Cells of the picture, rows and columns; ModelError for a model that open_clip runs."""
        return (self.clip.config.vision.grid, self.clip.config.vision.grid)

    @cached_property
    def tokenizer(self) -> Any:
        """The model's own, made when a text is first read; ModelError where its files cannot be had."""
        if self._tokenizer is not None:
            return self._tokenizer
        if isinstance(self.network, OtherNetwork):
            return self.network.tokenizer()
        return plain_tokenizer(self.name, self.network.config.text.vocab_size)

    @cached_property
    def provenance(self) -> dict[str, Any]:
        """What this model is, to the bit: architecture, tag, SHA-256 of the weights, activation, preprocessing."""
        other = isinstance(self.network, OtherNetwork)
        quick = self.network.quick_gelu if isinstance(self.network, OtherNetwork) else self.network.config.quick_gelu
        return {
            "model": self.name,
            "tag": self.tag,
            "kind": self.kind,
            "weights_sha256": fingerprint(self.network),
            "activation": "quick_gelu" if quick else "gelu",
            "image_size": self.image_size,
            "grid": None if other else list(self.grid),
            "embed_dim": self.embed_dim,
            "mean": list(self.mean),
            "std": list(self.std),
            "interpolation": self.interpolation,
            "precision": self.precision,
        }

    def flops(self) -> Flops:
        """Operations of encoding one picture and one text of full length, two for every multiply-add."""
        return self.clip.flops()

    @property
    def logit_scale(self) -> float:
        """The learned inverse temperature that multiplies cosines before a softmax."""
        return float(self.network.logit_scale.detach().exp())

    @property
    def logit_bias(self) -> float | None:
        """SigLIP's bias, beside which a cosine is read by a sigmoid; None for everything else."""
        bias = self.network.logit_bias if isinstance(self.network, OtherNetwork) else None
        return None if bias is None else float(bias.detach())

    def prepare(self, image: Any, view: str | None = None) -> tuple[Tensor, Frame]:
        """The pixels [tiles, 3, S, S] that the network sees of ``image``, and the `Frame` that maps them back."""
        pixels, frame = self._prepare(image, view)
        return pixels.to(self.device), frame

    def _prepare(self, image: Any, view: str | None) -> tuple[Tensor, Frame]:
        if isinstance(image, Look):
            look = self.look(image, view)
            return look.pixels, look.frame
        from .pixels import preparation

        seen, frame = squares(image, **preparation(self, view))
        return torch.from_numpy(normalised(seen, self.mean, self.std)), frame

    def look(self, image: Any, view: str | None = None) -> Look:
        """See ``image`` once; give the `Look` to any number of explanations."""
        if isinstance(image, Look):
            if image.model is not self:
                raise ModelError(f"This Look was made by {image.model!r}, not by {self!r}: look again with this model.")
            if view is not None and image.frame.view != view:
                raise InputError(f"This Look was made with view={image.frame.view!r}; look again for view={view!r}.")
            return image
        picture = open_image(image)
        with torch.inference_mode(False):  # pixels made within the caller's could not be differentiated through
            pixels, frame = self.prepare(picture, view)
        return Look(self, pixels, picture, frame)

    def encode_images(
        self, images: Iterable[Any], *, view: str | None = None, batch_size: int = 32, progress: bool = False
    ) -> np.ndarray:
        """Unit vectors [N, E], float32, of images of any size and kind; of tiles, the renormalised mean.

        >>> clipviz.load().encode_images([picture]).shape  # doctest: +SKIP
        (1, 128)
        """
        if isinstance(images, Look) or is_one_image(images):
            images = [images]
        batches = Batches(batch_size)
        vectors: list[np.ndarray] = []
        waiting: list[Tensor] = []  # one picture's tiles at a time, so that no more is open than a batch
        with torch.inference_mode(), bar_over(images, "image", progress) as bar:
            for image in images:
                waiting.append(self._prepare(image, view)[0])
                if sum(len(tiles) for tiles in waiting) >= batches.size:
                    vectors += self.mean_of_tiles(torch.cat(waiting), [len(tiles) for tiles in waiting], batches)
                    waiting = []
                bar.update()
            if waiting:
                vectors += self.mean_of_tiles(torch.cat(waiting), [len(tiles) for tiles in waiting], batches)
        return np.stack(vectors) if vectors else np.zeros((0, self.embed_dim), np.float32)

    def mean_of_tiles(self, pixels: Tensor, counts: Sequence[int], batches: Batches) -> list[np.ndarray]:
        """Unit vectors [E] of pictures whose tiles lie behind each other in ``pixels`` [sum(counts), 3, S, S]."""
        unit = F.normalize(batches(self._see, pixels).float(), dim=-1)
        means = [tiles.mean(dim=0) for tiles in unit.split(list(counts))]
        return [F.normalize(mean, dim=-1).cpu().numpy() for mean in means]

    def encode_texts(
        self, texts: Sequence[str], *, batch_size: int = 256, strict: bool = False, progress: bool = False
    ) -> np.ndarray:
        """Unit vectors [N, E], float32, of texts as they stand. See `tokenize` for texts that are too long."""
        texts = [texts] if isinstance(texts, str) else list(texts)
        if not texts:
            return np.zeros((0, self.embed_dim), np.float32)
        batches = Batches(batch_size)
        with torch.inference_mode(), bar_over(texts, "text", progress) as bar:
            if words := self._words:
                found = run_by_length(words.ids(texts, strict=strict), self._read, batches, bar)
            else:
                found = batches(self._read, self.tokenize(texts, strict=strict))
        return F.normalize(found.float(), dim=-1).cpu().numpy()

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

    def probabilities(
        self, images: Iterable[Any], prompts: Any, *, view: str | None = None, strict: bool = False
    ) -> np.ndarray:
        """Probabilities [N, P], float32: of ``prompts`` against each other, a softmax that sums to one.

        Where the model has a ``logit_bias`` (SigLIP) each pair is judged by itself, by a sigmoid.
        """
        cosines = self.encode_images(images, view=view) @ self.encode_prompts(prompts, strict=strict).T
        logits = torch.from_numpy(cosines) * self.logit_scale
        bias = self.logit_bias
        return (logits.softmax(dim=1) if bias is None else (logits + bias).sigmoid()).numpy()

    @cached_property
    def _words(self) -> Words | None:
        """The plain tokenizer's ids by text; None where a tokenizer only gives whole tables."""
        if self.kind == "other" or getattr(self.tokenizer, "reduction_fn", None) is not None:
            return None
        if not all(hasattr(self.tokenizer, part) for part in ("encode", "sot_token_id", "eot_token_id")):
            return None
        return Words(self.tokenizer, self.clip.config.text.context_length, self.name)

    def tokenize(self, texts: Sequence[str], *, strict: bool = False) -> Tensor:
        """Token ids [N, context length]. Too long a text is cut with a ClipvizWarning, or refused if ``strict``."""
        texts = [texts] if isinstance(texts, str) else list(texts)
        if words := self._words:
            return padded(words.ids(texts, strict=strict), words.context)
        if strict and self.kind == "other":
            raise PromptError(f"The tokenizer of {self.name} does not tell whether it cuts: leave out strict=True.")
        return self.tokenizer(list(checked(texts)))

    def unseen(self, text: str) -> list[str]:
        """The words of ``text`` that never occurred in training, where the model's card tells; else nothing.

        To such a word the model gives no meaning: its vector is what chance left in the token table.
        """
        seen = self.seen_token_ids
        if seen is None or self._words is None:
            return []
        return [word for word, ids in self._words.words(text) if not ids <= seen]

    def save(self, folder: str | Path, *, layout: str = "open_clip", half: bool = False) -> Path:
        """Write the model as ``folder``, whole or not at all: an interruption leaves the old one.

        ``layout="open_clip"`` is read by `load` and by open_clip's ``local-dir:``, ``"transformers"`` by `load` and by
        ``CLIPModel.from_pretrained``. ``half`` stores float16. Raises ModelError for a model that open_clip runs.

            >>> clipviz.load().save("out/tiny")  # doctest: +SKIP
        """
        mode = {view: mode for mode, view in _VIEW_OF_RESIZE_MODE.items()}[self.view]
        return save_folder(
            folder, self.clip, mean=self.mean, std=self.std, interpolation=self.interpolation, resize_mode=mode,
            seen_token_ids=self.seen_token_ids, card=self.card or None, half=half, layout=layout,
            fill_color=self.fill if self.view == "pad" else None,
        )  # fmt: skip

    def __repr__(self) -> str:
        made = {"vit": "ViT", "resnet": "ResNet", "other": "run by open_clip"}[self.kind]
        tag = f" {self.tag!r}" if self.tag else ""
        grid = "" if self.kind == "other" else f", {self.grid[0]} x {self.grid[1]} grid"
        return f"Model({self.name}{tag}: {made}, {self.image_size} px{grid})"
