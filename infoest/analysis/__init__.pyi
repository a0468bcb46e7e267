from .bottleneck import BottleneckSolution as BottleneckSolution
from .bottleneck import GaussianBottleneckSolution as GaussianBottleneckSolution
from .bottleneck import gaussian_information_bottleneck as gaussian_information_bottleneck
from .bottleneck import information_bottleneck as information_bottleneck
from .consistency import self_consistency as self_consistency
from .consistency_result import Monotonicity as Monotonicity
from .consistency_result import RatioTest as RatioTest
from .consistency_result import SelfConsistency as SelfConsistency

__all__ = [
    "BottleneckSolution",
    "GaussianBottleneckSolution",
    "Monotonicity",
    "RatioTest",
    "SelfConsistency",
    "gaussian_information_bottleneck",
    "information_bottleneck",
    "self_consistency",
]
