"""One integer in, one private generator out."""

from __future__ import annotations

import numpy as np
import pytest

from infoest._random import generator


def test_same_seed_same_stream_and_numpys_own() -> None:
    expected = np.random.default_rng(7).standard_normal(5)
    for seed in (7, np.int64(7), np.uint8(7)):
        np.testing.assert_array_equal(generator(seed).standard_normal(5), expected)


def test_none_is_a_fresh_stream() -> None:
    assert generator(None).random() != generator(None).random()


@pytest.mark.parametrize("seed", [1.0, "1", True, [1], np.random.default_rng(0)])
def test_wrong_types(seed) -> None:
    name = type(seed).__name__
    with pytest.raises(
        TypeError, match=rf"^random_state must be a non-negative integer.*got {name}\."
    ):
        generator(seed)


def test_numpy_bool_is_not_a_seed() -> None:
    with pytest.raises(TypeError, match=r"^random_state must be"):
        generator(np.bool_(True))


def test_negative() -> None:
    with pytest.raises(
        ValueError, match=r"^random_state must be a non-negative .*, got -3\. Pass a"
    ):
        generator(-3)


def test_large_seeds_are_seeds() -> None:
    assert generator(2**70).random() == np.random.default_rng(2**70).random()
