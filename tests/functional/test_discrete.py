"""Entropy and information of labels: values by hand, identities, bias, and the NSB oracle."""

import itertools

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.special import digamma, gammaln, polygamma

from infoest.functional import codes, nsb
from infoest.functional.codes import contingency, joint_codes, row_codes
from infoest.functional.discrete import (
    CORRECTIONS,
    discrete_conditional_mutual_information,
    discrete_entropy,
    discrete_mutual_information,
    local_information,
    nsb_standard_deviation,
)
from infoest.functional.histogram import histogram_of

each_correction = pytest.mark.parametrize("correction", CORRECTIONS)
EULER = 0.5772156649015329
# G(1), G(2), ... of Grassberger (2003): G(1) = -gamma - log 2, G(2k + 1) = G(2k),
# G(2k + 2) = G(2k) + 2 / (2k + 1), and G(2) = 2 - gamma - log 2.
G = {1: -EULER - np.log(2)} | {
    n: -EULER - np.log(2) + sum(2 / (2 * k + 1) for k in range(n // 2)) for n in range(2, 9)
}


def entropy_of(p):
    return -sum(q * np.log(q) for q in p if q > 0)


# Values by hand ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("correction", "expected"),
    [
        ("none", entropy_of([0.75, 0.25])),
        ("miller_madow", entropy_of([0.75, 0.25]) + 1 / 16),
        ("grassberger", np.log(8) - (6 * G[6] + 2 * G[2]) / 8),
        (
            "chao_shen",  # no singletons: coverage 1
            -0.75 * np.log(0.75) / (1 - 0.25**8) - 0.25 * np.log(0.25) / (1 - 0.75**8),
        ),
        # lambda = (3 / 8) / 7 / (1 / 8) = 3 / 7
        ("shrinkage", entropy_of([9 / 14, 5 / 14])),
    ],
)
def test_two_states_by_hand(correction, expected):
    assert discrete_entropy([6, 2], correction=correction) == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("n_states", [2, 3, 50, 10**5])
def test_nsb_of_one_observation_is_the_prior_mean(n_states):
    # The evidence of one observation is 1 / K whatever beta, and xi is uniform on [0, log K].
    counts = np.zeros(n_states)
    counts[-1] = 1
    expected = np.log(n_states) / 2
    assert discrete_entropy(counts, correction="nsb") == pytest.approx(expected, rel=1e-10)


def test_nsb_of_two_states_and_two_equal_observations():
    # K = 2, n = 2, both alike: evidence (beta + 1) / (2 beta + 1) / 2, integrated in xi.
    def xi(beta):
        return digamma(2 * beta + 1) - digamma(beta + 1)

    def parts(xi_value):
        beta = np.exp(_root(lambda u: xi(np.exp(u)) - xi_value, -40, 40))
        mean = digamma(2 * beta + 3) - (
            (beta + 2) * digamma(beta + 3) + beta * digamma(beta + 1)
        ) / (2 * beta + 2)
        return (beta + 1) / (2 * beta + 1), mean

    top = quad(lambda v: np.prod(parts(v)), 0, np.log(2), epsabs=1e-10, epsrel=1e-10)[0]
    bottom = quad(lambda v: parts(v)[0], 0, np.log(2), epsabs=1e-10, epsrel=1e-10)[0]
    assert discrete_entropy([2, 0], correction="nsb") == pytest.approx(top / bottom, rel=1e-8)


def _root(function, low, high):
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if function(middle) < 0 else (low, middle)
    return (low + high) / 2


@pytest.mark.parametrize(("n_states", "count"), [(2, 4), (5, 3), (8, 8)])
def test_uniform_counts(n_states, count):
    counts, n = [count] * n_states, n_states * count
    log_k = np.log(n_states)
    value = {name: discrete_entropy(counts, correction=name) for name in CORRECTIONS}
    assert value["none"] == pytest.approx(log_k, rel=1e-14)
    assert value["miller_madow"] == pytest.approx(log_k + (n_states - 1) / (2 * n), rel=1e-14)
    assert value["grassberger"] == pytest.approx(np.log(n) - G[count], rel=1e-14)
    assert value["chao_shen"] == pytest.approx(log_k / (1 - (1 - 1 / n_states) ** n), rel=1e-13)
    assert value["shrinkage"] == pytest.approx(log_k, rel=1e-14)
    assert log_k - 1 / (2 * count) < value["nsb"] < log_k


@pytest.mark.parametrize(("n", "expected"), G.items())
def test_grassberger_values_by_hand(n, expected):
    assert discrete_entropy([n], correction="grassberger") == pytest.approx(
        np.log(n) - expected, abs=1e-14
    )


def test_chao_shen_of_singletons_alone_has_coverage_one_over_n():
    # C = 1 / n, p = 1 / n^2.
    n = 5
    expected = np.log(n**2) / n / (1 - (1 - 1 / n**2) ** n)
    assert discrete_entropy([1] * n, correction="chao_shen") == pytest.approx(expected, rel=1e-13)


def test_chao_shen_with_some_singletons():
    # n = 4, C = 3 / 4, p = 9 / 16 and 3 / 16.
    terms = [-p * np.log(p) / (1 - (1 - p) ** 4) for p in (9 / 16, 3 / 16)]
    assert discrete_entropy([3, 1], correction="chao_shen") == pytest.approx(sum(terms), rel=1e-13)


def test_shrinkage_intensity_is_clipped():
    # [3, 1]: lambda = 1 exactly. [2, 1]: (4 / 9) / 2 / (1 / 18) = 4, clipped.
    assert discrete_entropy([3, 1], correction="shrinkage") == pytest.approx(np.log(2), rel=1e-14)
    assert discrete_entropy([2, 1], correction="shrinkage") == pytest.approx(np.log(2), rel=1e-14)
    # One observation says nothing of the variance: uniform.
    assert discrete_entropy([1, 0, 0], correction="shrinkage") == pytest.approx(np.log(3))


@pytest.mark.parametrize("count", [1, 2, 7, 10**6])
@each_correction
def test_single_state(correction, count):
    value = discrete_entropy([count], correction=correction)
    if correction == "grassberger":  # G(n) is not log n
        assert abs(value) < 2 / count
    else:
        assert value == 0
        assert not np.signbit(value)


# Identities --------------------------------------------------------------------------------------


def direct_entropy(counts, correction):
    """The formulas state by state, without grouping."""
    counts = np.asarray(counts, dtype=float)
    n, k = counts.sum(), counts.size
    seen = counts[counts > 0]
    p = seen / n
    plug_in = entropy_of(p)
    if correction == "none":
        return plug_in
    if correction == "miller_madow":
        return plug_in + (seen.size - 1) / (2 * n)
    if correction == "grassberger":
        g = [
            digamma(c) + (-1) ** int(c) / 2 * (digamma((c + 1) / 2) - digamma(c / 2)) for c in seen
        ]
        return np.log(n) - seen @ np.array(g) / n
    if correction == "chao_shen":
        q = (1 - min((seen == 1).sum(), n - 1) / n) * p
        return -sum(q * np.log(q) / (1 - (1 - q) ** n))
    if correction == "shrinkage":
        full = counts / n
        intensity = (1 - (full**2).sum()) / ((n - 1) * ((full - 1 / k) ** 2).sum())
        return entropy_of(min(intensity, 1) / k + (1 - min(intensity, 1)) * full)
    return nsb_by_quadrature(counts)


def nsb_by_quadrature(counts):
    """Adaptive quadrature over log beta of the textbook formulas, for moderate counts."""
    counts = np.asarray(counts, dtype=float)
    n, k = counts.sum(), counts.size

    def log_density(u):
        beta = np.exp(u)
        evidence = gammaln(k * beta) - gammaln(n + k * beta)
        evidence += (gammaln(counts + beta) - gammaln(beta)).sum()
        return u + evidence + np.log(k * polygamma(1, k * beta + 1) - polygamma(1, beta + 1))

    def mean(u):
        beta = np.exp(u)
        terms = (counts + beta) * digamma(counts + beta + 1)
        return digamma(n + k * beta + 1) - terms.sum() / (n + k * beta)

    # Beyond exp(16) the textbook formulas cancel; the density has fallen as 1 / beta there.
    edges = np.arange(-np.log(k) - 30.0, 16.5, 0.5)
    top = max(log_density(u) for u in edges)
    options = {"epsabs": 1e-11, "epsrel": 1e-9}
    pieces = [
        (
            quad(lambda u: np.exp(log_density(u) - top) * mean(u), low, high, **options)[0],
            quad(lambda u: np.exp(log_density(u) - top), low, high, **options)[0],
        )
        for low, high in itertools.pairwise(edges)
    ]
    return np.sum(pieces, axis=0)[0] / np.sum(pieces, axis=0)[1]


HISTOGRAMS = {
    "few": [5, 3, 2, 0],
    "singletons": [1, 1, 1, 1, 1, 0, 0],
    "singletons and a pair": [2] + [1] * 6 + [0] * 40,
    "heavy tail": [200, 40, 11, 7, 3, 2, 2, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    "well sampled": [120, 80, 95, 20, 33],
    "one state of many": [30] + [0] * 60,
}


@each_correction
@pytest.mark.parametrize("counts", HISTOGRAMS.values(), ids=HISTOGRAMS)
def test_grouped_counts_give_the_direct_formula(counts, correction):
    value = discrete_entropy(counts, correction=correction)
    tolerance = 1e-6 if correction == "nsb" else 1e-12
    assert value == pytest.approx(direct_entropy(counts, correction), rel=tolerance, abs=1e-14)


@each_correction
def test_order_shape_and_type_of_counts_do_not_matter(correction):
    counts = np.array(HISTOGRAMS["heavy tail"])
    value = discrete_entropy(counts, correction=correction)
    shuffled = np.random.default_rng(0).permutation(counts)
    for same in (shuffled, counts.reshape(4, 5), counts.astype(float), counts.astype(np.uint8)):
        assert discrete_entropy(same, correction=correction) == value
    assert discrete_entropy(counts.tolist(), correction=correction) == value


@each_correction
def test_zeros_are_states_for_shrinkage_and_nsb_alone(correction):
    counts = HISTOGRAMS["heavy tail"]
    value = discrete_entropy(counts, correction=correction)
    padded = discrete_entropy(counts + [0] * 1000, correction=correction)
    if correction in ("shrinkage", "nsb"):
        assert padded > value + 1e-3
    else:
        assert padded == value


@each_correction
def test_inputs_are_left_alone(correction):
    counts = np.array([4, 0, 2, 1])
    x, y, z = np.array([3, 1, 1, 2]), np.array([0, 0, 1, 1]), np.array([1, 1, 0, 0])
    before = [array.copy() for array in (counts, x, y, z)]
    for array in (counts, x, y, z):
        array.flags.writeable = False
    discrete_entropy(counts, correction=correction)
    discrete_conditional_mutual_information(x, y, z, correction=correction)
    for array, copy in zip((counts, x, y, z), before, strict=True):
        np.testing.assert_array_equal(array, copy)


@pytest.fixture
def labels():
    rng = np.random.default_rng(3)
    x = rng.integers(0, 4, 300)
    y = (x + rng.integers(0, 3, 300)) % 5
    z = (y + rng.integers(0, 2, 300)) % 3
    return x, y, z


@each_correction
def test_mutual_information_is_symmetric_and_blind_to_names(correction, labels):
    x, y, z = labels
    value = discrete_mutual_information(x, y, correction=correction)
    assert discrete_mutual_information(y, x, correction=correction) == pytest.approx(value)
    renamed = np.array([10**15, -7, 3, 0])[x]
    assert discrete_mutual_information(renamed, y, correction=correction) == pytest.approx(value)
    conditional = discrete_conditional_mutual_information(x, y, z, correction=correction)
    swapped = discrete_conditional_mutual_information(y, renamed, z, correction=correction)
    assert swapped == pytest.approx(conditional)


@pytest.mark.parametrize(
    "correction", ["none", "miller_madow", "grassberger", "chao_shen", "nsb", "shrinkage"]
)
def test_information_is_that_of_the_dense_table(correction, labels):
    x, y, z = labels
    table = contingency(x, y)
    if correction == "shrinkage":
        n = table.sum()
        p = table / n
        uniform = 1 / table.size
        intensity = (1 - (p**2).sum()) / ((n - 1) * ((p - uniform) ** 2).sum())
        assert 0 < intensity < 1
        shrunk = intensity * uniform + (1 - intensity) * p
        sums = shrunk.sum(axis=1, keepdims=True) * shrunk.sum(axis=0)
        expected = (shrunk * np.log(shrunk / sums)).sum()
    else:
        expected = (
            discrete_entropy(table.sum(axis=1), correction=correction)
            + discrete_entropy(table.sum(axis=0), correction=correction)
            - discrete_entropy(table, correction=correction)
        )
    value = discrete_mutual_information(x, y, correction=correction)
    assert value == pytest.approx(expected, rel=1e-10)

    # The condition: the same on the table of three.
    cube = np.zeros((x.max() + 1, y.max() + 1, z.max() + 1))
    np.add.at(cube, (x, y, z), 1)
    if correction == "shrinkage":
        p = cube / cube.sum()
        uniform = 1 / cube.size
        intensity = (1 - (p**2).sum()) / ((cube.sum() - 1) * ((p - uniform) ** 2).sum())
        shrunk = intensity * uniform + (1 - intensity) * p
        ratio = shrunk * shrunk.sum(axis=(0, 1)) / shrunk.sum(axis=1, keepdims=True)
        expected = (shrunk * np.log(ratio / shrunk.sum(axis=0))).sum()
    else:
        expected = (
            discrete_entropy(cube.sum(axis=1), correction=correction)
            + discrete_entropy(cube.sum(axis=0), correction=correction)
            - discrete_entropy(cube, correction=correction)
            - discrete_entropy(cube.sum(axis=(0, 1)), correction=correction)
        )
    value = discrete_conditional_mutual_information(x, y, z, correction=correction)
    assert value == pytest.approx(expected, rel=1e-10)


def test_information_of_a_label_with_itself_is_its_entropy(labels):
    x = labels[0]
    plug_in = discrete_entropy(np.bincount(x), correction="none")
    assert discrete_mutual_information(x, x, correction="none") == pytest.approx(plug_in)


@each_correction
def test_a_constant_tells_nothing(correction, labels):
    x, y, _ = labels
    constant = np.full_like(y, 9)
    offset = discrete_entropy([y.size], correction=correction)  # G(n) is not log n
    value = discrete_mutual_information(constant, y, correction=correction)
    assert value == pytest.approx(offset, abs=1e-13)
    unconditional = discrete_mutual_information(x, y, correction=correction)
    value = discrete_conditional_mutual_information(x, y, constant, correction=correction)
    assert value == pytest.approx(unconditional - offset, abs=1e-13)


def test_chain_rule_of_the_plug_in(labels):
    x, y, z = labels
    both = discrete_mutual_information(x, joint_codes(y, z), correction="none")
    first = discrete_mutual_information(x, z, correction="none")
    rest = discrete_conditional_mutual_information(x, y, z, correction="none")
    assert both == pytest.approx(first + rest, rel=1e-12)


def test_xor():
    x, y = np.tile([0, 0, 1, 1], 25), np.tile([0, 1, 0, 1], 25)
    z = x ^ y
    assert discrete_mutual_information(x, y, correction="none") == pytest.approx(0, abs=1e-15)
    value = discrete_conditional_mutual_information(x, y, z, correction="none")
    assert value == pytest.approx(np.log(2), rel=1e-14)


def test_local_information_averages_to_the_plug_in(labels):
    x, y, _ = labels
    local = local_information(x, y)
    assert local.shape == x.shape
    assert local.mean() == pytest.approx(discrete_mutual_information(x, y, correction="none"))
    i = 17
    joint = ((x == x[i]) & (y == y[i])).mean()
    ratio = joint / ((x == x[i]).mean() * (y == y[i]).mean())
    assert local[i] == pytest.approx(np.log(ratio), rel=1e-12)


@pytest.mark.parametrize("correction", ["none", "shrinkage"])
def test_information_of_a_distribution_is_not_negative(correction):
    rng = np.random.default_rng(0)
    for n in (2, 5, 20, 100):
        x, y, z = rng.integers(0, 6, (3, n))
        assert discrete_mutual_information(x, y, correction=correction) > -1e-14
        assert discrete_conditional_mutual_information(x, y, z, correction=correction) > -1e-14


# Bias --------------------------------------------------------------------------------------------


def test_each_correction_is_closer_than_the_plug_in_on_average():
    # 20 states, p_k ~ 1 / (k + 3), n = 40, 300 seeds: the plug-in is low by .28 nats; the others
    # by -.09, -.01, -.01, +.07 and -.06, each with a standard error below .01.
    p = 1 / np.arange(3.0, 23.0)
    p /= p.sum()
    truth = entropy_of(p)
    samples = np.random.default_rng(0).multinomial(40, p, size=300)
    error = {
        name: np.mean([discrete_entropy(counts, correction=name) for counts in samples]) - truth
        for name in CORRECTIONS
    }
    assert -0.32 < error["none"] < -0.24
    for name in CORRECTIONS[1:]:
        assert abs(error[name]) < 0.5 * abs(error["none"]), name


def test_miller_madow_removes_the_bias_of_independent_labels():
    # The plug-in is high by (K_x - 1)(K_y - 1) / (2 n) = .075 with a standard error of .002.
    rng = np.random.default_rng(1)
    pairs = rng.integers(0, 4, (300, 2, 60))
    plug_in = np.mean([discrete_mutual_information(x, y, correction="none") for x, y in pairs])
    corrected = np.mean([discrete_mutual_information(x, y) for x, y in pairs])
    assert plug_in == pytest.approx(0.075, abs=0.015)
    assert abs(corrected) < 0.02


# NSB ---------------------------------------------------------------------------------------------

# Distinct counts, multiplicities, number of states, posterior mean and standard deviation: mpmath
# with 45 digits, trapezoidal rule in log beta with 700 nodes (errors below the digits shown).
NSB_REFERENCE = [
    ([5, 3, 2], [1, 1, 1], 4, 1.1342301000402, 0.1604981278),
    ([1, 2], [48, 1], 10**5, 8.0911222421546, 1.097611336),
    (
        [1, 2, 3, 5, 10, 100, 1000],
        [100, 30, 20, 10, 5, 3, 2],
        170,
        2.0255880943718,
        0.03982561824,
    ),
    (
        [1, 2, 3, 5, 10, 100, 1000],
        [100, 30, 20, 10, 5, 3, 2],
        10**5,
        2.0410261550139,
        0.04166909831,
    ),
    ([10], [10**5], 10**5, 11.512924464973, 9.99996e-7),
    ([9, 10, 11], [30000, 40000, 30000], 10**5, 11.512924401143, 1.063825968e-6),
    ([999990, 1], [1, 10], 10**5, 0.00015583769897476, 4.439757556e-5),
    ([10**6], [1], 10**5, 9.950517203981e-7, 3.800650062e-6),
    ([1000, 3000], [1, 1], 2, 0.56239200317978, 0.007516773805),
]


@pytest.mark.parametrize(
    ("counts", "multiplicities", "n_states", "mean", "deviation"), NSB_REFERENCE
)
def test_nsb_against_high_precision(counts, multiplicities, n_states, mean, deviation):
    full = np.zeros(n_states, dtype=np.int64)
    full[: sum(multiplicities)] = np.repeat(counts, multiplicities)
    assert discrete_entropy(full, correction="nsb") == pytest.approx(mean, rel=2e-9)
    # Given beta, the variance is a difference of second moments: absolute error about 1e-13.
    assert nsb_standard_deviation(full) == pytest.approx(deviation, rel=1e-8, abs=1e-7)


def test_nsb_against_published_values():
    # The read-me of the package ndd (quadrature to about 1e-5) and of its version 1.4.
    counts = [4, 12, 4, 5, 3, 1, 5, 1, 2, 2, 2, 2, 11, 3, 4, 12, 12, 1, 2] + [0] * 81
    assert discrete_entropy(counts, correction="nsb") == pytest.approx(2.80609225, rel=1e-5)
    assert nsb_standard_deviation(counts) == pytest.approx(0.11945501, rel=1e-3)
    counts = [7, 3, 5, 8, 9, 1, 3, 3, 1, 0, 2, 5, 2, 11, 4, 23, 5, 0, 8, 0]
    assert discrete_entropy(counts, correction="nsb") == pytest.approx(2.62363434, rel=1e-8)


def test_nsb_finds_the_whole_posterior():
    # The narrowed interval against a fine rule on the whole range, on wild histograms.
    rng = np.random.default_rng(0)
    for trial in range(60):
        size = int(rng.integers(1, 60))
        seen = np.exp(rng.uniform(0, rng.uniform(0.1, 13), size)).round()
        if trial % 3 == 0:
            seen = np.concatenate([[10.0 ** rng.integers(1, 7)], np.ones(size)])
        histogram = histogram_of(seen, n_states=seen.size + int(10 ** rng.uniform(0, 6)))
        low, high = nsb._log_concentration_range(histogram)
        beta = np.exp(np.linspace(low, high, 6001))
        density = np.exp((log_density := nsb._log_posterior(beta, histogram)) - log_density.max())
        expected = density @ nsb._dirichlet_entropy(beta, histogram) / density.sum()
        assert nsb.posterior_mean(histogram) == pytest.approx(expected, rel=1e-8, abs=1e-14)
        slopes = np.diff(log_density)
        slopes = np.sign(slopes[abs(slopes) > 1e-6])
        assert (np.diff(slopes) < 0).sum() == 1  # a single mode


def test_nsb_standard_deviation_of_two_states_covers_the_truth_on_average():
    rng = np.random.default_rng(2)
    truth = entropy_of([0.2, 0.3, 0.5])
    errors = [
        (discrete_entropy(counts, correction="nsb") - truth) / nsb_standard_deviation(counts)
        for counts in rng.multinomial(50, [0.2, 0.3, 0.5], size=200)
    ]
    assert 0.7 < np.std(errors) < 1.3
    assert nsb_standard_deviation([7]) == 0


@each_correction
def test_large_tables_stay_sparse(correction):
    # 5e9 cells: a dense table would take 37 GiB.
    n = 70_000
    x = np.arange(n)
    value = discrete_mutual_information(x, x[::-1], correction=correction)
    assert np.isfinite(value)
    if correction == "none":
        assert value == pytest.approx(np.log(n), rel=1e-12)


@each_correction
def test_many_states_and_many_observations(correction):
    rng = np.random.default_rng(4)
    p = rng.dirichlet(np.full(10**5, 0.05))
    truth = entropy_of(p)
    counts = rng.multinomial(10**6, p)
    assert discrete_entropy(counts, correction=correction) == pytest.approx(truth, abs=0.05)


# Labels ------------------------------------------------------------------------------------------


def test_contingency():
    table = contingency([5, -1, 5, 5, 2], [0, 0, 1, 1, 0])
    np.testing.assert_array_equal(table, [[1, 0], [1, 0], [1, 2]])
    assert table.dtype == np.int64


def test_joint_codes_are_in_lexicographic_order(labels):
    columns = np.stack([*labels, labels[0] * 10**12])
    expected = np.unique(columns, axis=1, return_inverse=True)[1].reshape(-1)
    np.testing.assert_array_equal(joint_codes(*columns), expected)
    np.testing.assert_array_equal(joint_codes([7, 3, 7]), [1, 0, 1])


def test_codes_of_extreme_labels():
    extreme = np.array([np.iinfo(np.int64).max, np.iinfo(np.int64).min, 0, 0])
    np.testing.assert_array_equal(joint_codes(extreme), [2, 0, 1, 1])
    big = np.array([2**64 - 1, 2**63, 5, 5], dtype=np.uint64)
    value = discrete_mutual_information(big, big, correction="none")
    assert value == pytest.approx(entropy_of([0.25, 0.25, 0.5]))
    assert joint_codes([True, False], [0, 0]).tolist() == [1, 0]


def test_joint_codes_do_not_overflow():
    # Raw products of the label ranges would exceed 2^63.
    rng = np.random.default_rng(0)
    columns = rng.integers(-(2**62), 2**62, (5, 40))[:, rng.integers(0, 40, 3000)]
    assert len(np.unique(joint_codes(*columns))) == len(np.unique(columns, axis=1).T)


ROWS = {
    "few values": lambda rng: rng.integers(0, 2, (500, 6)),
    "bins": lambda rng: rng.integers(0, 30, (500, 10)),
    "signs": lambda rng: rng.integers(-1, 1, (3000, 14)),
    "extremes": lambda rng: rng.choice(
        np.array([np.iinfo(np.int64).min, -1, 0, 1, np.iinfo(np.int64).max]), (800, 3)
    ),
    "bits of floats": lambda rng: rng.integers(0, 9, (900, 3)).astype(float).view(np.int64),
    "one column": lambda rng: rng.integers(0, 50, (300, 1)),
    "all alike": lambda rng: np.full((100, 4), 3),
    "one row": lambda rng: np.array([[1, 2, 3]]),
    "small integers": lambda rng: rng.integers(0, 4, (300, 3)).astype(np.int8),
    "columns apart": lambda rng: rng.integers(0, 4, (300, 8))[:, ::2],
    "several blocks": lambda rng: rng.integers(0, 2, (9000, 16)),
}


def assert_same_partition(codes, rows):
    expected = np.unique(rows, axis=0, return_inverse=True)[1].reshape(-1)
    n_distinct = expected.max() + 1
    np.testing.assert_array_equal(np.unique(codes), np.arange(n_distinct))
    assert len(np.unique(np.stack([codes, expected]), axis=1).T) == n_distinct
    assert codes.dtype == np.int64


@pytest.mark.parametrize("make", ROWS.values(), ids=ROWS)
def test_row_codes(make):
    rows = make(np.random.default_rng(0))
    assert_same_partition(row_codes(rows), rows)
    np.testing.assert_array_equal(row_codes(rows), row_codes(rows))


@pytest.mark.parametrize(
    "hashes",
    [lambda rows: np.zeros(len(rows), dtype=np.int64), lambda rows: rows[:, 0].copy()],
    ids=["all collide", "some collide"],
)
def test_row_codes_survive_collisions(monkeypatch, hashes):
    rows = np.random.default_rng(0).integers(0, 30, (2000, 4))
    monkeypatch.setattr(codes, "_row_hashes", hashes)
    assert_same_partition(row_codes(rows), rows)


def test_rare_collision_in_the_last_row(monkeypatch):
    rows = np.random.default_rng(0).integers(0, 10**6, (20_000, 20))
    plain = codes._row_hashes

    def collide(rows):
        hashes = plain(rows)
        hashes[-1] = hashes[0]
        return hashes

    monkeypatch.setattr(codes, "_row_hashes", collide)
    assert_same_partition(row_codes(rows), rows)


def test_rows_without_columns_are_alike():
    np.testing.assert_array_equal(row_codes(np.zeros((3, 0), dtype=int)), [0, 0, 0])


def test_hashes_of_many_similar_rows_differ():
    # 2^16 rows of 0 and -1, which differ in all bits, and 2^16 of 0 and 2^48.
    bits = (np.arange(2**16)[:, None] >> np.arange(16)) & 1
    for rows in (-bits, bits * 2**48, bits):
        assert len(np.unique(codes._row_hashes(rows))) == 2**16


def test_correction_is_keyword_only():
    for function, labels in (
        (discrete_entropy, [[1, 2]]),
        (discrete_mutual_information, [[0, 1]] * 2),
        (discrete_conditional_mutual_information, [[0, 1]] * 3),
    ):
        with pytest.raises(TypeError, match="positional"):
            function(*labels, "none")


# Bad input ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("counts", "error", "message"),
    [
        ([], ValueError, r"counts must hold at least one state, got shape \(0,\)"),
        ([0, 0], ValueError, "counts must hold at least one observation, got only zeros"),
        ([3, -2, -5], ValueError, "counts must not be negative, got -5"),
        ([0.5, 0.25], ValueError, r"counts must be whole numbers, got 0\.5.*not probabilities"),
        ([1.0, np.nan], ValueError, "counts must be finite, got 1 NaN or infinite entries"),
        ([np.inf, np.nan], ValueError, "counts must be finite, got 2 NaN or infinite entries"),
        (["a", "b"], TypeError, "counts must be whole numbers, got dtype <U1.*Count labels first"),
        ([True, False], TypeError, "counts must be whole numbers, got dtype bool"),
        ([1 + 2j], TypeError, "counts must be whole numbers, got dtype complex128"),
    ],
)
@each_correction
def test_bad_counts(counts, error, message, correction):
    with pytest.raises(error, match=message):
        discrete_entropy(counts, correction=correction)
    with pytest.raises(error, match=message):
        nsb_standard_deviation(counts)


def test_unknown_correction():
    message = (
        r"correction must be one of \['chao_shen', 'grassberger', 'miller_madow', 'none', "
        r"'nsb', 'shrinkage'\], got 'x'\."
    )
    with pytest.raises(ValueError, match=message):
        discrete_entropy([1, 2], correction="x")
    with pytest.raises(ValueError, match=message):
        discrete_mutual_information([0, 1], [0, 1], correction="x")
    with pytest.raises(ValueError, match=message):
        discrete_conditional_mutual_information([0, 1], [0, 1], [0, 1], correction="x")


@pytest.mark.parametrize("function", [discrete_mutual_information, local_information, contingency])
def test_bad_labels(function):
    with pytest.raises(ValueError, match="x_codes and y_codes must be paired, got 3 and 2 samples"):
        function([0, 1, 1], [0, 1])
    with pytest.raises(ValueError, match=r"y_codes must have shape \(n_samples,\).*got \(2, 1\)"):
        function([0, 1], [[0], [1]])
    with pytest.raises(ValueError, match=r"x_codes must have shape .*at least one.*got \(0,\)"):
        function([], [])
    with pytest.raises(TypeError, match=r"y_codes must be integers, got dtype float64\. Number"):
        function([0, 1], [0.0, 1.0])
    with pytest.raises(TypeError, match="x_codes must be integers, got dtype <U1"):
        function(["a", "b"], [0, 1])


def test_bad_labels_of_the_others():
    with pytest.raises(ValueError, match="x_codes and z_codes must be paired, got 2 and 3"):
        discrete_conditional_mutual_information([0, 1], [0, 1], [0, 1, 1])
    with pytest.raises(ValueError, match="codes must hold at least one array of labels, got none"):
        joint_codes()
    with pytest.raises(TypeError, match=r"codes\[1\] must be integers, got dtype float64"):
        joint_codes([0, 1], [0.5, 1.0])
    with pytest.raises(ValueError, match=r"must span at most 16777216 cells, got 5000 x 5000"):
        contingency(np.arange(5000), np.arange(5000))
    with pytest.raises(ValueError, match=r"rows must have shape .* got \(3,\)"):
        row_codes([1, 2, 3])
    with pytest.raises(ValueError, match=r"rows must have shape .* got \(0, 2\)"):
        row_codes(np.zeros((0, 2), dtype=int))
    with pytest.raises(TypeError, match="rows must be integers, got dtype float64"):
        row_codes([[0.5, 1.0]])
