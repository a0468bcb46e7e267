import math

import numpy as np
import pytest
import torch

from infoest.functional import partition_entropy, soft_partitions, soft_range_partition_entropy


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def naive(x, anchors, sharpness):
    squares = ((x.numpy()[:, None] - anchors.numpy()[None]) ** 2).sum(-1)
    weights = np.exp(-sharpness * (squares - squares.min(1, keepdims=True)))
    shares = (weights / weights.sum(1, keepdims=True)).mean(0)
    return -(shares * np.log(shares)).sum()


@pytest.mark.parametrize("sharpness", [1e-3, 0.3, 1.0, 10.0])
@pytest.mark.parametrize(("n", "k", "d"), [(40, 5, 2), (1, 3, 1), (6, 9, 4)])
def test_equals_the_formula(n, k, d, sharpness):
    x, anchors = normal(n, d), normal(k, d, seed=1)
    value = soft_range_partition_entropy(x, anchors, sharpness=sharpness)
    assert value.item() == pytest.approx(naive(x, anchors, sharpness), rel=1e-12)


def test_blocks_give_the_same_value_and_gradient(monkeypatch):
    x, anchors = normal(50, 3).requires_grad_(), normal(4, 3, seed=1).requires_grad_()
    whole = soft_range_partition_entropy(x, anchors, sharpness=0.7)
    expected = torch.autograd.grad(whole, (x, anchors))
    monkeypatch.setattr(soft_partitions, "BLOCK_ENTRIES", 7 * 12)
    blocked = soft_range_partition_entropy(x, anchors, sharpness=0.7)
    assert blocked.item() == pytest.approx(whole.item(), rel=1e-13)
    torch.testing.assert_close(torch.autograd.grad(blocked, (x, anchors)), expected)


@pytest.mark.parametrize("sharpness", [0.05, 0.5, 2.0])
def test_two_anchors_with_samples_on_them_three_to_one(sharpness):
    q = 1.0 / (1.0 + math.exp(-4.0 * sharpness))
    p = (3.0 * q + 1.0 - q) / 4.0
    expected = -p * math.log(p) - (1.0 - p) * math.log(1.0 - p)
    x = torch.tensor([-1.0, -1.0, -1.0, 1.0], dtype=torch.float64)
    anchors = torch.tensor([-1.0, 1.0], dtype=torch.float64)
    value = soft_range_partition_entropy(x, anchors, sharpness=sharpness).item()
    assert value == pytest.approx(expected, rel=1e-13)


def test_limits_of_the_sharpness():
    x, anchors = normal(200, 2), normal(7, 2, seed=1)
    owner = torch.cdist(x, anchors).argmin(dim=1)
    hard = partition_entropy(torch.bincount(owner, minlength=7))
    assert soft_range_partition_entropy(x, anchors, sharpness=1e7).item() == pytest.approx(hard)
    soft = soft_range_partition_entropy(x, anchors, sharpness=1e-12).item()
    assert soft == pytest.approx(math.log(7), rel=1e-12)


def test_limits_of_the_value():
    x = normal(30, 2)
    assert soft_range_partition_entropy(x, x[:1], sharpness=3.0).item() == 0.0
    same = x[:1].expand(4, 2)
    assert soft_range_partition_entropy(x, same).item() == pytest.approx(math.log(4))
    anchors = normal(5, 2, seed=1)
    single = soft_range_partition_entropy(x, anchors, sharpness=2.0).item()
    twins = torch.cat([anchors, anchors])
    double = soft_range_partition_entropy(x, twins, sharpness=2.0).item()
    assert double == pytest.approx(single + math.log(2), rel=1e-13)


def test_order_of_rows_rotation_and_shift_do_not_matter():
    x, anchors = normal(60, 3), normal(6, 3, seed=1)
    rotation = torch.linalg.qr(normal(3, 3, seed=2)).Q
    for sharpness in (1.3, "median"):
        value = soft_range_partition_entropy(x, anchors, sharpness=sharpness).item()
        for moved, centers in (
            (x.flip(0), anchors.roll(1, 0)),
            (x @ rotation, anchors @ rotation),
            (x + 1e6, anchors + 1e6),
        ):
            again = soft_range_partition_entropy(moved, centers, sharpness=sharpness).item()
            assert again == pytest.approx(value, rel=1e-8)


