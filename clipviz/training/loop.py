"""The training loop: draw, step, write down, keep safe, and be able to go on."""

from __future__ import annotations

import dataclasses
import json
import math
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor
from tqdm.auto import tqdm

from ..clip import CLIP, Config, Taps, TextConfig, ViTConfig
from ..clip.transformer import Block
from ..clip.vit import VisionTransformer
from ..errors import DataError, SpecError
from ..files import replace, write
from ..synth import pairs
from ..weights import save_folder
from ..weights.network import OPENAI_MEAN, OPENAI_STD
from .loss import multi_positive_loss
from .optim import make_optimizer, rate, settle
from .pool import Pool, draw_pool
from .recipe import Recipe, read_recipe
from .wording import CONTEXT, Wording, wording_of_scenes

VOCABULARY = 49408
CHECKPOINT, METRICS, MODEL = "checkpoint.pt", "metrics.jsonl", "model"


def train(
    recipe: Recipe | str | Path | Mapping[str, Any],
    *,
    out: str | Path,
    resume: bool = False,
    workers: int = 2,
    quiet: bool = False,
) -> Path:
    """Train a CLIP as ``recipe`` says (a Recipe, a TOML file or a mapping) and give the folder of the model.

    In ``out`` are written ``metrics.jsonl`` (a line every few steps: step, samples, loss, learning rate, logit
    scale, samples per second), ``checkpoint.pt`` about once a minute, and at the end ``model/``, which
    ``clipviz.load`` reads. With ``resume=True`` a run that was stopped goes on from its checkpoint and ends
    with the same weights as one that was not. ``workers`` processes draw the pictures before the first step
    (0: this process); a script that calls this needs the usual ``if __name__ == "__main__":``.

    Raises SpecError for a recipe that is wrong or is not that of the checkpoint, and DataError for an
    ``out`` that already holds a run while ``resume`` is False.

    >>> train("train/tiny.toml", out="runs/tiny")  # doctest: +SKIP
    """
    recipe = recipe if isinstance(recipe, Recipe) else read_recipe(recipe)
    out = Path(out)
    checkpoint = out / CHECKPOINT
    if checkpoint.exists() and not resume:
        raise DataError(f"{str(out)!r} already holds a run: pass resume=True to go on with it, or another out.")
    wording = wording_of_scenes(recipe.data.templates, recipe.data.colour_templates, recipe.data.shape_templates)
    before = torch.get_num_threads(), torch.random.get_rng_state()
    torch.set_num_threads(recipe.threads)
    try:
        torch.manual_seed(recipe.seed)
        clip = CLIP(_config(recipe, len(wording.seen)))
        settle(clip)
        began = time.perf_counter()
        seconds = _run(recipe, clip, wording, out, resume, workers, quiet)
        card = {
            "name": recipe.name,
            "recipe": recipe.to_dict(),
            "samples_seen": recipe.steps * recipe.optim.batch,
            "seconds": {**seconds, "whole": round(time.perf_counter() - began, 1)},
            "resumed": resume,
            "held_out_pairs": [" ".join(pair) for pair in pairs("unseen")],
            "torch": torch.__version__,
        }
        return _save(clip, recipe, wording, out / MODEL, card)
    finally:
        torch.set_num_threads(before[0])
        torch.random.set_rng_state(before[1])


def _config(recipe: Recipe, vocabulary: int) -> Config:
    m = recipe.model
    vision = ViTConfig(m.image_size, m.patch_size, m.width, m.layers, m.head_width)
    text = TextConfig(CONTEXT, vocabulary, m.text_width, m.text_heads, m.text_layers)
    return Config(m.embed_dim, vision, text, quick_gelu=True)


