"""Do the values fit each other?
=============================

Nobody knows the mutual information of two halves of a picture. But whatever it is, three things are
certain: more of a picture never says less, a copy says nothing new, and two independent pictures say
twice as much as one. Song and Ermon (2020) test estimators by these, without any true value.
"""

import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import infoest
from infoest.training import Training

SMALL = "INFOEST_SMALL" in os.environ
# Two folds and few steps keep the picture quick: by default there are five and up to 1600.
SHORT = {"n_splits": 2, "training": Training(steps=20 if SMALL else 200)}
ESTIMATORS = [
    infoest.NoiseContrastive(**SHORT),
    infoest.SMILE(clip=5.0, **SHORT),
    infoest.InfoNCE(**SHORT),
    infoest.JensenShannon(**SHORT),
    infoest.GaussianCopula(),
]

# %%
# X is a handwritten digit of 8 x 6 pixels (the outer columns are almost always blank), Y its first
# rows. Noise of a third of each pixel's standard deviation is added to Y: without it, Y is a function
# of X, and for continuous pixels every true value is infinite.
digits = load_digits().images[:, :, 1:7]
if SMALL:
    digits = digits[:400]
rng = np.random.default_rng(0)
noisy = digits + digits.std(axis=0) * rng.standard_normal(digits.shape) / 3

figure, axes = plt.subplots(2, 6, figsize=(7, 3), layout="constrained")
for column, ax in enumerate(axes[0]):
    ax.imshow(digits[column], cmap="gray_r")
    seen = np.where(np.arange(8)[:, None] < column + 2, noisy[column], np.nan)
    axes[1, column].imshow(seen, cmap="gray_r")
    axes[1, column].set_xlabel(f"{column + 2} rows", fontsize="small")
for ax in axes.flat:
    ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("X")
axes[1, 0].set_ylabel("Y")
plt.show()

# %%
# The three tests of five estimators. Dashed: what every correct set of values does. Circles mark
# steps at which a value falls.
figure, axes = plt.subplots(1, 3, figsize=(10.5, 3.6), layout="constrained")
for estimator in ESTIMATORS:
    found = infoest.analysis.self_consistency(
        estimator, digits, steps=2 if SMALL else 5, noise=1 / 3, random_state=0
    )
    found.plot(axes)
    print(found, end="\n\n")
plt.show()

# %%
# Read the third panel with the numbers printed above. A value that cannot exceed the logarithm of the
# number of samples (InfoNCE) cannot double either once it is near it. A ratio of 2 proves little by
# itself: with enough samples the Gaussian copula passes all three tests on any data, since a Gaussian
# model of anything obeys the rules of information. The tests find values that cannot be right; they do
# not find those that are.
