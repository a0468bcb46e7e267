"""The loop: what every setting does, which weights are kept, and how a training ends."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from torch import nn

from infoest.training import ArrayBatches, History, Training, TrainingDivergedError, train
from infoest.training import loop as loop_module

from .regression import (
    KilledError,
    arrays,
    assert_same,
    assert_same_weights,
    data,
    fit,
    network,
    seeded,
    weights,
)

ROOT = Path(__file__).resolve().parents[2]


class Number(nn.Module):
    """One weight per entry, whose loss has the gradient that a test asks for."""

    def __init__(self, *start: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.tensor(start, dtype=torch.float64))


def descend(model: Number, slope: float = 1.0, held_out=None, **settings) -> History:
    """Train with a constant gradient: without decay AdamW then moves by its rate exactly."""
    settings = {"steps": 10, "learning_rate": 0.1, **settings}
    return train(
        model,
        lambda x, y: slope * model.weight.sum(),
        arrays(),
        training=Training(**settings),
        held_out=held_out,
    )


# ------------------------------------------------------------------------------ settings


def test_the_loop_is_adamw_on_the_batches() -> None:
    """Against the same thing written out with torch's plain optimizer."""
    with seeded():
        model, other = network(), network()
    other.load_state_dict(model.state_dict())
    settings = Training(
        steps=30,
        learning_rate=0.05,
        weight_decay=0.3,
        schedule="cosine",
        averaging=0.8,
        clip_norm=0.5,
    )

    def loss_of(model):
        return lambda x, y: (model(x) - y).square().mean()

    history = train(model, loss_of(model), arrays(), training=settings)
    source = arrays()
    optimizer = torch.optim.AdamW(other.parameters(), lr=1.0, weight_decay=0.3)
    mean = [weight.detach().clone() for weight in other.parameters()]
    losses = []
    for step in range(1, 31):
        share = (1 + math.cos(math.pi * (step - 1) / 29)) / 2
        optimizer.param_groups[0]["lr"] = 0.05 * (0.02 + 0.98 * share)
        optimizer.zero_grad()
        loss = loss_of(other)(*source.next())
        loss.backward()
        nn.utils.clip_grad_norm_(other.parameters(), 0.5)
        optimizer.step()
        decay = min(0.8, (1 + step) / (10 + step))
        mean = [
            decay * average + (1 - decay) * weight.detach()
            for average, weight in zip(mean, other.parameters(), strict=True)
        ]
        losses.append(loss.item())
    assert history.losses == pytest.approx(losses, rel=1e-10)
    for weight, average in zip(model.parameters(), mean, strict=True):
        torch.testing.assert_close(weight.detach(), average, rtol=1e-10, atol=1e-12)


def test_steps_and_learning_rate() -> None:
    model = Number(3.0, -1.0)
    history = descend(model, steps=7, learning_rate=0.25)
    assert model.weight.tolist() == pytest.approx([3.0 - 7 * 0.25, -1.0 - 7 * 0.25], rel=1e-7)
    assert history.rates == [0.25] * 7
    assert (history.n_steps, history.best_step, history.ended) == (7, 7, "steps")


def test_epochs() -> None:
    model = Number(0.0)
    # 96 rows in batches of 16.
    assert descend(model, steps=None, epochs=4, learning_rate=0.25).n_steps == 24
    assert model.weight.item() == pytest.approx(-6.0, rel=1e-7)


def test_cosine_schedule() -> None:
    model = Number(0.0)
    history = descend(model, steps=50, schedule="cosine")
    assert history.rates[0] == 0.1
    assert history.rates[-1] == pytest.approx(0.002)
    assert model.weight.item() == pytest.approx(-sum(history.rates), rel=1e-6)
    assert sum(history.rates) < 0.6 * 50 * 0.1


def test_weight_decay() -> None:
    model = Number(5.0)
    descend(model, slope=0.0, steps=10, weight_decay=0.5)
    assert model.weight.item() == pytest.approx(5.0 * (1 - 0.1 * 0.5) ** 10)


