"""Stateless randomness: the same address gives the same numbers, different ones are independent."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from degrain.randomness import generator, generators, permutation_window


def test_an_address_always_gives_the_same_numbers() -> None:
    first = generator(7, "noise", 3, 4).standard_normal(100)
    generator(7, "noise", 3, 5).standard_normal(100)
    assert np.array_equal(first, generator(7, "noise", 3, 4).standard_normal(100))


def test_different_addresses_are_uncorrelated() -> None:
    addresses = [(0, "a", 0, 0), (0, "a", 0, 1), (0, "a", 1, 0), (0, "b", 0, 0), (1, "a", 0, 0)]
    draws = [generator(*address).standard_normal(20_000) for address in addresses]
    for one, other in itertools.combinations(draws, 2):
        assert abs(np.corrcoef(one, other)[0, 1]) < 0.03  # four standard errors


def draws(draw: np.random.Generator) -> list[float]:
    """Numbers of several kinds; the last leaves half a block unused."""
    return [
        *draw.standard_normal(5),
        *draw.poisson(30, 5),
        *draw.random(3, np.float32),
        draw.integers(8),
        draw.random(),
    ]


def test_many_addresses_give_what_each_gives_alone() -> None:
    addresses = [(7, "noise", 3, i) for i in range(5)] + [(7, "other"), (8, "noise", 2**63, 2**64 - 1, 0), (7, "noise")]
    together = [draws(draw) for draw in generators(addresses)]
    assert together == [draws(generator(*address)) for address in addresses]


def test_windows_of_the_order_join_without_a_seam() -> None:
    whole = permutation_window(3, "order", 10, 0, 40)
    parts = [permutation_window(3, "order", 10, start, 7) for start in range(0, 35, 7)]
    assert np.array_equal(np.concatenate(parts), whole[:35])


def test_every_pass_of_the_order_holds_every_element_once() -> None:
    for turn in range(4):
        assert sorted(permutation_window(3, "order", 10, turn * 10, 10)) == list(range(10))


def test_too_many_indices_are_refused() -> None:
    with pytest.raises(ValueError, match="at most three"):
        generator(0, "a", 1, 2, 3, 4)
    with pytest.raises(ValueError, match="at most three"):
        next(generators([(0, "a", 1, 2, 3, 4)]))
