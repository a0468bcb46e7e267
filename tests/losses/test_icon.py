"""I-Con against the plain formulas of the methods that it contains."""

from __future__ import annotations

import math
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from infoest.losses import IConLoss, _neighbor_laws
from infoest.losses.neighbors import (
    ClusterNeighbors,
    GaussianNeighbors,
    LabelNeighbors,
    NearestNeighbors,
    Neighbors,
    PairNeighbors,
    StudentTNeighbors,
)

N = 12
CLOSE: dict[str, Any] = {"rtol": 1e-10, "atol": 1e-10}


def points(d: int = 3, n: int = N, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, d, generator=generator, dtype=torch.float64)


def law(neighbors: Neighbors, data: Any) -> np.ndarray:
    made = neighbors(data)
    return made.log_rows(slice(0, made.rows)).exp().detach().numpy()


def normalized(weights: np.ndarray, exclude_self: bool = True) -> np.ndarray:
    weights = weights.copy()
    if exclude_self:
        np.fill_diagonal(weights, 0.0)
    return weights / weights.sum(axis=1, keepdims=True)


def squares(x: Tensor, y: Tensor | None = None) -> np.ndarray:
    y = x if y is None else y
    return (x[:, None] - y).square().sum(dim=2).numpy()


def divergence(p: np.ndarray, q: np.ndarray) -> float:
    held = p > 0.0
    return float((p[held] * np.log(p[held] / q[held])).sum() / len(p))


# ------------------------------------------------------------------------------ methods


def test_stochastic_neighbor_embedding() -> None:
    x, z = points(4), points(2, seed=1)
    result = IConLoss(GaussianNeighbors(bandwidth=1.5), GaussianNeighbors(bandwidth=0.7))(x, z)
    p = normalized(np.exp(-squares(x) / (2.0 * 1.5**2)))
    q = normalized(np.exp(-squares(z) / (2.0 * 0.7**2)))
    assert result.loss.item() == pytest.approx(divergence(p, q), rel=1e-10)
    entropy = -(p[p > 0] * np.log(p[p > 0])).sum() / N
    assert result.entropy.item() == pytest.approx(entropy, rel=1e-10)


@pytest.mark.parametrize("freedom", [1.0, 2.5])
def test_conditional_t_sne(freedom: float) -> None:
    x, z = points(4), points(2, seed=1)
    q_laws = StudentTNeighbors(freedom=freedom, bandwidth=0.8)
    found = IConLoss(GaussianNeighbors(), q_laws)(x, z).loss.item()
    p = normalized(np.exp(-squares(x) / 2.0))
    q = normalized((1.0 + squares(z) / (0.64 * freedom)) ** (-0.5 * (freedom + 1.0)))
    assert found == pytest.approx(divergence(p, q), rel=1e-10)


def test_nt_xent() -> None:
    z, tau = points(5), 0.3
    partner = (torch.arange(N) + N // 2) % N
    cosine = GaussianNeighbors(metric="cosine", bandwidth=math.sqrt(tau))
    found = IConLoss(PairNeighbors(), cosine)(partner, z)
    unit = nn.functional.normalize(z)
    scores = (unit @ unit.T / tau).fill_diagonal_(-torch.inf)
    torch.testing.assert_close(found.loss, nn.functional.cross_entropy(scores, partner), **CLOSE)
    assert found.entropy.item() == 0.0


def test_images_and_captions() -> None:
    """One direction of CLIP: two sets, whose equal positions are pairs."""
    images, captions = points(5), points(5, seed=1)
    neighbors = GaussianNeighbors(metric="cosine", bandwidth=0.5)
    found = IConLoss(PairNeighbors(exclude_self=False), neighbors)(
        torch.arange(N), (images, captions)
    )
    scores = nn.functional.normalize(images) @ nn.functional.normalize(captions).T / 0.25
    wanted = nn.functional.cross_entropy(scores, torch.arange(N))
    torch.testing.assert_close(found.loss, wanted, **CLOSE)


def test_supervised_contrast() -> None:
    z, labels, tau = points(5), torch.arange(N) % 3, 0.2
    neighbors = GaussianNeighbors(metric="cosine", bandwidth=math.sqrt(tau))
    found = IConLoss(LabelNeighbors(), neighbors)(labels, z)
    unit = nn.functional.normalize(z).numpy()
    scores, total = unit @ unit.T / tau, 0.0
    for i in range(N):
        others = [j for j in range(N) if j != i]
        positives = [j for j in others if labels[j] == labels[i]]
        log_sum = math.log(sum(math.exp(scores[i, j]) for j in others))
        total -= sum(scores[i, j] - log_sum for j in positives) / len(positives)
    assert found.cross_entropy.item() == pytest.approx(total / N, rel=1e-10)
    assert found.entropy.item() == pytest.approx(math.log(3), rel=1e-10)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.6])
