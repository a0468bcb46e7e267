from .bottleneck import NonlinearIBLoss as NonlinearIBLoss
from .bottleneck import NonlinearIBResult as NonlinearIBResult
from .bottleneck import VIBLoss as VIBLoss
from .bottleneck import VIBResult as VIBResult
from .priors import DiagonalPrior as DiagonalPrior
from .priors import FullPrior as FullPrior
from .priors import MixturePrior as MixturePrior
from .weights import Cosine as Cosine
from .weights import TargetRate as TargetRate
from .weights import WarmUp as WarmUp

__all__ = [
    "Cosine",
    "DiagonalPrior",
    "FullPrior",
    "MixturePrior",
    "NonlinearIBLoss",
    "NonlinearIBResult",
    "TargetRate",
    "VIBLoss",
    "VIBResult",
    "WarmUp",
]
