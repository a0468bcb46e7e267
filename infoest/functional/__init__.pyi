from .discrete import discrete_entropy as discrete_entropy
from .divergences import cauchy_schwarz as cauchy_schwarz
from .neighbors import kozachenko_leonenko as kozachenko_leonenko

__all__ = ["cauchy_schwarz", "discrete_entropy", "kozachenko_leonenko"]
