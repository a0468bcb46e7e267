from .bandwidth import Bandwidth as Bandwidth
from .bandwidth import resolve_bandwidth as resolve_bandwidth
from .formulas import Formula as Formula
from .formulas import cosine as cosine
from .formulas import epanechnikov as epanechnikov
from .formulas import gaussian as gaussian
from .formulas import laplace as laplace
from .formulas import linear as linear
from .formulas import student as student
from .reductions import kernel_matvec as kernel_matvec
from .reductions import log_kernel_sum as log_kernel_sum
from .reductions import nearest as nearest

__all__ = [
    "Bandwidth",
    "Formula",
    "cosine",
    "epanechnikov",
    "gaussian",
    "kernel_matvec",
    "laplace",
    "linear",
    "log_kernel_sum",
    "nearest",
    "resolve_bandwidth",
    "student",
]
