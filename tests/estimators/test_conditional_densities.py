"""CLUB, LeaveOneOut, BarberAgakov, DifferenceOfEntropies and their decoders."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn

from infoest.datasets import correlated_normal
from infoest.estimators._decoders import (
    CategoricalDecoder,
    Decoder,
    DensityScorer,
    GaussianDecoder,
    MixtureDecoder,
)
from infoest.estimators._folds import Sides
from infoest.estimators._inputs import InputMap
from infoest.estimators.conditional_densities import (
    CLUB,
    BarberAgakov,
    DifferenceOfEntropies,
    LeaveOneOut,
    _contrasted,
)
from infoest.estimators.counting import DiscreteEntropy
from infoest.estimators.neighbor_entropy import KozachenkoLeonenko
from infoest.functional import bounds
from infoest.training import Training

EVERY = (CLUB, LeaveOneOut, BarberAgakov, DifferenceOfEntropies)
SHORT = Training(steps=60)
MIDDLE = Training(steps=200)
DECODERS = (
    lambda: GaussianDecoder(2, 3),
    lambda: GaussianDecoder(2, 3, full=False),
    lambda: MixtureDecoder(2, 3, components=4),
    lambda: CategoricalDecoder(2, 3),
)
every = pytest.mark.parametrize("estimator", EVERY)
decoders = pytest.mark.parametrize("build", DECODERS, ids=["full", "diagonal", "mixture", "labels"])


@pytest.fixture(autouse=True)
def _own_generator():
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


class TrueConditional(nn.Module):
    """log p(y | x) of standard normal pairs of correlation rho, column by column."""

    pairs_are_cheap = True

    def __init__(self, rho: float) -> None:
        super().__init__()
        self.rho = rho
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        variance = 1.0 - self.rho**2
        squares = (y[None] - self.rho * x[:, None]).square().sum(dim=2)
        constant = 0.5 * y.shape[1] * math.log(2.0 * math.pi * variance)
        return -0.5 * squares / variance - constant + 0.0 * self.unused


def shaken(decoder: Decoder) -> Decoder:
    with torch.no_grad():
        for weight in decoder.parameters():
            weight += 0.3 * torch.randn_like(weight)
    return decoder.double()


def samples(n: int, m: int, *, labels: bool) -> tuple[torch.Tensor, torch.Tensor]:
    x, y = torch.randn(n, 2, dtype=torch.float64), torch.randn(m, 3, dtype=torch.float64)
    return x, nn.functional.one_hot(y.argmax(dim=1), 3).double() if labels else y


# ------------------------------------------------------------------------------------- decoders


@pytest.mark.parametrize("full", [True, False])
def test_gaussian_starts_as_the_standard_normal(full) -> None:
    x, y = samples(5, 4, labels=False)
    found = GaussianDecoder(2, 3, full=full).double()(x, y)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(y).sum(dim=1)
    torch.testing.assert_close(found, normal.expand(5, 4))


def test_mixture_starts_nearly_normal_and_labels_uniform() -> None:
    x, y = samples(2, 20000, labels=False)
    normal = torch.distributions.Normal(0.0, 1.0).log_prob(y).sum(dim=1)
    divergence = (normal - MixtureDecoder(2, 3).double()(x, y)[0]).mean()
    assert 0.0 < divergence.item() < 0.15
    x, y = samples(5, 4, labels=True)
    found = CategoricalDecoder(2, 3).double()(x, y)
    torch.testing.assert_close(found, torch.full_like(found, -math.log(3.0)))


@decoders
def test_pairs_by_blocks_equal_one_pair_at_a_time(build, monkeypatch) -> None:
    decoder = shaken(build())
    x, y = samples(6, 5, labels=isinstance(decoder, CategoricalDecoder))
    one = torch.stack([torch.cat([decoder.paired(row[None], to[None]) for to in y]) for row in x])
    torch.testing.assert_close(decoder(x, y), one)
    monkeypatch.setattr("infoest.estimators._decoders.BLOCK_ENTRIES", 1)
    torch.testing.assert_close(decoder(x, y), one)
    torch.testing.assert_close(decoder.paired(x[:5], y), decoder(x, y)[:5].diagonal())


def test_full_gaussian_is_the_multivariate_normal() -> None:
    decoder = shaken(GaussianDecoder(2, 3))
    x, y = samples(4, 6, labels=False)
    laws = decoder.laws(x)
    for row, law in enumerate(laws):
        lower = torch.zeros(3, 3, dtype=torch.float64)
        lower[tuple(torch.tril_indices(3, 3, -1))] = law[6:]
        lower += torch.diag((-8.0 * (law[3:6] / 8.0).tanh()).exp())
        normal = torch.distributions.MultivariateNormal(law[:3], precision_matrix=lower.T @ lower)
        torch.testing.assert_close(decoder(x, y)[row], normal.log_prob(y))


@pytest.mark.parametrize("build", DECODERS[:3], ids=["full", "diagonal", "mixture"])
def test_densities_integrate_to_one(build) -> None:
    decoder = shaken(build())
    x = torch.randn(1, 2, dtype=torch.float64)
    wide = 6.0 * torch.randn(400_000, 3, dtype=torch.float64)
    proposal = torch.distributions.Normal(0.0, 6.0).log_prob(wide).sum(dim=1)
    weights = (decoder(x, wide)[0] - proposal).exp()
    error = weights.std().item() / math.sqrt(len(wide))
    assert abs(weights.mean().item() - 1.0) < 4.0 * error < 0.2


@decoders
def test_gradients(build) -> None:
    decoder = shaken(build())
    x, y = samples(3, 4, labels=isinstance(decoder, CategoricalDecoder))
    x.requires_grad_()
    assert torch.autograd.gradcheck(lambda x: decoder(x, y), (x,))


def test_likelihood_gradient_is_that_of_the_diagonal() -> None:
    scorer = DensityScorer(
        shaken(GaussianDecoder(2, 3)), labels=False, marginal=shaken(GaussianDecoder(1, 3))
    )
    x, y = samples(6, 6, labels=False)
    order = torch.randperm(6)
    scores = scorer(x, y, order)
    assert scores.shape == (6, 1)
    weights = list(scorer.parameters())
    found = torch.autograd.grad(scores.mean(), weights)
    marginal = scorer.marginal(y.new_zeros(1, 1), y)[0]
    whole = scorer.critic(x, y).gather(1, order[:, None]).mean() + marginal.mean()
    for one, other in zip(found, torch.autograd.grad(whole, weights), strict=True):
        torch.testing.assert_close(one, other)
    scorer.eval()
    torch.testing.assert_close(scorer(x, y, order), scorer.critic(x, y) - marginal)


# ------------------------------------------------------------------------------------- readings


@pytest.mark.parametrize("width", [600, 250])
def test_readings_are_the_functionals_of_the_square(width) -> None:
    x, y, _ = correlated_normal(600, rho=0.7, dim=2, random_state=0)
    critic = TrueConditional(0.7)
    pairs = Sides(torch.from_numpy(x), torch.from_numpy(y))
    scored = _contrasted(DensityScorer(critic, labels=False), pairs, width, 5.0)
    assert scored.n == 600
    starts = range(0, 600, width)
    squares = [critic(pairs.x[i : i + width], pairs.y[i : i + width]).detach() for i in starts]
    if width == 600:
        assert CLUB()._reading(scored).value == pytest.approx(float(bounds.club(squares[0])))
        assert LeaveOneOut()._reading(scored).value == pytest.approx(
            float(bounds.leave_one_out(squares[0]))
        )
    else:  # 250 + 250, and 100 rows that borrow the 150 before them
        last = critic(pairs.x[350:], pairs.y[350:]).detach()
        columns = (last.sum(dim=0) - last.diagonal())[150:] / 249.0
        torch.testing.assert_close(scored.column_means[500:], columns)


@pytest.mark.parametrize("rho", [0.0, 0.5, 0.8])
def test_values_and_standard_errors_at_the_true_conditional(rho) -> None:
    found = {CLUB: [], LeaveOneOut: []}
    errors = {CLUB: [], LeaveOneOut: []}
    scorer = DensityScorer(TrueConditional(rho), labels=False)
    for seed in range(60):
        x, y, _ = correlated_normal(400, rho=rho, random_state=seed)
        pairs = Sides(*(torch.from_numpy(side.reshape(-1, 1)) for side in (x, y)))
        scored = _contrasted(scorer, pairs, 400, 5.0)
        for estimator, values in found.items():
            reading = estimator()._reading(scored)
            values.append(reading.value)
            errors[estimator].append(math.sqrt(reading.variance))
    truth = {CLUB: rho**2 / (1.0 - rho**2), LeaveOneOut: -0.5 * math.log1p(-(rho**2))}
    for estimator, values in found.items():
        spread = float(np.std(values))
        assert abs(np.mean(values) - truth[estimator]) < 4.0 * spread / math.sqrt(60.0) + 0.003
        if rho:
            assert 0.7 < float(np.mean(errors[estimator])) / spread < 1.4


def test_a_critic_of_the_user_gives_the_closed_form() -> None:
    x, y, mi = correlated_normal(3000, rho=0.8, dim=2, random_state=3)
    for estimator, truth in ((LeaveOneOut, mi), (CLUB, 2.0 * 0.64 / 0.36)):
        model = estimator(critic=TrueConditional(0.8), inputs="raw", training=Training(steps=1))
        found = model.estimate(x, y)
        assert abs(found.value - truth) < 4.0 * found.std_error + 0.01


# ------------------------------------------------------------------------------------ estimates


@pytest.mark.parametrize("estimator", EVERY[1:])
@pytest.mark.parametrize("dim", [1, 5])
def test_normal_pairs(estimator, dim) -> None:
    x, y, mi = correlated_normal(2000, mi=1.0, dim=dim, random_state=1)
    found = estimator(training=MIDDLE).estimate(x, y)
    assert abs(found.value - mi) < 0.1
    low, high = found.interval
    assert low <= found.value <= high


@pytest.mark.parametrize("dim", [1, 5])
def test_club_is_above(dim) -> None:
    x, y, mi = correlated_normal(2000, mi=1.0, dim=dim, random_state=1)
    square = 1.0 - math.exp(-2.0 * mi / dim)
    truth = dim * square / (1.0 - square)
    found = CLUB(training=MIDDLE).estimate(x, y)
    assert found.quantity == "upper_bound"
    assert mi < found.value
    assert abs(found.value - truth) < 0.15 * truth


@every
def test_independence(estimator) -> None:
    x, y, _ = correlated_normal(1000, rho=0.0, dim=2, random_state=2)
    found = estimator(n_splits=2).estimate(x, y)
    # The entropy of 500 rows alone is uncertain by .05.
    assert abs(found.value) < (0.1 if estimator is BarberAgakov else 0.01)
    labels = np.random.default_rng(0).integers(0, 3, 1000)
    assert abs(estimator(n_splits=2).estimate(x, labels, discrete="y").value) < 0.02


@every
def test_labels(estimator) -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 3000)
    x = 2.0 * labels - 1.0 + rng.standard_normal(3000)
    posterior = 1.0 / (1.0 + np.exp(-2.0 * x))
    log_posterior = np.log(np.where(labels, posterior, 1.0 - posterior))
    truth = math.log(2.0) + log_posterior.mean()
    found = estimator(n_splits=2, training=MIDDLE).estimate(x, labels, discrete="y")
    if estimator is CLUB:
        odds = np.log(posterior / (1.0 - posterior))
        truth = float(np.mean((labels - 0.5) * odds))
    assert abs(found.value - truth) < (0.08 if estimator is CLUB else 0.03)
    quantities = {BarberAgakov: "lower_bound", DifferenceOfEntropies: "mutual_information"}
    assert found.quantity == quantities.get(estimator, "upper_bound")


def test_labels_on_both_sides_and_on_x() -> None:
    rng = np.random.default_rng(1)
    x = rng.integers(0, 3, 1500)
    y = np.where(rng.random(1500) < 0.8, x, rng.integers(0, 3, 1500))
    table = 0.2 / 9.0 + 0.8 / 3.0 * np.eye(3)
    truth = float((table * np.log(9.0 * table)).sum())
    for estimator in (LeaveOneOut, BarberAgakov, DifferenceOfEntropies):
        found = estimator(n_splits=2, training=MIDDLE).estimate(x, y, discrete="both")
        assert abs(found.value - truth) < 0.08
    shifted = x + 0.3 * rng.standard_normal(1500)
    truth = math.log(3.0)
    found = DifferenceOfEntropies(decoder="mixture", n_splits=2, training=MIDDLE).estimate(
        x, shifted, discrete="x"
    )
    assert 0.7 < found.value < truth


def test_mixture_sees_what_a_gaussian_does_not() -> None:
    rng = np.random.default_rng(0)
    x = rng.standard_normal(2000)
    y = rng.choice([-1.0, 1.0], 2000) * x + 0.2 * rng.standard_normal(2000)
    short = Training(steps=400)
    values = {
        decoder: DifferenceOfEntropies(decoder=decoder, n_splits=2, training=short)
        .estimate(x, y)
        .value
        for decoder in ("gaussian", "mixture")
    }
    # Nearest neighbors give 1.08.
    assert values["gaussian"] < 0.6 < 0.9 < values["mixture"] < 1.2


def test_diagonal_misses_what_the_full_covariance_gives() -> None:
    rng = np.random.default_rng(1)
    x = rng.standard_normal((1000, 1))
    common = rng.standard_normal((1000, 1))
    y = np.hstack([common + 0.3 * x, common - 0.3 * x]) + 0.1 * rng.standard_normal((1000, 2))
    # x and y are seen through y_1 - y_2 = .6 x + noise of variance .02.
    truth = 0.5 * math.log1p(0.36 / 0.02)
    full, diagonal = (
        LeaveOneOut(decoder=decoder, n_splits=2, training=MIDDLE).estimate(x, y).value
        for decoder in ("gaussian", "diagonal")
    )
    assert abs(full - truth) < 0.25
    assert diagonal < 0.5 * truth


@every
def test_repeats_bit_for_bit(estimator) -> None:
    x, y, _ = correlated_normal(200, rho=0.6, random_state=0)
    for decoder in ("gaussian", "mixture"):
        make = lambda decoder=decoder: estimator(decoder=decoder, n_splits=2, training=SHORT)  # noqa: E731
        before = torch.get_rng_state()
        first = make().estimate(x, y)
        assert torch.equal(before, torch.get_rng_state())
        assert first.to_dict() == make().estimate(x, y).to_dict()
        assert make().set_params(random_state=1).estimate(x, y).value != first.value


@every
def test_fit_evaluate_and_pointwise(estimator) -> None:
    x, y, mi = correlated_normal(3000, rho=0.8, random_state=4)
    model = estimator(training=MIDDLE).fit(x[:2000], y[:2000])
    assert isinstance(model.critic_, GaussianDecoder)
    found = model.evaluate(x[2000:], y[2000:])
    truth = 0.64 / 0.36 if estimator is CLUB else mi
    assert abs(found.value - truth) < 0.2
    local = model.pointwise(x[2000:], y[2000:])
    a, b = (side[2000:].ravel() for side in (x, y))
    exact = -0.5 * math.log(0.36) - 0.5 * (b - 0.8 * a) ** 2 / 0.36 + 0.5 * b**2
    assert np.corrcoef(local, exact)[0, 1] > 0.97
    assert abs(local.mean() - exact.mean()) < 0.05


def test_permutations_find_dependence() -> None:
    x, y, _ = correlated_normal(200, rho=0.7, random_state=0)
    for estimator in EVERY:
        found = estimator(n_splits=2, training=SHORT).estimate(x, y, n_permutations=39)
        assert found.p_value == pytest.approx(1.0 / 40.0)


def test_leave_one_out_says_where_others_do_not_cover_y() -> None:
    x = np.random.default_rng(0).standard_normal(400)
    y = x + 1e-3 * np.random.default_rng(1).standard_normal(400)
    found = LeaveOneOut(n_splits=2).estimate(x, y)
    assert "saturated_at_log_n" in {caution.code for caution in found.warnings}


def test_entropy_is_that_of_the_field() -> None:
    rng = np.random.default_rng(0)
    y = rng.integers(0, 3, 300)
    x = y + rng.standard_normal(300)
    values = [
        BarberAgakov(entropy=DiscreteEntropy(correction=correction), n_splits=2, training=SHORT)
        .estimate(x, y, discrete="y")
        .value
        for correction in ("none", "miller_madow")
    ]
    # (K - 1) / (2 n) of the 150 rows of a fold.
    assert values[1] - values[0] == pytest.approx(1.0 / 150.0)


def test_entropy_is_not_that_of_the_steps_of_an_empirical_map() -> None:
    # Normal scores of other rows lose up to 1 - .577 nats a column, the more so the more rows.
    x, y, mi = correlated_normal(8000, rho=0.8, random_state=0)
    found = BarberAgakov(n_splits=2, training=MIDDLE).estimate(x, y)
    assert abs(found.value - mi) < 0.05


def test_indicators_of_a_map_reach_the_categorical_decoder() -> None:
    side = InputMap.fit(np.array([0, 2, 1]), "normal_scores", 3)
    model = LeaveOneOut()
    scorer = model._new_scorer((side, side), None, model._settings(100), torch.device("cpu"))
    assert isinstance(scorer.critic, CategoricalDecoder)
    assert scorer.critic.features_y == 3


# ------------------------------------------------------------------------------------ bad input


@every
@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"decoder": "flow"}, "decoder must be one of"),
        ({"inputs": "ranks"}, "inputs must be one of"),
        ({"n_splits": 1}, "n_splits must"),
        ({"test_block": 1}, "test_block must"),
        ({"critic": nn.Bilinear(1, 1, 1)}, "critic must return scores of shape"),
        ({"critic": "gaussian"}, "critic must be an nn.Module"),
    ],
)
def test_bad_settings(estimator, settings, words) -> None:
    x, y, _ = correlated_normal(100, rho=0.5, random_state=0)
    with pytest.raises((ValueError, TypeError), match=words):
        estimator(**settings).estimate(x, y)


@every
def test_bad_data(estimator) -> None:
    x, y, _ = correlated_normal(100, rho=0.5, random_state=0)
    for bad in (x[:-1], np.full_like(x, np.nan), np.ones_like(x), x[:4]):
        with pytest.raises(ValueError, match="must"):
            estimator().estimate(bad, y)
    with pytest.raises(ValueError, match="z must"):
        estimator().estimate(x, y, z=x)


@pytest.mark.parametrize(
    ("entropy", "discrete", "error", "words"),
    [
        ("ksg", None, TypeError, "entropy must be an entropy estimator"),
        (DiscreteEntropy(), None, ValueError, "entropy must not read labels"),
        (KozachenkoLeonenko(), "y", ValueError, "entropy must read labels"),
    ],
)
def test_bad_entropy(entropy, discrete, error, words) -> None:
    x, y, _ = correlated_normal(100, rho=0.5, random_state=0)
    y = y if discrete is None else (y > 0.0).astype(int)
    with pytest.raises(error, match=words):
        BarberAgakov(entropy=entropy, training=SHORT).estimate(x, y, discrete=discrete)
