"""Estimators: a class per method, one verb `estimate`, one result `Estimate`."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
