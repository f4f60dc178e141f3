"""Stochastic rounding: unbiased, exact where it can be, and safe at the ends."""

import math

import pytest
import torch

from clipviz.training.rounding import stochastic_round


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def neighbours(value):
    """The bfloat16 numbers below and above ``value`` in magnitude, by cutting its lower bits."""
    bits = value.view(torch.int32)
    below = (bits & ~0xFFFF).view(torch.float32)
    return below, ((bits & ~0xFFFF) + 0x10000).view(torch.float32)


def test_the_mean_of_many_roundings_is_the_value():
    """Each within 4 standard errors (as the two neighbours predict), from 1e-38 to 1e38 and of both signs."""
    exponents = torch.linspace(-37, 37, 75, dtype=torch.float64)
    mantissa = torch.rand(75, generator=generator(1), dtype=torch.float64)
    values = ((1 + 8 * mantissa) * 10**exponents).float()
    values = torch.cat([values, -values])
    n = 40_000
    g = generator(2)
    total = torch.zeros(len(values), dtype=torch.float64)
    for _ in range(20):
        total += stochastic_round(values.expand(n // 20, -1), g).double().sum(dim=0)
    below, above = (side.double() for side in neighbours(values))
    up = (values.double() - below) / (above - below)
    error = (above - below).abs() * (up * (1 - up) / n).sqrt()
    off = ((total / n - values.double()) / error).abs()
    print(f"largest deviation {off.max():.2f} standard errors of {len(values)}")
    assert off.max() < 4
    nearest = ((values.bfloat16().double() - values.double()) / error).abs()
    assert nearest.max() > 50, "rounding to the nearest would pass"


def test_every_result_is_a_neighbour():
    values = torch.randn(10_000, generator=generator(3))
    got = stochastic_round(values, generator(4))
    assert got.dtype == torch.bfloat16
    below, above = neighbours(values)
    assert ((got.float() == below) | (got.float() == above)).all()
    assert (got.float() == below).any() and (got.float() == above).any()


def test_what_bfloat16_has_is_unchanged():
    every = torch.arange(-(2**15), 2**15, dtype=torch.int32).to(torch.int16).view(torch.bfloat16)
    values = every[~every.isnan()]
    assert len(values) > 65_000 and values.isinf().sum() == 2
    for seed in range(5):
        got = stochastic_round(values.float(), generator(seed))
        assert torch.equal(got.view(torch.int16), values.view(torch.int16)), "the signs of zero included"


def test_infinity_and_nan_stay_and_nothing_finite_becomes_one():
    patterns = torch.tensor([0x7FFFFFFF, 0x7F800001, -1, -0x7FFFFF], dtype=torch.int32)  # every kind of NaN
    assert stochastic_round(patterns.view(torch.float32), generator()).isnan().all()
    ends = torch.tensor([math.inf, -math.inf])
    assert torch.equal(stochastic_round(ends, generator()).float(), ends)
    largest = torch.full((1000,), torch.finfo(torch.float32).max)
    for values in (largest, -largest):
        got = stochastic_round(values, generator()).float()
        assert got.isfinite().all() and (got.abs() == torch.finfo(torch.bfloat16).max).all()


def test_small_steps_arrive_on_average_and_are_lost_by_the_nearest():
    """A thousand steps of a hundredth of the distance between two numbers."""
    step = 2**-7 / 100
    by_chance, nearest = torch.ones(500, dtype=torch.bfloat16), torch.ones(500, dtype=torch.bfloat16)
    g = generator(5)
    for _ in range(1000):
        by_chance = stochastic_round(by_chance.float() + step, g)
        nearest = (nearest.float() + step).bfloat16()
    assert (nearest == 1).all()
    assert by_chance.double().mean().item() == pytest.approx(1 + 1000 * step, rel=2e-3)


def test_the_same_generator_rounds_alike_in_any_layout():
    values = torch.randn(40, 30, generator=generator(6))
    first = stochastic_round(values, generator(7))
    assert torch.equal(first, stochastic_round(values, generator(7)))
    assert not torch.equal(first, stochastic_round(values, generator(8)))
    assert torch.equal(first, stochastic_round(values.T.contiguous().T, generator(7)))
    assert stochastic_round(torch.tensor(1.0), generator()).shape == ()
    assert stochastic_round(torch.zeros(0, 3), generator()).shape == (0, 3)
