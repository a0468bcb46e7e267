"""Bounds against their formulas, known optimal critics, identities, extremes and bad input."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor

from infoest.functional import (
    ScoreStatistics,
    club,
    donsker_varadhan,
    flo,
    infonce,
    infonce_anchor,
    interpolated,
    jensen_shannon,
    leave_one_out,
    noise_contrastive,
    nwj,
    smile,
    tuba,
)

Bound = Callable[[Tensor], Tensor]


def rows(scores: Tensor, number: float) -> Tensor:
    return scores.new_full((len(scores),), number)


# Every function of a score matrix alone; those with a second tensor in `WITH_ROWS`.
BOUNDS: dict[str, Bound] = {
    "donsker_varadhan": donsker_varadhan,
    "nwj": nwj,
    "infonce": infonce,
    "interpolated_0": partial(interpolated, alpha=0.0),
    "interpolated_half": partial(interpolated, alpha=0.5),
    "interpolated_1": partial(interpolated, alpha=1.0),
    "flo": flo,
    "jensen_shannon": jensen_shannon,
    "noise_contrastive": noise_contrastive,
    "infonce_anchor": infonce_anchor,
    "infonce_anchor_1": partial(infonce_anchor, weight=1.0),
    "club": club,
    "leave_one_out": leave_one_out,
    "smile": smile,
}
WITH_ROWS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "tuba": tuba,
    "interpolated": partial(interpolated, alpha=0.3),
    "flo": flo,
}
each_bound = pytest.mark.parametrize("name", BOUNDS)


def random_scores(n: int = 6, seed: int = 0) -> Tensor:
    return torch.from_numpy(2.0 * np.random.default_rng(seed).standard_normal((n, n)))


# -------------------------------------------------------------------- laws with a known log ratio


def gaussian_law(n: int) -> tuple[Tensor, float]:
    rng, rho = np.random.default_rng(1), 0.8
    x, noise = rng.standard_normal((2, n))
    y = rho * x + math.sqrt(1.0 - rho**2) * noise
    squares = rho**2 * (x[:, None] ** 2 + y**2) - 2.0 * rho * x[:, None] * y
    mi = -0.5 * math.log(1.0 - rho**2)
    return torch.from_numpy(mi - squares / (2.0 * (1.0 - rho**2))), mi


def table_law(n: int) -> tuple[Tensor, float]:
    table = np.array([[0.3, 0.05, 0.05], [0.05, 0.05, 0.5]])
    ratio = np.log(table / table.sum(1, keepdims=True) / table.sum(0))
    cell = np.random.default_rng(2).choice(6, size=n, p=table.ravel())
    x, y = cell // 3, cell % 3
    return torch.from_numpy(ratio[x[:, None], y]), float((table * ratio).sum())


def uniform_law(n: int) -> tuple[Tensor, float]:
    """Y = X + noise on [-e, e]: most product pairs are impossible, log r = -inf, here -1000."""
    rng, e = np.random.default_rng(3), 0.25
    x = rng.random(n)
    y = x + rng.uniform(-e, e, n)
    density = np.minimum(1.0, y + e) - np.maximum(0.0, y - e)  # 2 e times that of Y
    possible = np.abs(y - x[:, None]) <= e
    scores = np.where(possible, -np.log(density), -1e3)
    return torch.from_numpy(scores), e - math.log(2.0 * e)


LAWS = {"gaussian": gaussian_law, "table": table_law, "uniform": uniform_law}
N_PAIRS = 1000


@pytest.mark.parametrize("law", LAWS)
def test_tight_at_the_optimal_critic(law: str) -> None:
    ratio, mi = LAWS[law](N_PAIRS)
    error = 4.0 * float(ratio.diagonal().std()) / math.sqrt(N_PAIRS) + 0.03
    values = {
        "donsker_varadhan": donsker_varadhan(ratio + 3.0),
        "nwj": nwj(ratio + 1.0),
        "tuba": tuba(ratio + 3.0, rows(ratio, 3.0)),
        "infonce": infonce(ratio),
        "interpolated_0": interpolated(ratio, alpha=0.0),
        "interpolated_half": interpolated(ratio + 3.0, rows(ratio, 3.0), alpha=0.5),
        "interpolated_1": interpolated(ratio, alpha=1.0),
        "flo": flo(ratio + 3.0, -ratio.diagonal()),
        "flo alone": flo(ratio),
        "smile": smile(ratio, None),
        "leave_one_out": leave_one_out(ratio),
    }
    for name, value in values.items():
        assert value.item() == pytest.approx(mi, abs=error), name


@pytest.mark.parametrize("law", LAWS)
def test_the_log_ratio_is_the_best_critic(law: str) -> None:
    """The gradient vanishes at the optimum up to sampling, and no scale or shift is better."""
    ratio, _ = LAWS[law](N_PAIRS)
    objectives: list[Bound] = [
        jensen_shannon,
        noise_contrastive,
        partial(noise_contrastive, negatives=5),
        infonce_anchor,
        partial(infonce_anchor, weight=1.0),
        flo,
        partial(interpolated, alpha=0.0),
    ]
    for objective in objectives:
        best = objective(ratio)
        for scale, shift in ((0.8, 0.0), (1.25, 0.0), (1.0, 0.4), (1.0, -0.4)):
            assert objective(scale * ratio + shift) < best, objective


def test_club_is_the_sum_of_two_divergences() -> None:
    ratio, mi = gaussian_law(N_PAIRS)
    rho = 0.8  # I + KL(product || joint) = rho^2 / (1 - rho^2)
    assert club(ratio).item() == pytest.approx(rho**2 / (1.0 - rho**2), abs=0.15)
    assert club(ratio) > mi


def test_smile_is_above_by_what_it_clips() -> None:
    ratio, mi = uniform_law(N_PAIRS)
    clipped = ratio.clamp(-1.0, 1.0).exp()
    off = ~torch.eye(N_PAIRS, dtype=torch.bool)
    expected = ratio.diagonal().mean() - clipped[off].mean().log()
    assert smile(ratio, 1.0).item() == pytest.approx(expected.item(), rel=1e-12)
    # About half of the product pairs are impossible: r = 0 is clipped to exp(-1), against 0.
    extra = 0.5 * math.exp(-1.0)
    assert smile(ratio, 1.0).item() < mi + 1.0
    assert smile(ratio, 5.0).item() == pytest.approx(mi, abs=0.03)
    assert abs(smile(ratio, 1.0).item() - mi) > 0.5 * extra


# ------------------------------------------------------------------------------- plain formulas


def _others(n: int) -> list[tuple[int, int]]:
    return [(i, j) for i in range(n) for j in range(n) if i != j]


def test_formulas_entry_by_entry() -> None:
    scores = random_scores()
    s, n = scores.numpy(), len(scores)
    joint, off = s.diagonal(), np.array([s[i, j] for i, j in _others(n)])
    softplus = lambda u: np.log1p(np.exp(u))  # noqa: E731
    a = np.random.default_rng(5).standard_normal(n)
    baseline = torch.from_numpy(a)
    expected = {
        donsker_varadhan(scores): joint.mean() - np.log(np.exp(off).mean()),
        nwj(scores): joint.mean() - np.exp(off - 1.0).mean(),
        tuba(scores, baseline): 1.0
        + (joint - a).mean()
        - np.mean([np.exp(s[i, j] - a[i]) for i, j in _others(n)]),
        infonce(scores): np.mean([s[i, i] - np.log(np.exp(s[i]).mean()) for i in range(n)]),
        jensen_shannon(scores): -softplus(-joint).mean() - softplus(off).mean(),
        noise_contrastive(scores, 7): -softplus(np.log(7) - joint).mean()
        - 7.0 * softplus(off - np.log(7)).mean(),
        flo(scores, baseline): 1.0
        - a.mean()
        - np.mean([np.exp(s[i, j] - s[i, i] - a[i]) for i, j in _others(n)]),
        club(scores): joint.mean() - off.mean(),
        leave_one_out(scores): np.mean(
            [s[i, i] - np.log(np.exp(np.delete(s[:, i], i)).mean()) for i in range(n)]
        ),
        smile(scores, 1.5): joint.mean() - np.log(np.exp(off.clip(-1.5, 1.5)).mean()),
    }
    for found, number in expected.items():
        assert found.shape == ()
        assert found.item() == pytest.approx(number, rel=1e-12)


@pytest.mark.parametrize("alpha", [0.0, 0.01, 0.5, 1.0])
def test_interpolated_entry_by_entry(alpha: float) -> None:
    scores = random_scores(5)
    s, a = scores.numpy(), np.random.default_rng(6).standard_normal(5)
    mixed = np.array(
        [
            [
                alpha * np.exp(np.delete(s[i], j)).mean() + (1 - alpha) * np.exp(a[i])
                for j in range(5)
            ]
            for i in range(5)
        ]
    )
    joint = np.mean([s[i, i] - np.log(mixed[i, j]) for i, j in _others(5)])
    product = np.mean([np.exp(s[i, j]) / mixed[i, i] for i, j in _others(5)])
    found = interpolated(scores, torch.from_numpy(a), alpha=alpha)
    assert found.item() == pytest.approx(1.0 + joint - product, rel=1e-12)


@pytest.mark.parametrize("weight", [0.2, 1.0, 4.0])
def test_anchor_entry_by_entry(weight: float) -> None:
    scores = random_scores(5)
    r, k = scores.exp().numpy(), 4
    joint = np.mean([np.log(r[i, i] / (weight + r[i].sum() - r[i, j])) for i, j in _others(5)])
    none = np.mean([np.log(weight / (weight + r[i].sum() - r[i, i])) for i in range(5)])
    found = infonce_anchor(scores, weight=weight)
    assert found.item() == pytest.approx((k * joint + weight * none) / (k + weight), rel=1e-12)


# ------------------------------------------------------------------------------------ identities


def gradient(bound: Bound, scores: Tensor) -> Tensor:
    leaf = scores.clone().requires_grad_()
    (found,) = torch.autograd.grad(bound(leaf), leaf)
    return found


@pytest.mark.parametrize("clip", [0.1, 1, 5.0, math.inf, None])
@pytest.mark.parametrize("scale", [1.0, 1e3])
def test_gradient_of_smile_is_that_of_jensen_shannon(clip: float | None, scale: float) -> None:
    scores = scale * random_scores()
    expected = gradient(jensen_shannon, scores)
    assert torch.equal(gradient(partial(smile, clip=clip), scores), expected)


def test_identities() -> None:
    s = random_scores()
    one = rows(s, 1.0)

    def same(a: Tensor, b: Tensor) -> bool:
        return a.item() == pytest.approx(b.item(), rel=1e-12, abs=1e-12)

    assert same(nwj(s), tuba(s, one))
    assert same(tuba(s, one), interpolated(s, one, alpha=0.0))
    assert same(flo(s), tuba(s, rows(s, 0.0)))
    assert torch.equal(smile(s, None), donsker_varadhan(s))
    assert torch.equal(smile(s, math.inf), smile(s, None))
    assert torch.equal(jensen_shannon(s), noise_contrastive(s, negatives=1))
    pair = random_scores(2)  # one candidate against an equally likely anchor: logistic regression
    assert same(2.0 * infonce_anchor(pair), jensen_shannon(pair))
    # An anchor of no weight leaves InfoNCE on n - 1 samples, less its log(n - 1).
    limit = interpolated(s, alpha=1.0) - math.log(len(s) - 1)
    assert infonce_anchor(s, weight=1e-9).item() == pytest.approx(limit.item(), abs=1e-7)
    assert leave_one_out(s.T).item() != pytest.approx(leave_one_out(s).item(), abs=1e-3)


def test_invariances() -> None:
    s = random_scores()
    shift, rng = 7.0, np.random.default_rng(8)
    of_x, of_y = (torch.from_numpy(u) for u in rng.standard_normal((2, 6)))
    unmoved: list[tuple[Bound, Tensor]] = [
        (donsker_varadhan, s + shift),
        (infonce, s + of_x[:, None]),
        (partial(interpolated, alpha=1.0), s + of_x[:, None]),
        (lambda t: flo(t, of_y), s + of_x[:, None]),
        (club, s + of_y + of_x[:, None]),
        (leave_one_out, s + of_y),
    ]
    for bound, moved in unmoved:
        assert bound(moved).item() == pytest.approx(bound(s).item(), rel=1e-11)
    moved = tuba(s + of_x[:, None], of_y + of_x)
    assert moved.item() == pytest.approx(tuba(s, of_y).item(), rel=1e-11)
    assert abs(nwj(s + shift) - nwj(s)) > 1.0
    assert abs(infonce(s + of_y) - infonce(s)) > 1e-3
    order = torch.from_numpy(rng.permutation(6))
    for name, bound in BOUNDS.items():
        again = bound(s[order][:, order])
        assert again.item() == pytest.approx(bound(s).item(), rel=1e-12), name


@pytest.mark.parametrize("n", [2, 3, 50])
def test_caps(n: int) -> None:
    for seed in range(20):
        for scale in (0.1, 1.0, 30.0, 1e3):
            s = scale * random_scores(n, seed)
            s = s + scale * torch.eye(n, dtype=s.dtype)
            assert infonce(s).item() <= math.log(n)
            assert infonce(s.float()).item() <= math.log(n) * (1.0 + 1e-7)
            assert interpolated(s, alpha=1.0).item() <= math.log(n - 1) + 1e-12
            assert interpolated(s, alpha=0.25).item() <= 1.0 + math.log(4 * (n - 1)) + 1e-12
            assert jensen_shannon(s) <= 0.0
            assert infonce_anchor(s) <= 0.0


def test_lower_bounds_stay_below_on_average() -> None:
    """Fresh samples of 8 pairs, a wrong critic: the mean over samples is below the truth."""
    rng, rho, n = np.random.default_rng(9), 0.9, 8
    mi = -0.5 * math.log(1.0 - rho**2)
    found = []
    for _ in range(300):
        x, noise = torch.from_numpy(rng.standard_normal((2, n)))
        y = rho * x + math.sqrt(1.0 - rho**2) * noise
        s = 1.5 * x[:, None] * y - 0.4 * x[:, None] ** 2 - 0.4 * y**2
        zero = rows(s, 0.0)
        bounds = (infonce(s), tuba(s, zero), interpolated(s, alpha=0.5), flo(s, -s.diagonal()))
        found.append([bound.item() for bound in bounds])
    values = np.array(found)
    error = values.std(axis=0) / math.sqrt(len(values))
    assert (values.mean(axis=0) + 3.0 * error < mi).all()


# ------------------------------------------------------------------------ precision and extremes


@pytest.mark.parametrize("name", sorted(BOUNDS.keys() - {"smile"}))  # its gradient: see above
def test_derivatives(name: str) -> None:
    scores = random_scores(4).requires_grad_()
    assert torch.autograd.gradcheck(BOUNDS[name], scores)
    with torch.random.fork_rng():  # it draws gradients of the output
        assert torch.autograd.gradgradcheck(BOUNDS[name], scores)


@pytest.mark.parametrize("name", WITH_ROWS)
def test_derivatives_in_both(name: str) -> None:
    scores = random_scores(4).requires_grad_()
    other = torch.from_numpy(np.random.default_rng(1).standard_normal(4)).requires_grad_()
    assert torch.autograd.gradcheck(WITH_ROWS[name], (scores, other))
    with torch.random.fork_rng():
        assert torch.autograd.gradgradcheck(WITH_ROWS[name], (scores, other))


@each_bound
def test_separated_scores_of_a_thousand(name: str) -> None:
    """Joint pairs at 1000, all others at -1000: the limits are known, gradients finite."""
    scores = torch.full((5, 5), -1e3, dtype=torch.float64).fill_diagonal_(1e3)
    expected = {
        "donsker_varadhan": 2000.0,
        "nwj": 1000.0,
        "infonce": math.log(5.0),
        "interpolated_0": 1001.0,
        "interpolated_half": 1.0 + math.log(8.0),
        "interpolated_1": math.log(4.0),
        "flo": 1001.0,
        "jensen_shannon": 0.0,
        "noise_contrastive": 0.0,
        "infonce_anchor": 0.0,
        "infonce_anchor_1": 0.0,
        "club": 2000.0,
        "leave_one_out": 2000.0,
        "smile": 1005.0,
    }
    assert BOUNDS[name](scores).item() == pytest.approx(expected[name], rel=1e-14, abs=1e-12)
    assert torch.isfinite(gradient(BOUNDS[name], scores)).all()


@each_bound
@pytest.mark.parametrize("shift", [-1e3, 1e3])
def test_shifted_scores_of_a_thousand(name: str, shift: float) -> None:
    scores = random_scores() + shift
    value, slope = BOUNDS[name](scores), gradient(BOUNDS[name], scores)
    assert not torch.isnan(value)
    assert not torch.isnan(slope).any()
    near = random_scores()
    if name in ("donsker_varadhan", "infonce", "interpolated_1", "club", "leave_one_out"):
        assert value.item() == pytest.approx(BOUNDS[name](near).item(), abs=1e-11)
        assert torch.allclose(slope, gradient(BOUNDS[name], near), rtol=1e-10, atol=1e-12)
    if name in ("nwj", "interpolated_0", "flo"):
        one = 0.0 if name == "nwj" else 1.0
        # exp(1000) is beyond float64, exp(-1000) below it.
        expected = -math.inf if shift > 0.0 else one + scores.diagonal().mean().item()
        assert value.item() == pytest.approx(expected, rel=1e-14)


@pytest.mark.parametrize("negatives", [1, 64])
@pytest.mark.parametrize("shift", [-1e3, 1e3])
def test_logistic_objectives_of_a_thousand(negatives: int, shift: float) -> None:
    scores = random_scores() + shift
    objective = partial(noise_contrastive, negatives=negatives)
    slope, off = gradient(objective, scores), ~torch.eye(6, dtype=torch.bool)
    if shift > 0.0:
        expected = -negatives * (scores[off].mean().item() - math.log(negatives))
        pushed, other = slope[off], slope.diagonal()
        slopes = [-negatives / 30] * 30
    else:
        expected = scores.diagonal().mean().item() - math.log(negatives)
        pushed, other = slope.diagonal(), slope[off]
        slopes = [1 / 6] * 6
    assert objective(scores).item() == pytest.approx(expected, rel=1e-14)
    assert pushed.tolist() == pytest.approx(slopes, rel=1e-14)
    assert (other.abs() < 1e-300).all()


def test_small_terms_survive_a_large_diagonal() -> None:
    scores = torch.full((3, 3), 1e-9, dtype=torch.float64).fill_diagonal_(1e6)
    assert club(scores - 1e6 * torch.eye(3, dtype=torch.float64)).item() == pytest.approx(
        -1e-9, rel=1e-6
    )
    # softplus(-30): what torch's own softplus would give up.
    s = torch.full((3, 3), -30.0, dtype=torch.float64).fill_diagonal_(30.0)
    assert jensen_shannon(s).item() == pytest.approx(-2.0 * math.exp(-30.0), rel=1e-10)


@pytest.mark.parametrize("gap", [1.0, 40.0, 1e3])
def test_a_row_with_one_large_entry(gap: float) -> None:
    """Leaving the largest column out must not leave rounding behind."""
    scores = random_scores(4)
    scores[0, 2] += gap
    rest = [[np.logaddexp.reduce(np.delete(row, j)) for j in range(4)] for row in scores.numpy()]
    joint = [scores[i, i].item() - np.logaddexp(math.log(3), rest[i][j]) for i, j in _others(4)]
    none = [math.log(3) - np.logaddexp(math.log(3), rest[i][i]) for i in range(4)]
    expected = (np.mean(joint) + np.mean(none)) / 2.0
    assert infonce_anchor(scores).item() == pytest.approx(expected, rel=1e-12)


@each_bound
@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32])
def test_low_precision_is_computed_in_float64(name: str, dtype: torch.dtype) -> None:
    scores = random_scores(40).to(dtype)
    leaf = scores.clone().requires_grad_()
    value = BOUNDS[name](leaf)
    assert value.dtype == torch.float32
    assert value.item() == pytest.approx(BOUNDS[name](scores.double()).item(), rel=1e-6)
    value.backward()
    assert leaf.grad is not None
    assert leaf.grad.dtype == dtype


@each_bound
def test_scores_are_not_changed(name: str) -> None:
    scores = random_scores()
    before = scores.clone()
    BOUNDS[name](scores)
    BOUNDS[name](scores.T)  # not contiguous
    assert torch.equal(scores, before)


# ------------------------------------------------------------------------------------- bad input


@each_bound
def test_bad_scores(name: str) -> None:
    bound = BOUNDS[name]
    for bad, error, message in (
        (np.eye(3), TypeError, "scores must be a floating-point tensor, got ndarray"),
        (torch.eye(3, dtype=torch.int64), TypeError, "got torch.int64"),
        (torch.eye(3, dtype=torch.complex64), TypeError, "got torch.complex64"),
        (torch.zeros(3), ValueError, r"at least 2 rows, one per joint pair, got shape \(3,\)"),
        (torch.zeros(3, 4), ValueError, r"scores must be a square matrix .* got shape \(3, 4\)"),
        (torch.zeros(1, 1), ValueError, r"got shape \(1, 1\)"),
        (torch.zeros(0, 0), ValueError, r"got shape \(0, 0\)"),
        (torch.full((3, 3), torch.nan), ValueError, "scores must be finite, got 9 NaN or infinite"),
        (torch.eye(3) * torch.inf, ValueError, "scores must be finite, got 9"),
    ):
        with pytest.raises(error, match=message):
            bound(bad)  # type: ignore[arg-type]


@pytest.mark.parametrize("name", WITH_ROWS)
def test_bad_rows(name: str) -> None:
    bound, scores = WITH_ROWS[name], random_scores(4)
    argument = "dual" if name == "flo" else "log_baseline"
    for bad, error, message in (
        (torch.zeros(3), ValueError, rf"{argument} must have shape \(4,\), .* got \(3,\)"),
        (torch.zeros(4, 1), ValueError, rf"{argument} must have shape \(4,\), .* got \(4, 1\)"),
        (torch.tensor(0.0), ValueError, rf"{argument} must have shape \(4,\), .* got \(\)"),
        (torch.full((4,), torch.inf), ValueError, f"{argument} must be finite, got 4"),
        (torch.zeros(4, dtype=torch.int64), TypeError, f"{argument} must be a floating"),
        (1.0, TypeError, f"{argument} must be a floating-point tensor, got float"),
    ):
        with pytest.raises(error, match=message):
            bound(scores, bad)  # type: ignore[arg-type]


def test_bad_settings() -> None:
    s = random_scores()
    for bad in (0.0, -1.0, math.nan, -math.inf):
        with pytest.raises(ValueError, match="clip must be a finite number above 0, got"):
            smile(s, bad)
    with pytest.raises(TypeError, match="clip must be"):
        smile(s, "5")  # type: ignore[arg-type]
    for bad in (-0.1, 1.1, math.nan):
        with pytest.raises(ValueError, match=r"alpha must be in \[0, 1\], got"):
            interpolated(s, alpha=bad)
    for bad in (0.0, -1.0, math.inf):
        with pytest.raises(ValueError, match="weight must be a finite number above 0, got"):
            infonce_anchor(s, weight=bad)
    with pytest.raises(ValueError, match="negatives must be an integer of at least 1, got 0"):
        noise_contrastive(s, negatives=0)
    with pytest.raises(TypeError, match="negatives must be"):
        noise_contrastive(s, negatives=2.5)  # type: ignore[arg-type]


# ----------------------------------------------------------------------------- blocks of rows


def by_blocks(scores: Tensor, size: int) -> ScoreStatistics:
    statistics = ScoreStatistics(clips=(1.0, 5.0, 800.0, math.inf))
    for at in torch.arange(len(scores)).split(size):
        statistics.add(scores[at], at)
    return statistics


@pytest.mark.parametrize("size", [1, 7, 60])
@pytest.mark.parametrize("scale", [1.0, 100.0, 1e3])
def test_blocks_equal_the_whole_matrix(size: int, scale: float) -> None:
    scores = scale * random_scores(60)
    found = by_blocks(scores, size)
    pairs = [
        (found.donsker_varadhan(), donsker_varadhan(scores)),
        (found.nwj(), nwj(scores)),
        (found.infonce(), infonce(scores)),
        (found.jensen_shannon(), jensen_shannon(scores)),
        *((found.smile(clip), smile(scores, clip)) for clip in (1.0, 5, 800.0, math.inf, None)),
    ]
    for value, whole in pairs:
        assert isinstance(value, float)
        assert value == pytest.approx(whole.item(), rel=1e-12, abs=1e-12)
    off = scores[~torch.eye(60, dtype=torch.bool)]
    weights = (off - off.max()).exp()
    effective = weights.sum() ** 2 / (weights**2).sum()
    assert found.effective_negatives() == pytest.approx(effective.item(), rel=1e-12)
    assert found.clipped_fraction(1.0) == (off.abs() > 1.0).double().mean().item()
    assert found.clipped_fraction(None) == 0.0
    assert torch.equal(found.joint, scores.diagonal())
    assert found.n_negatives == 60 * 59


def test_blocks_of_extreme_scores() -> None:
    scores = torch.full((6, 6), -1e3, dtype=torch.float64).fill_diagonal_(1e3)
    found = by_blocks(scores, 2)
    assert found.donsker_varadhan() == 2000.0
    assert found.nwj() == 1000.0
    assert found.infonce() == pytest.approx(math.log(6.0), rel=1e-15)
    assert found.smile(5.0) == 1005.0
    assert found.jensen_shannon() == 0.0
    assert found.effective_negatives() == pytest.approx(30.0)
    assert found.clipped_fraction(5.0) == 1.0
    assert by_blocks(-scores, 4).nwj() == -math.inf


def test_blocks_in_any_order_and_low_precision() -> None:
    scores = random_scores(20).half()
    statistics = ScoreStatistics()
    order = torch.from_numpy(np.random.default_rng(0).permutation(20))
    for at in order.split(6):
        statistics.add(scores[at].requires_grad_(), at.int())
    expected = donsker_varadhan(scores.double()).item()
    assert statistics.donsker_varadhan() == pytest.approx(expected, rel=1e-12)
    assert not statistics.joint.requires_grad
    assert statistics.joint.dtype == torch.float64


def test_blocks_with_some_negatives_of_every_row() -> None:
    """A costly critic scores a row against its joint pair and a few others: any number of rows."""
    ratio, mi = gaussian_law(N_PAIRS)
    columns = 1 + torch.arange(200).repeat(N_PAIRS, 1) + torch.arange(N_PAIRS)[:, None]
    columns[:, 0] = torch.arange(N_PAIRS)
    statistics = ScoreStatistics()
    statistics.add(ratio.gather(1, columns % N_PAIRS), torch.zeros(N_PAIRS, dtype=torch.int64))
    assert statistics.n_negatives == N_PAIRS * 199
    assert statistics.donsker_varadhan() == pytest.approx(donsker_varadhan(ratio).item(), abs=0.02)
    assert statistics.infonce() == pytest.approx(mi, abs=0.1)


def test_bad_blocks() -> None:
    statistics = ScoreStatistics()
    with pytest.raises(ValueError, match="scores must be added before a value is read"):
        statistics.nwj()
    scores, at = random_scores(4), torch.arange(4)
    statistics.add(scores, at)
    for bad, where, error, message in (
        (scores[:, :3], at, ValueError, "scores must have 4 columns like the blocks before, got 3"),
        (scores[:2], at, ValueError, r"positions must have shape \(2,\)"),
        (scores, at + 1, ValueError, r"positions must be in \[0, 3\], got 4"),
        (scores, at - 1, ValueError, r"positions must be in \[0, 3\], got -1"),
        (scores, at.double(), TypeError, "positions must be an integer tensor"),
        (scores.int(), at, TypeError, "scores must be a floating-point tensor"),
        (scores * torch.nan, at, ValueError, "scores must be finite, got 16"),
        (scores[:, :1], at, ValueError, r"scores must have shape \(rows, columns\)"),
        (scores[0], at, ValueError, r"scores must have shape \(rows, columns\)"),
        (scores[:0], at[:0], ValueError, r"scores must have shape \(rows, columns\)"),
    ):
        with pytest.raises(error, match=message):
            statistics.add(bad, where)
    with pytest.raises(ValueError, match=r"clip must be one of .*\[1.0, 5.0, 10.0\], or None"):
        statistics.smile(2.0)
    with pytest.raises(ValueError, match="clip must be a finite number above 0, got -1"):
        ScoreStatistics(clips=(-1.0,))
    assert statistics.donsker_varadhan() == pytest.approx(donsker_varadhan(scores).item())
