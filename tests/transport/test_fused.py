import math

import numpy as np
import pytest
import torch

from infoest._validation import NotFittedError
from infoest.functional import infoot_mi
from infoest.transport import FusedInfoOT

from .test_information import assert_is_a_plan, lopsided


def shifted(n, seed=0, noise=0.05):
    rng = np.random.default_rng(seed + 100)
    x = lopsided(n, seed)
    return x, x + 0.3 + noise * torch.from_numpy(rng.standard_normal((n, 2)))


def test_objective_is_the_true_one_and_never_rises():
    x, y = shifted(50)
    y = y[:40]
    for weight, regularization in ((100.0, 1.0), (1.0, 0.05), (0.0, 0.1), (100.0, 0.1)):
        solver = FusedInfoOT(information_weight=weight, regularization=regularization).fit(x, y)
        plan, found = solver.plan_, solver.result_
        assert_is_a_plan(plan)
        assert (np.diff(found.objective) < 0.0).all()
        entropic = torch.xlogy(plan, plan * plan.numel()).sum()
        value = (torch.cdist(x, y) * plan).sum() + regularization * entropic
        value = value - weight * infoot_mi(x, y, plan)
        assert found.objective[-1] == pytest.approx(value.item(), rel=1e-10)
        assert found.objective[0] == pytest.approx(torch.cdist(x, y).mean().item(), rel=1e-10)
        assert found.converged


def test_defaults_are_the_published_ones():
    solver = FusedInfoOT()
    parameters = (solver.bandwidth, solver.information_weight, solver.regularization)
    assert parameters == (0.5, 100.0, 1.0)
    with pytest.raises(TypeError, match="positional"):
        FusedInfoOT(0.5)


def test_identical_samples_find_themselves():
    x = lopsided(60)
    solver = FusedInfoOT(information_weight=1.0, regularization=0.01).fit(x, x)
    np.testing.assert_array_equal(solver.plan_.argmax(dim=1), np.arange(60))


def test_without_information_it_is_entropic_transport():
    ot_cost = shifted(20)
    solver = FusedInfoOT(information_weight=0.0, regularization=0.2, tolerance=1e-12)
    plan = solver.fit(*ot_cost).plan_
    slack = torch.cdist(*ot_cost) + 0.2 * plan.log()
    slack = slack - slack.mean(dim=0) - slack.mean(dim=1, keepdim=True) + slack.mean()
    assert slack.abs().max().item() < 1e-5


def test_order_of_rows_only_moves_the_plan_and_swapping_turns_it():
    x, y = shifted(30)
    settings = {"information_weight": 5.0, "regularization": 0.3, "tolerance": 1e-9}
    expected = FusedInfoOT(**settings).fit(x, y).plan_
    rng = np.random.default_rng(2)
    rows, columns = rng.permutation(30), rng.permutation(30)
    moved = FusedInfoOT(**settings).fit(x[rows], y[columns]).plan_
    np.testing.assert_allclose(moved, expected[rows][:, columns], atol=1e-6)
    np.testing.assert_allclose(FusedInfoOT(**settings).fit(y, x).plan_.mT, expected, atol=1e-6)


@pytest.mark.parametrize("scale", [1e-3, 1e3])
def test_scale_is_that_of_cost_and_weights(scale):
    x, y = shifted(30)
    settings = {"information_weight": 5.0, "regularization": 0.3, "tolerance": 1e-9}
    expected = FusedInfoOT(**settings).fit(x, y)
    scaled = FusedInfoOT(
        information_weight=5.0 * scale, regularization=0.3 * scale, tolerance=1e-9 * min(1, scale)
    ).fit(x * scale, y * scale)
    np.testing.assert_allclose(scaled.plan_, expected.plan_, atol=1e-6)
    np.testing.assert_allclose(scaled.project(x * scale) / scale, expected.project(x), atol=1e-5)


def test_data_a_thousand_times_larger_with_the_defaults_have_no_nan():
    x, y = shifted(40)
    solver = FusedInfoOT().fit(1e3 * x, 1e3 * y)
    assert_is_a_plan(solver.plan_)
    assert solver.result_.converged
    for kind in ("conditional", "barycentric"):
        assert torch.isfinite(solver.project(1e3 * x[:5] + 1.0, kind=kind)).all()


def naive_conditional(solver, x, y, new, bandwidth):
    """The paper's projection, with the bandwidth of the training samples."""
    width_x, width_y = (bandwidth * math.sqrt(side.numpy().var(axis=0).sum()) for side in (x, y))
    near = (-0.5 * (torch.cdist(new, x) / width_x).square()).exp()
    kernel_y = (-0.5 * (torch.cdist(y, y) / width_y).square()).exp()
    ratio = near @ solver.plan_ @ kernel_y / torch.outer(near.mean(dim=1), kernel_y.mean(dim=1))
    return ratio, ratio @ y / ratio.sum(dim=1, keepdim=True)


def test_conditional_projection_of_new_rows_has_the_bandwidth_of_the_training_rows():
    x, y = shifted(50)
    new = lopsided(7, seed=9)
    solver = FusedInfoOT(bandwidth=0.4).fit(x, y)
    ratio, expected = naive_conditional(solver, x, y, new, 0.4)
    np.testing.assert_allclose(solver.density_ratio(new), ratio, rtol=1e-7)
    np.testing.assert_allclose(solver.project(new), expected, rtol=1e-7)
    one_by_one = torch.cat([solver.project(row[None]) for row in new])
    np.testing.assert_allclose(one_by_one, solver.project(new), rtol=1e-12)


