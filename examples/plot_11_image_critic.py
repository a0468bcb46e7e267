"""A critic of your own, for images
================================

What is known about the data belongs into the critic. Here x and y are two pictures of the same digit,
drawn at random places of a canvas: a convolution does not mind where, the default critic does. The truth
is known from above: all that the pictures share is which digit it is, so I(X;Y) is at most the entropy of
ten digits, log 10 = 2.30 nats, and little less if they can be read.
"""

import math
import os

import matplotlib.pyplot as plt
import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import infoest
from infoest.training import Training

SMALL = "INFOEST_SMALL" in os.environ
digits = load_digits()
rng = np.random.default_rng(0)

# %%
# Training and held-out pairs share no picture. A picture meets another one of its digit, in eight rounds for
# training and in one for reading, each time at other places and with other noise.
order = rng.permutation(len(digits.images))
trained, held_out = order[:1200], order[1200:]


def partners(labels):
    """Return for every row another row with the same label."""
    found = np.empty(len(labels), dtype=int)
    for label in np.unique(labels):
        rows = rng.permutation(np.flatnonzero(labels == label))
        found[rows] = np.roll(rows, 1)
    return found


def placed(images, shift):
    """Return noisy images on a canvas that leaves room for ``shift`` pixels, one row for each."""
    canvas = 0.1 * rng.standard_normal((len(images), 8 + 2 * shift, 8 + 2 * shift))
    for picture, image in zip(canvas, images, strict=True):
        top, left = rng.integers(0, 2 * shift + 1, 2)
        picture[top : top + 8, left : left + 8] += image / 16
    return canvas.reshape(len(images), -1)


def pairs(rows, shift, rounds=1):
    """Return x, y and what digit they show."""
    images, labels = digits.images[rows], digits.target[rows]
    x, y = [], []
    for _ in range(rounds):
        x.append(placed(images, shift))
        y.append(placed(images[partners(labels)], shift))
    return np.concatenate(x), np.concatenate(y), np.tile(labels, rounds)


x, y, _ = pairs(held_out, shift=2)
figure, axes = plt.subplots(2, 8, figsize=(8, 2.1), layout="constrained")
for row, samples in zip(axes, (x, y), strict=True):
    for ax, sample in zip(row, samples, strict=False):
        ax.imshow(sample.reshape(12, 12), cmap="gray_r")
        ax.set(xticks=[], yticks=[])
axes[0, 0].set_ylabel("x")
axes[1, 0].set_ylabel("y")
plt.show()

# %%
# A critic is any module that takes n rows of x and m rows of y and returns n times m scores. Estimators
# hand over tables, so the module folds the rows to pictures again. One tower for each side, and a product of
# what they return, is cheap: n + m runs of a network instead of n m. ``pairs_are_cheap`` tells the estimator
# so, and it reads values from all pairs of held-out rows instead of blocks of 512.
#
# Two lines in it matter for any critic of this form. What the towers see is centered before the last
# layer (`BatchNorm1d`): without it the scores have to learn a constant first, and may stay at 0 for a long
# time. And the last layer of one tower starts at 0, so that all scores do: independence.


class ConvolutionalCritic(nn.Module):
    """Score h(x) . g(y) + u(x) + v(y) with two convolutional towers."""

    pairs_are_cheap = True

    def __init__(self, side, width=16, embedding=16):
        super().__init__()
        self.side = side
        self.tower_x, self.tower_y = (
            nn.Sequential(
                nn.Conv2d(1, width, 3, padding=1),
                nn.ReLU(),
                nn.MaxPool2d(2),
                nn.Conv2d(width, 2 * width, 3, padding=1),
                nn.ReLU(),
                nn.AdaptiveMaxPool2d(2),
                nn.Flatten(),
                nn.BatchNorm1d(8 * width),
                nn.Dropout(0.2),
                nn.Linear(8 * width, embedding + 1),
            )
            for _ in range(2)
        )
        for weight in self.tower_x[-1].parameters():
            nn.init.zeros_(weight)

    def forward(self, x, y):
        """Return the scores of all pairs, shape (n, m)."""
        of_x = self.tower_x(3.0 * x.view(-1, 1, self.side, self.side))
        of_y = self.tower_y(3.0 * y.view(-1, 1, self.side, self.side))
        return of_x[:, 1:] @ of_y[:, 1:].T + of_x[:, :1] + of_y[:, 0]


# %%
# ``inputs="raw"`` passes the pixels on as they are: normal scores or standard deviations, taken pixel by
# pixel, would blow up the noise of the margins. The Gaussian copula needs no training: it reads the first
# round of the training pairs, in a tenth of a second.
training = Training(
    steps=20 if SMALL else 300, batch_size=128, learning_rate=5e-3, schedule="cosine", patience=None
)
found = {"ConvolutionalCritic": [], "default critic": [], "GaussianCopula": []}
shifts = [0, 2] if SMALL else [0, 1, 2]
for shift in shifts:
    x, y, _ = pairs(trained, shift, rounds=1 if SMALL else 8)
    new_x, new_y, new_digits = pairs(held_out, shift)
    torch.manual_seed(0)
    critic = ConvolutionalCritic(8 + 2 * shift)
    fitted = infoest.NoiseContrastive(critic=critic, inputs="raw", training=training).fit(x, y)
    found["ConvolutionalCritic"].append(fitted.evaluate(new_x, new_y))
    plain = infoest.NoiseContrastive(training=Training(steps=20 if SMALL else 400)).fit(x, y)
    found["default critic"].append(plain.evaluate(new_x, new_y))
    found["GaussianCopula"].append(infoest.GaussianCopula().estimate(x[:1200], y[:1200]))

figure, ax = plt.subplots(figsize=(6.4, 3.4), layout="constrained")
for place, (name, estimates) in enumerate(found.items()):
    at = np.arange(len(shifts)) + 0.27 * (place - 1)
    ax.bar(at, [e.value for e in estimates], width=0.25, label=name)
ax.axhline(math.log(10), color="gray", linestyle="--", label="log 10")
ax.set(xlabel="shift in pixels", ylabel="mutual information (nats)", ylim=(0, 3))
ax.set_xticks(range(len(shifts)), shifts)
ax.legend(fontsize="small", ncols=2)
plt.show()
for name, estimates in found.items():
    print(name, *estimates, sep="\n  ")

# %%
# Digits in one place are a matter of covariances: the copula comes nearest, and takes no time. Moved by a
# pixel or two, single pixels say little; what pixels say in pairs is all that the copula knows of and what
# the default critic starts from, and only the convolution still reads digits. More pictures and steps would
# bring it nearer to the dashed line. A value near 0 is what a blind critic looks like: warnings speak of its
# scores, not of what it does not see.
#
# The critic was told no digit. Its mean scores between pictures of one and another digit show what it
# takes for alike:
with torch.no_grad():
    sides = [torch.tensor(side, dtype=torch.float32) for side in (new_x, new_y)]
    scores = fitted.critic_(*sides).numpy()
mean = [
    [scores[np.ix_(new_digits == one, new_digits == other)].mean() for other in range(10)]
    for one in range(10)
]
figure, ax = plt.subplots(figsize=(4.4, 3.6), layout="constrained")
limit = np.abs(mean).max()
image = ax.imshow(mean, cmap="RdBu_r", vmin=-limit, vmax=limit)
ax.set(xticks=range(10), yticks=range(10), xlabel="digit of y", ylabel="digit of x")
figure.colorbar(image, label="mean score (nats)")
plt.show()
