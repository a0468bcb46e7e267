"""The staircase: one network all the way up
==========================================

The usual test of an estimator that trains a network: pairs whose information rises from 2 to 10 nats in
steps, fresh pairs at every step of the training, and one network that has to follow. It shows how fast a
network learns more information, and what a reading is worth where there is much of it.
"""

import math
import os

import matplotlib.pyplot as plt
import torch

import infoest
from infoest.critics import SeparableCritic
from infoest.datasets import suite
from infoest.functional import ScoreHistogram, ScoreStatistics, bounds
from infoest.training import Training, train

SMALL = "INFOEST_SMALL" in os.environ
STEPS = 40 if SMALL else 800
BATCH, FRESH = 64, 256 if SMALL else 2048
tasks = [task for task in suite("staircase") if "-normal-" in task.name]
print([task.name for task in tasks])

# %%
# A stream of batches is any object with `next`; this one goes up a stair every 800 steps. 4000 are usual
# (and in `benchmarks/staircase.py`, which has all estimators and laws).


class Stairs:
    """Fresh pairs at every step, one stair after the other."""

    per_epoch = None

    def __init__(self):
        self.step = 0

    def pairs(self, n, seed):
        """Return n pairs of the present stair."""
        x, y = tasks[min(self.step // STEPS, len(tasks) - 1)].sample(n, seed)
        return torch.from_numpy(x).float(), torch.from_numpy(y).float()

    def next(self):
        """Return the next batch."""
        batch = self.pairs(BATCH, self.step)
        self.step += 1
        return batch

    def fingerprint(self):
        """Return what tells this stream from others."""
        return "stairs"


# %%
# Three objectives; the value is read from the training batch, as it is usually shown, and every 50 steps
# from 2048 fresh pairs, by the formula that belongs to the objective.


def values(name, scores):
    """Return what an estimator reads from scores."""
    places = torch.arange(len(scores))
    statistics, histogram = ScoreStatistics(clips=(5.0,)), ScoreHistogram()
    statistics.add(scores, places)
    if name == "InfoNCE":
        return statistics.infonce()
    if name == "SMILE":
        return statistics.smile(5.0)
    histogram.add(scores, places)
    line = histogram.calibrate(statistics.joint, negatives=64)
    return float(line(statistics.joint).mean())


objectives = {
    "InfoNCE": bounds.infonce,
    "SMILE": bounds.jensen_shannon,
    "NoiseContrastive": bounds.noise_contrastive,
}
figure, axes = plt.subplots(1, 3, sharey=True, figsize=(10, 3.6), layout="constrained")
for ax, (name, objective) in zip(axes, objectives.items(), strict=True):
    torch.manual_seed(0)
    stairs, critic = Stairs(), SeparableCritic(20, 20)
    batch_values, fresh_values = [], []

    def loss(
        x, y, critic=critic, objective=objective, name=name, stairs=stairs, found=batch_values
    ):
        """Return the loss of a batch, and keep every tenth value."""
        scores = critic(x, y)
        if stairs.step % 10 == 0:
            found.append((stairs.step, values(name, scores.detach())))
        return -objective(scores)

    def read(critic=critic, stairs=stairs, name=name, found=fresh_values):
        """Keep the value of fresh pairs; no step is chosen by it."""
        found.append((stairs.step, values(name, critic(*stairs.pairs(FRESH, 10**6 + stairs.step)))))
        return 0.0

    settings = Training(
        steps=STEPS * len(tasks),
        learning_rate=2e-3,
        averaging=0.99,
        evaluate_every=50,
        patience=None,
    )
    train(critic, loss, stairs, training=settings, held_out=read)
    ax.plot(
        *zip(*batch_values, strict=True), color="C0", alpha=0.4, linewidth=0.6, label="batch of 64"
    )
    ax.plot(
        *zip(*fresh_values, strict=True), ".", color="k", markersize=3, label=f"{FRESH} fresh pairs"
    )
    truth = [task.mi for task in tasks for _ in range(2)]
    edges = [STEPS * (place // 2 + place % 2) for place in range(2 * len(tasks))]
    ax.plot(edges, truth, color="C3", label="truth")
    for n in (BATCH, FRESH):
        ax.axhline(math.log(n), color="gray", linestyle=":", linewidth=1)
    ax.set(title=name, xlabel="step", ylim=(-0.5, 14))
axes[0].set_ylabel("mutual information (nats)")
axes[0].legend(fontsize="small", loc="upper left")
plt.show()

# %%
# InfoNCE ends at the log of the number of pairs (dotted), in the batch at 4.2 nats: up there a batch says
# nothing, and 2048 fresh pairs say a little more. SMILE comes near the truth by two errors that nearly
# cancel: its clip adds to the value, and its critic is still too low; with the
# `best critic <plot_10_lower_bounds.html>`_ it is above. `NoiseContrastive` follows: its scores are log
# density ratios, and their mean on fresh pairs, calibrated, is information. Batches scatter in all three:
# read fresh pairs, and many.
#
# On a fixed sample there are no fresh pairs; `estimate` keeps some apart in every fold:
x, y = tasks[1].sample(1000 if SMALL else 5000, 0)
few = Training(steps=20) if SMALL else None
print(f"truth {tasks[1].mi:g}:", infoest.NoiseContrastive(training=few, n_splits=2).estimate(x, y))
