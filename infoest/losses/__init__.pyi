from . import neighbors as neighbors
from .bottleneck import NonlinearIBLoss as NonlinearIBLoss
from .bottleneck import NonlinearIBResult as NonlinearIBResult
from .bottleneck import VIBLoss as VIBLoss
from .bottleneck import VIBResult as VIBResult
from .contrastive import InfoNCELoss as InfoNCELoss
from .contrastive import InfoNCEResult as InfoNCEResult
from .contrastive import MultiViewIBLoss as MultiViewIBLoss
from .contrastive import MultiViewIBResult as MultiViewIBResult
from .effective_entropy import EffectiveEntropyLoss as EffectiveEntropyLoss
from .effective_entropy import EffectiveEntropyResult as EffectiveEntropyResult
from .forward_only import ForwardForwardLoss as ForwardForwardLoss
from .forward_only import ForwardForwardResult as ForwardForwardResult
from .icon import IConLoss as IConLoss
from .icon import IConResult as IConResult
from .kernel_bottleneck import CauchySchwarzIBLoss as CauchySchwarzIBLoss
from .kernel_bottleneck import CauchySchwarzIBResult as CauchySchwarzIBResult
from .kernel_bottleneck import HSICBottleneckLoss as HSICBottleneckLoss
from .kernel_bottleneck import HSICBottleneckResult as HSICBottleneckResult
from .penalty import InformationPenalty as InformationPenalty
from .penalty import InformationPenaltyResult as InformationPenaltyResult
from .priors import DiagonalPrior as DiagonalPrior
from .priors import FullPrior as FullPrior
from .priors import MixturePrior as MixturePrior
from .representations import CodingRateLoss as CodingRateLoss
from .representations import CodingRateResult as CodingRateResult
from .representations import VICRegLoss as VICRegLoss
from .representations import VICRegResult as VICRegResult
from .soft_labels import EntropyMinimizationLoss as EntropyMinimizationLoss
from .soft_labels import EntropyMinimizationResult as EntropyMinimizationResult
from .soft_labels import InfoMaxClusteringLoss as InfoMaxClusteringLoss
from .soft_labels import InfoMaxClusteringResult as InfoMaxClusteringResult
from .soft_labels import adapt_by_entropy as adapt_by_entropy
from .weights import Cosine as Cosine
from .weights import TargetRate as TargetRate
from .weights import WarmUp as WarmUp

__all__ = [
    "CauchySchwarzIBLoss",
    "CauchySchwarzIBResult",
    "CodingRateLoss",
    "CodingRateResult",
    "Cosine",
    "DiagonalPrior",
    "EffectiveEntropyLoss",
    "EffectiveEntropyResult",
    "EntropyMinimizationLoss",
    "EntropyMinimizationResult",
    "ForwardForwardLoss",
    "ForwardForwardResult",
    "FullPrior",
    "HSICBottleneckLoss",
    "HSICBottleneckResult",
    "IConLoss",
    "IConResult",
    "InfoMaxClusteringLoss",
    "InfoMaxClusteringResult",
    "InfoNCELoss",
    "InfoNCEResult",
    "InformationPenalty",
    "InformationPenaltyResult",
    "MixturePrior",
    "MultiViewIBLoss",
    "MultiViewIBResult",
    "NonlinearIBLoss",
    "NonlinearIBResult",
    "TargetRate",
    "VIBLoss",
    "VIBResult",
    "VICRegLoss",
    "VICRegResult",
    "WarmUp",
    "adapt_by_entropy",
    "neighbors",
]