def test_averaging_warms_up() -> None:
    plain, averaged = Number(0.0), Number(0.0)
    descend(plain, steps=20)
    descend(averaged, steps=20, averaging=0.6)
    assert plain.weight.item() == pytest.approx(-2.0, rel=1e-6)
    expected = 0.0
    for step in range(1, 21):
        decay = min(0.6, (1 + step) / (10 + step))
        expected = decay * expected + (1 - decay) * -0.1 * step
    assert averaged.weight.item() == pytest.approx(expected, rel=1e-6)


def test_without_averaging_the_last_weights_are_kept_bit_for_bit() -> None:
    seen = []
    model = Number(0.3, 7.0)

    def held_out() -> float:
        seen.append(model.weight.detach().clone())
        return -float(len(seen))

    descend(model, held_out=held_out, evaluate_every=1, averaging=None)
    other = Number(0.3, 7.0)
    descend(other, averaging=0.0)
    assert torch.equal(model.weight, other.weight)
    assert torch.equal(seen[-1], model.weight)


@pytest.mark.parametrize(("clip", "norm"), [(None, 3000.0), (0.5, 0.5), (1e9, 3000.0)])
def test_clipping(clip, norm) -> None:
    model = Number(*[0.0] * 9)
    descend(model, slope=1000.0, clip_norm=clip)
    assert float(model.weight.grad.norm()) == pytest.approx(norm, rel=1e-5)


def test_evaluations_where_they_are_asked_for() -> None:
    for settings, steps in [
        ({"evaluate_every": 4}, [4, 8, 10]),
        ({}, [10]),
        ({"steps": 120}, [50, 100, 120]),
    ]:
        history = descend(Number(0.0), held_out=lambda: 0.0, patience=None, **settings)
        assert [step for step, _ in history.evaluated] == steps


def test_dtype_and_device_are_those_of_the_network() -> None:
    for dtype in (torch.float32, torch.float64):
        with seeded():
            model = network().to(dtype)
        x, y = (side.to(dtype) for side in data())
        train(
            model,
            lambda x, y, model=model: (model(x) - y).square().mean(),
            ArrayBatches(x, y, 16, 0),
            training=Training(steps=3, averaging=0.5),
        )
        assert {weight.dtype for weight in model.parameters()} == {dtype}


def test_progress_on_request_only(capfd) -> None:
    plain = fit()
    assert capfd.readouterr() == ("", "")
    shown = fit(progress=True)
    assert capfd.readouterr().out == ""
    assert_same(plain, shown)


def test_the_same_seed_gives_the_same_result() -> None:
    assert_same(fit(noisy=True), fit(noisy=True))
    one, other = fit(noisy=True)[0], fit(noisy=True, seed=1)[0]
    assert not torch.equal(one[0].weight, other[0].weight)


def test_the_random_state_is_left_alone() -> None:
    with seeded():
        model = network()
        before = torch.get_rng_state()
        train(
            model,
            lambda x, y: (model(x) - y).square().mean(),
            arrays(),
            training=Training(steps=20, averaging=0.5),
            held_out=lambda: 1.0,
            at_start=True,
            keep_snapshots=True,
        )
        assert torch.equal(before, torch.get_rng_state())


# ------------------------------------------------------------------------------ what is kept


def held_out_values(*values: float):
    """Return the values one after the other."""
    found = iter(values)
    return lambda: next(found)


def test_the_best_weights_are_kept_by_copy() -> None:
    model = Number(0.0)
    history = descend(
        model,
        held_out=held_out_values(3.0, 1.0, 2.0, 1.5, 1.0),
        steps=10,
        evaluate_every=2,
        patience=None,
    )
    # Equal is no gain: the first of the two is kept.
    assert (history.best_step, history.best_loss, history.ended) == (4, 1.0, "steps")
    assert model.weight.item() == pytest.approx(-0.4)


