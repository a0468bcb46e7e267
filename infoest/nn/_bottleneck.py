"""What the bottlenecks share: a linear layer to the parameters of a code, kept until the next."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from infoest._validation import check_bool, check_int
from infoest.functional._scores import check_finite, check_floating, wide

# Parameters of a code distribution: the rows of each are those of the batch.
Parameters = tuple[Tensor, ...]


class Bottleneck(nn.Module):
    """Linear layer to parameters of a distribution, which are kept until the next forward pass.

    They hold the graph of the last batch, as its loss does; they are no state, and stay behind
    in copies and pickles. Replicas of a `DataParallel` write to the layer they were made from.

    Args:
        in_features: Number of columns of the input.
        n_parameters: Outputs of the linear layer.
        always: Whether codes are drawn in evaluation, too.
    """

    def __init__(self, in_features: int, n_parameters: int, *, always: bool) -> None:
        super().__init__()
        check_int("in_features", in_features, low=1)
        check_bool("always", always)
        self.in_features, self.always = in_features, always
        self.linear = nn.Linear(in_features, n_parameters)
        self._kept: dict[int, Parameters] = {}
        self._n_replicas = 0
        self._replica: int | None = None

    def _raw(self, x: Tensor) -> Tensor:
        """Return the outputs of the linear layer in at least float32, whatever autocast does."""
        self._check(x)
        return wide(self.linear(x))

    def _code(self, code: Tensor) -> Tensor:
        # The dtype of the weights: low precision would round away the noise under autocast.
        return code.to(self.linear.weight.dtype)

    def _draws(self) -> bool:
        return self.training or self.always

    def _check(self, x: Tensor) -> None:
        weight = self.linear.weight
        check_floating("x", x)
        if x.ndim < 2 or x.shape[-1] != self.in_features or not x.numel():
            raise ValueError(
                f"x must have shape (n, ..., {self.in_features}), n at least 1, "
                f"got {tuple(x.shape)}."
            )
        if x.device != weight.device:
            raise ValueError(
                f"x must be on the device of the layer, {weight.device}, got {x.device}. "
                "Move one of them with .to()."
            )
        if x.dtype != weight.dtype and not torch.is_autocast_enabled(x.device.type):
            raise TypeError(
                f"x must have the dtype of the layer, {weight.dtype}, got {x.dtype}. "
                "Move one of them with .to()."
            )
        check_finite("x", x)

    def _keep(self, *parameters: Tensor) -> None:
        if self._replica is None:
            self._kept = {0: parameters}
        else:
            self._kept[self._replica] = parameters

    def _last(self) -> Parameters:
        if not self._kept:
            # Not a NotFittedError: an AttributeError in a property would end in nn.Module's own.
            raise RuntimeError(
                f"{type(self).__name__} must run before its distribution is read, got no forward "
                "pass yet. Copies and pickles do not keep the last one."
            )
        parts = [self._kept[replica] for replica in sorted(self._kept)]
        if len(parts) == 1:
            return parts[0]
        device = parts[0][0].device
        return tuple(
            torch.cat([part.to(device) for part in rows]) for rows in zip(*parts, strict=True)
        )

    def _replicate_for_data_parallel(self) -> Bottleneck:
        # All replicas of a forward pass are made before the first of them runs.
        if self._kept:
            self._kept, self._n_replicas = {}, 0
        replica = super()._replicate_for_data_parallel()
        replica._replica = self._n_replicas
        self._n_replicas += 1
        return replica

    def __getstate__(self) -> dict[str, Any]:
        return {**super().__getstate__(), "_kept": {}, "_n_replicas": 0}