def _run(
    recipe: Recipe, clip: CLIP, wording: Wording, out: Path, resume: bool, workers: int, quiet: bool
) -> dict[str, float]:
    """All steps from the checkpoint's, or from the first. Gives seconds spent drawing and stepping."""
    data, optim = recipe.data, recipe.optim
    optimizer = make_optimizer(clip, recipe)
    done = _restore(out / CHECKPOINT, recipe, clip, optimizer) if resume else 0
    _trim(out / METRICS, done)
    began = time.perf_counter()
    size, seed = recipe.model.image_size, recipe.seed
    pool = draw_pool(data.scenes, size, seed=seed, level=data.level, workers=workers, quiet=quiet)
    easy = draw_pool(data.easy_scenes, size, seed=seed, level="easy", workers=workers, quiet=quiet)
    drawn = saved = time.perf_counter()
    batches = _Batches(recipe, pool, easy)
    clip.train()
    losses: list[float] = []
    with (
        (out / METRICS).open("a", encoding="utf-8") as metrics,
        tqdm(total=recipe.steps, initial=done, desc=recipe.name, unit="step", disable=quiet) as bar,
    ):
        for step in range(done, recipe.steps):
            # each step has its own randomness, so that a resumed run does what an unbroken one would have done
            rng = np.random.default_rng([seed, step])
            lr = rate(recipe, step)
            for group in optimizer.param_groups:
                group["lr"] = lr
            pixels, labels = batches(step, rng)
            loss = _loss(recipe, clip, wording, pixels, labels, step, rng)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(clip.parameters(), optim.clip_norm)
            optimizer.step()
            with torch.no_grad():
                clip.logit_scale.clamp_(max=math.log(100))
            losses.append(loss.item())
            bar.update()
            now = time.perf_counter()
            if (step + 1) % 20 == 0 or step + 1 == recipe.steps:
                line = {
                    "step": step + 1,
                    "samples": (step + 1) * optim.batch,
                    "loss": round(float(np.mean(losses)), 5),
                    "learning_rate": lr,
                    "logit_scale": round(clip.logit_scale.exp().item(), 3),
                    "samples_per_second": round((step + 1 - done) * optim.batch / (now - drawn), 1),
                }
                metrics.write(json.dumps(line) + "\n")
                metrics.flush()
                bar.set_postfix(loss=f"{line['loss']:.3f}")
                losses.clear()
            if now - saved > recipe.checkpoint_seconds:
                _keep(out / CHECKPOINT, recipe, clip, optimizer, step + 1)
                saved = now
    _keep(out / CHECKPOINT, recipe, clip, optimizer, recipe.steps)
    return {"drawing": round(drawn - began, 1), "steps": round(time.perf_counter() - drawn, 1)}


class _Batches:
    """The pictures of a step: each scene of the pool once an epoch, and easy ones among them at first."""

    def __init__(self, recipe: Recipe, pool: Pool, easy: Pool):
        self.recipe, self.pool, self.easy = recipe, pool, easy
        self.epoch, self.order = -1, np.arange(0)

    def __call__(self, step: int, rng: np.random.Generator) -> tuple[Tensor, Tensor]:
        """Normalised pixels [N, 3, S, S] and the pairs in them [N, 4]."""
        data, n = self.recipe.data, self.recipe.optim.batch
        epoch, place = divmod(step, len(self.pool) // n)
        if epoch != self.epoch:
            self.epoch = epoch
            self.order = np.random.default_rng([self.recipe.seed, epoch, 1]).permutation(len(self.pool))
        rows = self.order[place * n : (place + 1) * n]
        pixels, labels = self.pool.pixels[rows], self.pool.pairs[rows]
        fading = max(0.0, 1 - step / max(1.0, data.easy_until * self.recipe.steps))
        if few := int(n * data.easy_share * fading):
            others = rng.integers(len(self.easy), size=few)
            pixels[:few], labels[:few] = self.easy.pixels[others], self.easy.pairs[others]
        return _normalise(_jitter(pixels, data.shift, data.flip, rng)), torch.from_numpy(labels)


def _jitter(pixels: NDArray[np.uint8], shift: int, flip: bool, rng: np.random.Generator) -> NDArray[np.uint8]:
    """The batch [N, S, S, 3] moved by up to ``shift`` pixels, some mirrored: both keep every caption true."""
    if shift:
        size = pixels.shape[1]
        wide = np.pad(pixels, ((0, 0), (shift, shift), (shift, shift), (0, 0)), mode="edge")
        y, x = rng.integers(2 * shift + 1, size=2)
        pixels = wide[:, y : y + size, x : x + size]
    if flip:
        mirrored = rng.random(len(pixels)) < 0.5
        pixels = np.where(mirrored[:, None, None, None], pixels[:, :, ::-1], pixels)
    return np.ascontiguousarray(pixels)


def _normalise(pixels: NDArray[np.uint8]) -> Tensor:
    mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (OPENAI_MEAN, OPENAI_STD))
    return (torch.from_numpy(pixels).permute(0, 3, 1, 2).float() / 255 - mean) / std


