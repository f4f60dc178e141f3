"""One process of a group that the tests start: gradients of many small cases, AdamW steps, states.

``python processes.py gradients|steps OUT`` under RANK, WORLD_SIZE, MASTER_ADDR and MASTER_PORT; without them, alone.
"""

import faulthandler
import sys
from pathlib import Path

import torch

from clipviz.clip import CLIP, CBOWConfig, Config, ResNetConfig, TextConfig, ViTConfig
from clipviz.training import read_recipe
from clipviz.training.batches import Batches
from clipviz.training.distributed import World
from clipviz.training.network import seen_tokens
from clipviz.training.optim import make_optimizer
from clipviz.training.step import Step
from clipviz.training.towers import Towers

MEAN, STD = (0.48, 0.46, 0.41), (0.27, 0.26, 0.28)
VIT, RESNET = ViTConfig(24, 8, 16, 3, 8), ResNetConfig(32, (1, 1, 1, 1), 4, 32)
TEXT, WORDS = TextConfig(16, 80, 16, 2, 2), CBOWConfig(16, 80, 16)
SCENES = {"kind": "scenes", "n": 96, "draw_seed": 3, "crop": [0.8, 1.0], "flip": True}
SAY = {"templates": ["a {colour} {shape}", "the {colour} {shape}"]}
OTHERS = [{"templates": ["something {colour}"]}, {"templates": ["a {shape}"]}]
TWO = [{"templates": ["something {colour}"], "only": {"colour": ["red", "blue"]}}]  # fewer texts than four processes


def recipe(size, *, captions=(SAY,), memory=None, **loss):
    keep = loss.pop("keep_patches", 1.0)
    batch = loss.pop("batch", 64)
    return read_recipe(
        {
            "model": {"image_size": size, "patch_size": 8},
            "data": {"sources": [{**SCENES, "captions": list(captions)}]},
            "loss": loss,
            "optim": {"batch": batch, "samples": 10 * batch, "keep_patches": keep, "warm_up": 0, "learning_rate": 3e-3},
            "memory": {"precision": "float64", **(memory or {})},
        }
    )


ALL = {"multi_positive": True, "texts": "all", "captions": [SAY, *OTHERS]}
SOME = {"multi_positive": True, "texts": "batch", "captions": [SAY, *OTHERS]}
CASES = {
    "pairs": (VIT, TEXT, {}),
    "pairs, a bag of words": (VIT, WORDS, {}),
    "pairs, part of the patches": (VIT, TEXT, {"keep_patches": 0.5}),
    "pairs that do not divide": (VIT, TEXT, {"batch": 61}),
    "captions of the batch": (VIT, TEXT, SOME),
    "captions of the batch, patches alone, part of them": (
        VIT,
        TEXT,
        {**SOME, "local_weight": 0.5, "keep_patches": 0.5},
    ),
    "all captions": (VIT, TEXT, ALL),
    "all captions, patches alone": (VIT, TEXT, {**ALL, "local_weight": 0.5}),
    "all captions, patches alone, part of them": (VIT, TEXT, {**ALL, "local_weight": 0.7, "keep_patches": 0.6}),
    "pictures without captions, captions without pictures": (VIT, TEXT, {**ALL, "batch": 33}),
    "two captions": (VIT, TEXT, {**ALL, "captions": TWO, "batch": 14}),
    "pairs, a ResNet": (RESNET, TEXT, {}),
    "all captions, a ResNet": (RESNET, TEXT, {**ALL, "batch": 37}),
}
BLIND = {name: case for name, case in CASES.items() if case[0] is VIT}  # batch norm sees the batch: never in pieces
STEP = 2
SHARDED = (
    "pairs that do not divide",
    "all captions, patches alone, part of them",
    "two captions",
    "all captions, a ResNet",
)
BARE = "pictures without captions, captions without pictures"


def network(vision, text):
    """The same in every process, with no weight at zero."""
    torch.manual_seed(7)
    clip = CLIP(Config(8, vision, text, quick_gelu=True)).double()
    with torch.no_grad():
        for name, p in clip.named_parameters():
            if name.endswith(("bn3.weight", "bias")):
                p.add_(0.3 * torch.randn_like(p))
            elif p.ndim >= 2:
                p.mul_(3.0 if name.startswith("visual.conv1") else 1.5)
        clip.logit_scale.fill_(1.7)
    return clip.train()


