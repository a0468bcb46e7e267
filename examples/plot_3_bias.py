"""Bias: dimension, sample size, and log n
=======================================

Estimators do not only scatter, they lean to one side. Normal pairs, whose mutual information is
known, show by how much, and whether the interval knows.
"""

import os

import matplotlib.pyplot as plt
import numpy as np

import infoest
from infoest.datasets import correlated_normal

SMALL = "INFOEST_SMALL" in os.environ

# %%
# Nearest neighbors move away from a point as columns are added, and a dependence that is finer
# than the distance to them is not seen. The value falls behind; the interval allows for the bias
# measured on surrogates, and grows where little is known. The Gaussian copula has the right model
# for these data and needs no neighbors.
dimensions = [1, 2, 3, 5] if SMALL else [1, 2, 3, 4, 5, 7, 10]
sizes = [200] if SMALL else [200, 2000]
figure, axes = plt.subplots(
    1, len(sizes), figsize=(4.2 * len(sizes), 3.6), sharey=True, squeeze=False, layout="constrained"
)
for ax, n in zip(axes.flat, sizes, strict=True):
    ax.plot(dimensions, [0.35 * d for d in dimensions], "k--", label="truth")
    for color, method, shift in (("C0", "ksg", -0.1), ("C1", "gaussian_copula", 0.1)):
        values, lows, highs = [], [], []
        for d in dimensions:
            x, y, _ = correlated_normal(n, mi=0.35 * d, dim=d, random_state=1)
            e = infoest.estimate(x, y, method)
            values.append(e.value)
            lows.append(e.interval[0])
            highs.append(e.interval[1])
        at = np.asarray(dimensions) + shift
        ax.vlines(at, lows, highs, color=color, alpha=0.4, linewidth=5)
        ax.plot(at, values, "o", color=color, label=method)
    ax.set_title(f"n = {n}", fontsize="medium")
    ax.set_xlabel("columns on each side")
axes[0, 0].set_ylabel("mutual information (nats)")
axes[0, 0].legend(loc="upper left")
plt.show()

# %%
# The warnings name the reason:
x, y, truth = correlated_normal(200, mi=3.5, dim=10, random_state=1)
e = infoest.estimate(x, y, "ksg")
print(f"truth {truth} nats, estimate {e}")
for code, sentence in e.warnings:
    print(f"- {code}: {sentence}")

# %%
# No method that compares samples with each other can find more than about log n nats, the
# information that tells n rows apart. Where x determines y the truth is infinite, and the value of
# nearest neighbors reports the sample size. Bins do, too, until every bin is full; then they report
# the entropy of the bins.
sizes = [50, 100, 200, 400] if SMALL else [50, 100, 200, 400, 800, 1600, 3200]
found = {"ksg": [], "binned": []}
for n in sizes:
    x = np.random.default_rng(0).standard_normal((n, 2))
    for method, values in found.items():
        values.append(infoest.estimate(x, x, method, confidence=None))
figure, ax = plt.subplots(figsize=(5, 3.4), layout="constrained")
ax.plot(sizes, np.log(sizes), "k--", label="log n")
for method, values in found.items():
    ax.plot(sizes, [e.value for e in values], "o-", label=f"{method}, I(X;X)")
ax.set_xscale("log")
ax.set_xlabel("n")
ax.set_ylabel("nats")
ax.legend()
plt.show()

# %%
# Both say so in their warnings:
for values in found.values():
    print(values[0])