def test_held_out_sees_averaged_weights_in_evaluation_mode() -> None:
    with seeded():
        model = network(noisy=True)
        modes, seen, moving = [], [], []

        def loss(x, y):
            modes.append(model.training)
            moving.append(weights(model))
            return (model(x) - y).square().mean()

        def held_out() -> float:
            assert not model.training
            assert not torch.is_grad_enabled()
            seen.append(weights(model))
            return -float(len(seen))

        history = train(
            model,
            loss,
            arrays(),
            training=Training(steps=9, evaluate_every=3, averaging=0.9),
            held_out=held_out,
            keep_snapshots=True,
        )
    assert modes == [True] * 9
    assert not model.training
    assert sorted(history.snapshots) == [3, 6, 9]
    for state, snapshot in zip(seen, history.snapshots.values(), strict=True):
        assert_same_weights(state, dict(snapshot))
    assert_same_weights(seen[-1], weights(model))
    # The training goes on from the moving weights: an evaluation changes none of them.
    assert not torch.equal(moving[3]["0.weight"], seen[0]["0.weight"])
    with seeded():
        model = network(noisy=True)
        unwatched, moving = moving, []
        train(
            model,
            lambda x, y: (moving.append(weights(model)), (model(x) - y).square().mean())[1],
            arrays(),
            training=Training(steps=9, averaging=0.9),
        )
    for one, other in zip(unwatched, moving, strict=True):
        assert_same_weights(one, other)


def test_snapshots_do_not_follow_the_training() -> None:
    model = Number(0.0)
    history = train(
        model,
        lambda x, y: model.weight.sum(),
        arrays(),
        training=Training(steps=6, evaluate_every=2, learning_rate=0.1),
        keep_snapshots=True,
    )
    found = {step: state["weight"].item() for step, state in history.snapshots.items()}
    assert found == pytest.approx({2: -0.2, 4: -0.4, 6: -0.6})
    assert fit()[1].snapshots == {}


def test_untrained_weights_may_be_the_best() -> None:
    with seeded():
        model = network()
    start = weights(model)
    history = train(
        model,
        lambda x, y: (model(x) - y).square().mean(),
        arrays(),
        training=Training(steps=30, evaluate_every=5, patience=3),
        held_out=held_out_values(0.0, 2.0, 1.0, 2.0, 3.0, 1.5),
        at_start=True,
    )
    # Patience is for the training alone: it looks at what follows step 10.
    assert [step for step, _ in history.evaluated] == [0, 5, 10, 15, 20, 25]
    assert (history.best_step, history.ended) == (0, "patience")
    assert_same_weights(start, weights(model))


def test_patience_counts_what_follows_the_start() -> None:
    """Before the first step there was nothing to improve on."""
    with seeded():
        model = network()
    history = train(
        model,
        lambda x, y: (model(x) - y).square().mean(),
        arrays(),
        training=Training(steps=30, evaluate_every=5, patience=2),
        held_out=held_out_values(math.nan, math.nan, 1.0, 2.0, 3.0),
        at_start=True,
    )
    assert (history.n_steps, history.best_step, history.ended) == (20, 10, "patience")


@pytest.mark.parametrize(
    ("patience", "values", "n_steps", "ended"),
    [
        (1, [3, 2, 4], 6, "patience"),
        (2, [3, 2, 4, 4], 8, "patience"),
        (2, [3, 4, 2, 4, 1], 10, "steps"),
        (2, [3, 4, 2, 4, 4], 10, "patience"),
        (4, [1, 2, 3, 4, 5], 10, "patience"),
        (5, [1, 2, 3, 4, 5], 10, "steps"),
        (None, [1, 2, 3, 4, 5], 10, "steps"),
        (2, [math.nan, 3, 2, 4, 4], 10, "patience"),
        (2, [3, math.inf, math.nan], 6, "patience"),
    ],
)
def test_patience(patience, values, n_steps, ended) -> None:
    history = descend(
        Number(0.0),
        held_out=held_out_values(*map(float, values)),
        evaluate_every=2,
        patience=patience,
    )
    assert (history.n_steps, history.ended) == (n_steps, ended)


