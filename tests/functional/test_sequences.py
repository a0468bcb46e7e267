import math

import numpy as np
import pytest
import torch

from infoest.functional import sequences, temporal_infonce


def normal(*shape, seed=0):
    return torch.from_numpy(np.random.default_rng(seed).standard_normal(shape))


def naive(z, window, temperature):
    """Loops over sequences, anchors and times, as the text says it."""
    z, losses = z.numpy(), []
    for sequence in z:
        for t in range(window, len(sequence) - window):
            positives = negatives = 0.0
            for s in range(len(sequence)):
                lengths = np.linalg.norm(sequence[t]) * np.linalg.norm(sequence[s])
                score = math.exp(sequence[t] @ sequence[s] / lengths / temperature)
                if 0 < abs(s - t) <= window:
                    positives += score
                elif s != t:
                    negatives += score
            losses.append(-math.log(positives / (positives + negatives)))
    return np.mean(losses)


@pytest.mark.parametrize("temperature", [0.07, 0.1, 1.0, 50.0])
@pytest.mark.parametrize(
    ("shape", "window"), [((3, 9, 4), 2), ((1, 4, 1), 1), ((5, 12, 2), 3), ((2, 12, 3), 5)]
)
def test_equals_the_loops(shape, window, temperature):
    z = normal(*shape)
    value = temporal_infonce(z, window, temperature).item()
    assert value == pytest.approx(naive(z, window, temperature), rel=1e-12)
    assert temporal_infonce(z, window=window, temperature=temperature).item() == value


@pytest.mark.parametrize(("n_times", "window"), [(4, 1), (10, 1), (12, 3), (30, 14)])
def test_codes_that_do_not_tell_times_apart(n_times, window):
    z = torch.ones(2, n_times, 3, dtype=torch.float64)
    chance = math.log((n_times - 1) / (2 * window))
    assert temporal_infonce(z, window, 0.1).item() == pytest.approx(chance, rel=1e-13)
    assert temporal_infonce(normal(2, n_times, 3), window, 1e9).item() == pytest.approx(chance)


def test_two_anchors_by_hand():
    # Times 0 and 1 look along one axis, 2 and 3 along the other: cosines 1 and 0. Anchor 1 has
    # the positives 0 (cosine 1) and 2 (0) and the negative 3 (0); anchor 2 mirrors it.
    z = torch.tensor([[[1.0, 0.0], [5.0, 0.0], [0.0, 2.0], [0.0, 1.0]]], dtype=torch.float64)
    positives = math.exp(2.0) + 1.0
    expected = math.log((positives + 1.0) / positives)
    assert temporal_infonce(z, 1, 0.5).item() == pytest.approx(expected, rel=1e-13)


def test_times_without_all_positives_are_no_anchors():
    """Moving the first code changes what anchors see, but its own row is no term of the mean."""
    z = normal(1, 5, 3)
    rows = []
    for t in (1, 2, 3):
        cosines = torch.cosine_similarity(z[0, t], z[0], dim=1) / 0.3
        others = torch.arange(5) != t
        near = others & ((torch.arange(5) - t).abs() <= 1)
        rows.append(cosines[others].logsumexp(0) - cosines[near].logsumexp(0))
    assert temporal_infonce(z, 1, 0.3).item() == pytest.approx(torch.stack(rows).mean().item())


def test_neighbors_in_time_lower_it_and_strangers_raise_it():
    angle = torch.arange(16, dtype=torch.float64) / 8.0 * math.pi
    smooth = torch.stack([angle.cos(), angle.sin()], dim=1)[None]
    chance = math.log(15 / 4)
    assert temporal_infonce(smooth, 2, 0.1).item() < 0.25 * chance
    jumping = smooth[:, torch.arange(16) * 5 % 16]
    assert temporal_infonce(jumping, 2, 0.1).item() > chance


def test_lengths_rotations_direction_of_time_and_batch_order_do_not_matter():
    z = normal(4, 11, 3)
    value = temporal_infonce(z, 2, 0.2).item()
    lengths = normal(4, 11, 1, seed=1).exp()
    rotation = torch.linalg.qr(normal(3, 3, seed=2)).Q
    for same in (z * lengths, z @ rotation, z.flip(1), z.flip(0), -z, 1e200 * z, 1e-200 * z):
        assert temporal_infonce(same, 2, 0.2).item() == pytest.approx(value, rel=1e-12)


def test_sequences_are_not_contrasted_with_each_other():
    z = normal(3, 8, 2)
    apart = [temporal_infonce(one[None], 1, 0.1).item() for one in z]
    assert temporal_infonce(z, 1, 0.1).item() == pytest.approx(np.mean(apart), rel=1e-13)


def test_blocks_give_the_same_value_and_gradient(monkeypatch):
    z = normal(3, 14, 4).requires_grad_()
    whole = temporal_infonce(z, 2, 0.1)
    (expected,) = torch.autograd.grad(whole, z)
    monkeypatch.setattr(sequences, "BLOCK_SCORES", 3 * 14 * 4)
    blocked = temporal_infonce(z, 2, 0.1)
    assert blocked.item() == pytest.approx(whole.item(), rel=1e-14)
    torch.testing.assert_close(torch.autograd.grad(blocked, z)[0], expected)


def test_gradients_of_both_orders():
    z = normal(2, 6, 2).requires_grad_()
    assert torch.autograd.gradcheck(lambda z: temporal_infonce(z, 2, 0.5), z)
    one = torch.ones((), dtype=torch.float64, requires_grad=True)  # else random
    assert torch.autograd.gradgradcheck(lambda z: temporal_infonce(z, 1, 0.5), z, one)