@pytest.mark.parametrize("scale", [1e-100, 1e-9, 1e-3, 7.0, 1e6, 1e100])
def test_median_rule_is_free_of_scale(scale):
    x, anchors = normal(61, 2), normal(5, 2, seed=1)
    value = soft_range_partition_entropy(x, anchors).item()
    scaled = soft_range_partition_entropy(x * scale, anchors * scale).item()
    assert scaled == pytest.approx(value, rel=1e-12)
    fixed = soft_range_partition_entropy(x, anchors, sharpness=1.0).item()
    assert abs(fixed - soft_range_partition_entropy(2 * x, 2 * anchors, sharpness=1.0)) > 1e-3


@pytest.mark.parametrize("n", [61, 60])
def test_median_rule_is_what_it_says(n):
    x, anchors = normal(n, 2), normal(5, 2, seed=1)
    squares = (torch.cdist(x, anchors) ** 2).amin(dim=1).sort().values
    sharpness = 1.0 / squares[(n - 1) // 2].item()
    value = soft_range_partition_entropy(x, anchors, sharpness="median").item()
    assert value == soft_range_partition_entropy(x, anchors).item()
    expected = soft_range_partition_entropy(x, anchors, sharpness=sharpness).item()
    assert value == pytest.approx(expected, rel=1e-12)


def test_median_rule_reads_positive_distances_where_most_samples_are_anchors():
    anchors = torch.tensor([0.0, 10.0], dtype=torch.float64)
    x = torch.tensor([0.0, 0.0, 0.0, 10.0, 12.0], dtype=torch.float64)
    value = soft_range_partition_entropy(x, anchors).item()
    assert value == soft_range_partition_entropy(x, anchors, sharpness=0.25).item()
    with pytest.raises(
        ValueError, match=r"^sharpness must be a number where all samples lie on anchors, got"
    ):
        soft_range_partition_entropy(anchors, anchors)


def test_median_rule_is_a_constant_for_the_gradient():
    x, anchors = normal(31, 2), normal(4, 2, seed=1)
    squares = (torch.cdist(x, anchors) ** 2).amin(dim=1)
    grads = []
    for sharpness in ("median", 1.0 / squares.median().item()):
        inputs = [side.clone().requires_grad_() for side in (x, anchors)]
        soft_range_partition_entropy(*inputs, sharpness=sharpness).backward()
        grads.append([side.grad for side in inputs])
    torch.testing.assert_close(*grads)


def test_gradients_of_both_orders():
    x, anchors = normal(7, 2).requires_grad_(), normal(3, 2, seed=1).requires_grad_()
    sharpness = torch.tensor(0.8, dtype=torch.float64, requires_grad=True)

    def function(x, anchors, sharpness):
        return soft_range_partition_entropy(x, anchors, sharpness=sharpness)

    assert torch.autograd.gradcheck(function, (x, anchors, sharpness))
    one = torch.ones((), dtype=torch.float64, requires_grad=True)  # else random
    assert torch.autograd.gradgradcheck(function, (x, anchors, sharpness), one)


@pytest.mark.parametrize("sharpness", [1.0, 1e6, 1e300])
def test_an_anchor_far_from_all_samples_has_a_finite_gradient(sharpness):
    x = normal(20, 2).requires_grad_()
    anchors = torch.cat([normal(3, 2, seed=1), torch.full((1, 2), 1e6, dtype=torch.float64)])
    anchors.requires_grad_()
    width = torch.tensor(sharpness, dtype=torch.float64, requires_grad=True)
    value = soft_range_partition_entropy(x, anchors, sharpness=width)
    value.backward()
    for leaf in (x, anchors, width):
        assert leaf.grad.isfinite().all()
    assert value.isfinite()
    assert (anchors.grad[-1] == 0.0).all()


def test_far_clusters_keep_their_digits():
    """Two anchors 1e-3 apart, 1e6 away from the rest: weights come from their own distances."""
    near = torch.tensor([0.0, 1e-3], dtype=torch.float64)
    x = torch.tensor([0.0, 1e-3, 2e-4], dtype=torch.float64)
    expected = soft_range_partition_entropy(x, near, sharpness=1e6).item()
    far = torch.cat([near + 1e6, torch.zeros(1, dtype=torch.float64)])
    # The numbers themselves are rounded to 1e-10 up there.
    value = soft_range_partition_entropy(x + 1e6, far, sharpness=1e6).item()
    assert value == pytest.approx(expected, rel=1e-6)


def test_learned_anchors_find_two_clusters():
    x = torch.cat([normal(40, 1) * 0.1 - 2.0, normal(20, 1, seed=1) * 0.1 + 2.0])
    anchors = torch.tensor([[-0.5], [0.4]], dtype=torch.float64, requires_grad=True)
    optimizer = torch.optim.Adam([anchors], lr=0.05)
    for _ in range(150):
        optimizer.zero_grad()
        (-soft_range_partition_entropy(x, anchors, sharpness=1.0)).backward()
        optimizer.step()
    # Most entropy that two soft blocks can have.
    value = soft_range_partition_entropy(x, anchors, sharpness=1.0).item()
    assert value == pytest.approx(math.log(2), abs=1e-3)


def test_dtypes_and_one_axis():
    x, anchors = normal(30, 1), normal(3, 1, seed=1)
    exact = soft_range_partition_entropy(x, anchors, sharpness=2.0)
    assert soft_range_partition_entropy(x[:, 0], anchors[:, 0], sharpness=2.0) == exact
    single = soft_range_partition_entropy(x.float(), anchors.float(), sharpness=2.0)
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(exact.item(), rel=1e-6)
    assert soft_range_partition_entropy(x.half(), anchors.half()).dtype == torch.float32
    assert soft_range_partition_entropy(x.float(), anchors).dtype == torch.float64
    assert exact.shape == ()


def test_inputs_are_left_alone():
    x, anchors = normal(30, 2), normal(3, 2, seed=1)
    before = x.clone(), anchors.clone()
    soft_range_partition_entropy(x, anchors)
    assert torch.equal(x, before[0])
    assert torch.equal(anchors, before[1])


@pytest.mark.parametrize(
    ("sharpness", "error", "match"),
    [
        (0.0, ValueError, r"^sharpness must be a finite number above 0, got 0\.0"),
        (-1.0, ValueError, r"^sharpness must be a finite number above 0, got -1\.0"),
        (math.nan, ValueError, "^sharpness must be a finite number above 0, got nan"),
        (math.inf, ValueError, "^sharpness must be a finite number above 0, got inf"),
        (None, TypeError, "^sharpness must be a finite number above 0 and a number, got None"),
        ("silverman", ValueError, "^sharpness must be a number or 'median', got 'silverman'"),
        (torch.tensor(-2.0), ValueError, "^sharpness must be a finite number above 0, got -2"),
        (torch.ones(2), TypeError, "^sharpness must be a scalar floating-point tensor, got"),
        (torch.tensor(2), TypeError, r"got torch\.int64 of shape \(\)"),
    ],
)
def test_refuses_sharpness(sharpness, error, match):
    with pytest.raises(error, match=match):
        soft_range_partition_entropy(normal(10, 2), normal(3, 2), sharpness=sharpness)


def test_refuses_samples():
    x, anchors = normal(10, 2), normal(3, 2)
    with pytest.raises(ValueError, match="same number of columns, got 2 and 1"):
        soft_range_partition_entropy(x, anchors[:, :1])
    with pytest.raises(ValueError, match="anchors must be finite, got 6 NaN"):
        soft_range_partition_entropy(x, anchors / 0.0)
    with pytest.raises(TypeError, match="x must be a floating-point tensor, got ndarray"):
        soft_range_partition_entropy(x.numpy(), anchors)
    with pytest.raises(ValueError, match="anchors must have shape"):
        soft_range_partition_entropy(x, anchors[:0])
    with pytest.raises(ValueError, match=r"^x and anchors must be at most 1e\+150 in size"):
        soft_range_partition_entropy(x * 1e200, anchors)
