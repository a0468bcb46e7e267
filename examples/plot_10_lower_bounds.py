"""How wrong can a lower bound be?
===============================

Mutual information by a network has two parts: a critic that scores pairs, and a formula that reads a
number from the scores. This page gives the formulas the best critic there is, so that whatever is wrong
is their own, and looks at what the number of pairs does to them. Then it trains.
"""

import math
import os

import matplotlib.pyplot as plt
import numpy as np
import torch

import infoest
from infoest.datasets import correlated_normal
from infoest.functional import ScoreHistogram, ScoreStatistics
from infoest.training import Training

SMALL = "INFOEST_SMALL" in os.environ
DIM = 5
FEW, MANY = 64, 128 if SMALL else 2048

# %%
# Of normal pairs the log density ratio log p(x, y) / (p(x) p(y)) is known. It is the best critic for all
# the formulas below.


def log_ratio(x, y, mi):
    """Return the exact scores of all pairs, one row for each x, one column for each y."""
    square = -math.expm1(-2.0 * mi / DIM)
    x, y = torch.as_tensor(x), torch.as_tensor(y)
    cross = 2.0 * math.sqrt(square) * x @ y.T
    own = square * (x.square().sum(dim=1)[:, None] + y.square().sum(dim=1))
    return mi + (cross - own) / (2.0 * (1.0 - square))


def readings(scores):
    """Return what every formula reads from a matrix whose diagonal scores the joint pairs."""
    positions = torch.arange(len(scores))
    statistics = ScoreStatistics(clips=(5.0,))
    statistics.add(scores, positions)
    histogram = ScoreHistogram()
    histogram.add(scores, positions)
    line = histogram.calibrate(statistics.joint, negatives=64)
    return {
        "InfoNCE": statistics.infonce(),
        "DonskerVaradhan": statistics.donsker_varadhan(),
        "NWJ": statistics.nwj(offset=0.0),
        "SMILE": statistics.smile(5.0),
        "NoiseContrastive": float(line(statistics.joint).mean()),
    }


# %%
# The formulas are those of `infoest.functional`, there for one matrix that is held whole and can be
# differentiated, here (`ScoreStatistics`) for rows that come in blocks:
x, y, mi = correlated_normal(FEW, mi=3.0, dim=DIM, random_state=0)
scores = log_ratio(x, y, mi)
print(f"truth {mi}, InfoNCE {infoest.functional.infonce(scores):.4f}", readings(scores)["InfoNCE"])

# %%
# The same over many samples: mean and spread of every reading, for 64 and for 2048 pairs.
truths = np.array([1.0, 4.0, 8.0]) if SMALL else np.array([0.5, 2, 4, 6, 8, 10, 12])
repeats = {FEW: 20 if SMALL else 100, MANY: 3 if SMALL else 5}
colors = {"InfoNCE": "C0", "DonskerVaradhan": "C1", "NWJ": "C2", "SMILE": "C3"}
colors["NoiseContrastive"] = "k"
figure, axes = plt.subplots(2, 2, sharex=True, sharey="row", figsize=(9, 6.4), layout="tight")
for (top, bottom), n in zip(axes.T, (FEW, MANY), strict=True):
    found = [
        [
            readings(log_ratio(*correlated_normal(n, mi=mi, dim=DIM, random_state=seed)))
            for seed in range(repeats[n])
        ]
        for mi in truths
    ]
    for name, color in colors.items():
        values = np.array([[one[name] for one in repeated] for repeated in found])
        top.plot(truths, values.mean(axis=1), "o-", color=color, markersize=4, label=name)
        spread = values.std(axis=1, ddof=1)
        bottom.plot(truths, spread, "o-", color=color, markersize=4)
    top.plot(truths, truths, color="gray", linestyle="--", label="truth")
    top.axhline(math.log(n), color="gray", linestyle=":", label="log n")
    least = np.sqrt(np.expm1(truths) / (n * (n - 1)))
    bottom.plot(truths, least, color="gray", linestyle="-.", label="least of NWJ")
    for ax in (top, bottom):
        ax.axvline(math.log(n), color="gray", linestyle=":", linewidth=1)
    top.set(title=f"{n} pairs, log n = {math.log(n):.2f}", ylim=(-1, 17))
    bottom.set(yscale="log", ylim=(5e-4, 100), xlabel="true mutual information (nats)")
