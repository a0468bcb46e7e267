"""Diffusion spectral entropy of a layer
=====================================

How the codes of a hidden layer spread while a network learns, measured by the spectrum of a random
walk on them; and why the value means nothing without its bandwidth and time.
"""

import os

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits

import infoest

SMALL = "INFOEST_SMALL" in os.environ
n_probe, n_steps = (150, 60) if SMALL else (600, 1000)

# %%
# A small network learns scikit-learn's digits. At some steps the codes of its last hidden layer, 16
# numbers between -1 and 1, are kept for digits that it is not trained on.
digits, labels = load_digits(return_X_y=True)
order = np.random.default_rng(0).permutation(len(digits))
digits = torch.tensor(digits[order] / 16.0, dtype=torch.float32)
labels = torch.tensor(labels[order])
probe, y_probe = digits[:n_probe], labels[:n_probe]
train, y_train = digits[n_probe:], labels[n_probe:]

torch.manual_seed(0)
hidden = torch.nn.Sequential(
    torch.nn.Linear(64, 64), torch.nn.Tanh(), torch.nn.Linear(64, 16), torch.nn.Tanh()
)
output = torch.nn.Linear(16, 10)
optimizer = torch.optim.Adam([*hidden.parameters(), *output.parameters()], lr=2e-3)
kept = np.unique(np.geomspace(1, n_steps, 6 if SMALL else 16).astype(int)) - 1
codes, accuracies = [], []
for step in range(n_steps):
    if step in kept:
        with torch.no_grad():
            codes.append(hidden(probe).numpy())
            hits = output(hidden(probe)).argmax(dim=1) == y_probe
            accuracies.append(hits.double().mean().item())
    rows = torch.randint(len(train), (64,))
    loss = torch.nn.functional.cross_entropy(output(hidden(train[rows])), y_train[rows])
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()

# %%
# The codes, in the plane of their two largest components and in one scale: they spread, and fall
# into groups.
figure, axes = plt.subplots(1, 3, figsize=(9, 3.2), sharex=True, sharey=True, layout="constrained")
shown = [0, len(kept) // 2, len(kept) - 1]
for ax, i in zip(axes, shown, strict=True):
    centered = codes[i] - codes[i].mean(axis=0)
    components = centered @ np.linalg.svd(centered, full_matrices=False)[2][:2].T
    ax.scatter(*components.T, c=y_probe, cmap="tab10", s=6)
    ax.set_title(f"step {kept[i]}, accuracy {accuracies[i]:.0%}", fontsize="medium")
    ax.set_aspect("equal")
plt.show()

# %%
# Diffusion spectral entropy counts the modes of a random walk that jumps about one bandwidth far.
# An absolute bandwidth sees the codes spread: the curves rise toward log n, where the walk cannot
# leave a code. The published default, 10, is wider than this whole layer and sees little. The
# median distance grows with the codes, so that only their shape counts: groups have fewer modes.
# Longer times leave only the slow modes, those between groups.
bandwidths = [0.3, 1.0, 2.0, 10.0, "median"]
times = [1, 2, 5]
figure, axes = plt.subplots(1, 2, figsize=(9, 3.6), sharey=True, layout="constrained")
for i, bandwidth in enumerate(bandwidths):
    estimator = infoest.DiffusionSpectralEntropy(bandwidth=bandwidth)
    values = [estimator.estimate(code, block=1).value for code in codes]
    style = "k--" if bandwidth == "median" else f"C{i}-"
    axes[0].plot(kept + 1, values, style, marker=".", label=f"bandwidth {bandwidth}")
for i, t in enumerate(times):
    estimator = infoest.DiffusionSpectralEntropy(bandwidth=1.0, t=t)
    values = [estimator.estimate(code, block=1).value for code in codes]
    axes[1].plot(kept + 1, values, f"C{i + 4}-", marker=".", label=f"bandwidth 1, t = {t}")
for ax in axes:
    ax.axhline(np.log(n_probe), color="0.7", linewidth=1)
    ax.annotate("log n", (1, np.log(n_probe)), xytext=(0, -11), textcoords="offset points")
    ax.set_xscale("log")
    ax.set_xlabel("step + 1")
    ax.legend(fontsize="small", ncols=2, loc="upper left", frameon=False)
axes[0].set_ylim(-0.2, 1.4 * np.log(n_probe))
axes[0].set_ylabel("diffusion spectral entropy (nats)")
plt.show()

# %%
# What is wrong with a bandwidth is said:
for bandwidth in (0.01, 10.0):
    e = infoest.DiffusionSpectralEntropy(bandwidth=bandwidth).estimate(codes[-1], block=1)
    print(e)

# %%
# Diffusion spectral mutual information with the digit: how much less the codes of one digit spread
# over modes than as many codes of any digit. It starts above 0, since the pixels know the digit. At
# the median distance it grows as the groups part; at a fixed bandwidth it measures the spread of
# the codes, too, and need not grow.
figure, ax = plt.subplots(figsize=(5, 3.4), layout="constrained")
for color, bandwidth in (("C1", 1.0), ("k", "median")):
    estimator = infoest.DiffusionSpectralMI(bandwidth=bandwidth)
    found = [estimator.estimate(code, y_probe, block=1) for code in codes]
    ax.errorbar(
        kept + 1,
        [e.value for e in found],
        [2.0 * e.std_error for e in found],
        color=color,
        marker=".",
        label=f"bandwidth {bandwidth}",
    )
ax.plot(kept + 1, accuracies, "C2:", label="accuracy")
ax.set_xscale("log")
ax.set_xlabel("step + 1")
ax.set_ylabel("diffusion spectral MI (nats)")
ax.legend(fontsize="small")
plt.show()

# %%
# It is not Shannon's information: the ten digits, were they perfectly told apart, would be worth
# log 10 = 2.3 nats of that. Only comparisons at one bandwidth, time and number of rows mean
# something, and a p-value by permutations.
e = infoest.DiffusionSpectralMI(bandwidth="median").estimate(
    codes[0], y_probe, n_permutations=50, block=1
)
print(e)
