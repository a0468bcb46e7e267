"""Critics: networks that score all pairs of two samples, ``(x, y) -> (n, m)``. Torch.

A critic is any ``nn.Module`` that takes x (n, features_x) and y (m, features_y) and returns scores
(n, m), ``scores[i, j] = f(x_i, y_j)``; variational estimators train it towards log p(x, y) /
(p(x) p(y)), up to what their bound leaves open. Those here draw their first weights from torch's
generator, like all of torch: ``torch.manual_seed`` before building one repeats it. All score 0 at
the start, the log ratio of independence, but a `JointCritic` that is not bilinear.

Sizes by default: one hidden layer of 256 units, measured for streams and for fixed samples of 5000
rows at d = 5 and 20. The width does not depend on n: at n = 200 and 1000 (d = 5, 3 seeds) 16 to 256
units differ by at most .04 and .01 in the held-out noise-contrastive objective at their best steps,
of which narrow ones need 2 to 8 times as many. The embedding is 32: linear dependence of any rank
is in the bilinear part.

Two class attributes tell estimators what they may do with a critic; a module of your own may have
them, too: ``pairs_are_cheap`` (all pairs of thousands of rows can be scored) and ``arguments`` (of
the constructor, JSON-plain: what saves it).
"""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from infoest._validation import check_bool, check_int, check_number

WIDTH, EMBEDDING = 256, 32
# Hidden units of pairs held at once: with gradients 64 MB of float32 a layer, above which they are
# computed again in the backward pass; without, what a core's cache holds.
BLOCK_WITH_GRADIENT = 2**24
BLOCK_WITHOUT_GRADIENT = 2**18


