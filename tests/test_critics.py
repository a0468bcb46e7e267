"""Critics: scores of all pairs against pair by pair, what they contain, blocks, seeds, errors."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from infoest import critics
from infoest.critics import BilinearCritic, JointCritic, SeparableCritic
from infoest.functional import noise_contrastive

Maker = Callable[[int, int], nn.Module]
CRITICS: dict[str, Maker] = {
    "separable": SeparableCritic,
    "separable plain": partial(SeparableCritic, unary=False, bilinear=False, depth=3),
    "separable narrow": partial(SeparableCritic, width=5, depth=2, embedding=3, bilinear=False),
    "joint": JointCritic,
    "joint deep": partial(JointCritic, width=7, depth=3, bilinear=False),
    "bilinear": BilinearCritic,
    "bilinear plain": partial(BilinearCritic, quadratic=False),
}
each_critic = pytest.mark.parametrize("name", CRITICS)


@pytest.fixture(autouse=True)
def own_random_state() -> Iterator[None]:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        yield


def samples(n: int, d: int, seed: int = 0) -> Tensor:
    return torch.from_numpy(np.random.default_rng(seed).standard_normal((n, d)))


def perturbed(critic: nn.Module) -> nn.Module:
    """Give the weights that start at 0 a value, too."""
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for weight in critic.parameters():
            weight += 0.3 * torch.randn(weight.shape, generator=generator, dtype=weight.dtype)
    return critic


@each_critic
@pytest.mark.parametrize(("n", "m", "d_x", "d_y"), [(5, 4, 3, 2), (1, 1, 1, 1), (2, 7, 1, 40)])
def test_scores_are_of_pairs(name: str, n: int, m: int, d_x: int, d_y: int) -> None:
    critic = perturbed(CRITICS[name](d_x, d_y).double())
    x, y = samples(n, d_x), samples(m, d_y, seed=1)
    scores = critic(x, y)
    assert scores.shape == (n, m)
    for i in range(n):
        for j in range(m):
            alone = critic(x[i : i + 1], y[j : j + 1])
            assert alone.item() == pytest.approx(scores[i, j].item(), rel=1e-11, abs=1e-11)


def test_separable_is_its_formula() -> None:
    critic = perturbed(SeparableCritic(3, 2, embedding=4).double())
    assert isinstance(critic, SeparableCritic)
    x, y = samples(5, 3), samples(4, 2, seed=1)
    of_x, of_y = critic.network_x(x), critic.network_y(y)
    expected = of_x[:, :4] @ of_y[:, :4].T + of_x[:, 4, None] + of_y[:, 4]
    assert critic.bilinear is not None
    expected = expected + critic.bilinear(x, y)
    assert torch.allclose(critic(x, y), expected, rtol=1e-12, atol=1e-12)


def test_dropout_is_for_training_only() -> None:
    critic = perturbed(SeparableCritic(3, 2, dropout=0.5).double())
    x, y = samples(5, 3), samples(4, 2, seed=1)
    assert not torch.equal(critic(x, y), critic(x, y))
    critic.eval()
    assert torch.equal(critic(x, y), critic(x, y))


@pytest.mark.parametrize("share", [0.1, 0.5, 0.9])
def test_dropout_leaves_out_its_share_and_keeps_the_mean(share: float) -> None:
    dropout = SeparableCritic(1, 1, dropout=share).network_x[2]
    with torch.random.fork_rng():
        torch.manual_seed(0)
        kept = dropout(torch.ones(401, 499))
    assert abs(float((kept == 0.0).double().mean()) - share) < 0.005
    assert abs(float(kept.double().mean()) - 1.0) < 0.02
    # Every unit of every row draws its own: neighbors are not left out together.
    left_out = (kept == 0.0).double() - share
    for shift in ((0, 1), (1, 0), (0, 8)):
        other = left_out.roll(shift, dims=(0, 1))
        assert abs(float((left_out * other).mean())) < 0.005


@pytest.mark.parametrize("make", [SeparableCritic, JointCritic, BilinearCritic])
def test_the_untrained_critic_says_independence(make: Maker) -> None:
    assert not make(3, 2)(samples(5, 3).float(), samples(4, 2).float()).any()


@each_critic
def test_arguments_build_it_again(name: str) -> None:
    critic = CRITICS[name](3, 2)
    again = type(critic)(**critic.arguments)
    again.load_state_dict(critic.state_dict())
    x, y = samples(5, 3).float(), samples(4, 2).float()
    assert torch.equal(critic(x, y), again(x, y))


@pytest.mark.parametrize("depth", [1, 2])
def test_joint_is_the_concatenated_critic(depth: int) -> None:
    critic = JointCritic(3, 2, width=6, depth=depth, bilinear=False).double()
    first = nn.Linear(5, 6).double()
    with torch.no_grad():
        first.weight.copy_(torch.cat([critic.weight_x, critic.weight_y], dim=1))
        first.bias.copy_(critic.bias)
    plain = nn.Sequential(first, nn.ReLU(), critic.rest)
    x, y = samples(5, 3), samples(4, 2, seed=1)
    pairs = torch.cat([x[:, None].expand(5, 4, 3), y.expand(5, 4, 2)], dim=2)
    assert torch.allclose(critic(x, y), plain(pairs)[..., 0], rtol=1e-12, atol=1e-12)


def test_default_sizes() -> None:
    critic = SeparableCritic(3, 2)
    widths = [layer.out_features for layer in critic.network_x if isinstance(layer, nn.Linear)]
    assert widths == [256, 33]
    assert JointCritic(3, 2).weight_x.shape == (256, 3)
    assert not any(weight.any() for weight in BilinearCritic(3, 2).parameters())


def gaussian_pairs(n: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return x, y and the log density ratio of all pairs, two dimensions."""
    rho = torch.tensor([0.8, -0.5], dtype=torch.float64)
    x, noise = samples(n, 2), samples(n, 2, seed=1)
    y = rho * x + (1.0 - rho**2).sqrt() * noise
    squares = rho**2 * (x[:, None] ** 2 + y**2) - 2.0 * rho * x[:, None] * y
    ratio = (-0.5 * (1.0 - rho**2).log() - squares / (2.0 * (1.0 - rho**2))).sum(dim=2)
    return x, y, ratio


