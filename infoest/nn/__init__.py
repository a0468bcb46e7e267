"""Layers that limit information, and a look at the activations of any model. Torch.

Layers draw from torch's generator, like all of torch. Values are checked on CPU tensors and not
while compiling; nothing in ``forward`` waits for a GPU.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