axes[0, 0].set_ylabel("mean reading (nats)")
axes[1, 0].set_ylabel("standard deviation (nats)")
axes[0, 1].legend(fontsize="small", loc="upper left", ncols=2)
axes[1, 1].legend(fontsize="small", loc="upper left")
plt.show()

# %%
# The critic is exact; whatever is off the dashed line is the formula:
#
# - InfoNCE bends long before log n, and stays below it for ever. It scatters least there: values that agree
#   so well look trustworthy.
# - NWJ and DonskerVaradhan go on, but the mean of exp(score) in them rests on ever fewer pairs. NWJ is right
#   on average, over more samples than anyone has: its variance is at least (exp(I) - 1) / (n (n - 1)), by
#   Song and Ermon (2020). The logarithm in DonskerVaradhan makes a bias of it: on 64 pairs the mean of this
#   "lower bound" is above the truth from 6 nats on.
# - SMILE clips the scores that scatter, and with them a part of the partition term: above the truth by up
#   to its clip (5), whatever the number of pairs. It is no bound.
# - NoiseContrastive reads the mean of calibrated scores, and follows the truth on 2048 pairs. On 64 it
#   scatters above 6 nats: where every joint pair scores above all others, the scores do not say how far.
#
# Only InfoNCE has a cap, but what the others can read grows with n as well: about 6 nats on 64 pairs, 12 on
# 2048. Held-out pairs are cheap, one matrix product for all their negatives: never read a batch of 64.
#
# Now with critics that are trained: 300 steps on 6000 pairs, then read on fresh pairs. Crosses: batches of
# 64, as a training loop would print them. Circles: 2048 pairs with all their negatives.
truths = [2.0, 4.0] if SMALL else [2.0, 5.0, 8.0]
training = Training(steps=10 if SMALL else 300, batch_size=128)
estimators = [getattr(infoest, name)(training=training) for name in colors]
figure, ax = plt.subplots(figsize=(7.4, 4), layout="constrained")
sayings = []
for mi in truths:
    x, y, _ = correlated_normal(400 if SMALL else 6000, mi=mi, dim=DIM, random_state=0)
    new_x, new_y, _ = correlated_normal(MANY, mi=mi, dim=DIM, random_state=1)
    for place, estimator in enumerate(estimators):
        name = type(estimator).__name__
        fitted = estimator.fit(x, y)
        batches = [
            fitted.evaluate(new_x[rows : rows + FEW], new_y[rows : rows + FEW]).value
            for rows in range(0, MANY, FEW)
        ]
        estimate = fitted.evaluate(new_x, new_y)
        at = mi + 0.3 * (place - 2)
        label = name if mi == truths[0] else None
        ax.scatter([at] * len(batches), batches, 16, colors[name], marker="x", alpha=0.5)
        ax.scatter(at, estimate.value, 36, colors[name], label=label)
        sayings.append((mi, estimate))
for mi in truths:
    ax.hlines(mi, mi - 0.8, mi + 0.8, color="gray", linestyle="--")
for n in (FEW, MANY):
    ax.axhline(math.log(n), color="gray", linestyle=":")
    at = (truths[0] - 1.0, math.log(n))
    ax.annotate(f"log {n}", at, (0, 3), textcoords="offset points", color="gray")
ax.set(xlabel="true mutual information (nats)", ylabel="reading (nats)", xticks=truths)
ax.legend(fontsize="small")
plt.show()

# %%
# A critic that learned too little makes every value too low, and SMILE's two errors meet on the way. No
# formula can know what a critic did not learn, and the intervals of `evaluate`, here of 8 nats, are those of
# the new pairs alone:
for mi, estimate in sayings:
    if mi == truths[-1]:
        print(f"truth {mi:g}:", estimate)

# %%
# `estimate` trains longer, on several folds, and adds what it saw there: values on trained and on other
# pairs, and whether more steps would find more. These data are kind to the default critic, which contains
# the log ratio of normal laws; what other laws do to it stands under
# `Variational estimators <../variational_estimators.html>`_.
