"""One formula each: pure functions of arrays (NumPy) and of tensors (torch)."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
