"""Quickstart: the iris flowers
============================

How much do the sepals of a flower say about its petals, which measurement says most about the
species, and how sure are we?
"""

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

import infoest

iris = pd.read_csv("data/iris.csv")
iris.head()

# %%
# One call gives the value in nats, its 95 % interval, and the p-value of independence. Each side may
# have several columns; ``method="auto"`` looked at the data and chose.
sepals, petals = iris.filter(like="sepal"), iris.filter(like="petal")
e = infoest.estimate(sepals, petals, n_permutations=200)
print(e)

# %%
# Why that method? And what is there to beware of?
print(e.info["reason"])
for code, sentence in e.warnings:
    print(f"- {code}: {sentence}")

# %%
# The species are labels: name that side in ``discrete``. No measurement can say more about three
# equally frequent species than log 3 nats, the dashed line. An interval belongs to the value less
# its measured bias, so the value may stand at its end.
figure, ax = plt.subplots(figsize=(6, 2.4), layout="constrained")
for row, name in enumerate([*sepals, *petals]):
    found = infoest.estimate(iris[name], iris["species"], discrete="y")
    print(f"{name:12s} {found}")
    ax.plot(found.interval, (row, row), "C0", linewidth=5, alpha=0.4, solid_capstyle="butt")
    ax.plot(found.value, row, "C0o")
ax.axvline(np.log(3), color="0.5", linestyle="--")
ax.set_yticks(range(4), [*sepals, *petals])
ax.set_ylim(3.5, -0.5)
ax.set_xlabel("mutual information with the species (nats)")
plt.show()

# %%
# All pairs at once, as a heat map in clustered order. The diagonal is left out: a continuous column
# says infinitely much about itself.
table = infoest.matrix(iris, discrete=["species"], n_jobs=1)
figure, ax = plt.subplots(figsize=(5.5, 4.5), layout="constrained")
# sphinx_gallery_thumbnail_number = 2
table.plot(ax)
plt.show()

# %%
# The same from the command line::
#
#     infoest estimate data/iris.csv -x "sepal*" -y "petal*" --permutations 200
#     infoest matrix data/iris.csv -o iris.png
