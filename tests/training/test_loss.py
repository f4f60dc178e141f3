import math

import torch
import torch.nn.functional as F

from clipviz.training.loss import contrastive_loss


def _unit(*shape):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))), dim=-1)


def test_with_one_positive_each_it_is_the_loss_of_the_paper():
    images, texts = _unit(6, 8), _unit(6, 9)[:, :8]
    logits = 10 * images @ texts.T
    answer = torch.arange(6)
    paper = (F.cross_entropy(logits, answer) + F.cross_entropy(logits.T, answer)) / 2
    assert torch.allclose(contrastive_loss(logits, torch.eye(6, dtype=torch.bool)), paper, atol=1e-6)


def test_positives_do_not_compete():
    """Two true texts, both perfect, against one that is far: the loss is nearly nothing."""
    image = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    texts = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    true = torch.tensor([[True, True, False], [False, False, True]])
    assert contrastive_loss(20 * image @ texts.T, true).item() < 1e-6


def test_rows_that_teach_nothing_are_left_out():
    images, texts = _unit(2, 4), _unit(3, 4)
    none = torch.zeros(2, 3, dtype=torch.bool)
    assert contrastive_loss(10 * images @ texts.T, none).item() == 0.0
    some = none.clone()
    some[0, 0] = True
    value = contrastive_loss(10 * images @ texts.T, some).item()
    assert math.isfinite(value) and value > 0


def test_columns_without_a_positive_or_a_negative_teach_nothing_and_give_finite_gradients():
    logits = (10 * _unit(4, 8) @ _unit(3, 8).T).requires_grad_()
    true = torch.tensor([[True, False, True], [False, False, True], [True, False, True], [False, False, True]])
    contrastive_loss(logits, true).backward()
    assert torch.isfinite(logits.grad).all() and logits.grad.abs().sum() > 0
    one_side = logits.detach().clone().requires_grad_()
    rows = [
        F.cross_entropy(torch.stack([one_side[i, p], *one_side[i][~true[i]]])[None], torch.tensor([0]))
        for i in range(4)
        for p in torch.nonzero(true[i]).flatten()
        for _ in range(3 - int(true[i].sum()))
    ]
    column = [
        F.cross_entropy(torch.stack([one_side[i, 0], *one_side[:, 0][~true[:, 0]]])[None], torch.tensor([0]))
        for i in (0, 2)
    ]
    # rows 0 and 2 have two positives (counted once each, halved), rows 1 and 3 one (counted twice)
    whole = (torch.stack(rows).sum() / 8 + torch.stack(column).mean()) / 2
    assert torch.allclose(contrastive_loss(one_side, true), whole, atol=1e-6)
