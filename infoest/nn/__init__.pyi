from .categorical import CategoricalBottleneck as CategoricalBottleneck
from .gaussian import GaussianBottleneck as GaussianBottleneck
from .noise import NoiseLayer as NoiseLayer
from .taps import tap as tap

__all__ = [
    "CategoricalBottleneck",
    "GaussianBottleneck",
    "NoiseLayer",
    "tap",
]