class SeparableCritic(nn.Module):
    """Critic of one network for x and one for y: h(x)'g(y) + u(x) + v(y), plus a bilinear part.

    The networks run on n + m rows, not on n m pairs: scores of all pairs cost one matrix product.
    With the bilinear part the critic contains the log density ratio of jointly Gaussian variables,
    which is what it should start from on normal scores. The last layer of the network of x (and v)
    is 0 at the start.

    Args:
        features_x: Number of columns of x, at least 1.
        features_y: Number of columns of y, at least 1.
        width: Units of every hidden layer, at least 1.
        depth: Number of hidden layers (ReLU) of each network, at least 1.
        embedding: Length of h and g, at least 1.
        dropout: Share of hidden units left out at every training step, in [0, 1).
        unary: Whether there are u and v, one more output of each network. Without them (and
            without the bilinear part) the score is h(x)'g(y), the separable critic of the
            literature.
        bilinear: Whether the score of a `BilinearCritic` is added (with its unary forms where
            ``unary``). It has (features_x + features_y)^2 weights or less: leave it out for
            images.

    Raises:
        TypeError: If a size is not an integer or a switch not a bool.
        ValueError: If a size is below 1 or dropout out of [0, 1).

    References:
        Poole et al. (2019), ICML, appendix (separable critics). Song, Ermon (2020), ICLR.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> critic = SeparableCritic(3, 2)
        >>> critic(torch.zeros(5, 3), torch.zeros(4, 2)).shape
        torch.Size([5, 4])
    """

    pairs_are_cheap: ClassVar[bool] = True

    def __init__(
        self,
        features_x: int,
        features_y: int,
        *,
        width: int = WIDTH,
        depth: int = 1,
        embedding: int = EMBEDDING,
        dropout: float = 0.0,
        unary: bool = True,
        bilinear: bool = True,
    ) -> None:
        super().__init__()
        _check_sizes(
            features_x=features_x,
            features_y=features_y,
            width=width,
            depth=depth,
            embedding=embedding,
        )
        check_number("dropout", dropout, low=0.0, high=1.0, open_high=True)
        check_bool("unary", unary)
        check_bool("bilinear", bilinear)
        self.arguments = {
            "features_x": features_x,
            "features_y": features_y,
            "width": width,
            "depth": depth,
            "embedding": embedding,
            "dropout": dropout,
            "unary": unary,
            "bilinear": bilinear,
        }
        self.features_x, self.features_y, self.embedding = features_x, features_y, embedding
        self.network_x = _network(features_x, width, depth, embedding + unary, dropout)
        self.network_y = _network(features_y, width, depth, embedding + unary, dropout)
        with torch.no_grad():
            for weight in self.network_x[-1].parameters():
                weight.zero_()
            for weight in self.network_y[-1].parameters():
                weight[embedding:] = 0.0
        self.bilinear = (
            BilinearCritic(features_x, features_y, quadratic=unary) if bilinear else None
        )

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the scores of all pairs, shape (n, m).

        Args:
            x: Shape (n, features_x), in the dtype of the critic.
            y: Shape (m, features_y).
        """
        _check_input("x", x, self.features_x, next(self.network_x.parameters()))
        _check_input("y", y, self.features_y, next(self.network_y.parameters()))
        of_x, of_y = self.network_x(x), self.network_y(y)
        left, right = [of_x[:, : self.embedding]], [of_y[:, : self.embedding]]
        if of_x.shape[1] > self.embedding:
            left += [of_x[:, self.embedding :], torch.ones_like(of_x[:, :1])]
            right += [torch.ones_like(of_y[:, :1]), of_y[:, self.embedding :]]
        if self.bilinear is not None:
            left += self.bilinear.left(x)
            right += self.bilinear.right(y)
        return _product(left, right)


class JointCritic(nn.Module):
    """Score of a network of x and y together, for pairs that no product of embeddings tells.

    Its first layer is W_x x + W_y y + b: the two products run on n + m rows, and only their sum,
    ReLU and the layers after run on the n m pairs, by blocks of rows. That is the concatenated
    critic of the literature, exactly, for less.

    Args:
        features_x: Number of columns of x, at least 1.
        features_y: Number of columns of y, at least 1.
        width: Units of every hidden layer, at least 1.
        depth: Number of hidden layers (ReLU), at least 1. Every layer after the first costs
            n m width^2.
        bilinear: Whether the score of a `BilinearCritic` is added, which contains the log density
            ratio of jointly Gaussian variables; the last layer of the network is then 0 at the
            start.

    Raises:
        TypeError: If a size is not an integer or ``bilinear`` not a bool.
        ValueError: If a size is below 1.

    Note:
        n m pairs cost n m width at least: for values on thousands of rows score blocks of columns.
        Memory is bounded also with gradients: above 2^24 hidden units blocks are computed again
        in the backward pass.

    References:
        Belghazi et al. (2018), ICML. Poole et al. (2019), ICML, appendix (joint critics).

    Example:
        >>> _ = torch.manual_seed(0)
        >>> critic = JointCritic(3, 2)
        >>> critic(torch.zeros(5, 3), torch.zeros(4, 2)).shape
        torch.Size([5, 4])
    """

    def __init__(
        self,
        features_x: int,
        features_y: int,
        *,
        width: int = WIDTH,
        depth: int = 1,
        bilinear: bool = True,
    ) -> None:
        super().__init__()
        _check_sizes(features_x=features_x, features_y=features_y, width=width, depth=depth)
        check_bool("bilinear", bilinear)
        self.arguments = {
            "features_x": features_x,
            "features_y": features_y,
            "width": width,
            "depth": depth,
            "bilinear": bilinear,
        }
        self.features_x, self.features_y = features_x, features_y
        # One layer cut in two: the bound of its first weights is that of all its inputs.
        first = nn.Linear(features_x + features_y, width)
        self.weight_x = nn.Parameter(first.weight.detach()[:, :features_x].clone())
        self.weight_y = nn.Parameter(first.weight.detach()[:, features_x:].clone())
        self.bias = nn.Parameter(first.bias.detach().clone())
        self.rest = _network(width, width, depth - 1, 1)
        self.bilinear = BilinearCritic(features_x, features_y) if bilinear else None
        if bilinear:
            with torch.no_grad():
                for weight in self.rest[-1].parameters():
                    weight.zero_()

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the scores of all pairs, shape (n, m).

        Args:
            x: Shape (n, features_x), in the dtype of the critic.
            y: Shape (m, features_y).
        """
        _check_input("x", x, self.features_x, self.weight_x)
        _check_input("y", y, self.features_y, self.weight_y)
        of_x = nn.functional.linear(x, self.weight_x, self.bias)
        of_y = nn.functional.linear(y, self.weight_y)
        scores = self._of_pairs(of_x, of_y)
        return scores if self.bilinear is None else scores + self.bilinear(x, y)

    def _of_pairs(self, of_x: Tensor, of_y: Tensor) -> Tensor:
        learning = torch.is_grad_enabled() and (of_x.requires_grad or of_y.requires_grad)
        limit = BLOCK_WITH_GRADIENT if learning else BLOCK_WITHOUT_GRADIENT
        blocks = of_x.split(max(1, limit // max(1, of_y.numel())))
        if len(blocks) == 1:
            return self._of_block(of_x, of_y)
        if not learning:
            return torch.cat([self._of_block(block, of_y) for block in blocks])
        again = [
            checkpoint(self._of_block, block, of_y, use_reentrant=False, preserve_rng_state=False)
            for block in blocks
        ]
        return torch.cat(again)

    def _of_block(self, of_x: Tensor, of_y: Tensor) -> Tensor:
        # In place: the sum is not needed again.
        hidden = (of_x[:, None] + of_y).relu_()
        return self.rest(hidden)[..., 0]


class BilinearCritic(nn.Module):
    """Score x'Ay + x'Bx + y'Cy + a'x + b'y + c, all weights 0 at the start.

    Contains the log density ratio of jointly Gaussian variables and nothing else: a baseline, and
    the right critic on normal scores of data with a Gaussian copula. Every objective of
    `infoest.functional` that is concave in the scores has one maximum in its weights.

    Args:
        features_x: Number of columns of x, at least 1.
        features_y: Number of columns of y, at least 1.
        quadratic: Whether there are the forms in x and in y alone and the linear terms; without
            them the score is x'Ay + c.

    Raises:
        TypeError: If a size is not an integer or ``quadratic`` not a bool.
        ValueError: If a size is below 1.

    Example:
        >>> BilinearCritic(3, 2)(torch.ones(5, 3), torch.ones(4, 2)).shape
        torch.Size([5, 4])
    """

    pairs_are_cheap: ClassVar[bool] = True

    def __init__(self, features_x: int, features_y: int, *, quadratic: bool = True) -> None:
        super().__init__()
        _check_sizes(features_x=features_x, features_y=features_y)
        check_bool("quadratic", quadratic)
        self.arguments = {
            "features_x": features_x,
            "features_y": features_y,
            "quadratic": quadratic,
        }
        self.features_x, self.features_y = features_x, features_y
        self.weight = _zeros(features_x, features_y)
        self.constant = _zeros()
        self.unary_x = _UnaryForm(features_x) if quadratic else None
        self.unary_y = _UnaryForm(features_y) if quadratic else None

    def forward(self, x: Tensor, y: Tensor) -> Tensor:
        """Return the scores of all pairs, shape (n, m).

        Args:
            x: Shape (n, features_x), in the dtype of the critic.
            y: Shape (m, features_y).
        """
        _check_input("x", x, self.features_x, self.weight)
        _check_input("y", y, self.features_y, self.weight)
        return _product(self.left(x), self.right(y))

    def left(self, x: Tensor) -> list[Tensor]:
        """Return what x puts into the product that is the score, columns side by side."""
        of_x = self.constant.expand(len(x))
        if self.unary_x is not None:
            of_x = of_x + self.unary_x(x)
        return [x @ self.weight, of_x[:, None], torch.ones_like(x[:, :1])]

    def right(self, y: Tensor) -> list[Tensor]:
        """Return what y puts into the product that is the score."""
        ones = torch.ones_like(y[:, :1])
        of_y = 0.0 * ones if self.unary_y is None else self.unary_y(y)[:, None]
        return [y, ones, of_y]

    def extra_repr(self) -> str:
        """Return the settings for the repr."""
        return f"{self.features_x}, {self.features_y}, quadratic={self.unary_x is not None}"


class _UnaryForm(nn.Module):
    """x'Bx + a'x of every row, 0 at the start."""

    def __init__(self, features: int) -> None:
        super().__init__()
        self.quadratic = _zeros(features, features)
        self.linear = _zeros(features)

    def forward(self, x: Tensor) -> Tensor:
        return _quadratic(x, self.quadratic) + x @ self.linear


def _network(
    inputs: int, width: int, depth: int, outputs: int, dropout: float = 0.0
) -> nn.Sequential:
    """Return ``depth`` hidden layers with ReLU (and dropout) and a linear output."""
    layers: list[nn.Module] = []
    for _ in range(depth):
        layers += [nn.Linear(inputs, width), nn.ReLU()]
        if dropout:
            layers.append(_Dropout(dropout))
        inputs = width
    return nn.Sequential(*layers, nn.Linear(inputs, outputs))


class _Dropout(nn.Module):
    """Dropout from one random byte a unit: torch's own takes as long as the rest of a step."""

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share = share

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return x
        dropped = min(round(256 * self.share), 255)
        words = torch.empty(x.numel() // 8 + 1, dtype=torch.int64, device=x.device)
        # From the least integer on: by default the sign bit would stay 0.
        bits = words.random_(torch.iinfo(torch.int64).min, None).view(torch.uint8)
        # 1 where the byte is at least ``dropped``, else 0: comparisons take five times as long.
        kept = bits[: x.numel()].view(x.shape).to(x.dtype).sub_(dropped - 1).clamp_(0.0, 1.0)
        return x * kept.mul_(256.0 / (256.0 - dropped))

    def extra_repr(self) -> str:
        return f"{self.share}"


def _product(left: list[Tensor], right: list[Tensor]) -> Tensor:
    """Return sum_k left_k right_k', one matrix product: sums of n m entries cost as much each."""
    return torch.cat(left, dim=1) @ torch.cat(right, dim=1).T


def _zeros(*shape: int) -> nn.Parameter:
    return nn.Parameter(torch.zeros(shape))


def _quadratic(x: Tensor, form: Tensor) -> Tensor:
    """Return x_i' F x_i, shape (n,)."""
    return ((x @ form) * x).sum(dim=1)


def _check_sizes(**sizes: int) -> None:
    for name, size in sizes.items():
        check_int(name, size, low=1)


def _check_input(name: str, data: Tensor, features: int, weight: Tensor) -> None:
    """Raise unless a sample fits the critic; values are not read, they may be on a GPU."""
    if not isinstance(data, Tensor) or not data.is_floating_point():
        shown = data.dtype if isinstance(data, Tensor) else type(data).__name__
        raise TypeError(f"{name} must be a floating-point tensor, got {shown}.")
    if data.ndim != 2 or data.shape[1] != features:
        raise ValueError(
            f"{name} must have shape (n_samples, {features}) for this critic, "
            f"got {tuple(data.shape)}."
        )
    if data.device != weight.device:
        raise ValueError(
            f"{name} must be on the device of the critic, {weight.device}, got {data.device}. "
            f"Move one of them with .to()."
        )
    if data.dtype != weight.dtype and not torch.is_autocast_enabled(data.device.type):
        raise TypeError(
            f"{name} must have the dtype of the critic, {weight.dtype}, got {data.dtype}. "
            f"Move one of them with .to()."
        )