def _loss(
    recipe: Recipe, clip: CLIP, wording: Wording, pixels: Tensor, labels: Tensor, step: int, rng: np.random.Generator
) -> Tensor:
    """The loss of one batch against one wording of every concept.

    With ``local_weight`` a second term asks the same of the best patch alone: what the last block would add
    to the class token if it looked at that patch only (the value path of MaskCLIP, Zhou et al. 2022; the
    best patch a text as in FILIP, Yao et al. 2022). It knows no masks, and makes patches answer for themselves.
    """
    visual = clip.visual
    assert isinstance(visual, VisionTransformer)  # what a recipe builds
    keep = _kept(recipe, len(pixels), visual.config.grid**2, rng)
    local = recipe.optim.local_weight if step >= recipe.optim.local_from * recipe.steps else 0.0
    last = len(visual.transformer.resblocks) - 1
    see = Taps(want=[f"block.{last}.v"])
    with torch.autocast("cpu", dtype=torch.bfloat16, enabled=recipe.optim.bfloat16):
        images = visual(pixels, see) if keep is None else visual.resume("embed", visual.embed(pixels, keep), {}, None)
        if local:
            value = see.seen[f"block.{last}.v"][:, :, 1:].transpose(1, 2).flatten(2)  # [N, h*w, D]
            attention = cast(Block, visual.transformer.resblocks[last]).attn
            patches = visual.ln_post(attention.out_proj(value)) @ visual.proj  # [N, h*w, E]
    texts = F.normalize(clip.text(wording.say(rng)), dim=-1)
    true, scale = wording.targets(labels), clip.logit_scale.exp()
    loss = multi_positive_loss(scale * F.normalize(images.float(), dim=-1) @ texts.T, true)
    if local:
        best = (F.normalize(patches.float(), dim=-1) @ texts.T).amax(dim=1)  # [N, K]
        loss = loss + local * multi_positive_loss(scale * best, true)
    return loss


def _kept(recipe: Recipe, n: int, patches: int, rng: np.random.Generator) -> Tensor | None:
    """Which patches of each picture stay [n, k] (FLIP, Li et al. 2023), or None for all."""
    share = recipe.optim.keep_patches
    if share == 1:
        return None
    k = max(1, round(share * patches))
    return torch.from_numpy(rng.random((n, patches)).argsort(axis=1)[:, :k].copy())


def _keep(path: Path, recipe: Recipe, clip: CLIP, optimizer: torch.optim.Optimizer, done: int) -> None:
    state = {"recipe": recipe.to_dict(), "done": done, "clip": clip.state_dict(), "optimizer": optimizer.state_dict()}
    replace(path, lambda temporary: torch.save(state, temporary))


def _restore(path: Path, recipe: Recipe, clip: CLIP, optimizer: torch.optim.Optimizer) -> int:
    """Load a checkpoint where there is one, and give the number of steps that it has done."""
    if not path.exists():
        return 0
    state = torch.load(path, weights_only=True)
    if state["recipe"] != recipe.to_dict():
        raise SpecError(f"{str(path)!r} was made with another recipe: resume with that one, or choose another out.")
    clip.load_state_dict(state["clip"])
    optimizer.load_state_dict(state["optimizer"])
    return int(state["done"])


def _trim(path: Path, done: int) -> None:
    """Drop the lines of steps that come after the checkpoint: they will be made again."""
    path.parent.mkdir(parents=True, exist_ok=True)
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    kept = [line for line in lines if line.endswith("}") and json.loads(line)["step"] <= done]
    write(path, "".join(line + "\n" for line in kept))


def _save(clip: CLIP, recipe: Recipe, wording: Wording, path: Path, card: dict[str, Any]) -> Path:
    """Spread the trained token rows over the released vocabulary, and write the folder."""
    small = clip.config
    text = dataclasses.replace(small.text, vocab_size=VOCABULARY)
    whole = CLIP(dataclasses.replace(small, text=text))
    state = clip.state_dict()
    table = whole.text.token_embedding.weight.detach().clone()
    table[wording.seen] = state["text.token_embedding.weight"]
    whole.load_state_dict({**state, "text.token_embedding.weight": table})
    return save_folder(
        path, whole.eval(), seen_token_ids=wording.seen.tolist(), card=card, half=True, only_seen_rows=True
    )
