from .bandwidth import Bandwidth as Bandwidth
from .bandwidth import resolve_bandwidth as resolve_bandwidth
from .formulas import Formula as Formula
from .formulas import gaussian as gaussian
from .reductions import log_kernel_sum as log_kernel_sum

__all__ = ["Bandwidth", "Formula", "gaussian", "log_kernel_sum", "resolve_bandwidth"]
