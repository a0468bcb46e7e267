from .debiased import sinkhorn_divergence as sinkhorn_divergence
from .fused import FusedInfoOT as FusedInfoOT
from .information import InfoOTResult as InfoOTResult
from .information import infoot as infoot

__all__ = ["FusedInfoOT", "InfoOTResult", "infoot", "sinkhorn_divergence"]
