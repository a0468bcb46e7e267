"""Information-bottleneck losses: terms that plug into any PyTorch model. Torch."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