def test_cross_entropy_and_label_smoothing(share: float) -> None:
    z, prototypes, labels = points(5), points(5, n=4, seed=1), torch.arange(N) % 4
    loss = IConLoss(LabelNeighbors().mixed(share), GaussianNeighbors(metric="dot"))
    found = loss((labels, torch.arange(4)), (z, prototypes)).cross_entropy
    wanted = nn.functional.cross_entropy(z @ prototypes.T, labels, label_smoothing=share)
    torch.testing.assert_close(found, wanted, **CLOSE)


@pytest.mark.parametrize("exclude_self", [False, True])
def test_clusters(exclude_self: bool) -> None:
    x, logits = points(), 2.0 * points(4, seed=1)
    found = law(ClusterNeighbors(exclude_self=exclude_self), logits)
    s = logits.softmax(dim=1).numpy()
    q = normalized(np.einsum("ic,jc,c->ij", s, s, 1.0 / s.sum(axis=0)), exclude_self)
    np.testing.assert_allclose(found, q, rtol=1e-10)
    result = IConLoss(NearestNeighbors(k=3), ClusterNeighbors(exclude_self=exclude_self))(x, logits)
    p = law(NearestNeighbors(k=3), x)
    assert result.loss.item() == pytest.approx(divergence(p, q), rel=1e-10)


def test_far_clusters_stay_finite() -> None:
    logits = torch.tensor([[900.0, 0.0], [0.0, 900.0]], dtype=torch.float64, requires_grad=True)
    result = IConLoss(PairNeighbors(), ClusterNeighbors())(torch.tensor([1, 0]), logits)
    result.loss.backward()
    assert result.loss.item() == pytest.approx(-math.log(1e-280), rel=1e-3)
    assert logits.grad is not None
    assert torch.isfinite(logits.grad).all()


# ------------------------------------------------------------------------------ laws


def test_perplexity() -> None:
    x = points(4, n=40) * torch.linspace(0.1, 30.0, 40, dtype=torch.float64)[:, None]
    p = law(GaussianNeighbors(perplexity=7.0), x)
    entropy = -(np.where(p > 0, p, 1.0) * np.log(np.where(p > 0, p, 1.0))).sum(axis=1)
    np.testing.assert_allclose(entropy, math.log(7.0), atol=1e-9)
    # Gaussian in the distances: log p is a line in them, row by row.
    row, distances = p[5], squares(x)[5]
    kept = row > 1e-12
    slope = np.polyfit(distances[kept], np.log(row[kept]), 1)
    np.testing.assert_allclose(np.polyval(slope, distances[kept]), np.log(row[kept]), atol=1e-8)


def test_nearest() -> None:
    x = points()
    p = law(NearestNeighbors(k=3), x)
    order = np.argsort(squares(x) + np.diag(np.full(N, np.inf)), axis=1)[:, :3]
    wanted = np.zeros((N, N))
    np.put_along_axis(wanted, order, 1.0 / 3.0, axis=1)
    np.testing.assert_allclose(p, wanted)


@pytest.mark.parametrize("base", [NearestNeighbors(k=3), GaussianNeighbors(bandwidth=0.7)])
@pytest.mark.parametrize("steps", [1, 2, 3])
@pytest.mark.parametrize("shorter", [False, True])
def test_walks(base: Neighbors, steps: int, shorter: bool) -> None:
    x = points()
    step = law(base, x)
    powers = [np.linalg.matrix_power(step, k + 1) for k in range(steps)]
    wanted = normalized(np.mean(powers, axis=0) if shorter else powers[-1])
    np.testing.assert_allclose(law(base.walk(steps, shorter=shorter), x), wanted, atol=1e-12)


def test_mixing_keeps_to_the_other_points() -> None:
    mixed = law(GaussianNeighbors().mixed(0.3), points())
    plain = law(GaussianNeighbors(), points())
    wanted = 0.7 * plain + 0.3 * (1.0 - np.eye(N)) / (N - 1)
    np.testing.assert_allclose(mixed, wanted, atol=1e-12)
    mixed = law(ClusterNeighbors().mixed(0.3), points())
    np.testing.assert_allclose(mixed, 0.7 * law(ClusterNeighbors(), points()) + 0.3 / N, atol=1e-12)


# ------------------------------------------------------------------------------ the loss

Q = GaussianNeighbors()


