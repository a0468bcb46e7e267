"""What users of seven other packages reported: each item is a test that passes here.

The numbers are those of the reports and of measurements on the peers; the sources are named by the
tests. "Must" is what a user of infoest gets instead.
"""

from __future__ import annotations

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from torch import Tensor

import infoest
from infoest import KSG, Discrete, Gaussian, GaussianCopula, KozachenkoLeonenko, MixedKSG, estimate
from infoest.datasets import ar1_pair, correlated_normal
from infoest.functional import (
    cauchy_schwarz,
    cauchy_schwarz_qmi,
    conditional_cauchy_schwarz,
    hsic,
    kde_entropy_bounds,
    kozachenko_leonenko,
    ksg,
    mmd,
    temporal_infonce,
    von_neumann_entropy,
)
from infoest.kernels import (
    epanechnikov,
    gaussian,
    laplace,
    log_kernel_sum,
    resolve_bandwidth,
    student,
)
from infoest.transport import FusedInfoOT, infoot

# ----------------------------------------------------------------- defects read in peers' sources


@pytest.mark.parametrize("scale", [1.0, 100.0, 1e4, 1e8, 1e-8])
@pytest.mark.parametrize("standardize", [True, False])
def test_npeet_mutinfo_absolute_epsilon_loses_strictness_at_large_distances(scale, standardize):
    """eps - 1e-15 counts the k-th neighbor itself once distances exceed 8: .228 became .167."""
    x, y, _ = correlated_normal(300, mi=0.223, random_state=0)
    expected = KSG(k=3, standardize=standardize).estimate(x, y, confidence=None).value
    found = KSG(k=3, standardize=standardize).estimate(scale * x, scale * y, confidence=None).value
    assert found == pytest.approx(expected, abs=1e-3)
    assert ksg(scale * x, scale * y, k=3) == pytest.approx(ksg(x, y, k=3), abs=1e-3)