def test_shared_weights_are_averaged_under_each_name() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = Number(0.0)
            self.other = self.one

    model, plain = Tied(), Number(0.0)
    train(
        model,
        lambda x, y: model.other.weight.sum(),
        arrays(),
        training=Training(steps=10, learning_rate=0.1, averaging=0.9),
    )
    descend(plain, averaging=0.9)
    assert model.one is model.other
    assert torch.equal(model.one.weight, plain.weight)


def test_frozen_weights_and_buffers_stay() -> None:
    with seeded():
        model = network(noisy=True)
        model[0].requires_grad_(False)
        start = weights(model)
        train(
            model,
            lambda x, y: (model(x) - y).square().mean(),
            arrays(),
            training=Training(steps=10, averaging=0.5, weight_decay=0.5),
        )
    end = weights(model)
    assert torch.equal(start["0.weight"], end["0.weight"])
    assert not torch.equal(start["4.weight"], end["4.weight"])
    # Running means are no weights: the last ones are kept, not their average.
    assert end["1.num_batches_tracked"] == 10


# ------------------------------------------------------------------------------ NaN


def spoiled(model: nn.Module, at: int, value: float):
    """Return a loss that is ``value`` at a step."""
    calls = 0

    def loss(x, y):
        nonlocal calls
        calls += 1
        found = (model(x) - y).square().mean()
        return found if calls != at else found * 0.0 + value

    return loss


@pytest.mark.parametrize("evaluate", [False, True])
@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_a_loss_that_is_not_finite(value, evaluate) -> None:
    with seeded():
        model, other = network(), network()
    other.load_state_dict(model.state_dict())
    settings = {"learning_rate": 0.125, "averaging": 0.9, "evaluate_every": 10, "patience": None}
    sentence = (
        rf"loss must be finite, got {value} at step 37 with learning_rate=0\.125\. Lower the "
        "learning rate, or set clip_norm"
    )
    with pytest.raises(TrainingDivergedError, match=sentence) as caught:
        train(
            model,
            spoiled(model, 37, value),
            arrays(),
            training=Training(steps=60, **settings),
            held_out=held_out_values(3.0, 2.0, 1.0) if evaluate else None,
        )
    history = caught.value.history
    assert (history.ended, history.n_steps, history.best_step) == ("diverged", 36, 30)
    train(other, spoiled(other, 0, 0.0), arrays(), training=Training(steps=30, **settings))
    assert_same_weights(weights(other), weights(model))
    assert not model.training


def test_a_loss_that_is_nan_at_once_leaves_the_network_untrained() -> None:
    with seeded():
        model = network()
    start = weights(model)
    with pytest.raises(TrainingDivergedError, match="at step 1 "):
        train(model, spoiled(model, 1, math.nan), arrays(), training=Training(steps=60))
    assert_same_weights(start, weights(model))


@pytest.mark.parametrize("evaluate", [False, True])
def test_a_gradient_that_is_nan_does_not_enter_the_kept_weights(evaluate) -> None:
    """The loss of the last step is finite: only the weights after it tell."""
    model = Number(4.0)

    def loss(x, y):
        # At a weight of 0 the root has an infinite slope, times 0.
        return (model.weight * 0.0).sqrt().sum() + 0.0 * model.weight.sum()

    with pytest.raises(TrainingDivergedError, match="weights must be finite, got NaN or infinity"):
        train(
            model,
            loss,
            arrays(),
            training=Training(steps=1, averaging=0.9),
            held_out=(lambda: 1.0) if evaluate else None,
        )
    assert model.weight.item() == 4.0


def test_losses_of_a_gpu_are_read_in_time(monkeypatch) -> None:
    """They are read some steps late; the step that is told is the first that was not finite."""
    begin = loop_module._Run.begin

    def as_on_a_gpu(run, *arguments):
        run.reads_every = 7
        begin(run, *arguments)

    monkeypatch.setattr(loop_module._Run, "begin", as_on_a_gpu)
    model = Number(0.0)
    calls = 0

    def loss(x, y):
        nonlocal calls
        calls += 1
        return model.weight.sum() * (math.nan if calls in (17, 19) else 1.0)

    with pytest.raises(TrainingDivergedError, match="got nan at step 17 "):
        train(model, loss, arrays(), training=Training(steps=60, evaluate_every=10))
    assert calls == 20
    assert model.weight.item() == pytest.approx(-0.01)
    with pytest.raises(TrainingDivergedError, match="got nan at step 37 "):
        fit(nan_after(36), evaluate=False)
    model = Number(0.0)
    assert len(descend(model, steps=20, evaluate_every=9).losses) == 20


