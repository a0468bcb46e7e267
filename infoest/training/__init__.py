"""One training loop: settings, sources of batches, the loop itself, joining of processes."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