def batch_of(batches, step, bare=False):
    """Its tokens as rows of a table of the words that these captions have; ``bare`` takes away some of what is true."""
    seen = seen_tokens((text for concept in batches.concepts.every for text in concept.wordings()), 16)
    batch = batches[step]
    batch.tokens = torch.searchsorted(seen, batch.tokens)
    if bare:
        batch.true[torch.arange(batches.rank, 33, batches.world) % 5 == 0] = -1
        batch.true[batch.true % 4 == 1] = -1
    return batch


def towers(recipe, clip):
    local = recipe.loss.local_weight > 0
    return Towers(clip, MEAN, STD, local=local, precision="float64", recompute=recipe.memory.checkpoint_activations)


def stepper(wrapped, recipe):
    return Step(wrapped, recipe.memory.micro_batch, recipe.loss.multi_positive, recipe.loss.local_weight)


def gradient(p):
    return (p.grad.full_tensor() if hasattr(p.grad, "full_tensor") else p.grad).clone()


def gradients(world, cache, memory, cases):
    """The loss and the gradient of every parameter of every case, in this world and with this memory."""
    found = {}
    for name, (vision, text, settings) in cases.items():
        made = recipe(vision.image_size, memory=memory, **settings)
        clip = network(vision, text)
        batch = batch_of(Batches(made, cache, rank=world.rank, world=world.size), STEP, name == BARE)
        wrapped = world.wrap(towers(made, clip), made)
        share = stepper(wrapped, made)(batch)
        loss = world.sum(share.item())
        found[name] = loss, {n: gradient(p) for n, p in clip.named_parameters()}
        if vision is RESNET:
            found[name][1].update({n: b.clone() for n, b in clip.named_buffers() if "running" in n})
    return found


def steps(world, cache, memory, first=0, last=3, state=None, keep=None):
    """AdamW from ``first`` to ``last``; gives the weights, the norms of the gradients, and the states at ``keep``."""
    made = recipe(VIT.image_size, memory=memory, **{**ALL, "local_weight": 0.5})
    clip = network(VIT, TEXT)
    wrapped = world.wrap(towers(made, clip), made)
    optimizer = make_optimizer(clip, made)
    if state is not None:
        world.load(wrapped, optimizer, *(state if world.main else ({}, {})))
    batches, step = Batches(made, cache, rank=world.rank, world=world.size), stepper(wrapped, made)
    norms, kept = [], None
    for number in range(first, last):
        optimizer.zero_grad(set_to_none=True)
        step(batch_of(batches, number))
        norms.append(float(world.clip_norm(clip.parameters(), 0.5)))
        optimizer.step()
        if number + 1 == keep:
            kept = world.model_state(wrapped), world.optimizer_state(wrapped, optimizer)
    return {"weights": world.model_state(wrapped), "norms": norms, "kept": kept}


def main(what, out):
    torch.set_num_threads(1)
    faulthandler.dump_traceback_later(600, exit=True)  # rather than wait for ever
    world = World.join()
    assert world.size == 1 or world.joined
    cache = out / "cache"
    if what == "gradients":
        some, fsdp = {name: CASES[name] for name in SHARDED}, {"distributed": "fsdp2"}
        in_pieces = {**fsdp, "micro_batch": 8, "checkpoint_activations": True}
        kinds = {
            "ddp": ({}, CASES),
            "ddp in pieces": ({"micro_batch": 8}, BLIND),
            "fsdp2": (fsdp, some),
            "fsdp2 in pieces": (in_pieces, {name: case for name, case in some.items() if name in BLIND}),
        }
        found = {kind: gradients(world, cache, memory, cases) for kind, (memory, cases) in kinds.items()}
    else:
        start = torch.load(out / "alone.pt", weights_only=True)
        found = {}
        for kind in ("ddp", "fsdp2"):
            memory = {"distributed": kind, "micro_batch": 20, "checkpoint_activations": True}
            found[kind] = steps(world, cache, memory, keep=2)
            found[f"alone to {kind}"] = steps(world, cache, memory, first=2, state=start["kept"])
        for one, other in (("ddp", "fsdp2"), ("fsdp2", "ddp")):
            found[f"{one} to {other}"] = steps(world, cache, {"distributed": other}, first=2, state=found[one]["kept"])
        found["stop"] = [world.any(world.rank == 1), world.any(False)]
        found["everyones"] = world.everyones({"rank": world.rank})
        found["shared"] = world.share("said by 0" if world.main else None)
    if world.main:
        torch.save(found, out / f"{what}-{world.size}.pt")
    world.barrier()
    world.leave()


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