def nan_after(step: int):
    class Spoiled(ArrayBatches):
        count = 0

        def next(self):
            self.count += 1
            x, y = super().next()
            return x, y * (math.nan if self.count > step else 1.0)

    return lambda: Spoiled(*data(), 16, 3)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_held_out_loss_that_is_not_finite_is_not_kept(bad) -> None:
    model = Number(0.0)
    history = descend(
        model,
        held_out=held_out_values(bad, 2.0, bad, 1.0, bad),
        evaluate_every=2,
        patience=None,
    )
    assert (history.best_step, history.best_loss) == (8, 1.0)
    assert model.weight.item() == pytest.approx(-0.8)


@pytest.mark.parametrize("patience", [2, None])
def test_held_out_losses_that_are_all_not_finite(patience) -> None:
    model = Number(1.0)
    sentence = (
        "held_out must return a finite loss at one evaluation at least, got nan at step 2, inf at "
        "step 4.* with learning_rate=0.1. Lower the learning rate"
    )
    with pytest.raises(TrainingDivergedError, match=sentence):
        descend(
            model,
            held_out=held_out_values(math.nan, math.inf, math.nan, math.nan, math.nan),
            evaluate_every=2,
            patience=patience,
        )
    assert model.weight.item() == 1.0


# ------------------------------------------------------------------------------ Ctrl-C


def interrupted_at(step: int):
    def before(call: int) -> None:
        if call == step:
            raise KeyboardInterrupt

    return before


def test_ctrl_c_keeps_the_best_evaluation() -> None:
    model, history = fit(before=interrupted_at(37))
    assert (history.ended, history.n_steps, len(history.rates)) == ("interrupted", 36, 36)
    assert [step for step, _ in history.evaluated] == [10, 20, 30]
    whole = fit(keep_snapshots=True)[1]
    assert history.losses == whole.losses[:36]
    assert_same_weights(dict(whole.snapshots[history.best_step]), weights(model))
    assert not model.training
    assert len(history.to_frame()) == 36


@pytest.mark.parametrize("evaluate", [False, True])
def test_ctrl_c_before_an_evaluation_keeps_what_is_there(evaluate) -> None:
    settings = {"schedule": "constant", "evaluate_every": None}
    model, history = fit(before=interrupted_at(8), evaluate=evaluate, **settings)
    assert (history.ended, history.n_steps, history.best_step) == ("interrupted", 7, 7)
    other, _ = fit(steps=7, evaluate=False, **settings)
    assert_same_weights(weights(other), weights(model))


def test_ctrl_c_without_evaluations_keeps_the_average_of_the_last_step() -> None:
    settings = {"schedule": "constant", "evaluate": False}
    model, history = fit(before=interrupted_at(37), **settings)
    assert history.best_step == 36
    assert_same_weights(weights(fit(steps=36, **settings)[0]), weights(model))


def test_ctrl_c_at_the_first_step_leaves_the_network_untrained() -> None:
    model, history = fit(before=interrupted_at(1))
    assert (history.ended, history.n_steps) == ("interrupted", 0)
    with seeded():
        assert_same_weights(weights(network()), weights(model))


def test_ctrl_c_in_an_evaluation() -> None:
    model = Number(0.0)

    def held_out() -> float:
        if model.weight.item() < -0.35:
            raise KeyboardInterrupt
        return 1.0 + model.weight.item()

    history = descend(model, held_out=held_out, evaluate_every=2)
    assert (history.ended, history.n_steps, history.best_step) == ("interrupted", 4, 2)
    assert model.weight.item() == pytest.approx(-0.2)