def test_barycentric_projection_of_training_rows_is_that_of_the_plan():
    x, y = shifted(50)
    solver = FusedInfoOT(information_weight=2.0, regularization=0.1, tolerance=1e-9).fit(x, y)
    assert solver.result_.converged
    images = solver.project(x, kind="barycentric")
    np.testing.assert_allclose(images, 50 * solver.plan_ @ y, atol=1e-3)
    between = solver.project(0.5 * (x[:1] + x[1:2]), kind="barycentric")
    assert torch.isfinite(between).all()


@pytest.mark.parametrize("kind", ["conditional", "barycentric"])
def test_new_rows_land_near_their_true_images(kind):
    x, y = shifted(150, noise=0.02)
    new = lopsided(40, seed=7)
    new = new[(new[:, 0] < 3.0) & (new[:, 1].abs() < 1.5)]
    solver = FusedInfoOT(bandwidth=0.2, information_weight=1.0, regularization=0.02).fit(x, y)
    missed = (solver.project(new, kind=kind) - (new + 0.3)).square().sum(dim=1).sqrt()
    assert missed.mean().item() < 0.3


@pytest.mark.parametrize("kind", ["conditional", "barycentric"])
def test_rows_far_away_have_an_image_inside_the_target(kind):
    x, y = shifted(30)
    far = torch.tensor([[1e6, -1e6], [1e9, 0.0]], dtype=torch.float64)
    image = FusedInfoOT().fit(x, y).project(far, kind=kind)
    assert (image >= y.amin(dim=0) - 1e-9).all()
    assert (image <= y.amax(dim=0) + 1e-9).all()


def test_blocks_of_new_rows_give_the_same_images(monkeypatch):
    import infoest.transport.fused as fused

    x, y = shifted(30)
    solver = FusedInfoOT().fit(x, y)
    expected = [solver.project(x, kind=kind) for kind in ("conditional", "barycentric")]
    monkeypatch.setattr(fused, "BLOCK_PAIRS", 30)
    for kind, images in zip(("conditional", "barycentric"), expected, strict=True):
        np.testing.assert_allclose(solver.project(x, kind=kind), images, rtol=1e-12)


def test_labels_keep_classes_apart():
    rng = np.random.default_rng(0)
    labels = np.repeat(["left", "right"], 30)
    x = rng.standard_normal((60, 2)) + 0.7 * (labels == "right")[:, None]
    y = rng.standard_normal((60, 2)) + 3.0 * (labels == "right")[:, None]
    settings = {"information_weight": 10.0, "regularization": 0.2}

    def share_inside(plan):
        same = torch.from_numpy(labels[:, None] == labels)
        return plan[same].sum().item()

    plain = FusedInfoOT(**settings).fit(x, y)
    labeled = FusedInfoOT(**settings).fit(x, y, labels=labels)
    assert_is_a_plan(labeled.plan_)
    assert labeled.result_.converged
    assert share_inside(labeled.plan_) > share_inside(plain.plan_) + 0.02
    one_class = FusedInfoOT(**settings).fit(x, y, labels=np.zeros(60))
    assert torch.equal(one_class.plan_, plain.plan_)
    codes = FusedInfoOT(**settings).fit(x, y, labels=(labels == "right").astype(int))
    assert torch.equal(codes.plan_, labeled.plan_)
    # Rows without a label are smoothed by their features alone.
    assert torch.isfinite(labeled.project(x[:3])).all()


def test_a_fit_replaces_the_last_one_and_leaves_parameters_alone():
    x, y = shifted(20)
    solver = FusedInfoOT()
    assert solver.fit(x, y) is solver
    first = solver.plan_
    solver.fit(x[:10], y)
    assert solver.plan_.shape == (10, 20)
    assert torch.equal(solver.fit(x, y).plan_, first)
    assert solver.bandwidth == 0.5


def test_refuses():
    x, y = shifted(10)
    for name in ("bandwidth", "regularization", "tolerance"):
        for bad in (0.0, -1.0, math.nan):
            with pytest.raises(ValueError, match=rf"^{name} must be a finite number above 0, got"):
                FusedInfoOT(**{name: bad}).fit(x, y)
    with pytest.raises(ValueError, match=r"^information_weight must be .* at least 0, got -1"):
        FusedInfoOT(information_weight=-1).fit(x, y)
    with pytest.raises(ValueError, match=r"^x and y must have the same number of columns"):
        FusedInfoOT().fit(x, y[:, :1])
    with pytest.raises(ValueError, match=r"^labels must be one per row of x, got 9 for 10 rows"):
        FusedInfoOT().fit(x, y, labels=np.arange(9))
    with pytest.raises(ValueError, match=r"^labels must not be missing, got 1"):
        FusedInfoOT().fit(x, y, labels=["a"] * 9 + [None])
    with pytest.raises(ValueError, match=r"^y must be finite, got 1 NaN"):
        FusedInfoOT().fit(x, np.where(np.arange(20).reshape(10, 2) == 3, np.nan, y))
    solver = FusedInfoOT().fit(x, y)
    with pytest.raises(ValueError, match=r"^kind must be one of \['barycentric', 'conditional'\]"):
        solver.project(x, kind="linear")
    with pytest.raises(ValueError, match=r"^x must have 2 columns as in fit, got 1"):
        solver.project(x[:, :1])
    with pytest.raises(ValueError, match=r"^x must be finite"):
        solver.density_ratio(x * math.nan)


@pytest.mark.parametrize("method", ["project", "density_ratio"])
def test_needs_a_fit_first(method):
    with pytest.raises(NotFittedError, match=r"^fit must be called first"):
        getattr(FusedInfoOT(), method)(np.zeros((2, 2)))