def test_the_log_ratio_of_gaussians_is_contained() -> None:
    x, y, ratio = gaussian_pairs(50)
    rho = torch.tensor([0.8, -0.5], dtype=torch.float64)
    cross, square = rho / (1.0 - rho**2), -(rho**2) / (2.0 * (1.0 - rho**2))
    constant = -0.5 * (1.0 - rho**2).log().sum()
    bilinear = BilinearCritic(2, 2).double()
    separable = SeparableCritic(2, 2).double()
    joint = JointCritic(2, 2).double()
    with torch.no_grad():
        bilinear.weight.copy_(cross.diag())
        assert bilinear.unary_x is not None
        assert bilinear.unary_y is not None
        bilinear.unary_x.quadratic.copy_(square.diag())
        bilinear.unary_y.quadratic.copy_(square.diag())
        bilinear.constant.copy_(constant)
        for critic in (separable, joint):
            assert critic.bilinear is not None
            critic.bilinear.load_state_dict(bilinear.state_dict())
    for critic in (bilinear, separable, joint):
        assert torch.allclose(critic(x, y), ratio, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("make", "steps", "rate"),
    [(BilinearCritic, 300, 3e-2), (SeparableCritic, 300, 5e-3), (JointCritic, 150, 5e-3)],
)
def test_training_finds_the_log_ratio(make: Maker, steps: int, rate: float) -> None:
    x, y, ratio = gaussian_pairs(1000)
    x, y = x.float(), y.float()
    critic = make(2, 2)
    optimizer = torch.optim.Adam(critic.parameters(), lr=rate)
    for step in range(steps):
        batch = slice(100 * (step % 8), 100 * (step % 8 + 1))
        loss = -noise_contrastive(critic(x[batch], y[batch]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        found = critic(x[800:], y[800:]).double()
    best = noise_contrastive(ratio[800:, 800:])
    start = noise_contrastive(torch.zeros_like(found))
    assert noise_contrastive(found) > start + 0.85 * (best - start)


@each_critic
def test_a_seed_repeats_it(name: str) -> None:
    states = []
    for seed in (3, 3, 4):
        torch.manual_seed(seed)
        states.append(torch.cat([w.flatten() for w in CRITICS[name](3, 2).parameters()]))
    assert torch.equal(states[0], states[1])
    if not name.startswith("bilinear"):
        assert not torch.equal(states[0], states[2])


@each_critic
def test_state_goes_round(name: str) -> None:
    critic, other = perturbed(CRITICS[name](3, 2)), CRITICS[name](3, 2)
    other.load_state_dict(critic.state_dict())
    x, y = samples(5, 3).float(), samples(4, 2).float()
    assert torch.equal(critic(x, y), other(x, y))
    assert all(torch.isfinite(weight).all() for weight in critic.state_dict().values())


@each_critic
def test_all_weights_and_inputs_have_gradients(name: str) -> None:
    critic = perturbed(CRITICS[name](3, 2).double())
    x, y = samples(6, 3).requires_grad_(), samples(6, 2, seed=1).requires_grad_()
    noise_contrastive(critic(x, y), negatives=2).backward()
    for tensor in (x, y, *critic.parameters()):
        assert tensor.grad is not None
        assert torch.isfinite(tensor.grad).all()
        assert tensor.grad.any()


@pytest.mark.parametrize("depth", [1, 2])
def test_blocks_do_not_change_joint_scores(monkeypatch: pytest.MonkeyPatch, depth: int) -> None:
    critic = perturbed(JointCritic(3, 2, width=8, depth=depth).double())
    x, y = samples(11, 3).requires_grad_(), samples(7, 2, seed=1)

    def scores_and_gradients() -> list[Tensor]:
        scores = critic(x, y)
        leaves = [x, *critic.parameters()]
        return [scores, *torch.autograd.grad((scores * scores).sum(), leaves)]

    whole = scores_and_gradients()
    for limit in (1, 2 * 7 * 8, 4 * 7 * 8 + 3):
        monkeypatch.setattr(critics, "BLOCK_WITH_GRADIENT", limit)
        monkeypatch.setattr(critics, "BLOCK_WITHOUT_GRADIENT", limit)
        for found, expected in zip(scores_and_gradients(), whole, strict=True):
            assert torch.allclose(found, expected, rtol=1e-12, atol=1e-12)
        with torch.no_grad():
            assert torch.allclose(critic(x, y), whole[0], rtol=1e-12, atol=1e-12)


def test_joint_blocks_hold_no_more_than_their_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    critic, sizes = JointCritic(3, 2, width=8), []
    critic.rest.register_forward_pre_hook(lambda _, inputs: sizes.append(inputs[0].numel()))
    monkeypatch.setattr(critics, "BLOCK_WITHOUT_GRADIENT", 3 * 7 * 8)
    with torch.no_grad():
        critic(samples(11, 3).float(), samples(7, 2).float())
    assert max(sizes) == 3 * 7 * 8
    assert sum(sizes) == 11 * 7 * 8


def test_autocast_and_half() -> None:
    critic = SeparableCritic(3, 2)
    x, y = samples(5, 3).float(), samples(4, 2).float()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        low = critic(x, y.bfloat16())
    assert torch.allclose(low.float(), critic(x, y), atol=0.1)
    assert critic.bfloat16()(x.bfloat16(), y.bfloat16()).dtype == torch.bfloat16


def test_repr_says_the_settings() -> None:
    assert repr(BilinearCritic(3, 2)).startswith("BilinearCritic(\n  3, 2, quadratic=True")
    assert "in_features=3, out_features=256" in repr(SeparableCritic(3, 2))


# ------------------------------------------------------------------------------------- bad input


@each_critic
def test_bad_samples(name: str) -> None:
    critic = CRITICS[name](3, 2)
    x, y = samples(5, 3).float(), samples(4, 2).float()
    for bad_x, bad_y, error, message in (
        (x[:, 0], y, ValueError, r"x must have shape \(n_samples, 3\) .*, got \(5,\)"),
        (y, y, ValueError, r"x must have shape \(n_samples, 3\) .*, got \(4, 2\)"),
        (x, x, ValueError, r"y must have shape \(n_samples, 2\) .*, got \(5, 3\)"),
        (x[None], y, ValueError, r"x must have shape"),
        (x.double(), y, TypeError, "x must have the dtype of the critic, torch.float32, got torch"),
        (x, y.double(), TypeError, "y must have the dtype of the critic, torch.float32"),
        (x.int(), y, TypeError, "x must be a floating-point tensor, got torch.int32"),
        (x, y.numpy(), TypeError, "y must be a floating-point tensor, got ndarray"),
        (x, y.to("meta"), ValueError, "y must be on the device of the critic, cpu, got meta"),
    ):
        with pytest.raises(error, match=message):
            critic(bad_x, bad_y)


@pytest.mark.parametrize("make", [SeparableCritic, JointCritic, BilinearCritic])
def test_bad_features(make: Maker) -> None:
    with pytest.raises(ValueError, match="features_x must be an integer of at least 1, got 0"):
        make(0, 2)
    with pytest.raises(ValueError, match="features_y must be an integer of at least 1, got -1"):
        make(3, -1)
    with pytest.raises(TypeError, match="features_x must be"):
        make(3.0, 2)  # type: ignore[arg-type]
    name = "quadratic" if make is BilinearCritic else "bilinear"
    with pytest.raises(TypeError, match=f"{name} must be True or False, got 1"):
        make(3, 2, **{name: 1})  # type: ignore[arg-type]


def test_bad_settings() -> None:
    for make in (SeparableCritic, JointCritic):
        for name in ("width", "depth"):
            with pytest.raises(ValueError, match=f"{name} must be an integer of at least 1, got 0"):
                make(3, 2, **{name: 0})  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="embedding must be an integer of at least 1, got 0"):
        SeparableCritic(3, 2, embedding=0)
    with pytest.raises(TypeError, match="embedding must be"):
        SeparableCritic(3, 2, embedding="32")  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="unary must be True or False, got 'yes'"):
        SeparableCritic(3, 2, unary="yes")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match=r"dropout must be in \[0, 1\), got 1.0"):
        SeparableCritic(3, 2, dropout=1.0)