def test_ctrl_c_within_a_step_leaves_whole_steps() -> None:
    """Its loss is there, its weights are not."""
    model = Number(0.0)
    calls = 0

    def interrupt(gradient) -> None:
        nonlocal calls
        calls += 1
        if calls == 4:
            raise KeyboardInterrupt

    model.weight.register_hook(interrupt)
    history = descend(model)
    assert (history.ended, history.n_steps, history.best_step) == ("interrupted", 3, 3)
    assert len(history.losses) == len(history.rates) == 3
    assert model.weight.item() == pytest.approx(-0.3)


def test_ctrl_c_before_a_finite_held_out_loss_is_no_error() -> None:
    model = Number(0.0)

    def held_out() -> float:
        if model.weight.item() < -0.35:
            raise KeyboardInterrupt
        return math.nan

    history = descend(model, held_out=held_out, evaluate_every=2)
    assert (history.ended, history.n_steps, history.best_step) == ("interrupted", 4, 4)
    assert model.weight.item() == pytest.approx(-0.4)


def test_ctrl_c_after_the_weights_went_bad_keeps_none_of_them() -> None:
    model = Number(4.0)
    calls = 0

    def loss(x, y):
        nonlocal calls
        calls += 1
        if calls == 2:
            raise KeyboardInterrupt
        return (model.weight * 0.0).sqrt().sum()

    history = train(model, loss, arrays(), training=Training(steps=60))
    assert history.ended == "interrupted"
    assert model.weight.item() == 4.0


INTERRUPTED = """
import json
from tests.training.regression import fit, network, seeded

def before(call):
    if call == 200:
        print("ready", flush=True)

model, history = fit(before=before, steps=10**7, schedule="constant", evaluate_every=10)
with seeded():
    start = network()
print(json.dumps({
    "ended": history.ended,
    "lengths": [history.n_steps, len(history.rates), len(history.to_frame())],
    "moved": not bool((start[0].weight == model[0].weight).any()),
    "training": model.training,
}))
"""


@pytest.mark.slow
def test_a_real_ctrl_c() -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", INTERRUPTED],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    try:
        assert process.stdout is not None
        assert process.stdout.readline().strip() == "ready"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 0, err[-2000:]
    found = json.loads(out)
    assert found["ended"] == "interrupted"
    assert found["moved"]
    assert not found["training"]
    lengths = found["lengths"]
    assert lengths == [lengths[0]] * 3
    assert 199 <= lengths[0] < 10**6


# ------------------------------------------------------------------------------ other errors


def test_any_error_leaves_the_best_weights() -> None:
    model = Number(0.0)
    calls = 0

    def loss(x, y):
        nonlocal calls
        calls += 1
        if calls == 8:
            raise KilledError
        return model.weight.sum()

    training = Training(steps=10, evaluate_every=3, learning_rate=0.1)
    with pytest.raises(KilledError):
        train(model, loss, arrays(), training=training, held_out=held_out_values(1.0, 2.0))
    assert model.weight.item() == pytest.approx(-0.3)
    assert not model.training


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (1.5, "got 1.5"),
        (None, "got None"),
        (torch.zeros(3, requires_grad=True), r"got shape \(3,\)"),
        (torch.tensor(1.0), "got one without a gradient"),
    ],
)
def test_a_loss_that_is_none(value, shown) -> None:
    with pytest.raises(TypeError, match=f"loss must return a scalar tensor .* {shown}"):
        train(Number(1.0), lambda x, y: value, arrays(), training=Training(steps=5))


def test_a_network_without_weights() -> None:
    for model in (nn.Identity(), Number(1.0).requires_grad_(False)):
        with pytest.raises(ValueError, match="network must have parameters that require gradients"):
            train(model, lambda x, y: x.sum(), arrays(), training=Training(steps=5))


def test_steps_that_are_missing() -> None:
    with pytest.raises(ValueError, match="steps must be given, got None"):
        train(Number(1.0), lambda x, y: x.sum(), arrays(), training=Training())
