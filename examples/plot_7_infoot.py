"""Aligning two data sets without pairs
====================================

Two tables describe the same patients, but nobody knows which rows belong together. InfoOT looks for
the matching under which the two tables say most about each other; it needs no common columns. Where
there are some, fused InfoOT weighs that information against the distances, and maps rows that it has
not seen.
"""

import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer
from sklearn.decomposition import PCA
from sklearn.neighbors import KNeighborsClassifier
from sklearn.preprocessing import StandardScaler

from infoest.transport import FusedInfoOT, infoot

SMALL = "INFOEST_SMALL" in os.environ
rng = np.random.default_rng(0)

# %%
# Ten measurements of the cell nuclei of 569 tumors: their means are one table, their most extreme
# values the other, with its rows shuffled. Scikit-learn ships both in one.
data = load_breast_cancer()
rows = rng.permutation(len(data.data))[: 120 if SMALL else 569]
logs, malignant = np.log(data.data[rows] + 0.01), data.target[rows] == 0
means, extremes = logs[:, :10], logs[:, 20:]
order = rng.permutation(len(rows))
x = StandardScaler().fit_transform(means)
y = PCA(5).fit_transform(StandardScaler().fit_transform(extremes))[order]
found = infoot(x, y)
print(f"columns: {x.shape[1]} and {y.shape[1]}, converged: {found.converged}")
print(f"information of the plan: {found.information:.3f} nats")

# %%
# The plan carries anything known of one table to the other: here the first principal component of
# the means, and the diagnosis. Neither was used. On the right the true values stand against the
# carried ones. Only distances inside the tables count, so that a mirror image of a symmetric cloud
# would do as well; this one is lopsided.
plan = found.plan.numpy()
component = PCA(1).fit_transform(x)[:, 0]
carried = len(rows) * plan.T @ component
in_common = plan[malignant[:, None] == malignant[order]].sum()
chance = np.mean(malignant[:, None] == malignant)
print(f"mass between equal diagnoses: {in_common:.2f} (by chance {chance:.2f})")
print(f"correlation with the truth: {np.corrcoef(carried, component[order])[0, 1]:.2f}")

figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
limits = {"vmin": np.quantile(component, 0.02), "vmax": np.quantile(component, 0.98)}
views = (("means", PCA(2).fit_transform(x), component), ("extremes", y, carried))
for ax, (name, points, color) in zip(axes, views, strict=False):
    ax.scatter(points[:, 0], points[:, 1], c=color, s=8, **limits)
    ax.set_title(f"{name}, color: component of the means", fontsize="medium")
    ax.set_xticks([])
    ax.set_yticks([])
for sick, color in ((False, "C0"), (True, "C3")):
    chosen = malignant[order] == sick
    axes[2].plot(carried[chosen], component[order][chosen], ".", color=color, markersize=4)
axes[2].legend(["benign", "malignant"], fontsize="small")
axes[2].set_xlabel("carried by the plan")
axes[2].set_ylabel("true component of the means")
plt.show()

# %%
# Now both tables have the same columns in the same units, but one is shifted: extremes are larger
# than means. A classifier trained on the means of some patients fails on the extremes of others. A
# plan between the two moves the means over. Plain transport (weight 0) sends part of each group to
# the other; the information keeps groups together.
part = len(rows) // 3
first, second, unseen = np.split(np.arange(3 * part), 3)
center, spread = means[first].mean(axis=0), means[first].std(axis=0)
source, target, new = (
    (side - center) / spread for side in (means[first], extremes[second], means[unseen])
)
neighbors = KNeighborsClassifier(5)
raw = neighbors.fit(source, malignant[first]).score(target, malignant[second])
print(f"trained on means, tested on extremes: {raw:.2f} right")

weights = [0, 0.3, 1, 3, 10, 30, 100]
same = malignant[first][:, None] == malignant[second]
kept = []
for weight in weights:
    solver = FusedInfoOT(information_weight=weight).fit(source, target)
    kept.append(solver.plan_.numpy()[same].sum())
    images = solver.project(source, kind="barycentric")
    right = neighbors.fit(images, malignant[first]).score(target, malignant[second])
    print(f"weight {weight:5g}: mass between equal diagnoses {kept[-1]:.2f}, right {right:.2f}")

figure, axes = plt.subplots(1, 2, figsize=(8, 2.8), layout="constrained")
axes[0].plot(kept, "o-")
axes[0].set_xticks(range(len(weights)), weights)
axes[0].set_xlabel("weight of the information")
axes[0].set_ylabel("mass between equal diagnoses")
axes[1].plot(found.objective, ".-")
axes[1].set_xlabel("step of the first plan")
axes[1].set_ylabel("objective (nats)")
plt.show()

# %%
# The objective falls at every step, on the right, by construction: a step that would raise it is
# halved.
#
# New patients, in neither table, are mapped by the kernels of the fit: the conditional mean under the
# plan's densities, or the row that the plan would have for them.
solver = FusedInfoOT(information_weight=10).fit(source, target)
flat = PCA(2).fit(np.vstack([source, target]))
figure, axes = plt.subplots(1, 3, figsize=(10, 3.4), layout="constrained")
images = {kind: solver.project(new, kind=kind).numpy() for kind in ("conditional", "barycentric")}
clouds = (("before", new), *images.items())
for ax, (name, moved) in zip(axes, clouds, strict=True):
    ax.plot(*flat.transform(target).T, ".", color="0.8", markersize=4)
    for sick, color in ((False, "C0"), (True, "C3")):
        ax.plot(*flat.transform(moved[malignant[unseen] == sick]).T, ".", color=color, markersize=4)
    score = neighbors.fit(target, malignant[second]).score(moved, malignant[unseen])
    ax.set_title(f"{name}: {score:.2f} right", fontsize="medium")
    ax.set_xticks([])
    ax.set_yticks([])
axes[0].legend(["extremes", "new, benign", "new, malignant"], fontsize="small")
plt.show()
