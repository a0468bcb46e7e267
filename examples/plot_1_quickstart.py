"""Quickstart: the iris flowers
============================

How much do the sepals of a flower say about its petals, which measurement says most about the
species, and how sure are we?
"""

import matplotlib.pyplot as plt
import pandas as pd

import infoest

iris = pd.read_csv("data/iris.csv")
iris.head()

# %%
# One call gives the value in nats, its 95 % interval, and what to beware of. Two columns a side
# are no problem; ``method="auto"`` looked at the data and chose.
sepals, petals = iris.filter(like="sepal"), iris.filter(like="petal")
e = infoest.estimate(sepals, petals, n_permutations=200)
print(e)

# %%
# Why that method, and what does every warning mean?
print(e.info["reason"])
for code, sentence in e.warnings:
    print(f"- {code}: {sentence}")

# %%
# The interval belongs to the value less its measured bias, so it need not lie around the value.
# ``plot`` shows it beside the other candidates.
figure, ax = plt.subplots(figsize=(6, 2.2), layout="constrained")
e.plot(ax)
plt.show()

# %%
# The species are labels: name that side in ``discrete``. No measurement can say more about three
# equally frequent species than log 3 = 1.099 nats, or 1.585 bits.
for name in [*sepals, *petals]:
    found = infoest.estimate(iris[name], iris["species"], discrete="y").to("bits")
    low, high = found.interval
    print(f"{name:13s} {found.value:.2f} bits, 95 % interval {low:.2f} to {high:.2f}")

# %%
# All pairs at once, as a heat map in clustered order. The diagonal (a continuous column says
# infinitely much about itself) is left out.
table = infoest.matrix(iris, discrete=["species"], n_jobs=1)
figure, ax = plt.subplots(figsize=(5.5, 4.5), layout="constrained")
table.plot(ax)
plt.show()
