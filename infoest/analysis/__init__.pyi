from .consistency import self_consistency as self_consistency
from .consistency_result import Monotonicity as Monotonicity
from .consistency_result import RatioTest as RatioTest
from .consistency_result import SelfConsistency as SelfConsistency

__all__ = ["Monotonicity", "RatioTest", "SelfConsistency", "self_consistency"]
