"""Transfer entropy: who drives whom
=================================

Two series, of which the first drives the second. Their correlation is symmetric; transfer entropy
is not: it asks what the past of one adds to what the past of the other already says about its next
value. For this process the truth is known.
"""

import os

import matplotlib.pyplot as plt
import numpy as np

import infoest
from infoest.datasets import var_process

SMALL = "INFOEST_SMALL" in os.environ
n = 300 if SMALL else 1000

sample = var_process(n, coefficients=((0.6, 0.0), (0.4, 0.6)), random_state=0)
figure, ax = plt.subplots(figsize=(8, 2.4), layout="constrained")
ax.plot(sample.source[:150], label="source")
ax.plot(sample.target[:150] - 6, label="target")
ax.set_yticks([])
ax.set_xlabel("time")
ax.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=2, frameon=False)
plt.show()

# %%
# The p-value comes from circular shifts of the source, which keep the dynamics of each series and
# break their coupling.
surrogates = 50 if SMALL else 200
for name, pair in {
    "source to target": (sample.source, sample.target),
    "target to source": (sample.target, sample.source),
}.items():
    e = infoest.transfer_entropy(*pair, method="gaussian_copula", n_surrogates=surrogates)
    print(f"{name}: {e}")
    print(f"    value less the mean of its surrogates: {e.info['effective']:.4f}")

# %%
# Both directions against the strength of the coupling, by a method that knows the process is
# normal and by one that does not. Lines are the truth, bars 95 % intervals.
couplings = [0.0, 0.3, 0.6] if SMALL else [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
methods = ["gaussian", "ksg"]
truths, found = [], {method: ([], []) for method in methods}
for coupling in couplings:
    source, target, *truth = var_process(
        n, coefficients=((0.6, 0.0), (coupling, 0.6)), random_state=1
    )
    truths.append(truth)
    for method, directions in found.items():
        directions[0].append(infoest.transfer_entropy(source, target, method=method))
        directions[1].append(infoest.transfer_entropy(target, source, method=method))

figure, axes = plt.subplots(1, 2, figsize=(8, 3.4), sharey=True, layout="constrained")
for ax, method in zip(axes, methods, strict=True):
    for row, name in enumerate(("source to target", "target to source")):
        values, color = found[method][row], f"C{row}"
        ax.plot(couplings, [truth[row] for truth in truths], color=color, linewidth=1)
        at = np.asarray(couplings) + 0.015 * row
        ax.plot(at, [e.value for e in values], "o", color=color, label=name)
        lows, highs = zip(*(e.interval for e in values), strict=True)
        ax.vlines(at, lows, highs, color=color, alpha=0.4, linewidth=5)
    ax.set_title(method, fontsize="medium")
    ax.set_xlabel("coupling")
axes[0].set_ylabel("transfer entropy (nats)")
axes[0].legend()
plt.show()
