import itertools
import math
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
import torch

from infoest.functional import partition_entropy, run_entropy
from infoest.functional.discrete import discrete_entropy


def greedy_run_sizes(sequence):
    """The rule of the docstring, value by value."""
    sizes, direction = [1], 0
    for before, value in itertools.pairwise(sequence):
        step = (value > before) - (value < before)
        if direction * step < 0:
            sizes.append(1)
            direction = 0
        else:
            sizes[-1] += 1
            direction = direction or step
    return sizes


def entropy_of(sizes):
    n = sum(sizes)
    return -sum(size / n * math.log(size / n) for size in sizes)


# ------------------------------------------------------------------------------ given block sizes


@pytest.mark.parametrize(
    ("sizes", "expected"),
    [
        ([7], 0.0),
        ([1, 1], math.log(2)),
        ([1] * 10, math.log(10)),
        ([2, 1, 1], 1.5 * math.log(2)),
        ([3, 1], math.log(4) - 0.75 * math.log(3)),
    ],
)
def test_block_sizes_by_hand(sizes, expected):
    assert partition_entropy(sizes) == pytest.approx(expected, abs=1e-15)
    assert partition_entropy([*sizes, 0]) == partition_entropy(sizes)
    assert partition_entropy(np.array(sizes[::-1], dtype=np.uint8)) == pytest.approx(expected)
    assert partition_entropy(pd.Series(sizes)) == partition_entropy(sizes)


def test_chain_rule_of_refined_blocks():
    # Splitting a block of 6 of 10 into 4 and 2 adds its share times the entropy of the split.
    coarse, fine = partition_entropy([6, 4]), partition_entropy([4, 2, 4])
    assert fine == pytest.approx(coarse + 0.6 * partition_entropy([4, 2]), rel=1e-14)


@pytest.mark.parametrize(
    ("sizes", "error", "match"),
    [
        ([], ValueError, r"^block_sizes must hold at least one row and one column, got shape"),
        ([0, 0], ValueError, r"^block_sizes must hold at least one point, got only zeros\."),
        ([2, -1], ValueError, r"^block_sizes must be whole numbers of at least 0, got -1"),
        ([0.5, 0.5], ValueError, r"got 0\.5\. Give how many points are in every block"),
        ([2.0, math.nan], ValueError, r"^block_sizes must be whole numbers of at least 0, got nan"),
        ([math.inf], ValueError, r"^block_sizes must be whole numbers of at least 0, got inf"),
        ([[2, 1], [1, 1]], ValueError, r"^block_sizes must have one axis, got shape \(2, 2\)\."),
        (["a"], TypeError, "^block_sizes must be numeric, got strings"),
        (None, TypeError, "^block_sizes must be an array of samples, got None"),
    ],
)
def test_refuses_block_sizes(sizes, error, match):
    with pytest.raises(error, match=match):
        partition_entropy(sizes)


# ------------------------------------------------------------------------------------------- runs


@pytest.mark.parametrize("length", range(1, 8))
def test_every_short_sequence_with_ties(length):
    for sequence in itertools.product(range(3), repeat=length):
        expected = entropy_of(greedy_run_sizes(sequence))
        assert run_entropy(sequence) == pytest.approx(expected, abs=1e-14), sequence


def test_every_permutation_of_six():
    for sequence in itertools.permutations(range(6)):
        expected = entropy_of(greedy_run_sizes(sequence))
        assert run_entropy(sequence) == pytest.approx(expected, abs=1e-14), sequence


@pytest.mark.parametrize(
    ("sequence", "sizes"),
    [
        ([5.0], [1]),
        ([4, 4, 4], [3]),  # ties have no direction
        ([1, 2, 2, 5], [4]),
        ([5, 2, 2, 1], [4]),
        ([1, 1, 0, 0, 1], [4, 1]),  # the first two that differ set the direction
        ([1, 2, 3, 2, 1, 0], [3, 3]),  # the turning value belongs to the first run
        ([0, 1, 0, 1, 0, 1], [2, 2, 2]),
        ([0, 1, 0, 1, 2, 3], [2, 4]),  # a run starts with its direction open
        ([0, 1, 1, 0, 0, 1], [3, 3]),
        ([0, 1, 0, 0, 5], [2, 3]),
    ],
)
def test_runs_by_hand(sequence, sizes):
    assert greedy_run_sizes(sequence) == sizes
    assert run_entropy(sequence) == pytest.approx(entropy_of(sizes), abs=1e-15)


