import math

import torch
import torch.nn.functional as F

from clipviz.training.loss import multi_positive_loss


def _unit(*shape):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(sum(shape))), dim=-1)


def test_with_one_positive_each_it_is_the_loss_of_the_paper():
    images, texts = _unit(6, 8), _unit(6, 9)[:, :8]
    logits = 10 * images @ texts.T
    answer = torch.arange(6)
    paper = (F.cross_entropy(logits, answer) + F.cross_entropy(logits.T, answer)) / 2
    assert torch.allclose(multi_positive_loss(logits, torch.eye(6, dtype=torch.bool)), paper, atol=1e-6)


def test_positives_do_not_compete():
    """Two true texts, both perfect, against one that is far: the loss is nearly nothing."""
    image = torch.tensor([[1.0, 0.0], [-1.0, 0.0]])
    texts = torch.tensor([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    true = torch.tensor([[True, True, False], [False, False, True]])
    assert multi_positive_loss(20 * image @ texts.T, true).item() < 1e-6


def test_rows_that_teach_nothing_are_left_out():
    images, texts = _unit(2, 4), _unit(3, 4)
    none = torch.zeros(2, 3, dtype=torch.bool)
    assert multi_positive_loss(10 * images @ texts.T, none).item() == 0.0
    some = none.clone()
    some[0, 0] = True
    value = multi_positive_loss(10 * images @ texts.T, some).item()
    assert math.isfinite(value) and value > 0