def test_least_where_both_are_the_same() -> None:
    x = points()
    assert IConLoss(Q, Q)(x, x).loss.item() == pytest.approx(0.0, abs=1e-14)
    assert IConLoss(Q, Q)(x, points(seed=1)).loss.item() > 0.1
    shifted = IConLoss(Q, Q)(x, 1e6 + points(seed=1)).loss.item()
    assert shifted == pytest.approx(IConLoss(Q, Q)(x, points(seed=1)).loss.item(), rel=1e-8)


def test_reductions() -> None:
    x, z = points(), points(seed=1)
    rows = IConLoss(Q, Q, reduction="none")(x, z).loss
    assert rows.shape == (N,)
    torch.testing.assert_close(IConLoss(Q, Q)(x, z).loss, rows.mean())
    torch.testing.assert_close(IConLoss(Q, Q, reduction="sum")(x, z).loss, rows.sum())


def test_order_of_rows() -> None:
    x, z = points(), points(seed=1)
    order = torch.randperm(N, generator=torch.Generator().manual_seed(2))
    for p in (GaussianNeighbors(perplexity=4.0), NearestNeighbors(k=2)):
        loss = IConLoss(p, StudentTNeighbors())
        torch.testing.assert_close(loss(x[order], z[order]).loss, loss(x, z).loss, **CLOSE)


@pytest.mark.parametrize(
    "p",
    [
        GaussianNeighbors(bandwidth=0.9),
        GaussianNeighbors(perplexity=5.0),
        NearestNeighbors(k=2),
        NearestNeighbors(k=2).walk(2).mixed(0.1),
        GaussianNeighbors().walk(2),
    ],
)
@pytest.mark.parametrize("q", [StudentTNeighbors(), ClusterNeighbors(), Q.mixed(0.2)])
def test_blocks_are_the_whole(p: Neighbors, q: Neighbors, monkeypatch: pytest.MonkeyPatch) -> None:
    def computed() -> list[Tensor]:
        x, z = points(), points(seed=1).requires_grad_()
        loss = IConLoss(p, q)(x, z).loss
        loss.backward()
        return [loss.detach(), z.grad]

    whole = computed()
    monkeypatch.setattr(_neighbor_laws, "BLOCK_PAIRS", 5 * N)
    for found, wanted in zip(computed(), whole, strict=True):
        torch.testing.assert_close(found, wanted, **CLOSE)


@pytest.mark.parametrize(
    ("p", "q"),
    [
        (GaussianNeighbors(), StudentTNeighbors(metric="cosine")),
        (GaussianNeighbors(metric="cosine").mixed(0.1), ClusterNeighbors(exclude_self=True)),
        (ClusterNeighbors(exclude_self=True).walk(2), GaussianNeighbors(metric="dot")),
    ],
)
def test_gradients_of_both(p: Neighbors, q: Neighbors) -> None:
    x, z = points(n=6).requires_grad_(), points(n=6, seed=1).requires_grad_()
    assert torch.autograd.gradcheck(lambda *given: IConLoss(p, q)(*given).loss, (x, z))


def test_both_sides_of_one_tensor(monkeypatch: pytest.MonkeyPatch) -> None:
    """Laws of one tensor, one of them reading it as it is: no gradient is counted twice."""
    loss = IConLoss(GaussianNeighbors(metric="dot").mixed(0.1), StudentTNeighbors())
    gradients = []
    for size in (N * N, 5 * N):
        monkeypatch.setattr(_neighbor_laws, "BLOCK_PAIRS", size)
        z = points().requires_grad_()
        (gradient,) = torch.autograd.grad(loss(z, z).loss, z)
        gradients.append(gradient)
    torch.testing.assert_close(*gradients, **CLOSE)


def test_a_law_is_made_once() -> None:
    x, z, p = points(), points(seed=1), NearestNeighbors(k=3)
    loss = IConLoss(p, Q)
    assert torch.equal(loss(p(x), z).loss, loss(x, z).loss)


def test_float32() -> None:
    x, z = points(), points(seed=1)
    found = IConLoss(Q, Q)(x.float(), z.float()).loss
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(IConLoss(Q, Q)(x, z).loss.item(), rel=1e-5)