def test_long_sequences_and_their_maps():
    rng = np.random.default_rng(0)
    sequence = rng.integers(0, 50, 3000)
    value = run_entropy(sequence)
    assert value == pytest.approx(entropy_of(greedy_run_sizes(sequence.tolist())), rel=1e-12)
    assert run_entropy(-sequence) == value
    assert run_entropy(1e6 + 1e-3 * sequence**3) == value
    assert 0.0 < value <= math.log(1500)
    assert run_entropy(np.sort(sequence)) == run_entropy(np.sort(sequence)[::-1]) == 0.0


def test_limits_are_reached_and_backwards_is_another_sequence():
    for n in (2, 3, 8, 9):
        zigzag = np.arange(n) % 2
        sizes = [2] * (n // 2) + [1] * (n % 2)
        assert run_entropy(zigzag) == pytest.approx(entropy_of(sizes), abs=1e-15)
        assert run_entropy(zigzag) <= math.log(math.ceil(n / 2)) + 1e-15
    assert run_entropy([0, 1, 2, 1]) != run_entropy([1, 2, 1, 0])


def test_fewest_runs_but_not_always_least_entropy():
    def partitions(n):
        for cuts in itertools.product([False, True], repeat=n - 1):
            edges = [0, *(i + 1 for i, cut in enumerate(cuts) if cut), n]
            yield list(itertools.pairwise(edges))

    def monotone(values):
        return list(values) in (sorted(values), sorted(values, reverse=True))

    least_is_less = 0
    for sequence in itertools.permutations(range(6)):
        allowed = [
            [b - a for a, b in blocks]
            for blocks in partitions(6)
            if all(monotone(sequence[a:b]) for a, b in blocks)
        ]
        greedy = greedy_run_sizes(sequence)
        assert len(greedy) == min(map(len, allowed))
        least_is_less += min(map(entropy_of, allowed)) < entropy_of(greedy) - 1e-12
    assert least_is_less > 0


def test_large_integers_and_bytes_are_compared_as_integers():
    # As float64 the first two are equal; as differences of uint8 every step would be up.
    assert run_entropy(np.array([2**60 + 1, 2**60, 2**60 + 2])) > 0.0
    assert run_entropy(np.array([200, 100, 0], dtype=np.uint8)) == 0.0
    assert run_entropy([-1e308, 1e308, -1e308]) == pytest.approx(entropy_of([2, 1]))


def test_containers_and_untouched_data():
    sequence = np.array([3.0, 1.0, 2.0, 5.0, 4.0])
    sequence.flags.writeable = False
    value = run_entropy(sequence)
    for same in (
        sequence.tolist(),
        sequence[:, None],
        pd.Series(sequence),
        torch.tensor([*sequence]),
    ):
        assert run_entropy(same) == value
    assert value == discrete_entropy([2, 2, 1], correction="none")


@pytest.mark.parametrize(
    ("sequence", "error", "match"),
    [
        ([], ValueError, "^sequence must hold at least one row and one column"),
        ([1.0, math.nan], ValueError, r"^sequence must be finite, got 1 NaN or infinite entries\."),
        ([math.inf, 1.0], ValueError, r"^sequence must be finite, got 1 NaN or infinite entries\."),
        ([[1, 2], [3, 4]], ValueError, r"^sequence must have one axis, got shape \(2, 2\)\."),
        (3.0, ValueError, r"^sequence must have shape \(n_samples, n_features\), got \(\)"),
        ([1j, 2.0], TypeError, "^sequence must be real numbers, got dtype complex128"),
        ("abc", TypeError, "^sequence must be an array of samples, got a str"),
    ],
)
def test_refuses_sequences(sequence, error, match):
    with pytest.raises(error, match=match):
        run_entropy(sequence)


def test_needs_no_torch():
    code = (
        "import sys; from infoest.functional import run_entropy; "
        "assert run_entropy([1, 2]) == 0.0; assert 'torch' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