@pytest.mark.parametrize("temperature", [1e-3, 1e-12])
def test_low_temperatures_stay_in_the_log_domain(temperature):
    """exp(1 / 1e-3) overflows; the loss is then the largest score less the best positive's."""
    z = normal(1, 8, 2).requires_grad_()
    value = temporal_infonce(z, 1, temperature)
    value.backward()
    cosines = torch.cosine_similarity(z.detach()[0, :, None], z.detach()[0, None], dim=2)
    gaps = []
    for t in range(1, 7):
        others = torch.arange(8) != t
        gaps.append(cosines[t][others].max() - cosines[t][[t - 1, t + 1]].max())
    expected = torch.stack(gaps).mean().item() / temperature
    assert value.item() == pytest.approx(expected, rel=1e-2)
    assert z.grad.isfinite().all()


def test_a_loss_near_zero_keeps_its_digits():
    # Positives at cosine 1, negatives at -1: log(1 + exp(-2 / temperature)).
    z = torch.tensor([[[1.0], [1.0], [1.0], [-1.0]]], dtype=torch.float64)
    # Anchor 2 has the positives 1 and 3 and the negative 0; anchor 1 the positives 0 and 2.
    first = math.log1p(math.exp(-2.0 / 0.04) / 2.0)
    second = math.log1p(1.0 / (1.0 + math.exp(-2.0 / 0.04)))
    value = temporal_infonce(z, 1, 0.04).item()
    assert value == pytest.approx(0.5 * (first + second), rel=1e-14)
    twice = torch.cat([z[:, :3], -torch.ones(1, 3, 1, dtype=torch.float64)], dim=1)
    alone = sequences._losses(twice, torch.tensor([1]), 1, 0.04).item()
    assert alone == pytest.approx(math.log1p(1.5 * math.exp(-50.0)), rel=1e-12)
    assert 0.0 < alone < 1e-20


def test_codes_of_zeros_have_cosine_zero_and_no_gradient():
    z = normal(2, 8, 3)
    z[0, 2:4] = 0.0
    z.requires_grad_()
    value = temporal_infonce(z, 1, 0.1)
    value.backward()
    assert value.isfinite()
    assert z.grad.isfinite().all()
    assert (z.grad[0, 2:4] == 0.0).all()
    assert (z.grad[0, 5] != 0.0).any()
    nothing = torch.zeros(1, 8, 3, dtype=torch.float64, requires_grad=True)
    flat = temporal_infonce(nothing, 1, 0.1)
    flat.backward()
    assert flat.item() == pytest.approx(math.log(3.5))
    assert (nothing.grad == 0.0).all()


def test_equal_codes_have_a_finite_gradient():
    """A distance has none where two codes are equal (DispLoss#9); cosines do."""
    z = normal(1, 1, 3).expand(1, 8, 3).clone().requires_grad_()
    temporal_infonce(z, 2, 0.07).backward()
    assert z.grad.isfinite().all()


def test_training_orders_codes_in_time():
    z = normal(2, 12, 3).requires_grad_()
    before = temporal_infonce(z, 1, 0.2).item()
    optimizer = torch.optim.Adam([z], lr=0.05)
    for _ in range(100):
        optimizer.zero_grad()
        temporal_infonce(z, 1, 0.2).backward()
        optimizer.step()
    assert temporal_infonce(z, 1, 0.2).item() < 0.3 * before


def test_dtypes_and_untouched_data():
    z = normal(2, 9, 4)
    before, exact = z.clone(), temporal_infonce(z, 2, 0.1)
    assert torch.equal(z, before)
    assert exact.dtype == torch.float64
    assert exact.shape == ()
    single = temporal_infonce(z.float(), 2, 0.1)
    assert single.dtype == torch.float32
    assert single.item() == pytest.approx(exact.item(), rel=1e-5)
    assert temporal_infonce(z.half(), 2, 0.1).dtype == torch.float32


@pytest.mark.parametrize(
    ("window", "temperature", "error", "match"),
    [
        (0, 0.1, ValueError, "^window must be an integer of at least 1, got 0"),
        (1.0, 0.1, TypeError, "^window must be an integer of at least 1 and an integer, got 1"),
        (4, 0.1, ValueError, r"^z must have at least 2 window \+ 2 = 10 times, got 9\. In"),
        (2, 0.0, ValueError, r"^temperature must be a finite number above 0, got 0\.0"),
        (2, -0.1, ValueError, "^temperature must be a finite number above 0, got -0.1"),
        (2, math.nan, ValueError, "^temperature must be a finite number above 0, got nan"),
        (2, None, TypeError, "^temperature must be a finite number above 0 and a number, got None"),
    ],
)
def test_refuses_settings(window, temperature, error, match):
    with pytest.raises(error, match=match):
        temporal_infonce(normal(2, 9, 3), window, temperature)


def test_refuses_codes():
    z = normal(2, 9, 3)
    with pytest.raises(ValueError, match=r"^z must have shape \(batch, time, d\), none of them 0"):
        temporal_infonce(z[0], 1, 0.1)
    with pytest.raises(ValueError, match=r"got \(0, 9, 3\)\. Give one sequence as z\[None\]\."):
        temporal_infonce(z[:0], 1, 0.1)
    with pytest.raises(ValueError, match=r"^z must be finite, got 54 NaN or infinite entries\."):
        temporal_infonce(z / 0.0, 1, 0.1)
    with pytest.raises(TypeError, match=r"^z must be a floating-point tensor, got ndarray\."):
        temporal_infonce(z.numpy(), 1, 0.1)
    with pytest.raises(TypeError, match=r"^z must be a floating-point tensor, got torch\.int64"):
        temporal_infonce(z.long(), 1, 0.1)