@pytest.mark.parametrize(("n", "peer"), [(200, 0.176), (2000, 0.209)])
def test_dit_counts_the_point_itself_and_the_boundary(n, peer):
    """At rho .6 (true .223) dit's formula gives .176 and .209."""
    values = [
        ksg(*correlated_normal(n, rho=0.6, random_state=seed)[:2], k=4)
        for seed in range(2_000 // n + 20)
    ]
    error = np.std(values) / math.sqrt(len(values))
    assert np.mean(values) == pytest.approx(0.2231, abs=0.008 + 2.0 * error)
    assert np.mean(values) > peer + 0.005


@pytest.mark.parametrize("method", ["kozachenko_leonenko", "kde_entropy"])
def test_hoi_clips_negative_differential_entropy_at_zero(method):
    x = 0.01 * np.random.default_rng(0).random((2000, 1))
    assert infoest.entropy(x, method).value == pytest.approx(math.log(0.01), abs=0.15)
    assert kozachenko_leonenko(x, k=3) < -4.0


@pytest.mark.parametrize(
    "measure", ["total_correlation", "dual_total_correlation", "o_information"]
)
def test_hoi_measures_built_on_clipped_entropies_depend_on_the_scale(measure):
    data = np.random.default_rng(1).standard_normal((800, 3))
    data[:, 2] += data[:, 0]
    function = getattr(infoest, measure)
    assert function(1e-3 * data).value == pytest.approx(function(data).value, abs=1e-6)


@pytest.mark.parametrize("method", ["ksg", "gaussian", "gaussian_copula", "auto", "mixed_ksg"])
@pytest.mark.parametrize("offset", [1e9, 1e11])
def test_sklearn_noise_relative_to_the_mean_destroys_data_with_an_offset(method, offset):
    """Offset 1e11 gives scikit-learn MI 0 (true .51)."""
    x, y, mi = correlated_normal(1000, rho=0.8, random_state=0)
    found = estimate(x + offset, y, method, confidence=None)
    # At 1e11 the data themselves are rounded to 1.5e-5.
    assert found.value == pytest.approx(estimate(x, y, method, confidence=None).value, abs=0.01)
    assert found.value == pytest.approx(mi, abs=0.08)


def test_sklearn_30772_constant_feature_with_few_positives():
    """n = 2e5, 20 positives: 0.0502 nats although H(Y) = 0.0010; the error grew with n."""
    n, positives = 20_000, 20
    y = np.zeros(n, dtype=int)
    y[:positives] = 1
    rng = np.random.default_rng(0)
    entropy = infoest.entropy(y, discrete="x", confidence=None).value
    assert entropy == pytest.approx(0.0079, abs=1e-4)
    # A constant is refused in words; a feature that is constant but for a few rows is measured.
    with pytest.raises(ValueError, match=r"^x must vary in every column, got constant column 0\."):
        MixedKSG().estimate(np.ones(n), y, discrete="y")
    tied = np.ones(n)
    tied[rng.choice(n, 30, replace=False)] = 2.0
    found = MixedKSG().estimate(tied, y, discrete="y", confidence=None, block=1).value
    assert abs(found) < 0.2 * entropy


@pytest.mark.parametrize("n", [2_000, 20_000])
def test_sklearn_30772_rare_label_and_continuous_feature_stay_below_the_entropy(n):
    rng = np.random.default_rng(1)
    y = np.zeros(n, dtype=int)
    y[:20] = 1
    entropy = infoest.entropy(y, discrete="x", confidence=None).value
    found = MixedKSG().estimate(rng.standard_normal(n), y, discrete="y", confidence=None).value
    assert abs(found) < 0.5 * entropy


@pytest.mark.parametrize("method", ["gaussian", "ksg", "discrete", "auto", "mixed_ksg", "binned"])
def test_infomeasure_p_value_is_never_zero(method):
    """count / n is 0 when nothing exceeds; (1 + b) / (1 + n) is not."""
    x = np.random.default_rng(0).integers(0, 3, 200)
    x = x if method == "discrete" else x + 0.1 * np.random.default_rng(1).standard_normal(200)
    found = estimate(x, x * 2, method, n_permutations=19, block=1)
    assert found.p_value == 1 / 20


def test_infomeasure_p_value_permutes_whole_rows():
    """The columns of a side stay together, else their own dependence would be tested, too."""
    rng = np.random.default_rng(2)
    x = rng.standard_normal((150, 1))
    twins = np.hstack([x, x + 0.01 * rng.standard_normal((150, 1))])
    other = rng.standard_normal((150, 2))
    p_values = [
        KSG(random_state=seed).estimate(twins, other, n_permutations=39, confidence=None).p_value
        for seed in range(5)
    ]
    assert min(p_values) > 0.02


def test_idnns_bins_on_a_fixed_range_for_every_activation():
    """Bins on [-1, 1] put every ReLU activation beyond 1 into one bin; None takes the data's."""
    activation = np.random.default_rng(3).exponential(10.0, 1000)
    fixed = infoest.Binned(bins=30, limits=(-1, 1)).estimate(activation, activation, block=1)
    fitted = infoest.Binned(bins=30).estimate(activation, activation, block=1)
    assert fitted.value > fixed.value + 1.0
    open_ended = infoest.Binned(bins=2, limits=(-1, 1)).estimate(activation, activation, block=1)
    assert open_ended.value == pytest.approx(0.0, abs=1e-12)


def test_mutinfo_constructor_writes_into_the_callers_settings():
    limits = [-1.0, 1.0]
    estimator = infoest.Binned(limits=limits)
    estimator.estimate(*np.random.default_rng(4).standard_normal((2, 50)))
    assert limits == [-1.0, 1.0]
    assert estimator.limits is limits
    assert infoest.Binned().limits is None
    inner = KozachenkoLeonenko(k=3)
    infoest.FromEntropies(entropy=inner).estimate(
        *np.random.default_rng(5).standard_normal((2, 50))
    )
    assert inner.get_params() == KozachenkoLeonenko(k=3).get_params()


# ---------------------------------------------------------------------------- users' complaints


@pytest.mark.parametrize(
    "method", ["ksg", "gaussian", "gaussian_copula", "auto", "kde", "mixed_ksg"]
)
def test_sklearn_16457_npeet_26_16_information_of_x_with_itself(method):
    """I(X;X) grows like log n and was reported as a bug: the answer must say it is infinite."""
    values = []
    for n in (200, 800):
        x = np.random.default_rng(0).standard_normal((n, 1))
        found = estimate(x, x, method, confidence=None)
        assert found.has("infinite_for_continuous")
        (sentence,) = [c.sentence for c in found.warnings if c.code == "infinite_for_continuous"]
        assert "infinite" in sentence
        values.append(found.value)
    assert all(map(math.isfinite, values))


def test_npeet_16_discrete_information_of_x_with_itself_is_its_entropy():
    """H(X) = 1.41 bits but I(X;X) = 7.95 was the report; for labels both are one number."""
    x = np.random.default_rng(1).choice(3, 2000, p=[0.5, 0.3, 0.2])
    found = estimate(x, x, "discrete", discrete="both")
    assert found.value == pytest.approx(infoest.entropy(x, discrete="x").value, abs=2e-3)
    assert found.value == pytest.approx(estimate(x, x).value, abs=1e-12)
    assert not found.has("infinite_for_continuous")


def test_sklearn_23720_swapping_a_label_and_a_feature_changed_the_value():
    rng = np.random.default_rng(2)
    label = rng.integers(0, 3, 500)
    x = 100.0 * label + 30.0 * rng.standard_normal(500)
    forward = estimate(x, label, discrete="y").value
    assert estimate(label, x, discrete="x").value == pytest.approx(forward, abs=1e-12)
    assert estimate(1e-4 * x + 7.0, label, discrete="y").value == pytest.approx(forward, abs=1e-9)
    u, v, _ = correlated_normal(500, rho=0.7, random_state=3)
    for method in ("auto", "ksg", "gaussian", "gaussian_copula", "mixed_ksg"):
        one, other = estimate(u, v, method).value, estimate(v, u, method).value
        assert one == pytest.approx(other, abs=1e-9)


@pytest.mark.parametrize("method", ["ksg", "gaussian", "gaussian_copula", "mixed_ksg"])
def test_sklearn_26696_integers_were_rounded_after_scaling(method):
    x, y, _ = correlated_normal(1000, rho=0.8, random_state=4)
    x, y = np.round(1e4 * x).astype(int), np.round(1e4 * y).astype(int)
    found = estimate(x, y, method, confidence=None)
    assert found.value == estimate(x.astype(float), y.astype(float), method, confidence=None).value
    assert found.value > 0.4
    assert found.has("integers_treated_as_continuous")


@pytest.mark.parametrize("method", ["ksg", "mixed_ksg"])
def test_sklearn_8173_number_of_neighbors_was_ignored(method):
    x, y, _ = correlated_normal(300, rho=0.7, random_state=5)
    cls = infoest.METHODS[method]
    values = {cls(k=k).estimate(x, y, confidence=None).value for k in (1, 2, 3, 5, 10, 20)}
    assert len(values) == 6


@pytest.mark.parametrize("method", ["ksg", "gaussian", "gaussian_copula", "mixed_ksg"])
def test_eight_repositories_a_negative_value_is_explained_and_not_clipped(method):
    values, covered = [], 0
    for seed in range(40):
        x, y = np.random.default_rng(seed).standard_normal((2, 100, 1))
        found = estimate(x, y, method, block=1)
        values.append(found.value)
        covered += found.interval[0] <= 0.0 <= found.interval[1]
    assert min(values) < 0.0
    assert np.mean(values) == pytest.approx(0.0, abs=0.03)
    assert covered >= 34
    assert "negative" in str(KSG.estimate.__doc__)


def test_infomeasure_7_continuous_against_a_binary_label():
    """A kernel estimate above 1 bit and KSG at -.1; the label has at most 1 bit."""
    rng = np.random.default_rng(6)
    label = rng.integers(0, 2, 1000)
    for distance in (0.0, 1.0, 4.0, 100.0):
        x = distance * label + rng.standard_normal(1000)
        found = estimate(x, label).to("bits")
        assert found.method == "mixed_ksg"
        assert -0.05 < found.value < 1.02
        assert found.interval[0] < 1.0
    assert found.value == pytest.approx(1.0, abs=0.02)


@pytest.mark.parametrize("method", ["ksg", "gaussian", "gaussian_copula", "auto"])
def test_infotheory_7_nan_in_another_column_changed_a_pair_silently(method):
    data = np.random.default_rng(7).standard_normal((300, 3))
    data[:, 1] += data[:, 0]
    expected = estimate(data[:, 0], data[:, 1], method).value
    data[5, 2] = np.nan
    assert estimate(data[:, 0], data[:, 1], method).value == expected
    with pytest.raises(
        ValueError, match=r"^y must be finite, got 1 NaN or infinite entries\. Drop"
    ):
        estimate(data[:, 0], data[:, 1:], method)
    assert estimate(data[:, 0], data[:, 1:], method, missing="drop").n_samples == 299


@pytest.mark.parametrize("estimator", [Gaussian(), GaussianCopula(), KSG(), Discrete()])
def test_jidt_12_local_values_came_in_another_unit_than_the_average(estimator):
    x, y, _ = correlated_normal(400, rho=0.8, random_state=8)
    if isinstance(estimator, Discrete):
        x, y = (x > 0).astype(int), (y > 0).astype(int)
    local = estimator.pointwise(x, y)
    assert local.mean() == pytest.approx(estimator.estimate(x, y).value, abs=1e-12)
    assert estimator.estimate(x, y).unit == "nats"


@pytest.mark.slow
@pytest.mark.parametrize("phi", [0.8, 0.9])
@pytest.mark.parametrize("method", ["gaussian", "gaussian_copula", "ksg"])
def test_causationentropy_11_coverage_falls_to_sixty_percent_under_autocorrelation(method, phi):
    """An iid bootstrap covers .63 and .58 of the truth where rows depend on each other."""
    covered = 0
    for seed in range(60):
        x, y, mi = ar1_pair(
            500, coefficient_x=phi, coefficient_y=phi, correlation=0.5, random_state=seed
        )
        low, high = estimate(x, y, method).interval
        covered += low <= mi <= high
    assert covered >= 0.85 * 60


def test_causationentropy_11_conditional_interval_under_autocorrelation():
    """X and Y driven by Z, all three AR(1): the conditional interval must cover 0."""
    covered = 0
    for seed in range(60):
        x, y, _ = ar1_pair(
            400, coefficient_x=0.9, coefficient_y=0.9, correlation=0.0, random_state=seed
        )
        z, _, _ = ar1_pair(400, coefficient_x=0.9, random_state=1000 + seed)
        low, high = estimate(x + z, y + z, "gaussian", z=z).interval
        covered += low <= 0.0 <= high
    assert covered >= 0.85 * 60


# ------------------------------------------------------------------------ the newest reports


def test_causationentropy_14_euclidean_conditional_rejects_independence_every_time():
    """A Euclidean search rejected 200 of 200 independent cases, the max norm 6.5 %."""
    rejected, values = 0, []
    for seed in range(40):
        rng = np.random.default_rng(seed)
        z = rng.standard_normal((200, 2))
        x = z[:, :1] + rng.standard_normal((200, 1))
        y = z[:, 1:] + rng.standard_normal((200, 1))
        found = estimate(x, y, "ksg", z=z, block=1)
        values.append(found.value)
        rejected += not found.interval[0] <= 0.0 <= found.interval[1]
    assert rejected <= 6
    assert abs(np.mean(values)) < 0.05


@pytest.mark.parametrize("n", [60, 500])
def test_entropy_estimators_11_information_above_the_entropy_of_a_discrete_side(n):
    for seed in range(10):
        rng = np.random.default_rng(seed)
        label = rng.choice(3, n, p=[0.8, 0.15, 0.05])
        x = 50.0 * label + rng.standard_normal(n)
        entropy = infoest.entropy(label, discrete="x", confidence=None).value
        found = estimate(x, label, discrete="y", confidence=None).value
        assert found <= entropy + 0.05


def test_knnie_3_many_dimensions_are_said():
    """16 + 16 columns, rho .5, n = 5000: true 2.301, KSG .714: nobody may trust that."""
    x, y, mi = correlated_normal(1500, rho=0.5, dim=16, random_state=0)
    assert mi == pytest.approx(2.301, abs=1e-3)
    found = KSG().estimate(x, y)
    assert found.value < 1.2
    assert found.has("bias_exceeds_error")
    assert found.has("too_few_samples_for_dimension")
    assert found.interval[0] <= mi <= found.interval[1]
    assert estimate(x, y).value == pytest.approx(mi, abs=0.2)


def test_gcmi_8_copula_on_outputs_that_sum_to_one():
    """Softmax outputs are collinear: the last column adds nothing and must not add information."""
    rng = np.random.default_rng(9)
    label = rng.standard_normal((800, 1))
    logits = np.hstack([label, -label, 0.0 * label]) + rng.standard_normal((800, 3))
    outputs = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    all_three, two = Gaussian().estimate(outputs, label), Gaussian().estimate(outputs[:, :2], label)
    assert all_three.value == pytest.approx(two.value, abs=0.01)


def test_transfer_entropy_packages_swapped_source_and_target():
    rng = np.random.default_rng(10)
    source = rng.standard_normal(1000)
    target = np.r_[0.0, source[:-1]] + 0.3 * rng.standard_normal(1000)
    for method in ("gaussian", "ksg"):
        forward = infoest.transfer_entropy(source, target, method=method).value
        backward = infoest.transfer_entropy(target, source, method=method).value
        assert forward > 0.8
        assert abs(backward) < 0.1


def test_rounded_table_columns_are_no_error_and_no_information() -> None:
    """Two decimals tie many distances: tables neither fail nor inform about unrelated labels."""
    rng = np.random.default_rng(0)
    x = np.round(rng.standard_normal((442, 1)) * 4.0 + 26.0, 1)
    labels = rng.integers(0, 2, 442)
    found = infoest.MixedKSG().estimate(x, labels, discrete="y")
    assert abs(found.value) < 0.05
    table = np.round(np.abs(rng.standard_normal((178, 4))) * [1.0, 10.0, 100.0, 1.0], 2)
    assert np.isfinite(infoest.matrix(table, "ksg", n_jobs=1).values[0, 1:]).all()


# ------------------------------------------------------------------------------ sums over kernels


def _regression(n: int, seed: int = 0) -> tuple[Tensor, Tensor, Tensor]:
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((n, 3))
    y = x[:, 0] + 0.5 * rng.standard_normal(n)
    return torch.from_numpy(x), torch.from_numpy(y), torch.from_numpy(0.8 * x[:, 0])


def test_cs_ib_squared_distances_were_taken_for_distances() -> None:
    """Ten medians of squared distances as a bandwidth: a constant kernel and a QMI of 1e-7."""
    x, y, _ = _regression(300)
    x = 10.0 * x
    distances = torch.pdist(x)
    width = resolve_bandwidth("median", x).item()
    assert width == pytest.approx(distances.quantile(0.5).item(), rel=1e-12)
    for scale in (1e-3, 1e3):  # a distance scales as the data, its square would not
        assert resolve_bandwidth("median", scale * x).item() == pytest.approx(scale * width)
    released = 10.0 * torch.pdist(torch.cat([x, x])).square().quantile(0.5).item()
    found = infoest.CauchySchwarzQMI().estimate(x, y)
    blunt = infoest.CauchySchwarzQMI(bandwidth_x=released).estimate(x, y)
    assert blunt.value < 1e-5 < 0.02 < found.value
    assert blunt.has("kernel_is_constant")
    assert not found.has("kernel_is_constant")
    assert infoest.CauchySchwarzQMI().estimate(x / 10.0, 1e3 * y).value == pytest.approx(
        found.value, rel=1e-9
    )


def test_cs_ib_one_dimensional_targets_made_every_kernel_constant() -> None:
    """The released loss on y of shape (n,) was the squared error over sigma^2 log 2, to 1e-12."""
    x, y, predicted = _regression(60)
    settings = {"bandwidth_x": 1.5, "bandwidth_y": 1.0}
    value = conditional_cauchy_schwarz(x, y, predicted, **settings).item()
    assert value == conditional_cauchy_schwarz(x, y[:, None], predicted[:, None], **settings).item()
    assert value < 0.05 * ((y - predicted) ** 2).sum().item() / math.log(2)
    for quantity in (cauchy_schwarz, mmd, cauchy_schwarz_qmi, hsic):
        assert quantity(y, predicted) == quantity(y[:, None], predicted[:, None])
        assert quantity(y, predicted) == quantity(y[:, None], predicted)


def test_cs_ib_divided_by_the_sum_of_squares_in_bits() -> None:
    """Proposition 1 divides by (sum_i K_ji)^2 in nats: .1248 and .1237 was the report's example."""
    x, y, predicted = _regression(40)
    kernels = [
        torch.exp(-0.5 * (u - v).square().sum(-1))
        for u, v in (
            (x[:, None], x[None]),
            (y[:, None, None], y[None, :, None]),
            (predicted[:, None, None], predicted[None, :, None]),
            (predicted[:, None, None], y[None, :, None]),
        )
    ]
    k, true, guess, both = kernels

    def divergence(weights: Tensor) -> Tensor:
        terms = [(weights * (k * kernel).sum(dim=1)).sum().log() for kernel in (true, guess, both)]
        return terms[0] + terms[1] - 2.0 * terms[2]

    value = conditional_cauchy_schwarz(x, y, predicted, bandwidth_x=1.0, bandwidth_y=1.0).item()
    assert value == pytest.approx(divergence(k.sum(dim=1) ** -2).item(), rel=1e-10)
    released = divergence(1.0 / k.square().sum(dim=1)).item() / math.log(2)
    assert abs(value / released - 1.0) > 1e-3


def test_cs_ib_kernels_ran_in_the_default_dtype_only() -> None:
    x, y, _ = _regression(50)
    for dtype in (torch.float64, torch.float32, torch.float16):
        found = cauchy_schwarz_qmi(x.to(dtype), y.to(dtype))
        assert found.dtype == torch.promote_types(dtype, torch.float32)
        assert found.item() == pytest.approx(cauchy_schwarz_qmi(x, y).item(), rel=1e-2)


@pytest.mark.parametrize(("n", "biased"), [(32, 0.198), (64, 0.114), (128, 0.056), (256, 0.029)])
def test_monai_9129_alignment_of_independent_features_depends_on_the_batch(n, biased):
    """CKA of independent features was .198 / .114 / .056 / .029 by batch size, and read as real."""
    values = {}
    for unbiased in (False, True):
        estimator = infoest.HSIC(normalized=True, unbiased=unbiased)
        values[unbiased] = [
            estimator.estimate(
                *np.random.default_rng(seed).standard_normal((2, n, 8)), confidence=None
            ).value
            for seed in range(20)
        ]
    assert np.mean(values[False]) > biased
    error = np.std(values[True]) / math.sqrt(20)
    assert abs(np.mean(values[True])) < 3.0 * error + 1e-3
    assert "batch" in str(infoest.HSIC.__doc__)


def test_ibsgd_density_bounds_in_float32_fell_below_zero() -> None:
    """ReLU activations times 1000, variance 1e-3: an upper bound of -38.8 nats, truly log n."""
    activations = 1000.0 * torch.relu(
        torch.from_numpy(np.random.default_rng(0).standard_normal((500, 10))).float()
    )
    lower, upper = kde_entropy_bounds(activations, variance=1e-3)
    noise = 0.5 * 10 * (math.log(2.0 * math.pi * 1e-3) + 1.0)
    for bound in (lower, upper):
        assert bound.item() - noise == pytest.approx(math.log(500), abs=1e-4)


def test_keops_390_257_429_440_nothing_is_imported_compiled_or_lazy_unasked() -> None:
    """On Windows, new macOS or without a compiler ``import pykeops`` fails; compiling takes 2 s."""
    code = """
import sys
sys.modules["pykeops"] = sys.modules["pykeops.torch"] = None
import torch, infoest
x = torch.arange(5000.0)[:, None]  # 25 million pairs
sums = infoest.kernels.log_kernel_sum(x, x)
assert type(sums) is torch.Tensor and sums.shape == (5000,)
try:
    infoest.kernels.log_kernel_sum(x, x, backend="keops")
except ModuleNotFoundError as error:
    assert "needs pykeops and a C++ compiler" in str(error)
else:
    raise SystemExit("the missing package went unnoticed")
"""
    subprocess.run([sys.executable, "-c", code], check=True)


def test_hoi_kernels_of_many_rows_held_the_square_matrix() -> None:
    """40 GB of float32 at n = 1e5; here one matrix of 1e4 rows would have 800 MB."""
    code = """
import resource, torch
from infoest.functional import hsic
x = torch.randn(10_000, 2, generator=torch.Generator().manual_seed(0))
hsic(x[:100], x[:100])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
x.requires_grad_()
hsic(x, x[:, :1].detach(), bandwidth_x=1.0, bandwidth_y=1.0).backward()
grown = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
assert grown < 300, f"{grown:.0f} MB"
"""
    subprocess.run([sys.executable, "-c", code], check=True)


@pytest.mark.parametrize("scale", [1.0, 1000.0, 1e-9])
def test_infoot_plain_sinkhorn_gave_nan_at_other_units(scale: float) -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal((40, 2))
    y = x[rng.permutation(40)] @ rng.standard_normal((2, 3))
    plain = infoot(x, y)
    found = infoot(scale * x, scale * y)
    assert torch.isfinite(found.plan).all()
    torch.testing.assert_close(found.plan, plain.plan, rtol=0.0, atol=1e-6)


def test_infoot_new_points_raised_a_name_error_and_depended_on_their_batch() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((60, 2))
    solver = FusedInfoOT(information_weight=1.0, regularization=0.1)
    solver.fit(x, x + 1.0)
    new = rng.standard_normal((9, 2))
    for kind in ("conditional", "barycentric"):
        together = solver.project(new, kind=kind)
        assert together.shape == (9, 2)
        torch.testing.assert_close(together[:1], solver.project(new[:1], kind=kind))


def test_dse_dsmi_merged_float_labels_into_ten_bins() -> None:
    """Labels that were not integers went into 10 equal bins: 12 classes became 10 or fewer."""
    rng = np.random.default_rng(0)
    label = rng.permutation(np.repeat(np.arange(12), 20))
    x = np.stack([np.cos(label), np.sin(label)], axis=1) + 0.1 * rng.standard_normal((240, 2))
    estimator = infoest.DiffusionSpectralMI(bandwidth=0.3)
    integers = estimator.estimate(x, label)
    floats = estimator.estimate(x, label / 7.0, discrete="y")
    words = estimator.estimate(x, [f"class {one}" for one in label], discrete="y")
    assert integers.info["classes"] == floats.info["classes"] == words.info["classes"] == 12
    assert floats.value == pytest.approx(integers.value, rel=1e-12)
    assert estimator.estimate(x, label / 7.0).info["classes"] <= 10  # not named: numbers, cut


def test_dse_dsmi_value_is_that_of_the_units() -> None:
    """8.23 bits at sigma .1, .19 at 10 for the same data: a default in absolute units."""
    x = np.random.default_rng(0).standard_normal((300, 3))
    fixed, free = (
        infoest.DiffusionSpectralEntropy(),
        infoest.DiffusionSpectralEntropy(bandwidth="median"),
    )
    assert fixed.estimate(100.0 * x).value > fixed.estimate(x).value + 3.0
    assert free.estimate(100.0 * x).value == pytest.approx(free.estimate(x).value, rel=1e-9)
    assert free.estimate(x).info["bandwidth"] == pytest.approx(
        resolve_bandwidth("median", torch.from_numpy(x)).item()
    )
    assert fixed.estimate(1e4 * x).has("kernel_is_identity")
    assert free.estimate(np.ones((50, 2))).value == 0.0  # another division by zero there


def test_information_koopman_clamped_eigenvalues_added_entropy() -> None:
    """A floor of 1e-8 under each eigenvalue gave the entropy of one direction d 1.8e-7 nats."""
    z = torch.linspace(-1.0, 1.0, 200, dtype=torch.float64)[:, None] * torch.ones(64)
    assert abs(von_neumann_entropy(z).item()) < 1e-12
    # The reward of the paper, S(.7, .2, .1) = .801819.
    axes = torch.tensor([0.7, 0.2, 0.1], dtype=torch.float64).sqrt()
    codes = torch.cat([torch.diag(axes), -torch.diag(axes)])
    assert von_neumann_entropy(codes).item() == pytest.approx(0.801819, abs=1e-6)


def test_displacement_losses_gave_nan_gradients_at_zero_distance() -> None:
    """DispLoss#9: InfoNCE through a distance has no gradient where two codes are equal."""
    z = torch.ones(2, 8, 3, dtype=torch.float64, requires_grad=True)
    temporal_infonce(z, 1, 0.1).backward()
    assert torch.isfinite(z.grad).all()
    x = torch.zeros(6, 2, dtype=torch.float64, requires_grad=True)
    for formula in (gaussian, laplace, student, epanechnikov):
        log_kernel_sum(x, x, formula=formula).sum().backward()
        assert (x.grad == 0.0).all()
