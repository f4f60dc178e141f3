import socket
import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F

from clipviz.training import blocks
from clipviz.training.blocks import loss_in_blocks
from clipviz.training.loss import contrastive_loss


@pytest.mark.parametrize("most", [1, 20, 37, 10_000])
@pytest.mark.parametrize("positives", ["one each", "many", "none in some rows and columns"])
def test_blocks_give_the_loss_and_the_gradients_of_the_whole(monkeypatch, most, positives):
    draw = torch.Generator().manual_seed(3)
    images, texts = (F.normalize(torch.randn(13, 6, generator=draw, dtype=torch.float64), dim=1) for _ in range(2))
    true = torch.eye(13, dtype=torch.bool)
    if positives != "one each":
        true = torch.rand(13, 13, generator=draw) < 0.3
    if positives.startswith("none"):
        true[3], true[:, 5], true[7], true[:, 2] = False, False, True, True
    monkeypatch.setattr(blocks, "MOST", most)
    monkeypatch.setattr(blocks, "LEAST_ROWS", 1)
    found = []
    for way in ("whole", "blocks"):
        leaves = [value.clone().requires_grad_() for value in (images, texts, torch.tensor(9.0, dtype=torch.float64))]
        i, t, scale = leaves
        if way == "whole":
            loss = contrastive_loss(scale * i @ t.T, true)
        else:
            loss = loss_in_blocks(lambda at, i=i, t=t, s=scale: s * i[at] @ t.T, lambda at: true[at], 13, 13)
        loss.backward()
        found.append((loss.detach(), *(leaf.grad for leaf in leaves)))
    for whole, parts in zip(*found, strict=True):
        assert torch.allclose(whole, parts, rtol=1e-12, atol=1e-14)


def test_the_matrix_is_not_kept(monkeypatch):
    """What autograd holds until the backward pass, each storage counted once, beside the matrix itself."""
    n, kept = 1024, {}
    true = torch.eye(n, dtype=torch.bool)
    for most in (2**14, 2**30):
        images = F.normalize(torch.randn(n, 4), dim=1).requires_grad_()
        held = {}

        def note(tensor, held=held):
            held[tensor.untyped_storage().data_ptr()] = tensor
            return tensor

        monkeypatch.setattr(blocks, "MOST", most)
        with torch.autograd.graph.saved_tensors_hooks(note, lambda t: t):
            loss = loss_in_blocks(lambda at, i=images: 9 * i[at] @ i.detach().T, lambda at: true[at], n, n)
        kept[most] = sum(tensor.untyped_storage().nbytes() for tensor in held.values())
        loss.backward()
    print({most: f"{size / 2**20:.1f} MiB" for most, size in kept.items()}, "the matrix: 4 MiB")
    assert kept[2**14] < 2**20 < 4 * 2**20 < kept[2**30]


APART = """
import sys
import torch
import torch.distributed as dist
import torch.nn.functional as F
from clipviz.training import blocks
from clipviz.training.loss import contrastive_loss

rank, port = int(sys.argv[1]), sys.argv[2]
draw = torch.Generator().manual_seed(0)
images, texts = (F.normalize(torch.randn(129, 8, generator=draw, dtype=torch.float64), dim=1) for _ in range(2))
true = torch.eye(129, dtype=torch.bool)
whole = contrastive_loss(9 * images @ texts.T, true)
dist.init_process_group("gloo", init_method=f"tcp://127.0.0.1:{port}", rank=rank, world_size=2)
blocks.MOST = 1  # 64 rows at a time: one process has 65, which is too many, and the other 64, which is not
mine = images[rank::2]
share = blocks.loss_in_blocks(lambda at: 9 * mine[at] @ texts.T, lambda at: true[rank::2][at], len(mine), 129)
dist.all_reduce(share)
assert torch.allclose(share, whole, rtol=1e-12), (share, whole)
dist.destroy_process_group()
"""


@pytest.mark.slow
def test_processes_of_unequal_rows_go_the_same_way():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    both = [subprocess.Popen([sys.executable, "-c", APART, str(rank), port]) for rank in range(2)]
    assert [one.wait(timeout=240) for one in both] == [0, 0]