@pytest.mark.slow
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs /proc")
@pytest.mark.parametrize("p", ["NearestNeighbors(k=15)", "GaussianNeighbors()"])
def test_memory_of_20_000_rows(p: str) -> None:
    """A matrix of all pairs is 3.2 GB; here forward and backward, with all that torch takes."""
    source = f"""
import re, torch
from infoest.losses import IConLoss
from infoest.losses.neighbors import GaussianNeighbors, NearestNeighbors, StudentTNeighbors
x = torch.randn(20_000, 10, generator=torch.Generator().manual_seed(0))
z = torch.randn(20_000, 2, generator=torch.Generator().manual_seed(1)).requires_grad_()
IConLoss({p}, StudentTNeighbors())(x, z).loss.backward()
# Not ru_maxrss: a new process inherits that of the one that started it.
status = open("/proc/self/status").read()
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) / 1024)
"""
    done = subprocess.run([sys.executable, "-c", source], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    assert float(done.stdout) < 500.0


# ------------------------------------------------------------------------------ bad input

LABELS = torch.arange(N) % 3


@pytest.mark.parametrize(
    ("p", "q", "x", "z", "error", "sentence"),
    [
        (Q, Q, points()[:5], points(), ValueError, "x and z must have the same rows and points"),
        (Q, Q, points(), points()[0], ValueError, r"z must have shape \(rows, columns\)"),
        (Q, Q, points().long(), points(), TypeError, "x must be a floating-point tensor"),
        (Q, Q, points() * math.nan, points(), ValueError, "x must be finite, got 36"),
        (Q, Q, points()[:1], points()[:1], ValueError, "z must have at least 2 rows"),
        (Q, Q, points(), (points(2), points(3)), ValueError, "z must have the same columns"),
        (LabelNeighbors(), Q, points(), points(), TypeError, "x must be a tensor of integers"),
        (LabelNeighbors(), Q, LABELS[:, None], points(), ValueError, r"x must have shape \(n,\)"),
        (
            LabelNeighbors(),
            Q,
            LABELS + torch.arange(N).eq(0) * 9,
            points(),
            ValueError,
            "x must give every row a neighbor, got 1 rows without",
        ),
        (
            LabelNeighbors(exclude_self=False),
            Q,
            LABELS,
            points(),
            ValueError,
            "p must leave out the row itself",
        ),
        (
            Q,
            LabelNeighbors(),
            points(),
            LABELS,
            ValueError,
            "q must be positive wherever p is",
        ),
        (PairNeighbors(), Q, torch.arange(N), points(), ValueError, "x must not name the row"),
        (PairNeighbors(), Q, torch.arange(N) + 1, points(), ValueError, r"in \[0, 11\], got 12"),
        (PairNeighbors(), Q, torch.ones(N, 2).long(), points(), ValueError, "neighbor twice"),
        (PairNeighbors(), Q, (LABELS, LABELS), points(), TypeError, "x must be one tensor"),
        (
            GaussianNeighbors(perplexity=11.0),
            Q,
            points(),
            points(),
            ValueError,
            "perplexity must be below the number of other points, 11",
        ),
        (
            GaussianNeighbors(perplexity=2.0),
            Q,
            points() * 0.0,
            points(),
            ValueError,
            "perplexity must be above the number of points at the least distance",
        ),
        (Q.walk(2), Q, (points(), points()), points(), ValueError, "x must be one set"),
        (
            PairNeighbors().walk(2),
            Q,
            torch.arange(N) ^ 1,
            points(),
            ValueError,
            "x must give every row a neighbor, got 12",
        ),
        (NearestNeighbors(k=12), Q, points(), points(), ValueError, "k must be in"),
    ],
)
def test_bad_input(
    p: Neighbors, q: Neighbors, x: Any, z: Any, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        IConLoss(p, q)(x, z)


@pytest.mark.parametrize(
    ("make", "error", "sentence"),
    [
        (lambda: IConLoss("sne", Q), TypeError, "p must be neighbors"),
        (lambda: IConLoss(Q, GaussianNeighbors), TypeError, "q must be neighbors"),
        (lambda: IConLoss(Q, Q, reduction="max"), ValueError, "reduction must be one of"),
        (lambda: GaussianNeighbors(bandwidth=0.0), ValueError, "bandwidth must be"),
        (lambda: GaussianNeighbors(perplexity=1.0), ValueError, "perplexity must be"),
        (lambda: GaussianNeighbors(metric="max"), ValueError, "metric must be one of"),
        (lambda: StudentTNeighbors(freedom=-1.0), ValueError, "freedom must be"),
        (lambda: StudentTNeighbors(metric="dot"), ValueError, "metric must be one of"),
        (lambda: NearestNeighbors(k=0), ValueError, "k must be an integer of at least 1"),
        (lambda: LabelNeighbors(exclude_self=1), TypeError, "exclude_self must be True or False"),
        (lambda: Q.mixed(1.0), ValueError, r"share must be in \[0, 1\)"),
        (lambda: Q.walk(0), ValueError, "steps must be an integer of at least 1"),
    ],
)
def test_bad_settings(make: Any, error: type[Exception], sentence: str) -> None:
    with pytest.raises(error, match=sentence):
        make()
