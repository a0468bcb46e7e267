"""What each of two processes does with a contrast of all rows; run by test_contrastive.py."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, distributed, nn

from infoest.losses import InfoNCELoss

ROWS = 6


def views() -> tuple[Tensor, Tensor]:
    """Return the rows of the joined batch."""
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(2 * ROWS, 3, generator=generator, dtype=torch.float64)
    return x, x + 0.5 * torch.randn(2 * ROWS, 3, generator=generator, dtype=torch.float64)


def encoder() -> nn.Linear:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Linear(3, 4).double()


def contrasted(rows: slice, *, gather: bool, symmetric: bool) -> tuple[Tensor, nn.Module]:
    """Return the loss of some rows, and the network with its gradients."""
    network = encoder()
    x, y = views()
    loss = InfoNCELoss(0.5, symmetric=symmetric, gather=gather)(network(x[rows]), network(y[rows]))
    loss.loss.backward()
    return loss.loss.detach(), network


def main() -> None:
    rank, folder = int(sys.argv[1]), Path(sys.argv[2])
    distributed.init_process_group(
        "gloo",
        init_method=f"file://{folder / 'meeting'}",
        rank=rank,
        world_size=2,
        timeout=timedelta(seconds=40),
    )
    torch.set_num_threads(1)
    own = slice(rank * ROWS, (rank + 1) * ROWS)
    found: dict[str, Any] = {}
    for symmetric in (True, False):
        loss, network = contrasted(own, gather=True, symmetric=symmetric)
        gradients = [weight.grad for weight in network.parameters()]
        for gradient in gradients:
            # As DistributedDataParallel does.
            distributed.all_reduce(gradient)
            gradient /= 2
        found[str(symmetric)] = {"loss": loss, "gradients": gradients}
    found["apart"] = contrasted(own, gather=False, symmetric=True)[0]
    try:
        spoiled = torch.ones(ROWS, 3) * (float("nan") if rank == 1 else 1.0)
        InfoNCELoss(gather=True)(spoiled, torch.ones(ROWS, 3))
        found["nan"] = "nothing"
    except ValueError as error:
        found["nan"] = str(error)
    torch.save(found, folder / f"{rank}.pt")
    distributed.barrier()
    distributed.destroy_process_group()


if __name__ == "__main__":
    main()
